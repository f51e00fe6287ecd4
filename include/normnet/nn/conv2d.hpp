// Two-dimensional convolution.
#pragma once

#include <normnet/nn/block_layer.hpp>
#include <normnet/nn/init.hpp>
#include <normnet/nn/kernels/conv_algorithm.hpp>
#include <normnet/nn/kernels/conv_direct.hpp>
#include <normnet/nn/kernels/conv_direct_rows.hpp>
#include <normnet/nn/kernels/conv_direct_weight_gradient.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/conv_im2col.hpp>
#include <normnet/nn/kernels/conv_winograd.hpp>
#include <normnet/nn/kernels/conv_winograd_batch.hpp>
#include <normnet/nn/kernels/lane_sum.hpp>
#include <normnet/nn/kernels/winograd_weight_gradient.hpp>

#include <cmath>
#include <memory>
#include <utility>

namespace normnet::inline NORMNET_ABI {

/// Cross-correlates every image with a bank of kernels:
///
///     y[n, o, i, j] = bias[o] + sum over c, u, v of weight[o, c, u, v] * x[n, g C/G + c, i S + u D - P, j S + v D - P]
///
/// where o belongs to group g = o / (O/G), c runs over the C/G channels of that group, and x is zero outside of its planes. S, P,
/// D are stride, padding and dilation of each direction.
///
/// Shapes: N x C x H x W to N x O x H' x W', H' = floor((H + 2P - D (KH - 1) - 1) / S) + 1, and W' likewise.
/// Parameters: weight [O, C/G, KH, KW] and, with bias, bias [O]; both drawn from +-1 / sqrt(C/G KH KW), as PyTorch does.
/// Throws Error on options that make no sense, on other channels than in_channels, and on an input smaller than the kernel.
template <class T>
class Conv2d final : public BlockLayer<T> {
 public:
  struct Options {
    Index in_channels = 0;
    Index out_channels = 0;
    Pair kernel_size = 1;
    Pair stride = 1;
    Pair padding = 0;
    Pair dilation = 1;
    Index groups = 1;
    bool bias = true;
    ConvAlgorithm algorithm = ConvAlgorithm::automatic;
  };

  explicit Conv2d(const Options& options) : options_(options), conv_(checked(options)) {
    set_algorithm(options.algorithm);
    weight_ =
        Parameter<T>(Shape{options.out_channels, conv_.in_per_group(), options.kernel_size.height, options.kernel_size.width});
    if (options.bias) bias_ = Parameter<T>(Shape{options.out_channels});
    reset_parameters(Random());
  }

  const Options& options() const { return options_; }
  Parameter<T>& weight() { return weight_; }
  /// Of shape {0} without bias.
  Parameter<T>& bias() { return bias_; }

  /// Another algorithm from the next pass on. Throws Error when it cannot compute this convolution.
  void set_algorithm(ConvAlgorithm algorithm) {
    if (algorithm == ConvAlgorithm::winograd && !normnet_impl::winograd_applies(conv_)) {
      fail(this->label(), ": expected a 3x3 kernel, stride 1 and dilation 1 for ConvAlgorithm::winograd, got a kernel of ",
           conv_.kernel, ", stride ", conv_.stride, ", dilation ", conv_.dilation);
    }
    options_.algorithm = algorithm;
  }

