// Proves a backward pass: compares it with finite differences and tests the rules that a layer has to keep.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/core/random.hpp>
#include <normnet/core/tensor.hpp>
#include <normnet/nn/layer.hpp>
#include <normnet/nn/loss.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <numeric>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

struct GradientCheckOptions {
  /// Mode::training of the passes.
  bool training = true;
  /// True for a layer whose output for one image depends on the other images of the batch, as batch norm's does in training.
  bool batchwise = false;
  /// The elements compared in each tensor; a larger tensor is sampled, always at the same places.
  Index samples = 200;
  /// The step h of the differences. The default is near the best for values around 1: both errors are below 1e-11.
  double step = 1e-3;
  /// Seeds the gradient of the output, the layer's random numbers and the default input.
  std::uint64_t seed = 1;
};

/// What gradient_check() found out. Prints as one line for each tensor and each broken rule.
struct GradientCheckResult {
  /// The comparison of one gradient: "input", or a parameter by its name.
  struct Gradient {
    std::string name;
    Shape shape;
    /// The greatest relative error, |a - n| / max(|a|, |n|, rms), with a the analytic and n the numeric value and rms the root
    /// mean square of the whole analytic gradient (at least 1e-5, where rounding of the numeric value begins to show); infinite
    /// where not finite.
    double error = 0;
    /// Where that is, as a position in row-major order, and what was compared there.
    Index worst = 0;
    double analytic = 0;
    double numeric = 0;
    Index compared = 0;
  };

  std::string subject;
  std::vector<Gradient> gradients;
  /// The rules that do not hold, one sentence each.
  std::vector<std::string> broken_rules;

  double max_error() const {
    double greatest = 0;
    for (const Gradient& gradient : gradients) greatest = std::max(greatest, gradient.error);
    return greatest;
  }

  /// True when all rules hold and no relative error exceeds the tolerance.
  bool ok(double tolerance = 1e-7) const { return broken_rules.empty() && max_error() <= tolerance; }

  std::string message() const;
};

// All that computes is a template, of the one type that is exact enough: a program that checks no gradient does not compile it.
}  // namespace normnet::inline NORMNET_ABI

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// "(0, 2, 3, 1)" for a position in row-major order.
inline std::string index_text(const Shape& shape, Index position) {
  std::string text;
  for (Index i = shape.rank(); i-- > 0;) {
    text = concat(position % shape[i], text.empty() ? "" : ", ", text);
    position /= shape[i];
  }
  return "(" + text + ")";
}

/// Where two tensors differ in their bits (or not a number, which differs from itself); -1 if nowhere.
template <class T>
Index first_difference(const Tensor<T>& a, const Tensor<T>& b) {
  for (Index i = 0; i < a.size(); ++i) {
    if (!(a[i] == b[i])) return i;
  }
  return -1;
}

template <class T>
Tensor<T> random_tensor(const Shape& shape, const Random& random) {
  Tensor<T> tensor(shape);
  for (Index i = 0; i < tensor.size(); ++i) tensor[i] = random.uniform(static_cast<std::uint64_t>(i), -1, 1);
  return tensor;
}

/// An input without kinks in reach: the values of an image are distinct odd multiples of 2.5 h, so that no step of 2 h reaches
/// another value, zero, or a multiple of 5 h. They are drawn from twice as many between -3 and 3, or in a wider range where they
/// do not fit, so that images differ in mean and variance.
template <class T>
Tensor<T> kink_free_input(const Shape& shape, double step, const Random& random) {
  Tensor<T> tensor(shape);
  if (tensor.empty()) return tensor;
  const Index per_image = tensor.size() / shape[0];
  const Index most = static_cast<Index>(3 / (5 * step * static_cast<double>(per_image)));
  const Index spacing = std::max<Index>(1, (most - 1) | 1);  // odd
  std::vector<Index> grid(static_cast<std::size_t>(2 * per_image));
  for (std::size_t i = 0; i < grid.size(); ++i) grid[i] = 2 * (static_cast<Index>(i) - per_image) + 1;
  for (Index n = 0; n < shape[0]; ++n) {
    random.fork(static_cast<std::uint64_t>(n)).shuffle(std::span<Index>(grid));
    for (Index i = 0; i < per_image; ++i) {
      tensor[n * per_image + i] = static_cast<double>(grid[static_cast<std::size_t>(i)] * spacing) * 2.5 * step;
    }
  }
  return tensor;
}

