// Activation functions: ReLU, LeakyReLU, ReLU6, ELU, SiLU, GELU, Sigmoid, Tanh, Softplus.
#pragma once

#include <normnet/nn/block_layer.hpp>
#include <normnet/nn/kernels/math.hpp>
#include <normnet/nn/kernels/plane_rows.hpp>
#include <normnet/nn/kernels/relu.hpp>

#include <memory>
#include <numbers>
#include <string>

namespace normnet::inline NORMNET_ABI {

/// A function of each element, y = f(x), given by a Formula that has
///
///     static constexpr const char* type;                     // the layer's name
///     static constexpr Keeps keeps;                          // what the derivative is computed from, the input or the output
///     static constexpr Index cost;                           // about how many vector operations one pack takes
///     Pack<T> value(Pack<T> x) const;                        // f(x)
///     Pack<T> gradient(Pack<T> kept, Pack<T> dy) const;      // dy * f'(x), where kept is x or y
///
/// where it has options, NamedOptions named_options() const; and, for ReLU, which other layers may compute,
/// static void append_to(normnet_impl::Pointwise<T>&).
///
/// Shapes: any to the same. Works in place. What is not a number stays so.
template <class T, class Formula>
class Activation final : public BlockLayer<T> {
 public:
  /// Takes the formula's arguments, such as the slope in LeakyReLU<float>(0.2).
  template <class... Args>
  explicit Activation(Args... args) : formula_(args...) {}

  std::string type() const override { return Formula::type; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new Activation(formula_)); }
  NamedOptions named_options() const override {
    if constexpr (requires { formula_.named_options(); }) return formula_.named_options();
    return {};
  }
  Shape output_shape(const Shape& input) const override { return input; }
  Keeps keeps_for_backward() const override { return Formula::keeps; }
  bool in_place() const override { return true; }

  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode&, BlockSchedule& schedule) override {
    schedule.each_channel(x.channels(), x.plane() * Formula::cost, [&, formula = formula_](Index block, Index c) {
      const auto [rows, width] = normnet_impl::plane_rows(x, y);
      for (Index row = 0; row < rows; ++row) {
        const Pack<T>* in = x.row(block, c, row);
        Pack<T>* out = y.row(block, c, row);
        for (Index i = 0; i < width; ++i) out[i] = formula.value(in[i]);
      }
    });
  }

  bool append_to(normnet_impl::Pointwise<T>& pointwise, const Mode&) override {
    if constexpr (appends) Formula::append_to(pointwise);
    return appends;
  }
  bool is_relu() const override { return appends; }

  /// dx = dy * f'(x).
  void schedule_backward(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy, Batch<T>* dx,
                         BlockSchedule& schedule) override {
    const Batch<T>& kept = Formula::keeps == Keeps::input ? x : y;
    schedule.each_channel(dy.channels(), dy.plane() * Formula::cost, [&, dx, formula = formula_](Index block, Index c) {
      const auto [rows, width] = normnet_impl::plane_rows(kept, dy, *dx);
      for (Index row = 0; row < rows; ++row) {
        const Pack<T>*from = kept.row(block, c, row), *gradient = dy.row(block, c, row);
        Pack<T>* out = dx->row(block, c, row);
        for (Index i = 0; i < width; ++i) out[i] = formula.gradient(from[i], gradient[i]);
      }
    });
  }

 private:
  static constexpr bool appends = requires(normnet_impl::Pointwise<T> & pointwise) { Formula::append_to(pointwise); };

  Formula formula_;
};

}  // namespace normnet::inline NORMNET_ABI

namespace normnet::normnet_impl::inline NORMNET_ABI::formulas {

/// y = max(x, 0).
template <class T>
struct ReLU {
  static constexpr const char* type = "ReLU";
  static constexpr Keeps keeps = Keeps::output;
  static constexpr Index cost = 1;