  std::string type() const override { return "Conv2d"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new Conv2d(options_)); }

  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"in_channels", exact_text(options_.in_channels)},
            {"out_channels", exact_text(options_.out_channels)},
            {"kernel_size", exact_text(options_.kernel_size)},
            {"stride", exact_text(options_.stride)},
            {"padding", exact_text(options_.padding)},
            {"dilation", exact_text(options_.dilation)},
            {"groups", exact_text(options_.groups)},
            {"bias", exact_text(options_.bias)},
            {"algorithm", normnet_impl::algorithm_name(options_.algorithm)}};
  }

  Shape output_shape(const Shape& input) const override {
    if (input.rank() != 4) fail(this->label(), ": expected an input N x C x H x W, got ", input);
    if (input[1] != conv_.in_channels) {
      fail(this->label(), ": expected ", conv_.in_channels, " input channels, got ", input[1], " (input ", input, ")");
    }
    const Pair output = conv_.output({input[2], input[3]});
    if (output.height < 1 || output.width < 1) {
      fail(this->label(), ": expected an input of at least ", conv_.span(), " pixels with its padding, got ",
           Pair(input[2] + 2 * conv_.padding.height, input[3] + 2 * conv_.padding.width), " (input ", input, ", padding ",
           conv_.padding, ")");
    }
    return {input[0], conv_.out_channels, output.height, output.width};
  }

  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode& mode, BlockSchedule& schedule) override {
    schedule_forward_then(x, y, mode, schedule, {});
  }

  bool applies_pointwise(const Batch<T>& x) const override {
    return algorithm(x.shape(), ConvPass::forward) != ConvAlgorithm::im2col;
  }

  bool takes_prologue(const Shape& input) const override {
    const auto takes = [&](ConvPass pass) {
      const ConvAlgorithm chosen = algorithm(input, pass);
      return chosen == ConvAlgorithm::winograd ||
             (chosen == ConvAlgorithm::direct && normnet_impl::conv_direct_takes_prologue(conv_));
    };
    return takes(ConvPass::forward) && takes(ConvPass::weight_gradient);
  }

  void schedule_forward_then(const Batch<T>& x, Batch<T>& y, const Mode&, BlockSchedule& schedule,
                             normnet_impl::Pointwise<T> after) override {
    const T* weight = weight_.value.data();
    const T* bias = options_.bias ? bias_.value.data() : nullptr;
    switch (algorithm(x.shape(), ConvPass::forward)) {
      case ConvAlgorithm::winograd:
        return schedule_winograd(
            normnet_impl::winograd_forward(conv_, {y.height(), y.width()}, weight, bias, after, this->prologue()), x, y,
            schedule);
      case ConvAlgorithm::im2col:
        return schedule.then([&, weight, bias] { normnet_impl::conv_im2col_forward(conv_, x, weight, bias, y); },
                             multiply_adds(y));
      default:
        if (normnet_impl::row_correlation_applies(conv_)) {
          return schedule.each_part(normnet_impl::conv_rows_forward(conv_, {y.height(), y.width()}, weight, bias, after), x, y);
        }
        return schedule.each_part(normnet_impl::conv_direct_forward(conv_, x, weight, bias, y, after, this->prologue()), x, y);
    }
  }

  /// With q = p S + t D - P the pixel that tap t of output pixel p reads:
  ///
  ///     dx[c](q)    = sum over o, t of weight[o, c, t] * dy[o](p)      over all (p, t) that read q
  ///     dweight[o, c, t] = sum over images and p of dy[o](p) * x[c](q)
  ///     dbias[o]    = sum over images and p of dy[o](p)
  ///
  /// Derivation: docs/derivations.md.
  void schedule_backward(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy, Batch<T>* dx,
                         BlockSchedule& schedule) override {
    if (options_.bias) {
      bias_sums_.schedule(dy, schedule);
      schedule.at_end([&] { bias_sums_.add_to(bias_.grad.data()); });
    }
    schedule_backward_centered(x, y, dy, dx, schedule);
  }

  void schedule_backward_centered(const Batch<T>& x, const Batch<T>&, const Batch<T>& dy, Batch<T>* dx,
                                  BlockSchedule& schedule) override {
    const auto add_weight_gradient = [&] {
      T* const dweight = weight_.grad.data();
      switch (weight_gradient_algorithm(x.shape())) {
        case ConvAlgorithm::winograd:
          normnet_impl::WinogradWeightGradient<T>(conv_, x, dy, this->prologue()).add_to(dweight);
          break;
        case ConvAlgorithm::im2col: normnet_impl::conv_im2col_weight_gradient(conv_, x, dy, dweight); break;
        default: normnet_impl::conv_direct_weight_gradient(conv_, x, dy, dweight, this->prologue());
      }
    };
    schedule.then(add_weight_gradient, multiply_adds(dy));
    if (dx != nullptr) schedule_input_gradient(x, dy, *dx, schedule);
  }

  Keeps keeps_for_backward() const override { return Keeps::input; }
  Halo input_halo() const override { return {conv_.padding.height, conv_.padding.width}; }
  /// The same for every algorithm, so that a model's plan outlasts set_algorithm().
  Halo gradient_halo() const override { return normnet_impl::conv_gradient_halo(conv_); }
  bool reads_input_border(const Shape& input) const override {
    return algorithm(input, ConvPass::forward) != ConvAlgorithm::winograd;
  }
  bool reads_gradient_border(const Shape& input, bool with_dx) const override {
    return with_dx && algorithm(input, ConvPass::input_gradient) != ConvAlgorithm::winograd;
  }

  std::vector<NamedParameter<T>> parameters() override {
    if (!options_.bias) return {{"weight", &weight_}};
    return {{"weight", &weight_}, {"bias", &bias_}};
  }

  void reset_parameters(const Random& random) override {
    kaiming_uniform(weight_.value, random.fork(0));
    const double bound = 1 / std::sqrt(normnet_impl::fans(weight_.value.shape()).in);
    fill_uniform(bias_.value, -bound, bound, random.fork(1));
  }

  std::int64_t multiply_adds(const Shape& input) const override {
    return input[0] * conv_.multiply_adds(conv_.output({input[2], input[3]}));
  }

 private:
  static ConvGeometry checked(const Options& o) {
    static constexpr Index most = Index{1} << 20;  // no product of two overflows
    const auto at_least = [](Index least, Pair value, const char* name) {
      if (value.height < least || value.width < least) fail("Conv2d: expected ", name, " of at least ", least, ", got ", value);
      if (value.height > most || value.width > most) fail("Conv2d: expected ", name, " of at most ", most, ", got ", value);
    };
    if (o.in_channels < 1) fail("Conv2d: expected in_channels of at least 1, got ", o.in_channels);
    if (o.out_channels < 1) fail("Conv2d: expected out_channels of at least 1, got ", o.out_channels);
    at_least(1, o.kernel_size, "a kernel_size");
    at_least(1, o.stride, "a stride");
    at_least(0, o.padding, "a padding");
    at_least(1, o.dilation, "a dilation");
    if (o.in_channels > most) fail("Conv2d: expected in_channels of at most ", most, ", got ", o.in_channels);
    if (o.out_channels > most) fail("Conv2d: expected out_channels of at most ", most, ", got ", o.out_channels);
    if (o.groups < 1) fail("Conv2d: expected groups of at least 1, got ", o.groups);
    if (o.in_channels % o.groups != 0 || o.out_channels % o.groups != 0) {
      fail("Conv2d: expected channels that ", o.groups, " groups divide, got ", o.in_channels, " to ", o.out_channels);
    }
    return {o.in_channels, o.out_channels, o.kernel_size, o.stride, o.padding, o.dilation, o.groups};
  }

  using ConvPass = normnet_impl::ConvPass;

  ConvAlgorithm algorithm(const Shape& input, ConvPass pass) const {
    if (options_.algorithm != ConvAlgorithm::automatic) return options_.algorithm;
    return normnet_impl::fastest_algorithm<T>(conv_, {input[2], input[3]}, pass);
  }

  // With a prologue the one that takes_prologue() was asked about, although there may be another by now.
  ConvAlgorithm weight_gradient_algorithm(const Shape& input) const {
    if (this->prologue().empty()) return algorithm(input, ConvPass::weight_gradient);
    return normnet_impl::winograd_applies(conv_) ? ConvAlgorithm::winograd : ConvAlgorithm::direct;
  }

  // Of all blocks of images, in vector operations.
  Index multiply_adds(const Batch<T>& y) const { return y.blocks() * conv_.multiply_adds({y.height(), y.width()}); }

  void schedule_winograd(normnet_impl::WinogradProblem<T> problem, const Batch<T>& x, Batch<T>& y,
                         BlockSchedule& schedule) const {
    if (normnet_impl::winograd_takes_batch(problem, x.blocks())) {
      const Index cost = multiply_adds(y);
      schedule.then([&x, &y, problem = std::move(problem)] { normnet_impl::WinogradBatch<T>(problem, x, y).run(); }, cost);
    } else {
      schedule.each_part(normnet_impl::WinogradCorrelation<T>(std::move(problem)), x, y);
    }
  }

  void schedule_input_gradient(const Batch<T>& x, const Batch<T>& dy, Batch<T>& dx, BlockSchedule& schedule) {
    const T* weight = weight_.value.data();
    switch (algorithm(x.shape(), ConvPass::input_gradient)) {
      case ConvAlgorithm::winograd:
        return schedule_winograd(normnet_impl::winograd_input_gradient(conv_, {dx.height(), dx.width()}, weight), dy, dx,
                                 schedule);
      case ConvAlgorithm::im2col:
        return schedule.then([&, weight] { normnet_impl::conv_im2col_input_gradient(conv_, dy, weight, dx); }, multiply_adds(dy));
      default:
        if (normnet_impl::row_correlation_applies(conv_)) {
          return schedule.each_part(normnet_impl::conv_rows_input_gradient(conv_, {dx.height(), dx.width()}, weight), dy, dx);
        }
        normnet_impl::conv_direct_input_gradient(
            conv_, dy, weight, dx, [&](normnet_impl::Correlation<T> phase) { schedule.each_part(std::move(phase), dy, dx); });
    }
  }

  Options options_;
  ConvGeometry conv_;
  Parameter<T> weight_, bias_;
  normnet_impl::ChannelSums<T> bias_sums_;  // of dy
};

}  // namespace normnet::inline NORMNET_ABI