/// Sets element `position` of the batch, counted in the row-major order of its shape.
template <class T>
void set_element(Batch<T>& batch, Index position, double value) {
  const Index n = position / (batch.channels() * batch.plane()), c = position / batch.plane() % batch.channels();
  batch.set(n, c, position / batch.width() % batch.height(), position % batch.width(), value);
}

/// Calls f(pack, images in its block, whether it is a pixel and not border) for every pack of the batch.
template <class AnyBatch, class F>
void for_each_pack(AnyBatch& batch, F f) {
  const auto [border_y, border_x] = batch.halo();
  for (Index block = 0; block < batch.blocks(); ++block) {
    for (Index c = 0; c < batch.channels(); ++c) {
      for (Index y = -border_y; y < batch.height() + border_y; ++y) {
        for (Index x = -border_x; x < batch.width() + border_x; ++x) {
          const bool pixel = y >= 0 && y < batch.height() && x >= 0 && x < batch.width();
          f(batch.row(block, c, y)[x], batch.images_in(block), pixel);
        }
      }
    }
  }
}

template <class T>
void fill_padding_lanes(Batch<T>& batch, double value) {
  for_each_pack(batch, [&](auto& pack, int images, bool pixel) {
    for (int lane = images; pixel && lane < Batch<T>::lanes; ++lane) pack.set(lane, value);
  });
}

/// Compares `analytic`, the gradient of sum(weight * outputs) with respect to a tensor, with the fourth-order central difference
///
///     (8 (f(+h) - f(-h)) - (f(+2h) - f(-2h))) / (12 h)
///
/// shift(i, delta) sets element i of that tensor to its value plus delta; outputs() evaluates.
template <class T, class ShiftFn, class OutputsFn>
GradientCheckResult::Gradient compare_gradient(const std::string& name, const Tensor<T>& analytic, const Tensor<T>& weight,
                                               ShiftFn shift, OutputsFn outputs, const GradientCheckOptions& options) {
  GradientCheckResult::Gradient result{.name = name, .shape = analytic.shape()};
  double squares = 0;
  for (const double value : analytic.span()) squares += value * value;
  const double scale = std::max(1e-5, std::sqrt(squares / static_cast<double>(std::max<Index>(1, analytic.size()))));
  const double h = options.step;
  if (options.samples < 1) fail("gradient_check: expected at least 1 sample, got ", options.samples);
  result.compared = std::min(analytic.size(), options.samples);
  // Shuffled: samples at even distances could miss a whole column of an image, or a tap of a kernel.
  std::vector<Index> places(static_cast<std::size_t>(analytic.size()));
  std::iota(places.begin(), places.end(), Index{0});
  Random(0).shuffle(std::span<Index>(places));
  for (Index sample = 0; sample < result.compared; ++sample) {
    const Index i = places[static_cast<std::size_t>(sample)];
    const auto at = [&](double delta) {
      shift(i, delta);
      return outputs();
    };
    const Tensor<T> ahead = at(h), behind = at(-h), far_ahead = at(2 * h), far_behind = at(-2 * h);
    shift(i, 0.0);
    double numeric = 0;
    for (Index k = 0; k < weight.size(); ++k) {
      numeric += weight[k] * (8 * (ahead[k] - behind[k]) - (far_ahead[k] - far_behind[k]));
    }
    numeric /= 12 * h;
    const double size = std::max({std::abs(analytic[i]), std::abs(numeric), scale});
    double error = std::abs(analytic[i] - numeric) / size;
    if (!std::isfinite(error)) error = std::numeric_limits<double>::infinity();
    if (sample == 0 || error > result.error) {
      result.error = error;
      result.worst = i;
      result.analytic = analytic[i];
      result.numeric = numeric;
    }
  }
  return result;
}