  Pack<T> value(const Pack<T>& x) const { return normnet_impl::relu(x); }
  static void append_to(normnet_impl::Pointwise<T>& pointwise) { pointwise.append_relu(); }
  Pack<T> gradient(const Pack<T>& y, const Pack<T>& dy) const { return normnet_impl::relu_gradient(y, dy); }
};

/// y = x for x > 0, negative_slope * x below. Throws Error when the slope is negative.
template <class T>
struct LeakyReLU {
  static constexpr const char* type = "LeakyReLU";
  static constexpr Keeps keeps = Keeps::output;
  static constexpr Index cost = 2;
  Pack<T> zero{T(0)}, slope;

  explicit LeakyReLU(double negative_slope = 0.01) : slope(static_cast<T>(negative_slope)) {
    if (!(negative_slope >= 0)) fail("LeakyReLU: expected a negative_slope of at least 0, got ", negative_slope);
  }

  NamedOptions named_options() const { return {{"negative_slope", exact_text(slope[0])}}; }
  Pack<T> value(const Pack<T>& x) const { return select_greater(x, zero, x, slope * x); }
  Pack<T> gradient(const Pack<T>& y, const Pack<T>& dy) const { return select_greater(y, zero, dy, slope * dy); }
};

/// y = min(max(x, 0), 6). Krizhevsky, "Convolutional deep belief networks on CIFAR-10" (2010).
template <class T>
struct ReLU6 {
  static constexpr const char* type = "ReLU6";
  static constexpr Keeps keeps = Keeps::output;
  static constexpr Index cost = 2;
  Pack<T> zero{T(0)}, six{T(6)};

  Pack<T> value(const Pack<T>& x) const { return min(six, max(zero, x)); }
  Pack<T> gradient(const Pack<T>& y, const Pack<T>& dy) const {
    return select_equal(y, zero, zero, select_equal(y, six, zero, dy));
  }
};

/// y = x for x > 0, alpha * (exp(x) - 1) below. Clevert et al. (2015, https://arxiv.org/abs/1511.07289). Throws Error when alpha
/// is negative.
template <class T>
struct ELU {
  static constexpr const char* type = "ELU";
  static constexpr Keeps keeps = Keeps::output;
  static constexpr Index cost = 64;
  Pack<T> zero{T(0)}, one{T(1)}, alpha;

  explicit ELU(double alpha_value = 1) : alpha(static_cast<T>(alpha_value)) {
    if (!(alpha_value >= 0)) fail("ELU: expected an alpha of at least 0, got ", alpha_value);
  }

  NamedOptions named_options() const { return {{"alpha", exact_text(alpha[0])}}; }
  Pack<T> value(const Pack<T>& x) const { return select_greater(x, zero, x, alpha * (exp(x) - one)); }
  Pack<T> gradient(const Pack<T>& y, const Pack<T>& dy) const { return select_greater(y, zero, dy, dy * (y + alpha)); }
};

/// y = x * sigmoid(x), also known as swish. Hendrycks and Gimpel (2016, https://arxiv.org/abs/1606.08415).
template <class T>
struct SiLU {
  static constexpr const char* type = "SiLU";
  static constexpr Keeps keeps = Keeps::input;
  static constexpr Index cost = 64;
  Pack<T> one{T(1)};

  Pack<T> value(const Pack<T>& x) const { return x * sigmoid(x); }
  Pack<T> gradient(const Pack<T>& x, const Pack<T>& dy) const {
    const Pack<T> s = sigmoid(x);
    return dy * s * (one + x * (one - s));
  }
};

/// y = x * P(X <= x) for a standard normal X = x * (1 + erf(x / sqrt(2))) / 2. Hendrycks and Gimpel (2016,
/// https://arxiv.org/abs/1606.08415).
template <class T>
struct GELU {
  static constexpr const char* type = "GELU";
  static constexpr Keeps keeps = Keeps::input;
  static constexpr Index cost = 128;
  Pack<T> one{T(1)}, half{T(0.5)}, sqrt_half{static_cast<T>(1 / std::numbers::sqrt2)};
  Pack<T> density_at_zero{static_cast<T>(std::numbers::inv_sqrtpi / std::numbers::sqrt2)};

