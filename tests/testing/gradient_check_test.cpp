// gradient_check: right layers and losses pass, and every kind of wrong one is caught.
#include <normnet/testing/gradient_check.hpp>

#include "support/catch.hpp"

#include <cmath>
#include <limits>
#include <set>

using namespace normnet;

namespace {

enum class Fault {
  none,
  wrong_sign_of_dx,
  wrong_sign_of_odd_columns,
  wrong_sign_of_the_last_channel,
  wrong_weight_gradient,
  forgets_an_image_in_the_weight_gradient,
  assigns_the_weight_gradient,
  adds_to_dx,
  forgets_a_pixel_of_dx,
  forgets_a_pixel_of_y,
  forgets_the_padding_lanes_of_y,
  leaves_padding_lanes,
  writes_the_border_of_y,
  writes_the_border_of_dx,
  reads_an_input_that_it_did_not_keep,
  reads_an_output_that_it_did_not_keep,
  keeps_a_pointer,
  spreads_padding_lanes,
  mixes_images,
  wrong_backward_parameters,
  wrong_in_place,
};

/// y = weight[c] * x^2, with one mistake.
class Square final : public Layer<double> {
 public:
  explicit Square(Fault fault) : fault_(fault), weight_(Shape{4}) {
    for (Index c = 0; c < 4; ++c) weight_.value[c] = 0.5 + static_cast<double>(c);
  }

  std::string type() const override { return "Square"; }
  Shape output_shape(const Shape& input) const override { return input; }
  std::vector<NamedParameter<double>> parameters() override { return {{"weight", &weight_}}; }
  Keeps keeps_for_backward() const override {
    return fault_ == Fault::reads_an_input_that_it_did_not_keep ? Keeps::output : Keeps::input;
  }
  bool in_place() const override { return fault_ == Fault::wrong_in_place; }

  void forward(const Batch<double>& x, Batch<double>& y, const Mode&) override {
    seen_ = &x;
    for_each(x, [&](Index block, Index c, Index row, Index column) {
      const Pack<double> value = x.row(block, c, row)[column];
      if (fault_ == Fault::forgets_a_pixel_of_y && row == 1 && column == 2) return;
      y.row(block, c, row)[column] = Pack<double>(weight_.value[c]) * value * value;
      if (fault_ == Fault::mixes_images) y.row(block, c, row)[column] += Pack<double>(value[0]);
      if (fault_ == Fault::spreads_padding_lanes) y.row(block, c, row)[column] += Pack<double>(value[Batch<double>::lanes - 1]);
      for (int lane = x.images_in(block); fault_ == Fault::forgets_the_padding_lanes_of_y && lane < Batch<double>::lanes;
           ++lane) {
        y.row(block, c, row)[column].set(lane, std::numeric_limits<double>::quiet_NaN());
      }
    });
    if (fault_ == Fault::writes_the_border_of_y && y.halo().height > 0) y.row(0, 0, -1)[0] = Pack<double>(1.0);
  }

  void backward(const Batch<double>& x, const Batch<double>& y, const Batch<double>& dy, Batch<double>& dx) override {
    const Batch<double>& input = fault_ == Fault::keeps_a_pointer ? *seen_ : x;
    if (fault_ == Fault::assigns_the_weight_gradient) weight_.grad.fill(0);
    if (fault_ == Fault::wrong_in_place) dx.fill(0);
    for_each(x, [&](Index block, Index c, Index row, Index column) {
      const Pack<double> value = input.row(block, c, row)[column], gradient = dy.row(block, c, row)[column];
      Pack<double> counted = gradient * value * value;
      if (fault_ == Fault::forgets_an_image_in_the_weight_gradient) counted.set(1, 0);
      weight_.grad[c] += sum(counted) * (fault_ == Fault::wrong_weight_gradient ? 1 + 1e-6 : 1);
      if (fault_ == Fault::forgets_a_pixel_of_dx && row == 2 && column == 4) return;
      Pack<double>& out = dx.row(block, c, row)[column];
      Pack<double> result = gradient * value * Pack<double>((wrong_sign(c, column) ? -2 : 2) * weight_.value[c]);
      if (fault_ == Fault::reads_an_output_that_it_did_not_keep) {
        result = Pack<double>(2.0) * gradient * y.row(block, c, row)[column] / value;
      }
      out = fault_ == Fault::adds_to_dx ? out + result : result;
      if (fault_ == Fault::leaves_padding_lanes) out.set(Batch<double>::lanes - 1, 1.0);
    });
    if (fault_ == Fault::writes_the_border_of_dx && dx.halo().width > 0) dx.row(0, 0, 0)[dx.width()] = Pack<double>(1.0);
  }

  void backward_parameters(const Batch<double>& x, const Batch<double>& y, const Batch<double>& dy) override {
    if (fault_ != Fault::wrong_backward_parameters) Layer<double>::backward_parameters(x, y, dy);
  }