/// The check of one layer on one input: a reference pass, then the same pass in other circumstances that must not matter.
template <class T>
class LayerGradientCheck {
 public:
  LayerGradientCheck(Layer<T>& layer, const Tensor<T>& x, const GradientCheckOptions& options)
      : layer_(layer),
        options_(options),
        mode_{.training = options.training, .random = Random(options.seed).fork(2)},
        parameters_(layer.parameters()),
        x_(x),
        dy_(random_tensor<T>(layer.output_shape(x.shape()), Random(options.seed).fork(1))) {
    result_.subject = layer.label();
  }

  GradientCheckResult run() {
    const Saved saved(layer_);
    reference_ = pass(x_, dy_, {.strict = true});
    compare_gradients();
    check_other_circumstances();
    check_accumulation();
    if (!options_.batchwise) check_independence_of_images();
    return result_;
  }

 private:
  struct Circumstances {
    bool strict = false;           // report what is left unwritten or written where it must not be
    Halo border{};                 // around every batch, beyond what the layer asks for
    double padding_lanes = 0;      // what stands in the padding lanes of the input
    double initial_gradient = 0;   // what stands in the parameters' gradients
    bool forget = false;           // whatever the layer does not ask to keep is lost before the backward pass, as are the batches
    bool in_place = false;         // y is x where that is allowed, and dx is dy
    bool only_parameters = false;  // backward_parameters() in place of backward()
  };

  struct Pass {
    Tensor<T> y, dx;
    std::vector<Tensor<T>> gradients;
  };

  // The layer's tensors, put back in the end.
  class Saved {
   public:
    explicit Saved(Layer<T>& layer) {
      for (auto& [name, parameter] : layer.parameters()) {
        keep(parameter->value);
        keep(parameter->grad);
      }
      for (auto& [name, buffer] : layer.buffers()) keep(*buffer);
    }
    Saved(const Saved&) = delete;
    Saved& operator=(const Saved&) = delete;
    ~Saved() {
      for (auto& [tensor, value] : tensors_) *tensor = std::move(value);
    }

   private:
    void keep(Tensor<T>& tensor) { tensors_.emplace_back(&tensor, tensor); }
    std::vector<std::pair<Tensor<T>*, Tensor<T>>> tensors_;
  };

  static constexpr double nan = std::numeric_limits<double>::quiet_NaN();

  Pass pass(const Tensor<T>& x_values, const Tensor<T>& dy_values, const Circumstances& how) {
    const auto halo = [&](const Halo& asked, const Shape& shape) {
      return shape.rank() == 4 ? Halo{asked.height + how.border.height, asked.width + how.border.width} : asked;
    };
    auto x = Batch<T>::from(x_values, halo(layer_.input_halo(), x_values.shape()));
    Batch<T> y(dy_values.shape(), halo({}, dy_values.shape()));
    auto dy = Batch<T>::from(dy_values, halo(layer_.gradient_halo(), dy_values.shape()));
    Batch<T> dx(x_values.shape(), halo({}, x_values.shape()));
    fill_padding_lanes(x, how.padding_lanes);
    y.fill(nan);
    dx.fill(nan);
    for (auto& [name, parameter] : parameters_) parameter->grad.fill(how.initial_gradient);

    const Keeps keeps = layer_.keeps_for_backward();
    const bool overwrite = how.in_place && !keeps_input(keeps);
    Batch<T>& out = overwrite ? x : y;
    layer_.forward(x, out, mode_);
    if (how.strict) check_output(out);
    Pass result{.y = out.to_tensor(), .dx = {}, .gradients = {}};

    Batch<T> kept_x = x, kept_y = out;
    if (how.forget) {
      if (!keeps_input(keeps)) kept_x.fill(nan);
      if (!keeps_output(keeps)) kept_y.fill(nan);
      x.fill(nan);
      y.fill(nan);
    }
    if (how.only_parameters) {
      layer_.backward_parameters(kept_x, kept_y, dy);
    } else {
      Batch<T>& gradient = how.in_place ? dy : dx;
      layer_.backward(kept_x, kept_y, dy, gradient);
      if (how.strict) check_input_gradient(gradient);
      result.dx = gradient.to_tensor();
    }
    for (auto& [name, parameter] : parameters_) result.gradients.push_back(parameter->grad);
    return result;
  }

