// The fully connected layer.
#pragma once

#include <normnet/nn/block_layer.hpp>
#include <normnet/nn/init.hpp>
#include <normnet/nn/kernels/conv_direct.hpp>
#include <normnet/nn/kernels/conv_direct_weight_gradient.hpp>
#include <normnet/nn/kernels/lane_sum.hpp>

#include <cmath>
#include <memory>
#include <utility>

namespace normnet::inline NORMNET_ABI {

/// An affine map of the features:
///
///     y[n, o] = bias[o] + sum over i of weight[o, i] * x[n, i]
///
/// Shapes: N x I, or N x I x 1 x 1 as global pooling leaves it, to N x O.
/// Parameters: weight [O, I] and, with bias, bias [O]; both drawn from +-1 / sqrt(I), as PyTorch does.
/// Throws Error when a number of features is below 1, or the input has other features.
template <class T>
class Linear final : public BlockLayer<T> {
 public:
  struct Options {
    Index in_features = 0;
    Index out_features = 0;
    bool bias = true;
  };

  explicit Linear(const Options& options) : options_(options) {
    if (options.in_features < 1) fail("Linear: expected in_features of at least 1, got ", options.in_features);
    if (options.out_features < 1) fail("Linear: expected out_features of at least 1, got ", options.out_features);
    conv_ = {.in_channels = options.in_features, .out_channels = options.out_features};
    weight_ = Parameter<T>(Shape{options.out_features, options.in_features});
    if (options.bias) bias_ = Parameter<T>(Shape{options.out_features});
    reset_parameters(Random());
  }
  Linear(Index in_features, Index out_features, bool bias = true) : Linear(Options{in_features, out_features, bias}) {}

  const Options& options() const { return options_; }
  Parameter<T>& weight() { return weight_; }
  /// Of shape {0} without bias.
  Parameter<T>& bias() { return bias_; }

  std::string type() const override { return "Linear"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new Linear(options_)); }

  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"in_features", exact_text(options_.in_features)},
            {"out_features", exact_text(options_.out_features)},
            {"bias", exact_text(options_.bias)}};
  }

  Shape output_shape(const Shape& input) const override {
    const bool pooled = input.rank() == 4 && input[2] == 1 && input[3] == 1;
    if (input.rank() != 2 && !pooled) fail(this->label(), ": expected an input N x F or N x F x 1 x 1, got ", input);
    if (input[1] != options_.in_features) {
      fail(this->label(), ": expected ", options_.in_features, " input features, got ", input[1], " (input ", input, ")");
    }
    return {input[0], options_.out_features};
  }

  // A feature is a channel of one pixel, so all passes are those of a 1x1 convolution.
  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode&, BlockSchedule& schedule) override {
    const T* bias = options_.bias ? bias_.value.data() : nullptr;
    schedule.each_part(normnet_impl::conv_direct_forward(conv_, x, weight_.value.data(), bias, y), x, y);
  }

  ///     dx[n, i] = sum over o of weight[o, i] * dy[n, o]
  ///     dweight[o, i] = sum over n of dy[n, o] * x[n, i],   dbias[o] = sum over n of dy[n, o]
  ///
  /// Derivation: docs/derivations.md.
  void schedule_backward(const Batch<T>& x, const Batch<T>&, const Batch<T>& dy, Batch<T>* dx, BlockSchedule& schedule) override {
    if (options_.bias) bias_sums_.schedule(dy, schedule);
    const auto add_parameter_gradients = [&] {
      normnet_impl::conv_direct_weight_gradient(conv_, x, dy, weight_.grad.data());
      if (options_.bias) bias_sums_.add_to(bias_.grad.data());
    };
    schedule.then(add_parameter_gradients, x.blocks() * conv_.multiply_adds({1, 1}));
    if (dx != nullptr) {
      normnet_impl::conv_direct_input_gradient(conv_, dy, weight_.value.data(), *dx, [&](normnet_impl::Correlation<T> phase) {
        schedule.each_part(std::move(phase), dy, *dx);
      });
    }
  }

  Keeps keeps_for_backward() const override { return Keeps::input; }

  std::vector<NamedParameter<T>> parameters() override {
    if (!options_.bias) return {{"weight", &weight_}};
    return {{"weight", &weight_}, {"bias", &bias_}};
  }

  void reset_parameters(const Random& random) override {
    kaiming_uniform(weight_.value, random.fork(0));
    const double bound = 1 / std::sqrt(static_cast<double>(options_.in_features));
    fill_uniform(bias_.value, -bound, bound, random.fork(1));
  }

  std::int64_t multiply_adds(const Shape& input) const override { return input[0] * conv_.multiply_adds({1, 1}); }

 private:
  Options options_;
  ConvGeometry conv_;
  Parameter<T> weight_, bias_;
  normnet_impl::ChannelSums<T> bias_sums_;  // of dy
};

}  // namespace normnet::inline NORMNET_ABI