 private:
  bool wrong_sign(Index c, Index column) const {
    return fault_ == Fault::wrong_sign_of_dx || (fault_ == Fault::wrong_sign_of_odd_columns && column % 2 == 1) ||
           (fault_ == Fault::wrong_sign_of_the_last_channel && c == 3);
  }

  template <class F>
  static void for_each(const Batch<double>& x, F f) {
    for (Index block = 0; block < x.blocks(); ++block) {
      for (Index c = 0; c < x.channels(); ++c) {
        for (Index row = 0; row < x.height(); ++row) {
          for (Index column = 0; column < x.width(); ++column) f(block, c, row, column);
        }
      }
    }
  }

  Fault fault_;
  const Batch<double>* seen_ = nullptr;
  Parameter<double> weight_;
};

/// The mean of weight[label] * (x[label]^3 + x[0] x[1]), with one mistake.
class Cubes final : public Loss<double> {
 public:
  explicit Cubes(Fault fault = Fault::none) : fault_(fault) {}

  std::string type() const override { return "Cubes"; }

  double forward(const Batch<double>& x, std::span<const int> labels) override {
    gradient_.reset(x.shape());
    gradient_.fill(0);
    const double scale = 1.0 / static_cast<double>(x.images());
    double loss = 0;
    for (Index n = 0; n < x.images(); ++n) {
      const int label = labels[static_cast<std::size_t>(n)];
      const double value = x.at(n, label), weight = scale * (label + 1);
      loss += weight * (value * value * value + x.at(n, 0) * x.at(n, 1));
      gradient_.set(n, 0, 0, 0, weight * x.at(n, 1));
      gradient_.set(n, 1, 0, 0, weight * x.at(n, 0));
      gradient_.set(n, label, 0, 0, gradient_.at(n, label) + 3 * weight * value * value);
    }
    if (fault_ == Fault::leaves_padding_lanes) gradient_.row(x.blocks() - 1, 1, 0)[0].set(Batch<double>::lanes - 1, 1);
    if (fault_ == Fault::spreads_padding_lanes) loss += x.row(x.blocks() - 1, 0, 0)[0][Batch<double>::lanes - 1];
    if (fault_ == Fault::wrong_sign_of_dx) gradient_.set(0, 1, 0, 0, -gradient_.at(0, 1));
    images_ = static_cast<double>(x.images());
    loss_ = loss;
    return loss;
  }

  LossTotal total() const override { return {.sum = loss_ * images_, .weight = images_}; }

  const Batch<double>& backward() override { return gradient_; }

 private:
  Fault fault_;
  double loss_ = 0, images_ = 0;
  Batch<double> gradient_;
};

// Not a multiple of the lanes, so that there are padding lanes at every width: double has 2, 4 or 8.
const Shape input{5, 4, 3, 6};

GradientCheckResult check(Fault fault, const GradientCheckOptions& options = {}) {
  Square layer(fault);
  return gradient_check(layer, input, options);
}

bool breaks(const GradientCheckResult& result, const std::string& rule) {
  INFO(result.message());
  CHECK_FALSE(result.ok(1e3));
  return result.message().find(rule) != std::string::npos;
}

}  // namespace

TEST_CASE("gradient_check passes a right layer and puts its state back") {
  Square layer(Fault::none);
  layer.parameters()[0].parameter->grad.fill(7);
  const GradientCheckResult result = gradient_check(layer, input);
  INFO(result.message());
  // A polynomial of degree 2 has no truncation error; rounding of 1e-16 / h stays far below.
  CHECK(result.ok(1e-10));
  REQUIRE(result.gradients.size() == 2);
  CHECK(result.gradients[0].name == "input");
  CHECK(result.gradients[0].compared == 200);
  CHECK(result.gradients[1].name == "weight");
  CHECK(result.gradients[1].compared == 4);
  CHECK(layer.parameters()[0].parameter->value == Tensor<double>({4}, {0.5, 1.5, 2.5, 3.5}));
  CHECK(layer.parameters()[0].parameter->grad == Tensor<double>({4}, 7));

  GradientCheckOptions few{.samples = 10};
  CHECK(gradient_check(layer, input, few).gradients[0].compared == 10);
  CHECK(gradient_check(layer, Shape{1, 4, 1, 1}).ok(1e-10));
}

TEST_CASE("gradient_check measures wrong gradients") {
  CHECK(check(Fault::wrong_sign_of_dx).gradients[0].error > 1);
  CHECK(check(Fault::wrong_sign_of_dx).gradients[1].error < 1e-10);
  CHECK(check(Fault::wrong_weight_gradient).gradients[0].error < 1e-10);
  CHECK(check(Fault::wrong_weight_gradient).gradients[1].error == Approx(1e-6).epsilon(1e-3));
  CHECK_FALSE(check(Fault::wrong_weight_gradient).ok());
  CHECK(check(Fault::forgets_an_image_in_the_weight_gradient).gradients[1].error > 1e-3);
  CHECK(check(Fault::adds_to_dx).gradients[0].error == std::numeric_limits<double>::infinity());
}

