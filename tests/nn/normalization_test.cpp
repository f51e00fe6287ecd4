// Batch, group, layer and instance norm: against their formulas, gradients of every option, hard numerics, bits, messages.
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/group_norm.hpp>
#include <normnet/nn/instance_norm2d.hpp>
#include <normnet/nn/layer_norm.hpp>
#include <normnet/testing/gradient_check.hpp>

#include <algorithm>
#include <cmath>
#include <functional>

using namespace normnet;

namespace {

constexpr Mode training{.training = true, .random = Random()};
constexpr Mode evaluation{};

/// (x - mean) / sqrt(var + eps) over the elements that share group_of(n, c, y, x), by two plain loops in long double.
Tensor<double> normalized(const Tensor<double>& x, Index groups, const std::function<Index(Index, Index, Index, Index)>& group_of,
                          double eps = 1e-5) {
  std::vector<long double> mean(static_cast<std::size_t>(groups)), var(mean.size()), count(mean.size());
  const auto each = [&](auto f) {
    for (Index n = 0; n < x.shape()[0]; ++n)
      for (Index c = 0; c < x.shape()[1]; ++c)
        for (Index i = 0; i < x.shape()[2]; ++i)
          for (Index j = 0; j < x.shape()[3]; ++j) f(n, c, i, j, static_cast<std::size_t>(group_of(n, c, i, j)));
  };
  each([&](Index n, Index c, Index i, Index j, std::size_t g) { mean[g] += x(n, c, i, j), count[g] += 1; });
  for (std::size_t g = 0; g < mean.size(); ++g) mean[g] /= count[g];
  each([&](Index n, Index c, Index i, Index j, std::size_t g) {
    var[g] += (x(n, c, i, j) - mean[g]) * (x(n, c, i, j) - mean[g]) / count[g];
  });
  Tensor<double> y(x.shape());
  each([&](Index n, Index c, Index i, Index j, std::size_t g) {
    y(n, c, i, j) = static_cast<double>((x(n, c, i, j) - mean[g]) / std::sqrt(var[g] + static_cast<long double>(eps)));
  });
  return y;
}

template <class L>
Tensor<double> forward(L& layer, const Tensor<double>& x, const Mode& mode = training) {
  Batch<double> y(layer.output_shape(x.shape()), {1, 0});
  layer.forward(Batch<double>::from(x, {0, 2}), y, mode);
  return y.to_tensor();
}

template <class L>
void randomize(L& layer) {
  for (auto& [name, parameter] : layer.parameters()) {
    parameter->value = test::random_tensor<double>(parameter->value.shape(), name == "weight" ? 5 : 6, -2, 2);
  }
}

// Values of magnitude 1 to 4, sums of at most 1,000 of them, a division by a standard deviation of about 1.
constexpr double rounding = 1e-13;

const Shape image_shape{17, 6, 5, 4};

/// A mean a million times the spread.
Tensor<float> far_from_zero() {
  Tensor<float> x({17, 4, 16, 15});
  for (Index i = 0; i < x.size(); ++i) x[i] = static_cast<float>(1e4 + 1e-2 * Random(1).normal(static_cast<std::uint64_t>(i)));
  return x;
}

}  // namespace

TEST_CASE("normalization layers compute their formulas", "[norm]") {
  const Tensor<double> x = test::random_tensor<double>(image_shape, 1, -1, 3);
  BatchNorm2d<double> batch_norm(6);
  CHECK(test::max_difference(forward(batch_norm, x), normalized(x, 6, [](Index, Index c, Index, Index) { return c; })) <
        rounding);
  for (const Index groups : {1, 2, 3, 6}) {
    GroupNorm<double> group_norm(groups, 6);
    const auto expected = normalized(x, 17 * groups, [&](Index n, Index c, Index, Index) { return n * groups + c * groups / 6; });
    CHECK(test::max_difference(forward(group_norm, x), expected) < rounding);
  }
  InstanceNorm2d<double> instance_norm(6);
  CHECK(test::max_difference(forward(instance_norm, x),
                             normalized(x, 17 * 6, [](Index n, Index c, Index, Index) { return n * 6 + c; })) < rounding);
  LayerNorm<double> image({6, 5, 4}), channel({5, 4}), row(Shape{4});
  CHECK(test::max_difference(forward(image, x), normalized(x, 17, [](Index n, Index, Index, Index) { return n; })) < rounding);
  CHECK(test::max_difference(forward(channel, x),
                             normalized(x, 17 * 6, [](Index n, Index c, Index, Index) { return n * 6 + c; })) < rounding);
  // Four values may lie close together, and are then divided by a small spread.
  CHECK(test::max_difference(forward(row, x), normalized(x, 17 * 30, [](Index n, Index c, Index i, Index) {
                               return (n * 6 + c) * 5 + i;
                             })) < 10 * rounding);
}