  void check_output(const Batch<T>& y) {
    bool border = true, finite = true, lanes = true;
    for_each_pack(y, [&](const Pack<T>& pack, int images, bool pixel) {
      for (int lane = 0; lane < Batch<T>::lanes; ++lane) {
        if (!pixel) border = border && pack[lane] == 0;
        if (pixel && !std::isfinite(pack[lane])) (lane < images ? finite : lanes) = false;
      }
    });
    require(border, "forward() writes to the border of y");
    require(finite, "forward() leaves elements of y unwritten, or they are not finite");
    require(lanes, "forward() leaves the padding lanes of y unwritten, or they are not finite");
  }

  void check_input_gradient(const Batch<T>& dx) {
    bool border = true, finite = true, lanes = true;
    for_each_pack(dx, [&](const Pack<T>& pack, int images, bool pixel) {
      for (int lane = 0; lane < Batch<T>::lanes; ++lane) {
        if (!pixel) border = border && pack[lane] == 0;
        if (pixel && lane < images) finite = finite && std::isfinite(pack[lane]);
        if (pixel && lane >= images) lanes = lanes && pack[lane] == 0;
      }
    });
    require(border, "backward() writes to the border of dx");
    require(finite, "backward() leaves elements of dx unwritten, or they are not finite");
    require(lanes, "backward() leaves values other than zero in the padding lanes of dx");
  }

  void compare_gradients() {
    auto x = Batch<T>::from(x_, layer_.input_halo());
    Batch<T> y(dy_.shape());
    const auto outputs = [&] {
      layer_.forward(x, y, mode_);
      return y.to_tensor();
    };
    const auto shift_input = [&](Index i, double delta) { set_element(x, i, x_[i] + delta); };
    result_.gradients.push_back(compare_gradient("input", reference_.dx, dy_, shift_input, outputs, options_));
    for (std::size_t p = 0; p < parameters_.size(); ++p) {
      Tensor<T>& value = parameters_[p].parameter->value;
      const Tensor<T> original = value;
      const auto shift = [&](Index i, double delta) { value[i] = original[i] + delta; };
      result_.gradients.push_back(compare_gradient(parameters_[p].name, reference_.gradients[p], dy_, shift, outputs, options_));
    }
  }

  void check_other_circumstances() {
    const Circumstances roomy{.strict = true, .border = {1, 2}, .padding_lanes = 37};
    expect_same(pass(x_, dy_, roomy), "with wider borders, and with values in the padding lanes of x");
    expect_same(pass(x_, dy_, {.forget = true}), "after the loss of the batches that keeps_for_backward() does not ask for");
    if (layer_.in_place()) expect_same(pass(x_, dy_, {.strict = true, .in_place = true}), "in place");
    expect_close(pass(x_, dy_, {.only_parameters = true}), 0, "backward_parameters() differs from backward()");
  }

  void check_accumulation() {
    const double initial = 0.75;
    expect_close(pass(x_, dy_, {.initial_gradient = initial}), initial, "backward() does not add to what the gradient holds");
  }