TEST_CASE("gradient_check samples every part of a large tensor") {
  Square layer(Fault::wrong_sign_of_odd_columns);
  CHECK(gradient_check(layer, Shape{2, 4, 10, 10}).gradients[0].error > 1);  // four elements for each sample: no even distance
  Square last(Fault::wrong_sign_of_the_last_channel);
  CHECK(gradient_check(last, Shape{1, 4, 10, 10}).gradients[0].error > 1);  // the last quarter, by half as many samples
}

TEST_CASE("inputs for gradient_check keep their distance from kinks") {
  for (const Shape& shape : {Shape{2, 3, 4, 7}, Shape{3, 5}, Shape{1, 1, 2, 150}, Shape{1, 30, 10, 10}}) {
    INFO(shape);
    const double step = 1e-3;
    const auto x = normnet_impl::kink_free_input<double>(shape, step, Random(1));
    const Index per_image = x.size() / shape[0];
    for (Index n = 0; n < shape[0]; ++n) {
      std::set<Index> distinct;
      for (Index i = 0; i < per_image; ++i) {
        const double multiple = x[n * per_image + i] / (2.5 * step);
        const auto whole = static_cast<Index>(std::lround(multiple));
        CHECK(multiple == Approx(static_cast<double>(whole)).epsilon(1e-12));
        CHECK(whole % 2 != 0);
        distinct.insert(whole);
      }
      CHECK(static_cast<Index>(distinct.size()) == per_image);
    }
  }
}

TEST_CASE("gradient_check refuses to check nothing") {
  Square layer(Fault::none);
  CHECK_THROWS_WITH(gradient_check(layer, Shape{0, 4, 3, 3}),
                    "gradient_check: expected an input with at least one element, got 0x4x3x3");
  CHECK_THROWS_WITH(gradient_check(layer, input, {.samples = 0}), "gradient_check: expected at least 1 sample, got 0");
  Cubes loss;
  CHECK_THROWS_WITH(gradient_check(loss, Shape{0, 3}),
                    "gradient_check: expected a prediction with at least one element, got 0x3");
}

TEST_CASE("gradient_check finds every broken rule") {
  CHECK(breaks(check(Fault::assigns_the_weight_gradient), "does not add"));
  CHECK(breaks(check(Fault::forgets_a_pixel_of_dx), "leaves elements of dx unwritten"));
  CHECK(breaks(check(Fault::forgets_a_pixel_of_y), "leaves elements of y unwritten"));
  CHECK(breaks(check(Fault::forgets_the_padding_lanes_of_y), "leaves the padding lanes of y unwritten"));
  CHECK(breaks(check(Fault::leaves_padding_lanes), "padding lanes of dx"));
  CHECK(breaks(check(Fault::writes_the_border_of_y), "border of y"));
  CHECK(breaks(check(Fault::writes_the_border_of_dx), "border of dx"));
  CHECK(breaks(check(Fault::reads_an_input_that_it_did_not_keep), "keeps_for_backward"));
  CHECK(breaks(check(Fault::reads_an_output_that_it_did_not_keep), "keeps_for_backward"));
  CHECK(breaks(check(Fault::keeps_a_pointer), "keeps_for_backward"));
  CHECK(breaks(check(Fault::spreads_padding_lanes), "values in the padding lanes of x"));
  CHECK(breaks(check(Fault::mixes_images), "depends on the other images"));
  CHECK(breaks(check(Fault::wrong_backward_parameters), "backward_parameters()"));
  CHECK(breaks(check(Fault::wrong_in_place), "in place"));
  CHECK(breaks(check(Fault::adds_to_dx), "dx unwritten"));
}

TEST_CASE("gradient_check allows what it is told to allow") {
  // Lane 0 is image 0 in the first block only: an image's output then depends on its neighbour's input, and so does dx of that
  // neighbour.
  const GradientCheckResult result = check(Fault::mixes_images, {.batchwise = true});
  CHECK(result.message().find("other images") == std::string::npos);
}

TEST_CASE("gradient_check of a loss") {
  Cubes loss;
  const GradientCheckResult result = gradient_check(loss, Shape{5, 3});
  INFO(result.message());
  CHECK(result.ok(1e-10));
  CHECK(gradient_check(loss, Shape{5, 3, 1, 1}).ok(1e-10));

  Cubes wrong(Fault::wrong_sign_of_dx), leaves(Fault::leaves_padding_lanes), reads(Fault::spreads_padding_lanes);
  CHECK(gradient_check(wrong, Shape{5, 3}).max_error() > 1);
  CHECK(breaks(gradient_check(leaves, Shape{5, 3}), "padding lanes"));
  CHECK(breaks(gradient_check(reads, Shape{5, 3}), "the loss depends on the padding lanes"));
}