TEST_CASE("weight and bias scale and shift what was normalized", "[norm]") {
  const Tensor<double> x = test::random_tensor<double>(image_shape, 1, -1, 3);
  const auto check = [&](auto layer, auto position_of) {
    const Tensor<double> plain = forward(layer, x);
    randomize(layer);
    Tensor<double> expected(plain.shape());
    for (Index i = 0; i < plain.size(); ++i) {
      const Index p = position_of(i);
      expected[i] = plain[i] * layer.weight().value[p] + layer.bias().value[p];
    }
    CHECK(test::max_difference(forward(layer, x), expected) < rounding);
  };
  const auto channel = [](Index i) { return i / 20 % 6; };
  check(BatchNorm2d<double>(6), channel);
  check(GroupNorm<double>(2, 6), channel);
  check(InstanceNorm2d<double>({.channels = 6, .affine = true}), channel);
  check(LayerNorm<double>({6, 5, 4}), [](Index i) { return i % 120; });
  check(LayerNorm<double>({5, 4}), [](Index i) { return i % 20; });
  check(LayerNorm<double>(4), [](Index i) { return i % 4; });
}

TEST_CASE("layer norm of features spans them all", "[norm]") {
  const Tensor<double> x = test::random_tensor<double>({17, 12}, 1, -1, 3);
  const auto expected =
      normalized(x.reshaped({17, 12, 1, 1}), 17, [](Index n, Index, Index, Index) { return n; }).reshaped({17, 12});
  LayerNorm<double> layer_norm(12);
  GroupNorm<double> group_norm(1, 12);
  CHECK(test::max_difference(forward(layer_norm, x), expected) < rounding);
  CHECK(test::max_difference(forward(group_norm, x), expected) < rounding);
}

TEST_CASE("batch norm follows running statistics and uses them in evaluation", "[norm]") {
  BatchNorm2d<double> layer({.channels = 6, .momentum = 0.25});
  randomize(layer);
  std::vector<double> mean(6, 0), var(6, 1);
  for (const std::uint64_t step : {1U, 2U, 3U}) {
    const Tensor<double> x = test::random_tensor<double>(image_shape, step, -1, static_cast<double>(step));
    forward(layer, x);
    for (Index c = 0; c < 6; ++c) {
      double m = 0, v = 0;
      for (Index n = 0; n < 17; ++n)
        for (Index p = 0; p < 20; ++p) m += x(n, c, p / 4, p % 4) / 340;
      for (Index n = 0; n < 17; ++n)
        for (Index p = 0; p < 20; ++p) v += (x(n, c, p / 4, p % 4) - m) * (x(n, c, p / 4, p % 4) - m) / 339;
      mean[static_cast<std::size_t>(c)] = 0.75 * mean[static_cast<std::size_t>(c)] + 0.25 * m;
      var[static_cast<std::size_t>(c)] = 0.75 * var[static_cast<std::size_t>(c)] + 0.25 * v;
    }
  }
  const Tensor<double> x = test::random_tensor<double>({3, 6, 2, 3}, 9), y = forward(layer, x, evaluation);
  for (Index i = 0; i < x.size(); ++i) {
    const Index c = i / 6 % 6;
    CHECK(std::abs(layer.running_mean()[c] - mean[static_cast<std::size_t>(c)]) < 1e-14);
    CHECK(std::abs(layer.running_var()[c] - var[static_cast<std::size_t>(c)]) < 1e-14);
    const double expected = (x[i] - mean[static_cast<std::size_t>(c)]) / std::sqrt(var[static_cast<std::size_t>(c)] + 1e-5) *
                                layer.weight().value[c] +
                            layer.bias().value[c];
    CHECK(std::abs(y[i] - expected) < rounding);
  }
  forward(layer, Tensor<double>({1, 6, 1, 1}), evaluation);  // one value is enough where no statistics are taken
}