  void check_independence_of_images() {
    const Index images = x_.shape()[0];
    for (Index image = 0; image < images; ++image) {
      const auto others_changed = [&](const Tensor<T>& tensor) {
        Tensor<T> changed = tensor;
        const Index per_image = tensor.size() / images;
        for (Index i = 0; i < tensor.size(); ++i) {
          if (i / per_image != image) changed[i] = 0.25 - 0.5 * tensor[i];
        }
        return changed;
      };
      const auto alone = [&](const Tensor<T>& tensor) {
        const Index per_image = tensor.size() / images;
        return Tensor<T>({per_image},
                         tensor.span().subspan(static_cast<std::size_t>(image * per_image), static_cast<std::size_t>(per_image)));
      };
      const Pass changed = pass(others_changed(x_), others_changed(dy_), {});
      const std::string what = " of image " + std::to_string(image) + " depends on the other images of the batch";
      require(first_difference(alone(changed.y), alone(reference_.y)) < 0, "y" + what);
      require(first_difference(alone(changed.dx), alone(reference_.dx)) < 0, "dx" + what);
    }
  }

  void expect_same(const Pass& other, const std::string& when) {
    expect_same_bits("y", other.y, reference_.y, when);
    expect_same_bits("dx", other.dx, reference_.dx, when);
    for (std::size_t p = 0; p < parameters_.size(); ++p) {
      expect_same_bits("the gradient of " + parameters_[p].name, other.gradients[p], reference_.gradients[p], when);
    }
  }

  void expect_same_bits(const std::string& what, const Tensor<T>& value, const Tensor<T>& expected, const std::string& when) {
    const Index i = first_difference(value, expected);
    if (i >= 0) {
      require(false, what + " differs " + when + ": " + concat(value[i], " in place of ", expected[i]) + " at " +
                         index_text(value.shape(), i));
    }
  }

  // Sums may be taken in another order: equal up to rounding.
  void expect_close(const Pass& other, double initial, const std::string& otherwise) {
    for (std::size_t p = 0; p < parameters_.size(); ++p) {
      const Tensor<T>&value = other.gradients[p], &expected = reference_.gradients[p];
      double largest = initial;
      for (const double element : expected.span()) largest = std::max(largest, std::abs(element));
      for (Index i = 0; i < value.size(); ++i) {
        if (!(std::abs(value[i] - initial - expected[i]) <= 1e-11 * largest)) {
          require(false, otherwise + ": " + parameters_[p].name + " " + index_text(value.shape(), i) +
                             concat(", from ", initial, " to ", value[i], " in place of ", initial + expected[i]));
          break;
        }
      }
    }
  }

  void require(bool holds, const std::string& otherwise) {
    auto& rules = result_.broken_rules;
    if (!holds && std::find(rules.begin(), rules.end(), otherwise) == rules.end()) rules.push_back(otherwise);
  }

