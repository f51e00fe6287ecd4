// The activation functions against the standard library, and their gradients.
#include <normnet/nn/activation.hpp>
#include <normnet/testing/gradient_check.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/run_layer.hpp"

using namespace normnet;
using namespace normnet::test;

namespace {

template <class T>
struct Case {
  std::unique_ptr<Layer<T>> layer;
  std::function<double(double)> definition;
};

template <class T>
std::vector<Case<T>> cases() {
  std::vector<Case<T>> all;
  const auto add = [&](auto layer, std::function<double(double)> definition) {
    all.push_back({std::make_unique<decltype(layer)>(std::move(layer)), std::move(definition)});
  };
  add(ReLU<T>(), [](double x) { return std::max(x, 0.0); });
  add(LeakyReLU<T>(), [](double x) { return x > 0 ? x : 0.01 * x; });
  add(LeakyReLU<T>(0.25), [](double x) { return x > 0 ? x : 0.25 * x; });
  add(ReLU6<T>(), [](double x) { return std::min(std::max(x, 0.0), 6.0); });
  add(ELU<T>(), [](double x) { return x > 0 ? x : std::expm1(x); });
  add(ELU<T>(0.5), [](double x) { return x > 0 ? x : 0.5 * std::expm1(x); });
  add(SiLU<T>(), [](double x) { return x / (1 + std::exp(-x)); });
  add(GELU<T>(), [](double x) { return x * std::erfc(-x / std::numbers::sqrt2) / 2; });
  add(Sigmoid<T>(), [](double x) { return 1 / (1 + std::exp(-x)); });
  add(Tanh<T>(), [](double x) { return std::tanh(x); });
  add(Softplus<T>(), [](double x) { return x > 20 ? x : std::log1p(std::exp(x)); });
  add(Softplus<T>(2, 3), [](double x) { return 2 * x > 3 ? x : std::log1p(std::exp(2 * x)) / 2; });
  return all;
}

// From -30 to 30, with zero; H != W, and one image more than lanes.
template <class T>
Tensor<T> wide_input() {
  Tensor<T> x({Batch<T>::lanes + 1, 3, 5, 7});
  for (Index i = 0; i < x.size(); ++i) {
    x[i] = static_cast<T>(-30 + 60 * (static_cast<double>((i * 37) % x.size()) / static_cast<double>(x.size() - 1)));
  }
  x[3] = T(0);
  return x;
}

template <class T>
void check_values(double tolerance) {
  const Tensor<T> x = wide_input<T>();
  for (auto& [layer, definition] : cases<T>()) {
    const Tensor<T> y = forward(*layer, x);
    double greatest = 0;
    for (Index i = 0; i < x.size(); ++i) {
      const double expected = definition(static_cast<double>(x[i]));
      greatest = std::max(greatest, std::abs(static_cast<double>(y[i]) - expected) / std::max(1.0, std::abs(expected)));
    }
    INFO(layer->type());
    CHECK(greatest < tolerance);
  }
}

}  // namespace

TEST_CASE("Activations compute their formulas") {
  check_values<double>(1e-15);  // a few roundings of 1.1e-16
  check_values<float>(3e-7);    // a few roundings of 6e-8
}

TEST_CASE("The gradients of activations are right") {
  // Values between -9 and 9, away from the kinks at 0 and 6.
  Tensor<double> x({Batch<double>::lanes + 1, 3, 4, 5});
  for (Index i = 0; i < x.size(); ++i) x[i] = 0.05 * static_cast<double>((i * 77) % 360 - 180) + 0.025;
  for (auto& [layer, definition] : cases<double>()) {
    const auto result = gradient_check(*layer, x);
    INFO(result.message());
    CHECK(result.ok(1e-7));
    CHECK(gradient_check(*layer, Shape{3, 10}).ok(1e-7));
  }
}

TEST_CASE("Activations at their kinks, as PyTorch has it") {
  const Tensor<double> x({1, 3}, {0.0, 6.0, -0.0}), dy({1, 3}, 2.0);
  ReLU<double> relu;
  CHECK(backward(relu, x, dy) == Tensor<double>({1, 3}, {0, 2, 0}));
  ReLU6<double> relu6;
  CHECK(backward(relu6, x, dy) == Tensor<double>({1, 3}, {0, 0, 0}));
  LeakyReLU<double> leaky(0.25);
  CHECK(backward(leaky, x, dy) == Tensor<double>({1, 3}, {0.5, 2, 0.5}));
}

TEST_CASE("Activations stay finite far out, and do not hide what is not a number") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor<float> x({1, 3}, {-1e30f, 1e30f, nan}), dy({1, 3}, 1.0f);
  for (auto& [layer, definition] : cases<float>()) {
    INFO(layer->type());
    const Tensor<float> y = forward(*layer, x);
    CHECK(std::isfinite(y[0]));
    CHECK(std::isfinite(y[1]));
    CHECK(std::isnan(y[2]));
    CHECK_FALSE(backward(*layer, x, dy)[2] == 0);  // PyTorch's ReLU passes the gradient on, too
  }
  for (const double far : {-1e4, -90.0, 90.0, 1e4}) {
    const Tensor<float> at({1, 1}, {static_cast<float>(far)}), one({1, 1}, {1.0f});
    for (auto& [layer, definition] : cases<float>()) {
      INFO(layer->type() << " at " << far);
      const double slope = (definition(far) - definition(far - 1));  // all are straight lines out there
      CHECK(static_cast<double>(backward(*layer, at, one)[0]) == Approx(slope).margin(1e-6));
    }
  }
}

TEST_CASE("Activations give the same bits at any number of threads") {
  ReLU<float> relu;
  same_layer_at_any_thread_count(relu, {64, 8, 19, 21});
  ELU<float> elu;
  same_layer_at_any_thread_count(elu, {64, 8, 9, 7});
}

TEST_CASE("Activations refuse arguments that make no sense") {
  expect_error("LeakyReLU: expected a negative_slope of at least 0, got -0.1", [] { LeakyReLU<float>(-0.1); });
  expect_error("ELU: expected an alpha of at least 0, got -1", [] { ELU<float>(-1.0); });
  expect_error("Softplus: expected a positive beta, got 0", [] { Softplus<float>(0.0); });
}