TEST_CASE("new parameters of a norm come with new running statistics", "[norm]") {
  BatchNorm2d<double> batch_norm(3);
  InstanceNorm2d<double> instance_norm({.channels = 3, .affine = true, .track_running_stats = true});
  for (Layer<double>* layer : std::vector<Layer<double>*>{&batch_norm, &instance_norm}) {
    randomize(*layer);
    forward(*layer, test::random_tensor<double>({5, 3, 2, 4}, 1, 2, 5));
    layer->reset_parameters(Random(1));
    CHECK(*layer->buffers()[0].tensor == Tensor<double>({3}));
    CHECK(*layer->buffers()[1].tensor == Tensor<double>({3}, 1));
    CHECK(layer->parameters()[0].parameter->value == Tensor<double>({3}, 1));
    CHECK(layer->parameters()[1].parameter->value == Tensor<double>({3}));
  }
}

TEST_CASE("instance norm can follow running statistics", "[norm]") {
  InstanceNorm2d<double> layer({.channels = 2, .momentum = 0.5, .track_running_stats = true});
  const Tensor<double> x({2, 2, 1, 2}, {0, 2, 1, 1, 4, 8, 3, 5});
  forward(layer, x);
  // channel 0: means 1 and 6, unbiased variances 2 and 8; channel 1: means 1 and 4, variances 0 and 2
  CHECK(layer.running_mean() == Tensor<double>({2}, {1.75, 1.25}));
  CHECK(layer.running_var() == Tensor<double>({2}, {3.0, 1.0}));
  const Tensor<double> y = forward(layer, x, evaluation);
  CHECK(std::abs(y(1, 0, 0, 1) - (8 - 1.75) / std::sqrt(3 + 1e-5)) < rounding);
}

TEST_CASE("normalization layers have the gradients of their formulas", "[norm][gradient]") {
  const Shape shape{3, 6, 4, 3}, full{9, 4, 3, 2};
  const auto check = [](auto layer, const Shape& input, const GradientCheckOptions& options = {}) {
    randomize(layer);
    const auto result = gradient_check(layer, input, options);
    INFO(result.message());
    CHECK(result.ok(1e-7));
  };
  check(BatchNorm2d<double>(6), shape, {.batchwise = true});
  check(BatchNorm2d<double>(4), full, {.batchwise = true});
  check(BatchNorm2d<double>({.channels = 6, .affine = false}), shape, {.batchwise = true});
  check(BatchNorm2d<double>({.channels = 6, .track_running_stats = false}), shape, {.training = false, .batchwise = true});
  check(BatchNorm2d<double>({.channels = 6, .eps = 0.5}), shape, {.training = false});
  for (const Index groups : {1, 2, 6}) check(GroupNorm<double>(groups, 6), shape);
  check(GroupNorm<double>(2, 4), full);
  check(GroupNorm<double>({.groups = 3, .channels = 6, .eps = 0.1, .affine = false}), shape);
  check(GroupNorm<double>(2, 10), {9, 10});
  check(InstanceNorm2d<double>({.channels = 6, .affine = true}), shape);
  check(InstanceNorm2d<double>({.channels = 6, .affine = true, .track_running_stats = true}), shape, {.training = false});
  check(LayerNorm<double>({6, 4, 3}), shape);
  check(LayerNorm<double>({4, 3, 2}), full);
  check(LayerNorm<double>({4, 3}), shape);
  check(LayerNorm<double>({3, 2}), full);
  // Without eps a blank image has no finite 1 / sqrt(var): the lanes past the last image must stay finite all the same.
  check(GroupNorm<double>({.groups = 2, .channels = 6, .eps = 0}), shape);
  check(LayerNorm<double>({.normalized_shape = {6, 4, 3}, .eps = 0}), shape);
  check(LayerNorm<double>({.normalized_shape = {6, 4, 3}, .elementwise_affine = false}), shape);
  check(LayerNorm<double>(10), {9, 10});
  // Three values a row can lie within 0.1 of each other: the fourth difference of such a row grows with its inverse fifth power.
  check(LayerNorm<double>({.normalized_shape = {3}, .eps = 0.1}), shape);
}

TEST_CASE("variance is right where the mean is a million times the spread", "[norm][numerics]") {
  Tensor<float> x = far_from_zero();
  const Shape& shape = x.shape();
  const auto check = [&](auto layer, const Tensor<double>& expected) {
    Batch<float> y(shape);
    layer.forward(Batch<float>::from(x), y, training);
    // Of the greatest value. x itself is exact here: what is left is the rounding of two differences and a product.
    CHECK(test::max_relative_difference(test::cast<double>(y.to_tensor()), expected) < 1e-6);
  };
  const auto check_all = [&] {
    const Tensor<double> exact = test::cast<double>(x);
    check(BatchNorm2d<float>(4), normalized(exact, 4, [](Index, Index c, Index, Index) { return c; }));
    check(GroupNorm<float>(2, 4), normalized(exact, 34, [](Index n, Index c, Index, Index) { return n * 2 + c / 2; }));
    check(LayerNorm<float>({4, 16, 15}), normalized(exact, 17, [](Index n, Index, Index, Index) { return n; }));
    check(InstanceNorm2d<float>(4), normalized(exact, 68, [](Index n, Index c, Index, Index) { return n * 4 + c; }));
  };
  check_all();
  // The first value of each channel, which the sums are about, is far from all others.
  for (Index c = 0; c < 4; ++c) x(0, c, 0, 0) = 0;
  check_all();
}

