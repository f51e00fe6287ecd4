// Batch normalization (Ioffe and Szegedy, 2015, https://arxiv.org/abs/1502.03167).
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/nn/kernels/normalize.hpp>
#include <normnet/nn/normalization_layer.hpp>

#include <cmath>
#include <memory>
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
class BatchNorm2d final : public NormalizationLayer<T> {
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
    of_channels_.reset(options.channels);
    lines_.reset(options.channels);
  }
  explicit BatchNorm2d(Index channels) : BatchNorm2d(Options{.channels = channels}) {}

  const Options& options() const { return options_; }
  Parameter<T>& weight() { return weight_; }
  Parameter<T>& bias() { return bias_; }
  Tensor<T>& running_mean() { return running_mean_; }
  Tensor<T>& running_var() { return running_var_; }

  std::string type() const override { return "BatchNorm2d"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new BatchNorm2d(options_)); }

  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"channels", exact_text(options_.channels)},
            {"eps", exact_text(options_.eps)},
            {"momentum", exact_text(options_.momentum)},
            {"affine", exact_text(options_.affine)},
            {"track_running_stats", exact_text(options_.track_running_stats)}};
  }

  Shape output_shape(const Shape& input) const override {
    if (input.rank() != 4) fail(this->label(), ": expected an input N x C x H x W, got ", input);
    if (input[1] != options_.channels) {
      fail(this->label(), ": expected ", options_.channels, " input channels, got ", input[1], " (input ", input, ")");
    }
    return input;
  }

  void schedule_forward_then(const Batch<T>& x, Batch<T>& y, const Mode& mode, BlockSchedule& schedule,
                             normnet_impl::Pointwise<T> after) override {
    schedule_prologue(x, mode, schedule);
    schedule.each_channel(options_.channels, x.plane(),
                          [&, after](Index block, Index c) { after.of_channel(c).apply_behind(lines_[c], x, y, block, c); });
  }

  bool has_prologue() const override { return true; }

  normnet_impl::Prologue<T> schedule_prologue(const Batch<T>& x, const Mode& mode, BlockSchedule& schedule) override {
    uses_batch_statistics_ = mode.training || !options_.track_running_stats;
    const Index count = x.images() * x.plane(), channels = options_.channels;
    if (uses_batch_statistics_ && count < 2) {
      fail(this->label(), ": expected more than one value per channel in training, got ", count, " (input ", x.shape(),
           "); where a last batch that is not full is the cause, drop_last leaves it out");
    }
    if (uses_batch_statistics_) {
      make_room(x.blocks());
      // Gathered while a block is in the cache from the layer before, and used while it is to be in that of the layer behind.
      schedule.each_channel(channels, 2 * x.plane(), [&](Index block, Index c) {
        of_block(block, c).statistics = normnet_impl::statistics_per_block(x, block, c);
      });
      schedule.then([&] {
        for (Index c = 0; c < options_.channels; ++c) {
          const auto statistics = batch_statistics(c, x.blocks());
          set_moments(c, statistics);
          if (options_.track_running_stats) follow(c, statistics);
        }
      });
    } else {
      set_running_moments();
    }
    return {lines_.data(), false};
  }

  bool append_to(normnet_impl::Pointwise<T>& pointwise, const Mode& mode) override {
    if (mode.training || !options_.track_running_stats) return false;
    uses_batch_statistics_ = false;
    set_running_moments();
    return pointwise.append_lines(lines_.data());
  }

  /// With xhat = (x - mean) * rstd, g = weight * dy, and means over the channel's images and pixels:
  ///
  ///     dx      = rstd * (g - mean(g) - xhat * mean(g * xhat))     with the batch's statistics
  ///     dx      = rstd * g                                         with the running ones, which are constants
  ///     dweight = sum of dy * xhat,   dbias = sum of dy
  ///
  /// Derivation: docs/derivations.md.
  void schedule_backward_rectified(const Batch<T>& x, const Batch<T>&, const Batch<T>& dy, Batch<T>* dx, BlockSchedule& schedule,
                                   normnet_impl::Rectified rectified) override {
    const Index channels = options_.channels;
    make_room(x.blocks());
    const auto of_output = [this, rectified](Index c) {
      return normnet_impl::LineOutputGradient<T>{lines_[c], rectified.output};
    };
    const auto gather = [&, of_output](Index block, Index c) {
      const auto sums = normnet_impl::gradient_sums(x, dy, block, c, of_channel(c).moments, of_output(c));
      of_block(block, c).sums = {sums.dy.total(x.images_in(block)), sums.dy_xhat.total(x.images_in(block))};
    };
    schedule.each_channel(channels, 2 * x.plane(), gather, [&](Index c) {
      Sums& total = of_channel(c).total = {};
      for (Index block = 0; block < x.blocks(); ++block) {
        total.dy += of_block(block, c).sums.dy;
        total.dy_xhat += of_block(block, c).sums.dy_xhat;
      }
      if (!options_.affine) return;
      bias_.grad.data()[c] += static_cast<T>(total.dy);
      weight_.grad.data()[c] += static_cast<T>(total.dy_xhat);
    });
    if (dx == nullptr) return;
    schedule.each_channel(channels, 2 * x.plane(), [&, dx, of_output, rectified](Index block, Index c) {
      const auto& [moments, total] = of_channel(c);
      const T weight = weight_.value.data()[c];
      const double scale = uses_batch_statistics_ ? static_cast<double>(weight) / static_cast<double>(x.images() * x.plane()) : 0;
      // Zero in the padding lanes, where dx must be zero.
      const auto mean = [&](double sum) { return keep_lanes(Pack<T>(static_cast<T>(scale * sum)), x.images_in(block)); };
      const normnet_impl::NormalizingGradient<T> line(moments, weight, mean(total.dy), mean(total.dy_xhat));
      line.apply(x, dy, *dx, block, c, of_output(c), rectified.input);
    });
  }

  bool centers_gradient() const override { return uses_batch_statistics_; }

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
  // Sums over a channel.
  struct Sums {
    double dy = 0, dy_xhat = 0;
  };

  struct OfBlock {
    normnet_impl::Statistics statistics;
    Sums sums;
  };
  OfBlock& of_block(Index block, Index c) { return of_blocks_[block * options_.channels + c]; }

  struct OfChannel {
    normnet_impl::Moments<T> moments;
    Sums total;
  };
  OfChannel& of_channel(Index c) { return of_channels_[c]; }

  normnet_impl::Statistics batch_statistics(Index c, Index blocks) {
    normnet_impl::Statistics statistics;
    for (Index block = 0; block < blocks; ++block) statistics = statistics.with(of_block(block, c).statistics);
    return statistics;
  }

  // For what is gathered of so many blocks.
  void make_room(Index blocks) { of_blocks_.reset(blocks * options_.channels); }

  void set_moments(Index c, const normnet_impl::Statistics& statistics) {
    of_channel(c).moments = normnet_impl::Moments<T>::broadcast(statistics, options_.eps);
    lines_[c] = {of_channel(c).moments, weight_.value.data()[c], bias_.value.data()[c]};
  }

  void set_running_moments() {
    for (Index c = 0; c < options_.channels; ++c) {
      set_moments(c, {1, static_cast<double>(running_mean_.data()[c]), static_cast<double>(running_var_.data()[c])});
    }
  }

  void follow(Index c, const normnet_impl::Statistics& current) {
    const auto blend = [&](T& running, double value) {
      running = static_cast<T>((1 - options_.momentum) * static_cast<double>(running) + options_.momentum * value);
    };
    blend(running_mean_.data()[c], current.mean);
    blend(running_var_.data()[c], current.variance * current.count / (current.count - 1));
  }

  Options options_;
  Parameter<T> weight_, bias_;
  Tensor<T> running_mean_, running_var_;
  AlignedArray<OfChannel> of_channels_;
  AlignedArray<normnet_impl::NormalizingLine<T>> lines_;  // of each channel
  AlignedArray<OfBlock> of_blocks_;                       // of each block and channel
  bool uses_batch_statistics_ = true;
};

}  // namespace normnet::inline NORMNET_ABI
