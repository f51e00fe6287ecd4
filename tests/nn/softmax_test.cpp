// Softmax, LogSoftmax and Flatten against their definitions.
#include <normnet/nn/flatten.hpp>
#include <normnet/nn/log_softmax.hpp>
#include <normnet/nn/softmax.hpp>
#include <normnet/testing/gradient_check.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/run_layer.hpp"

using namespace normnet;
using namespace normnet::test;

namespace {

// Elements of one softmax stand `plane` apart.
Tensor<double> reference(const Tensor<double>& x, bool logarithm) {
  Tensor<double> y(x.shape());
  const Index channels = x.shape()[1], plane = x.shape().rank() == 4 ? x.shape()[2] * x.shape()[3] : 1;
  for (Index i = 0; i < x.size(); ++i) {
    const Index first = i / (channels * plane) * channels * plane + i % plane;
    double total = 0;  // relative to x[i], so that y[i] = 1 / total
    for (Index k = 0; k < channels; ++k) total += std::exp(x[first + k * plane] - x[i]);
    y[i] = logarithm ? -std::log(total) : 1 / total;
  }
  return y;
}

}  // namespace

TEST_CASE("Softmax and LogSoftmax compute their definitions, and their gradients are right") {
  Softmax<double> softmax;
  LogSoftmax<double> log_softmax;
  for (const Shape& shape : {Shape{Batch<double>::lanes + 1, 5, 3, 4}, Shape{3, 10}, Shape{2, 1, 2, 3}}) {
    INFO(shape);
    const auto x = random_tensor<double>(shape, 3, -8, 8);
    CHECK(max_difference(forward(softmax, x), reference(x, false)) < 1e-15);     // probabilities: a few roundings
    CHECK(max_difference(forward(log_softmax, x), reference(x, true)) < 1e-14);  // logarithms down to -16
    const auto result = gradient_check(softmax, shape), log_result = gradient_check(log_softmax, shape);
    INFO(result.message() << log_result.message());
    CHECK(result.ok(1e-7));
    CHECK(log_result.ok(1e-7));
  }
}

TEST_CASE("Softmax and LogSoftmax are stable") {
  const Tensor<float> x({2, 3}, {1000.0f, 1000.0f, 900.0f, -1e30f, 0.0f, -1e30f});
  Softmax<float> softmax;
  CHECK(max_difference(forward(softmax, x), Tensor<float>({2, 3}, {0.5f, 0.5f, 0, 0, 1, 0})) < 1e-30);
  LogSoftmax<float> log_softmax;
  const Tensor<float> y = forward(log_softmax, x);
  CHECK(y[0] == Approx(-std::log(2.0)));
  CHECK(y[2] == Approx(-100 - std::log(2.0)));
  CHECK(y[3] == -1e30f);
  CHECK(y[4] == 0);

  const Tensor<float> nan({1, 3}, {0.0f, std::numeric_limits<float>::quiet_NaN(), 1.0f});
  for (Layer<float>* layer : std::vector<Layer<float>*>{&softmax, &log_softmax}) {
    const Tensor<float> result = forward(*layer, nan);
    for (const float value : result.span()) CHECK(std::isnan(value));
  }
}

TEST_CASE("Flatten keeps PyTorch's order") {
  const Shape shape{Batch<double>::lanes + 1, 2, 3, 5};
  Flatten<double> layer;
  const auto x = random_tensor<double>(shape, 3);
  CHECK(layer.output_shape(shape) == Shape{shape[0], 30});
  CHECK(layer.output_shape({0, 2, 3, 5}) == Shape{0, 30});
  CHECK(forward(layer, x) == x.reshaped({shape[0], 30}));
  const auto features = random_tensor<double>({3, 7}, 4);
  CHECK(forward(layer, features) == features);
  for (const Shape& input : {shape, Shape{3, 7}}) {
    const auto result = gradient_check(layer, input);
    INFO(result.message());
    CHECK(result.ok(1e-10));  // linear
  }
  expect_error("Flatten: expected an input N x C x H x W or N x F, got 3x4x5", [&] { layer.output_shape({3, 4, 5}); });
}

TEST_CASE("Softmax, LogSoftmax and Flatten give the same bits at any number of threads") {
  Softmax<float> softmax;
  LogSoftmax<float> log_softmax;
  Flatten<float> flatten;
  for (Layer<float>* layer : std::vector<Layer<float>*>{&softmax, &log_softmax, &flatten}) {
    INFO(layer->type());
    same_layer_at_any_thread_count(*layer, {40, 10, 13, 17});
  }
}