TEST_CASE("gradients are right where the mean is a million times the spread", "[norm][numerics]") {
  const Tensor<float> x = far_from_zero();
  const Shape& shape = x.shape();
  const Tensor<float> dy = test::random_tensor<float>(shape, 2, -1, 3);
  const auto check = [&](auto rounded, auto exact) {
    Batch<float> y(shape), dx(shape);
    Batch<double> exact_y(shape), exact_dx(shape);
    const auto exact_x = Batch<double>::from(test::cast<double>(x));
    rounded.forward(Batch<float>::from(x), y, training);
    rounded.backward(Batch<float>::from(x), y, Batch<float>::from(dy), dx);
    exact.forward(exact_x, exact_y, training);
    exact.backward(exact_x, exact_y, Batch<double>::from(test::cast<double>(dy)), exact_dx);
    // Of the greatest value: a few roundings of each pixel's, and of sums that lose nothing.
    const auto error = [](const Tensor<float>& got, const Tensor<double>& expected) {
      return test::max_relative_difference(test::cast<double>(got), expected);
    };
    CHECK(error(dx.to_tensor(), exact_dx.to_tensor()) < 1e-6);
    CHECK(error(rounded.weight().grad, exact.weight().grad) < 1e-6);
    CHECK(error(rounded.bias().grad, exact.bias().grad) < 1e-6);
  };
  check(BatchNorm2d<float>(4), BatchNorm2d<double>(4));
  check(GroupNorm<float>(2, 4), GroupNorm<double>(2, 4));
  check(InstanceNorm2d<float>({.channels = 4, .affine = true}), InstanceNorm2d<double>({.channels = 4, .affine = true}));
  check(LayerNorm<float>({4, 16, 15}), LayerNorm<double>({4, 16, 15}));
}

TEST_CASE("bias gradients over many pixels are as exact as those over few", "[norm][numerics]") {
  // Sums of a tenth over all that a bias is added to: in float, one after the other, 7000 of them are off by 1e-5 to 1e-4.
  const auto relative_error = [](Layer<float>& layer, const Shape& shape, std::size_t bias, double count) {
    Batch<float> x = Batch<float>::from(test::random_tensor<float>(shape, 1)), y(layer.output_shape(shape)), dx(shape);
    const auto dy = Batch<float>::from(Tensor<float>(y.shape(), 0.1f));
    layer.forward(x, y, training);
    layer.backward(x, y, dy, dx);
    const auto expected = count * static_cast<double>(0.1f);
    double worst = 0;
    for (const float value : layer.parameters()[bias].parameter->grad.span()) {
      worst = std::max(worst, std::abs(static_cast<double>(value) / expected - 1));
    }
    return worst;
  };
  // At most 16 additions in float in each lane of a run of 64, three for the four lanes of such a run, and one rounding of the
  // result.
  const double most = 20 * 0x1p-24;
  BatchNorm2d<float> batch(2);
  GroupNorm<float> group(1, 2);
  CHECK(relative_error(batch, {3, 2, 2, 7001}, 1, 3 * 2 * 7001) < most);  // wide rows
  CHECK(relative_error(group, {3, 2, 2, 7001}, 1, 3 * 2 * 7001) < most);
  Conv2d<float> conv({.in_channels = 2, .out_channels = 3, .kernel_size = 1});
  CHECK(relative_error(conv, {3, 2, 2, 7001}, 1, 3 * 2 * 7001) < most);
  LayerNorm<float> layer({3});                                                    // many rows of many channels
  CHECK(relative_error(layer, {3, 7, 1001, 3}, 1, 3 * 7 * 1001) < 70 * 0x1p-24);  // 64 additions in a run, not 16
}

