// Dropout: what it drops, how often, and that nothing but seed, image and element decides it.
#include <normnet/nn/dropout.hpp>
#include <normnet/testing/gradient_check.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/run_layer.hpp"

using namespace normnet;
using namespace normnet::test;

namespace {

Mode training(std::uint64_t seed) { return {.training = true, .random = Random(seed)}; }

// The documented draw, one element at a time, by the plain philox.
bool dropped(const Random& random, Index image, Index element, double p) {
  const auto words = philox({static_cast<std::uint32_t>(element / 8), static_cast<std::uint32_t>(image), 3, 0},
                            {static_cast<std::uint32_t>(random.key()), static_cast<std::uint32_t>(random.key() >> 32)}, 7);
  const auto half = static_cast<std::uint32_t>(element % 8), number = words[half / 2] >> (half % 2 * 16) & 0xFFFF;
  return number < std::lround(p * 65536);
}

}  // namespace

TEST_CASE("Dropout drops what its documentation says, at every width") {
  // Channels that begin within a counter's eight elements, drawn one by one; channels of few pixels, drawn together.
  constexpr Index images = Batch<float>::lanes + 3;
  for (const Shape& shape : {Shape{images, 5, 9, 7}, Shape{images, 5, 3, 3}, Shape{images, 77}}) {
    for (const double p : {0.1, 0.5, 0.93}) {
      Dropout<float> layer(p);
      Dropout<double> in_double(p);
      const Mode mode = training(42);
      const Tensor<float> y = forward(layer, Tensor<float>(shape, 3.0f), mode);
      const Tensor<double> y_in_double = forward(in_double, Tensor<double>(shape, 3.0), mode);
      const Index elements = shape.elements() / shape[0];
      Index wrong = 0;
      for (Index i = 0; i < y.size(); ++i) {
        const bool drop = dropped(mode.random, i / elements, i % elements, p);
        const float kept = 3.0f * static_cast<float>(1 / (1 - p));
        if (y[i] != (drop ? 0.0f : kept) || (y_in_double[i] == 0) != drop) ++wrong;
      }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("Dropout drops the fraction p and keeps the mean") {
  const Shape shape{128, 20, 15, 17};
  const auto n = static_cast<double>(shape.elements());
  for (const double p : {0.001, 0.1, 0.25, 0.5, 0.9}) {
    Dropout<float> layer(p);
    const Tensor<float> y = forward(layer, Tensor<float>(shape, 1.0f), training(7));
    double dropped_count = 0, total = 0;
    for (const float value : y.span()) {
      dropped_count += value == 0 ? 1 : 0;
      total += static_cast<double>(value);
    }
    // Four standard deviations of the binomial distribution; rounding p to 2^-16 adds at most 2^-17.
    const double deviation = std::sqrt(p * (1 - p) / n);
    CHECK(std::abs(dropped_count / n - p) < 4 * deviation + 0x1p-17);
    CHECK(std::abs(total / n - 1) < (4 * deviation + 0x1p-17) / (1 - p) + 1e-7);
  }
}

TEST_CASE("Dropout draws anew with another table, and independently between images and elements") {
  const Shape shape{32, 10, 20, 20};
  Dropout<float> layer(0.5);
  const Tensor<float> ones(shape, 1.0f);
  const Tensor<float> a = forward(layer, ones, training(1)), b = forward(layer, ones, training(2));
  CHECK(forward(layer, ones, training(1)) == a);
  const Index image = 10 * 20 * 20;
  // The fraction that agrees with a shifted or other mask is one half, up to four standard deviations.
  const auto agreement = [&](const Tensor<float>& x, const Tensor<float>& y, Index shift) {
    double equal = 0;
    for (Index i = 0; i + shift < x.size(); ++i) equal += x.data()[i] == y.data()[i + shift] ? 1 : 0;
    return equal / static_cast<double>(x.size() - shift);
  };
  const double tolerance = 4 * 0.5 / std::sqrt(static_cast<double>(ones.size() - 16 * image));
  CHECK(std::abs(agreement(a, b, 0) - 0.5) < tolerance);
  for (const Index shift : {Index{1}, Index{20}, Index{32}, Index{256}, Index{400}, image, 16 * image}) {
    INFO("shift " << shift);
    CHECK(std::abs(agreement(a, a, shift) - 0.5) < tolerance);
  }
}

TEST_CASE("Dropout is the identity where it does not drop, and zero where it drops everything") {
  const Shape shape{Batch<float>::lanes + 1, 3, 4, 5};
  const auto x = random_tensor<float>(shape, 5), dy = random_tensor<float>(shape, 6);
  Dropout<float> half, none(0), all(1);
  CHECK(half.p() == 0.5);
  CHECK(forward(half, x) == x);
  CHECK(backward(half, x, dy) == dy);
  CHECK(forward(none, x, training(1)) == x);
  CHECK(backward(none, x, dy, training(1)) == dy);
  const Tensor<float> zero(x.shape());
  CHECK(forward(all, x, training(1)) == zero);
  CHECK(backward(all, x, dy, training(1)) == zero);
  CHECK(forward(all, x) == x);
}

TEST_CASE("The gradient of dropout is right") {
  Dropout<double> layer(0.3);
  for (const bool is_training : {true, false}) {
    for (const Shape& shape : {Shape{Batch<double>::lanes + 1, 3, 5, 6}, Shape{3, 12}}) {
      const auto result = gradient_check(layer, shape, {.training = is_training});
      INFO(result.message());
      CHECK(result.ok(1e-10));  // linear
    }
  }
}

TEST_CASE("Dropout gives the same bits at any number of threads") {
  Dropout<float> layer(0.1);
  same_layer_at_any_thread_count(layer, {50, 10, 19, 21});
  same_layer_at_any_thread_count(layer, {300, 2000});
}

TEST_CASE("Dropout refuses what is no probability") {
  expect_error("Dropout: expected p in [0, 1], got -0.1", [] { Dropout<float>(-0.1); });
  expect_error("Dropout: expected p in [0, 1], got 1.5", [] { Dropout<float>(1.5); });
  expect_error("Dropout: expected p in [0, 1], got nan", [] { (void)Dropout<float>(std::numeric_limits<double>::quiet_NaN()); });
}
