// Batch normalization (Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167).
#pragma once

#include <normnet/nn/kernels/normalize.hpp>
#include <normnet/nn/layer.hpp>

#include <cmath>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// Normalizes every channel over the batch:
///
///     y = weight[c] * (x - mean[c]) / sqrt(var[c] + eps) + bias[c]
///
/// In training, mean and biased variance are those of the channel over all images and pixels of the batch, and the running
/// statistics follow them: running = (1 - momentum) * running + momentum * current, with the unbiased variance. In evaluation the
/// running statistics take their place, unless track_running_stats is false.
///
/// Shapes: N x C x H x W to the same. Parameters, if affine: weight [C] (ones), bias [C] (zeros).
/// Buffers, if track_running_stats: running_mean [C] (zeros), running_var [C] (ones).
/// Throws Error when the input has other channels, and in training when a channel has a single value, which has no variance.
template <class T>
class BatchNorm2d final : public Layer<T> {
 public:
  struct Options {
    Index channels = 0;
    double eps = 1e-5;
    double momentum = 0.1;
    bool affine = true;
    bool track_running_stats = true;
  };

  explicit BatchNorm2d(const Options& options) : options_(options) {
    if (options.channels < 1) fail("BatchNorm2d: expected channels of at least 1, got ", options.channels);
    if (!(options.eps >= 0)) fail("BatchNorm2d: expected an eps of at least 0, got ", options.eps);
    if (!(options.momentum >= 0 && options.momentum <= 1)) {
      fail("BatchNorm2d: expected a momentum in [0, 1], got ", options.momentum);
    }
    const Shape per_channel{options.channels};
    weight_ = Parameter<T>(per_channel, T(1));
    bias_ = Parameter<T>(per_channel);
    running_mean_ = Tensor<T>(per_channel);
    running_var_ = Tensor<T>(per_channel, T(1));
  }
  explicit BatchNorm2d(Index channels) : BatchNorm2d(Options{.channels = channels}) {}

  const Options& options() const { return options_; }
  Parameter<T>& weight() { return weight_; }
  Parameter<T>& bias() { return bias_; }
  Tensor<T>& running_mean() { return running_mean_; }
  Tensor<T>& running_var() { return running_var_; }

  std::string type() const override { return "BatchNorm2d"; }

  Shape output_shape(const Shape& input) const override {
    if (input.rank() != 4) fail(this->label(), ": expected an input N x C x H x W, got ", input);
    if (input[1] != options_.channels) {
      fail(this->label(), ": expected ", options_.channels, " input channels, got ", input[1], " (input ", input, ")");
    }
    return input;
  }

  void forward(const Batch<T>& x, Batch<T>& y, const Mode& mode) override {
    uses_batch_statistics_ = mode.training || !options_.track_running_stats;
    const Index count = x.images() * x.plane();
    if (uses_batch_statistics_ && count < 2) {
      fail(this->label(), ": expected more than one value per channel in training, got ", count, " (input ", x.shape(), ")");
    }
    moments_.resize(static_cast<std::size_t>(options_.channels));
    parallel_for(options_.channels, x.blocks() * x.plane(), [&](Index c) {
      const auto statistics = uses_batch_statistics_ ? kernels::statistics_per_channel(x, c) : running_statistics(c);
      if (mode.training && options_.track_running_stats) follow(c, statistics, static_cast<double>(count));
      const auto& moments = moments_[static_cast<std::size_t>(c)] = kernels::Moments<T>::broadcast(statistics, options_.eps);
      for (Index block = 0; block < x.blocks(); ++block) {
        for (Index row = 0; row < x.height(); ++row) {
          kernels::normalize_row(x.row(block, c, row), y.row(block, c, row), x.width(), moments, weight_.value.data()[c],
                                 bias_.value.data()[c]);
        }
      }
    });
  }

  /// With xhat = (x - mean) * rstd, g = weight * dy, and means over the channel's images and pixels:
  ///
  ///     dx      = rstd * (g - mean(g) - xhat * mean(g * xhat))     with the batch's statistics
  ///     dx      = rstd * g                                         with the running ones, which are constants
  ///     dweight = sum of dy * xhat,   dbias = sum of dy
  ///
  /// Derivation: docs/derivations.md.
  void backward(const Batch<T>& x, const Batch<T>&, const Batch<T>& dy, Batch<T>& dx) override {
    const double count = static_cast<double>(x.images() * x.plane());
    parallel_for(options_.channels, x.blocks() * x.plane(), [&](Index c) {
      const auto& moments = moments_[static_cast<std::size_t>(c)];
      double sum_dy = 0, sum_dy_xhat = 0;
      for (Index block = 0; block < x.blocks(); ++block) {
        kernels::GradientSums<T> sums;
        for (Index row = 0; row < x.height(); ++row) {
          sums.add_row(x.row(block, c, row), dy.row(block, c, row), x.width(), moments);
        }
        sum_dy += sums.dy.total(x.images_in(block));
        sum_dy_xhat += sums.dy_xhat.total(x.images_in(block));
      }
      if (options_.affine) {
        bias_.grad.data()[c] += static_cast<T>(sum_dy);
        weight_.grad.data()[c] += static_cast<T>(sum_dy_xhat);
      }
      const T weight = weight_.value.data()[c];
      const double scale = uses_batch_statistics_ ? static_cast<double>(weight) / count : 0;
      const Pack<T> mean_g(static_cast<T>(scale * sum_dy)), mean_g_xhat(static_cast<T>(scale * sum_dy_xhat));
      for (Index block = 0; block < x.blocks(); ++block) {
        for (Index row = 0; row < x.height(); ++row) {
          kernels::normalize_row_backward(x.row(block, c, row), dy.row(block, c, row), dx.row(block, c, row), x.width(), moments,
                                          weight, mean_g, mean_g_xhat);
        }
      }
    });
    dx.clear_padding_lanes();
  }

  Keeps keeps_for_backward() const override { return Keeps::input; }
  bool in_place() const override { return true; }

  std::vector<NamedParameter<T>> parameters() override {
    if (!options_.affine) return {};
    return {{"weight", &weight_}, {"bias", &bias_}};
  }
  std::vector<NamedBuffer<T>> buffers() override {
    if (!options_.track_running_stats) return {};
    return {{"running_mean", &running_mean_}, {"running_var", &running_var_}};
  }

  void reset_parameters(const Random&) override {
    weight_.value.fill(T(1));
    bias_.value.fill(T(0));
    running_mean_.fill(T(0));
    running_var_.fill(T(1));
  }

 private:
  kernels::Statistics running_statistics(Index c) const {
    return {static_cast<double>(running_mean_.data()[c]), static_cast<double>(running_var_.data()[c])};
  }

  void follow(Index c, const kernels::Statistics& current, double count) {
    const auto blend = [&](T& running, double value) {
      running = static_cast<T>((1 - options_.momentum) * static_cast<double>(running) + options_.momentum * value);
    };
    blend(running_mean_.data()[c], current.mean);
    blend(running_var_.data()[c], current.variance * count / (count - 1));
  }

  Options options_;
  Parameter<T> weight_, bias_;
  Tensor<T> running_mean_, running_var_;
  std::vector<kernels::Moments<T>, AlignedAllocator<kernels::Moments<T>>> moments_;  // of each channel
  bool uses_batch_statistics_ = true;
};

}  // namespace normnet::inline NORMNET_ABI