TEST_CASE("constant inputs normalize to zero", "[norm][numerics]") {
  const Tensor<double> x({3, 4, 3, 2}, 1e6);
  BatchNorm2d<double> batch_norm(4);
  GroupNorm<double> group_norm(2, 4);
  LayerNorm<double> layer_norm({4, 3, 2});
  CHECK(forward(batch_norm, x) == Tensor<double>(x.shape()));
  CHECK(forward(group_norm, x) == Tensor<double>(x.shape()));
  CHECK(forward(layer_norm, x) == Tensor<double>(x.shape()));
}

TEST_CASE("normalization gives the same bits at any number of threads", "[norm][threads]") {
  const Shape shape{70, 12, 20, 17};
  const auto check = [&](auto make) {
    test::same_bits_at_any_thread_count([&] {
      auto layer = make();
      const auto x = Batch<float>::from(test::random_tensor<float>(shape, 1)),
                 dy = Batch<float>::from(test::random_tensor<float>(shape, 2));
      Batch<float> y(shape), dx(shape);
      layer.forward(x, y, training);
      layer.backward(x, y, dy, dx);
      return std::vector<Tensor<float>>{y.to_tensor(), dx.to_tensor(), layer.weight().grad, layer.bias().grad};
    });
  };
  check([] { return BatchNorm2d<float>(12); });
  check([] { return GroupNorm<float>(3, 12); });
  check([] { return LayerNorm<float>({12, 20, 17}); });
  check([] { return InstanceNorm2d<float>({.channels = 12, .affine = true, .track_running_stats = true}); });
}

TEST_CASE("normalization layers say what is wrong", "[norm][errors]") {
  CHECK_THROWS_WITH(BatchNorm2d<float>(0), "BatchNorm2d: expected channels of at least 1, got 0");
  CHECK_THROWS_WITH(BatchNorm2d<float>({.channels = 3, .eps = -1}), "BatchNorm2d: expected an eps of at least 0, got -1");
  CHECK_THROWS_WITH(BatchNorm2d<float>({.channels = 3, .momentum = 1.5}), "BatchNorm2d: expected a momentum in [0, 1], got 1.5");
  BatchNorm2d<float> batch_norm(10);
  CHECK_THROWS_WITH(batch_norm.output_shape({2, 20, 3, 3}), "BatchNorm2d: expected 10 input channels, got 20 (input 2x20x3x3)");
  CHECK_THROWS_WITH(batch_norm.output_shape({2, 10}), "BatchNorm2d: expected an input N x C x H x W, got 2x10");
  Batch<float> single(Shape{1, 10, 1, 1});
  CHECK_THROWS_WITH(batch_norm.forward(single, single, training),
                    "BatchNorm2d: expected more than one value per channel in training, got 1 (input 1x10x1x1); where a last "
                    "batch that is not full is the cause, drop_last leaves it out");
  CHECK_THROWS_WITH(GroupNorm<float>(3, 10), "GroupNorm: expected groups that divide 10 channels, got 3");
  CHECK_THROWS_WITH(GroupNorm<float>(0, 10), "GroupNorm: expected groups that divide 10 channels, got 0");
  CHECK_THROWS_WITH(GroupNorm<float>(1, 0), "GroupNorm: expected channels of at least 1, got 0");
  GroupNorm<float> group_norm(2, 10);
  CHECK_THROWS_WITH(group_norm.output_shape({2, 12, 3, 3}), "GroupNorm: expected 10 input channels, got 12 (input 2x12x3x3)");
  CHECK_THROWS_WITH(LayerNorm<float>(Shape{}),
                    "LayerNorm: expected a normalized_shape of one to three extents above 0, got scalar");
  CHECK_THROWS_WITH(LayerNorm<float>({3, 0}), "LayerNorm: expected a normalized_shape of one to three extents above 0, got 3x0");
  LayerNorm<float> layer_norm({10, 3, 4});
  CHECK_THROWS_WITH(layer_norm.output_shape({2, 10, 4, 3}), "LayerNorm: expected an input that ends in 10x3x4, got 2x10x4x3");
  CHECK_THROWS_WITH(InstanceNorm2d<float>(0), "InstanceNorm2d: expected channels of at least 1, got 0");
  InstanceNorm2d<float> instance_norm(10);
  CHECK_THROWS_WITH(instance_norm.output_shape({2, 4, 3, 3}),
                    "InstanceNorm2d: expected 10 input channels, got 4 (input 2x4x3x3)");
  Batch<float> pixel(Shape{2, 10, 1, 1});
  CHECK_THROWS_WITH(instance_norm.forward(pixel, pixel, training),
                    "InstanceNorm2d: expected more than one pixel per channel in training, got 1 (input 2x10x1x1)");
}