  Layer<T>& layer_;
  GradientCheckOptions options_;
  Mode mode_;
  std::vector<NamedParameter<T>> parameters_;
  Tensor<T> x_, dy_;
  Pass reference_;
  GradientCheckResult result_;
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI

namespace normnet::inline NORMNET_ABI {

inline std::string GradientCheckResult::message() const {
  std::string text = "gradient_check of " + subject + ":\n";
  for (const Gradient& gradient : gradients) {
    text += concat("  ", gradient.name, " ", gradient.shape, ": relative error ", gradient.error, " at ",
                   normnet_impl::index_text(gradient.shape, gradient.worst), " (analytic ", gradient.analytic, ", numeric ",
                   gradient.numeric, "), the greatest of ", gradient.compared, "\n");
  }
  for (const std::string& rule : broken_rules) text += "  broken rule: " + rule + "\n";
  return text;
}

inline std::ostream& operator<<(std::ostream& out, const GradientCheckResult& result) { return out << result.message(); }

/// Checks a layer's backward pass on the input x, with the loss sum(dy * y) for a random dy.
///
/// The gradients of the input and of every parameter are compared with finite differences of fourth order. And these rules are
/// tested: every element of y and dx is written, no border is, and the padding lanes of dx are zero; gradients of parameters are
/// added to, not assigned; padding lanes and wider borders do not matter, nor does it matter if all is lost that
/// keeps_for_backward() does not ask for; in place (where the layer allows it) gives the same bits; backward_parameters() agrees
/// with backward(); an image's results do not depend on the other images (but with GradientCheckOptions::batchwise).
///
///     const auto result = gradient_check(layer, Shape{3, 4, 7, 6});
///     if (!result.ok()) std::cerr << result;
///
/// x must keep 2 h away from kinks, such as zero for a ReLU or a tie for a maximum. The layer's parameters, gradients and buffers
/// are put back in the end.
template <std::same_as<double> T>
GradientCheckResult gradient_check(Layer<T>& layer, const Tensor<T>& x, const GradientCheckOptions& options = {}) {
  if (x.empty()) fail("gradient_check: expected an input with at least one element, got ", x.shape());
  return normnet_impl::LayerGradientCheck(layer, x, options).run();
}

/// The same on a random input of the given shape that is away from zero, ties and multiples of 5 h: between -3 and 3 where an
/// image has fewer than 600 elements.
template <std::same_as<double> T>
GradientCheckResult gradient_check(Layer<T>& layer, const Shape& shape, const GradientCheckOptions& options = {}) {
  return gradient_check(layer, normnet_impl::kink_free_input<T>(shape, options.step, Random(options.seed).fork(3)), options);
}

/// Checks a loss's backward pass on a prediction N x C or N x C x 1 x 1: the gradient against finite differences, zero in the
/// padding lanes, and neither loss nor gradient depending on what stands in the padding lanes of the prediction or on the batch
/// before.
template <std::same_as<double> T>
GradientCheckResult gradient_check(Loss<T>& loss, const Tensor<T>& prediction, std::span<const int> labels,
                                   const GradientCheckOptions& options = {}) {
  if (prediction.empty()) fail("gradient_check: expected a prediction with at least one element, got ", prediction.shape());
  GradientCheckResult result{.subject = loss.type(), .gradients = {}, .broken_rules = {}};
  auto x = Batch<T>::from(prediction);
  const auto outputs = [&] { return Tensor<T>({1}, {loss.forward(x, labels)}); };

  const Tensor<T> value = outputs();
  const Batch<T> dx = loss.backward();
  if (dx.shape() != prediction.shape()) {
    fail("gradient_check: expected a gradient ", prediction.shape(), " of ", loss.type(), ", got ", dx.shape());
  }
  bool lanes = true;
  normnet_impl::for_each_pack(dx, [&](const Pack<T>& pack, int images, bool) {
    for (int lane = images; lane < Batch<T>::lanes; ++lane) lanes = lanes && pack[lane] == 0;
  });
  if (!lanes) result.broken_rules.emplace_back("backward() leaves values other than zero in the padding lanes");

  const auto shift = [&](Index i, double delta) { normnet_impl::set_element(x, i, prediction[i] + delta); };
  result.gradients.push_back(
      normnet_impl::compare_gradient("prediction", dx.to_tensor(), Tensor<T>({1}, 1.0), shift, outputs, options));

  normnet_impl::fill_padding_lanes(x, 37);
  if (normnet_impl::first_difference(outputs(), value) >= 0) {
    result.broken_rules.emplace_back("the loss depends on the padding lanes of the prediction, or on the batch before");
  }
  if (normnet_impl::first_difference(loss.backward().to_tensor(), dx.to_tensor()) >= 0) {
    result.broken_rules.emplace_back("the gradient depends on the padding lanes of the prediction, or on the batch before");
  }
  return result;
}

/// The same on random predictions of the given shape and random labels.
template <std::same_as<double> T>
GradientCheckResult gradient_check(Loss<T>& loss, const Shape& shape, const GradientCheckOptions& options = {}) {
  const Random random(options.seed);
  std::vector<int> labels;
  for (Index n = 0; n < shape[0]; ++n) {
    labels.push_back(static_cast<int>(random.fork(4).below(static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(shape[1]))));
  }
  return gradient_check(loss, normnet_impl::kink_free_input<T>(shape, options.step, random.fork(3)), labels, options);
}

}  // namespace normnet::inline NORMNET_ABI
