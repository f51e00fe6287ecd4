// Instance normalization (Ulyanov, Vedaldi and Lempitsky, 2016, https://arxiv.org/abs/1607.08022).
#pragma once

#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/block_layer.hpp>
#include <normnet/nn/group_norm.hpp>

#include <memory>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// Normalizes every channel of every image:
///
///     y = weight[c] * (x - mean) / sqrt(var + eps) + bias[c]
///
/// Mean and biased variance run over the H x W pixels of channel c in that image alone: group norm with as many groups as
/// channels. With track_running_stats, the averages of mean and unbiased variance over the images are followed in training,
/// running = (1 - momentum) * running + momentum * current, and take the place of the image's own in evaluation.
///
/// Shapes: N x C x H x W to the same. Parameters, if affine (by default not, as in PyTorch): weight [C] (ones), bias [C] (zeros).
/// Buffers, if track_running_stats: running_mean [C] (zeros), running_var [C] (ones).
/// Throws Error when the input has other channels, and in training when a channel has a single pixel.
template <class T>
class InstanceNorm2d final : public BlockLayer<T> {
 public:
  struct Options {
    Index channels = 0;
    double eps = 1e-5;
    double momentum = 0.1;
    bool affine = false;
    bool track_running_stats = false;
  };

  explicit InstanceNorm2d(const Options& options)
      : options_(checked(options)),
        per_image_({.groups = options.channels, .channels = options.channels, .eps = options.eps, .affine = options.affine}),
        running_({.channels = options.channels, .eps = options.eps, .momentum = options.momentum, .affine = options.affine}) {}
  explicit InstanceNorm2d(Index channels) : InstanceNorm2d(Options{.channels = channels}) {}

  const Options& options() const { return options_; }
  Parameter<T>& weight() { return per_image_.weight(); }
  Parameter<T>& bias() { return per_image_.bias(); }
  Tensor<T>& running_mean() { return running_.running_mean(); }
  Tensor<T>& running_var() { return running_.running_var(); }

  std::string type() const override { return "InstanceNorm2d"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new InstanceNorm2d(options_)); }

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

  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode& mode, BlockSchedule& schedule) override {
    uses_running_ = !mode.training && options_.track_running_stats;
    if (uses_running_) {
      running_.weight().value = weight().value;
      running_.bias().value = bias().value;
      return running_.schedule_forward(x, y, mode, schedule);
    }
    if (mode.training && x.plane() < 2) {
      fail(this->label(), ": expected more than one pixel per channel in training, got ", x.plane(), " (input ", x.shape(), ")");
    }
    if (mode.training && options_.track_running_stats) schedule.then([&] { follow(x); });
    per_image_.schedule_forward(x, y, mode, schedule);
  }

  /// As group norm with C groups; with the running statistics, as batch norm in evaluation.
  void schedule_backward(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy, Batch<T>* dx,
                         BlockSchedule& schedule) override {
    if (!uses_running_) return per_image_.schedule_backward(x, y, dy, dx, schedule);
    running_.weight().grad.fill(T(0));
    running_.bias().grad.fill(T(0));
    running_.schedule_backward(x, y, dy, dx, schedule);
    if (!options_.affine) return;
    schedule.at_end([&] {
      for (Index c = 0; c < options_.channels; ++c) {
        weight().grad.data()[c] += running_.weight().grad.data()[c];
        bias().grad.data()[c] += running_.bias().grad.data()[c];
      }
    });
  }

  bool centers_gradient() const override { return !uses_running_; }

  Keeps keeps_for_backward() const override { return Keeps::input; }
  bool in_place() const override { return true; }

  std::vector<NamedParameter<T>> parameters() override { return per_image_.parameters(); }
  std::vector<NamedBuffer<T>> buffers() override {
    if (!options_.track_running_stats) return {};
    return running_.buffers();
  }

  void reset_parameters(const Random& random) override {
    per_image_.reset_parameters(random);
    running_.reset_parameters(random);
  }

 private:
  static Options checked(const Options& options) {
    if (options.channels < 1) fail("InstanceNorm2d: expected channels of at least 1, got ", options.channels);
    if (!(options.eps >= 0)) fail("InstanceNorm2d: expected an eps of at least 0, got ", options.eps);
    if (!(options.momentum >= 0 && options.momentum <= 1)) {
      fail("InstanceNorm2d: expected a momentum in [0, 1], got ", options.momentum);
    }
    return options;
  }

  void follow(const Batch<T>& x) {
    const double pixels = static_cast<double>(x.plane()), images = static_cast<double>(x.images());
    parallel_for(options_.channels, x.blocks() * x.plane(), [&](Index c) {
      double mean = 0, variance = 0;
      for (Index block = 0; block < x.blocks(); ++block) {
        const auto statistics = normnet_impl::statistics_per_image(x, block, {c, c + 1, 0, x.height()});
        for (std::size_t image = 0; image < static_cast<std::size_t>(x.images_in(block)); ++image) {
          mean += statistics[image].mean;
          variance += statistics[image].variance * pixels / (pixels - 1);
        }
      }
      const auto blend = [&](T& running, double value) {
        running = static_cast<T>((1 - options_.momentum) * static_cast<double>(running) + options_.momentum * value / images);
      };
      blend(running_mean().data()[c], mean);
      blend(running_var().data()[c], variance);
    });
  }

  Options options_;
  GroupNorm<T> per_image_;
  BatchNorm2d<T> running_;  // the running statistics, and the passes that use them
  bool uses_running_ = false;
};

}  // namespace normnet::inline NORMNET_ABI