  Pack<T> value(const Pack<T>& x) const { return x * probability(x); }
  Pack<T> gradient(const Pack<T>& x, const Pack<T>& dy) const {
    const Pack<T> density = density_at_zero * exp(Pack<T>(T(-0.5)) * x * x);
    return dy * (probability(x) + x * density);
  }
  Pack<T> probability(const Pack<T>& x) const { return half * (one + erf(x * sqrt_half)); }
};

/// y = 1 / (1 + exp(-x)).
template <class T>
struct Sigmoid {
  static constexpr const char* type = "Sigmoid";
  static constexpr Keeps keeps = Keeps::output;
  static constexpr Index cost = 64;
  Pack<T> one{T(1)};

  Pack<T> value(const Pack<T>& x) const { return sigmoid(x); }
  Pack<T> gradient(const Pack<T>& y, const Pack<T>& dy) const { return dy * y * (one - y); }
};

/// y = tanh(x).
template <class T>
struct Tanh {
  static constexpr const char* type = "Tanh";
  static constexpr Keeps keeps = Keeps::output;
  static constexpr Index cost = 64;
  Pack<T> one{T(1)};

  Pack<T> value(const Pack<T>& x) const { return tanh(x); }
  Pack<T> gradient(const Pack<T>& y, const Pack<T>& dy) const { return dy * (one - y * y); }
};

/// y = log(1 + exp(beta * x)) / beta, and y = x where beta * x > threshold. Throws Error when beta is not positive.
template <class T>
struct Softplus {
  static constexpr const char* type = "Softplus";
  static constexpr Keeps keeps = Keeps::input;
  static constexpr Index cost = 128;
  Pack<T> zero{T(0)}, beta, threshold;

  explicit Softplus(double beta_value = 1, double threshold_value = 20)
      : beta(static_cast<T>(beta_value)), threshold(static_cast<T>(threshold_value)) {
    if (!(beta_value > 0)) fail("Softplus: expected a positive beta, got ", beta_value);
  }

  NamedOptions named_options() const { return {{"beta", exact_text(beta[0])}, {"threshold", exact_text(threshold[0])}}; }
  Pack<T> value(const Pack<T>& x) const {
    const Pack<T> bx = beta * x, minus_magnitude = min(bx, zero - bx);
    return select_greater(bx, threshold, x, (max(zero, bx) + log1p(exp(minus_magnitude))) / beta);
  }
  Pack<T> gradient(const Pack<T>& x, const Pack<T>& dy) const {
    const Pack<T> bx = beta * x;
    return select_greater(bx, threshold, dy, dy * sigmoid(bx));
  }
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI::formulas

namespace normnet::inline NORMNET_ABI {

/// The layers, by the names, arguments and defaults of PyTorch; the formulas above say what they compute.
template <class T>
using ReLU = Activation<T, normnet_impl::formulas::ReLU<T>>;
template <class T>
using LeakyReLU = Activation<T, normnet_impl::formulas::LeakyReLU<T>>;
template <class T>
using ReLU6 = Activation<T, normnet_impl::formulas::ReLU6<T>>;
template <class T>
using ELU = Activation<T, normnet_impl::formulas::ELU<T>>;
template <class T>
using SiLU = Activation<T, normnet_impl::formulas::SiLU<T>>;
template <class T>
using GELU = Activation<T, normnet_impl::formulas::GELU<T>>;
template <class T>
using Sigmoid = Activation<T, normnet_impl::formulas::Sigmoid<T>>;
template <class T>
using Tanh = Activation<T, normnet_impl::formulas::Tanh<T>>;
template <class T>
using Softplus = Activation<T, normnet_impl::formulas::Softplus<T>>;

}  // namespace normnet::inline NORMNET_ABI
