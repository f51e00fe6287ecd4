// MaxPool2d, AvgPool2d, AdaptiveAvgPool2d and GlobalAvgPool2d against their definitions.
#include <normnet/nn/adaptive_avg_pool2d.hpp>
#include <normnet/nn/avg_pool2d.hpp>
#include <normnet/nn/max_pool2d.hpp>
#include <normnet/testing/gradient_check.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <vector>

#include "support/catch.hpp"
#include "support/run_layer.hpp"

using namespace normnet;
using namespace normnet::test;

namespace {

struct Case {
  Shape input;
  Pair kernel, stride, padding, dilation = 1;
  bool ceil_mode = false;
};

// One image more than lanes, so that the last block holds one image at every width.
constexpr Index images = Batch<double>::lanes + 1;

const std::vector<Case> cases{
    {.input = {images, 3, 6, 8}, .kernel = 2, .stride = 2, .padding = 0},
    {.input = {images, 3, 7, 5}, .kernel = 2, .stride = 2, .padding = 0},
    {.input = {3, 2, 7, 5}, .kernel = 2, .stride = 2, .padding = 0, .ceil_mode = true},
    {.input = {3, 2, 6, 7}, .kernel = {3, 2}, .stride = {2, 1}, .padding = {1, 0}},
    {.input = {2, 3, 9, 8}, .kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true},
    {.input = {2, 2, 5, 6}, .kernel = {1, 3}, .stride = {3, 2}, .padding = {0, 1}},
    {.input = {2, 1, 6, 5}, .kernel = 3, .stride = 3, .padding = 1, .ceil_mode = true},
    {.input = {2, 2, 4, 6}, .kernel = 1, .stride = 1, .padding = 0},
    {.input = {2, 2, 4, 6}, .kernel = {4, 6}, .stride = {4, 6}, .padding = 0},
};

const std::vector<Case> dilated_cases{
    {.input = {3, 2, 8, 9}, .kernel = {3, 2}, .stride = {1, 2}, .padding = {2, 1}, .dilation = {2, 3}},
    {.input = {2, 2, 7, 6}, .kernel = 2, .stride = 2, .padding = 1, .dilation = 2, .ceil_mode = true},
};

// As PyTorch's documentation puts it: with ceil_mode the size is rounded up, but a window must not begin in the padding on the
// right.
Index output_extent(Index in, Index kernel, Index stride, Index padding, Index dilation, bool ceil_mode) {
  const double exact = static_cast<double>(in + 2 * padding - dilation * (kernel - 1) - 1) / static_cast<double>(stride) + 1;
  const Index count = static_cast<Index>(ceil_mode ? std::ceil(exact) : std::floor(exact));
  return ceil_mode && (count - 1) * stride >= in + padding ? count - 1 : count;
}

// What a window gives: from its values inside the input, and the number of its places within input and padding.
using Summary = std::function<double(const std::vector<double>&, Index)>;

Tensor<double> pool(const Case& c, const Tensor<double>& x, const Summary& summary) {
  const Index height = x.shape()[2], width = x.shape()[3];
  Tensor<double> y({x.shape()[0], x.shape()[1],
                    output_extent(height, c.kernel.height, c.stride.height, c.padding.height, c.dilation.height, c.ceil_mode),
                    output_extent(width, c.kernel.width, c.stride.width, c.padding.width, c.dilation.width, c.ceil_mode)});
  for (Index n = 0; n < y.shape()[0]; ++n) {
    for (Index channel = 0; channel < y.shape()[1]; ++channel) {
      for (Index i = 0; i < y.shape()[2]; ++i) {
        for (Index j = 0; j < y.shape()[3]; ++j) {
          std::vector<double> inside;
          Index places = 0;
          for (Index u = 0; u < c.kernel.height; ++u) {
            for (Index v = 0; v < c.kernel.width; ++v) {
              const Index p = i * c.stride.height - c.padding.height + u * c.dilation.height;
              const Index q = j * c.stride.width - c.padding.width + v * c.dilation.width;
              if (p < height + c.padding.height && q < width + c.padding.width) ++places;
              if (p >= 0 && p < height && q >= 0 && q < width) inside.push_back(x(n, channel, p, q));
            }
          }
          y(n, channel, i, j) = summary(inside, places);
        }
      }
    }
  }
  return y;
}

double sum_of(const std::vector<double>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

}  // namespace

TEST_CASE("MaxPool2d computes its definition, and its gradient is right") {
  auto all = cases;
  all.insert(all.end(), dilated_cases.begin(), dilated_cases.end());
  for (const Case& c : all) {
    MaxPool2d<double> layer(
        {.kernel_size = c.kernel, .stride = c.stride, .padding = c.padding, .dilation = c.dilation, .ceil_mode = c.ceil_mode});
    INFO("input " << c.input << ", kernel " << c.kernel << ", stride " << c.stride << ", ceil_mode " << c.ceil_mode);
    const Tensor<double> x = random_tensor<double>(c.input, 11);
    // A maximum is one of its inputs: no rounding.
    const Tensor<double> expected =
        pool(c, x, [](const auto& inside, Index) { return *std::max_element(inside.begin(), inside.end()); });
    CHECK(forward(layer, x) == expected);
    const auto result = gradient_check(layer, c.input);
    INFO(result.message());
    CHECK(result.ok(1e-10));  // piecewise linear
  }
}

TEST_CASE("AvgPool2d computes its definition, and its gradient is right") {
  for (const Case& c : cases) {
    for (const bool count_include_pad : {true, false}) {
      AvgPool2d<double> layer({.kernel_size = c.kernel,
                               .stride = c.stride,
                               .padding = c.padding,
                               .ceil_mode = c.ceil_mode,
                               .count_include_pad = count_include_pad});
      INFO("input " << c.input << ", kernel " << c.kernel << ", stride " << c.stride << ", count_include_pad "
                    << count_include_pad);
      const Tensor<double> x = random_tensor<double>(c.input, 11);
      const Tensor<double> expected = pool(c, x, [&](const auto& inside, Index places) {
        return sum_of(inside) / static_cast<double>(count_include_pad ? places : static_cast<Index>(inside.size()));
      });
      CHECK(max_difference(forward(layer, x), expected) < 1e-14);  // values below 1, at most 24 of them
      const auto result = gradient_check(layer, c.input);
      INFO(result.message());
      CHECK(result.ok(1e-10));  // linear
    }
  }
}

TEST_CASE("AdaptiveAvgPool2d averages PyTorch's regions") {
  for (const auto& [input, output] :
       std::vector<std::pair<Shape, Pair>>{{{images, 3, 7, 5}, {3, 2}}, {{2, 2, 6, 8}, 1}, {{3, 2, 2, 3}, {5, 3}}}) {
    AdaptiveAvgPool2d<double> layer(output);
    INFO("input " << input << ", output " << output);
    const Tensor<double> x = random_tensor<double>(input, 11);
    Tensor<double> expected({input[0], input[1], output.height, output.width});
    for (Index n = 0; n < input[0]; ++n) {
      for (Index c = 0; c < input[1]; ++c) {
        for (Index i = 0; i < output.height; ++i) {
          for (Index j = 0; j < output.width; ++j) {
            // Pixel p belongs to region i where [p, p + 1) meets [i H / H', (i + 1) H / H').
            std::vector<double> inside;
            for (Index p = 0; p < input[2]; ++p) {
              for (Index q = 0; q < input[3]; ++q) {
                const bool row = (p + 1) * output.height > i * input[2] && p * output.height < (i + 1) * input[2];
                const bool column = (q + 1) * output.width > j * input[3] && q * output.width < (j + 1) * input[3];
                if (row && column) inside.push_back(x(n, c, p, q));
              }
            }
            expected(n, c, i, j) = sum_of(inside) / static_cast<double>(inside.size());
          }
        }
      }
    }
    CHECK(max_difference(forward(layer, x), expected) < 1e-14);  // values below 1, at most 48 of them
    const auto result = gradient_check(layer, input);
    INFO(result.message());
    CHECK(result.ok(1e-10));  // linear
  }

  GlobalAvgPool2d<double> global;
  CHECK(global.output_shape({4, 3, 7, 5}) == Shape{4, 3, 1, 1});
  CHECK(global.type() == "GlobalAvgPool2d");
  CHECK(forward(global, Tensor<double>({1, 2, 1, 3}, {1, 2, 6, 4, 5, 9})) == Tensor<double>({1, 2, 1, 1}, {3, 6}));
}

TEST_CASE("Averages of floats over many pixels are as exact as those over few") {
  // The mean of a constant is that constant: sums of four are exact, and so are theirs in double. A sum in float is off by
  // 2.5e-6.
  const float tenth = 0.1f;
  const Tensor<float> plane({2, 2, 224, 221}, tenth);
  GlobalAvgPool2d<float> global;
  CHECK(forward(global, plane) == Tensor<float>({2, 2, 1, 1}, tenth));
  AdaptiveAvgPool2d<float> adaptive({3, 2});
  CHECK(forward(adaptive, plane) == Tensor<float>({2, 2, 3, 2}, tenth));
  AvgPool2d<float> average({.kernel_size = {100, 110}, .stride = {60, 50}});
  CHECK(forward(average, plane) == Tensor<float>({2, 2, 3, 3}, tenth));

  // Of other values, two roundings on the way to the sum and one of the result.
  const Tensor<float> x = random_tensor<float>({3, 2, 70, 333}, 1, 0.5, 1);
  GlobalAvgPool2d<double> exact;
  CHECK(max_relative_difference(cast<double>(forward(global, x)), forward(exact, cast<double>(x))) < 3 * 0x1p-24);

  // Small windows, which are summed in float, are about as good; odd extents, and the first that is not small.
  for (const Shape& shape : {Shape{17, 3, 8, 8}, Shape{17, 3, 7, 7}, Shape{17, 3, 5, 13}, Shape{17, 3, 1, 67}}) {
    const Tensor<float> small = random_tensor<float>(shape, 2, 0.5, 1);
    CHECK(max_relative_difference(cast<double>(forward(global, small)), forward(exact, cast<double>(small))) < 8 * 0x1p-24);
  }
}

TEST_CASE("Numbers worked out by hand") {
  const Tensor<double> x({1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  MaxPool2d<double> max(2);
  CHECK(forward(max, x) == Tensor<double>({1, 1, 1, 1}, {5}));
  MaxPool2d<double> max_ceil({.kernel_size = 2, .ceil_mode = true});
  CHECK(forward(max_ceil, x) == Tensor<double>({1, 1, 2, 2}, {5, 6, 8, 9}));
  AvgPool2d<double> average({.kernel_size = 2, .padding = 1});
  CHECK(forward(average, x) == Tensor<double>({1, 1, 2, 2}, {0.25, 1.25, 2.75, 7}));
  AvgPool2d<double> average_inside({.kernel_size = 2, .padding = 1, .count_include_pad = false});
  CHECK(forward(average_inside, x) == Tensor<double>({1, 1, 2, 2}, {1, 2.5, 5.5, 7}));
  AdaptiveAvgPool2d<double> adaptive({2, 1});
  CHECK(forward(adaptive, x) == Tensor<double>({1, 1, 2, 1}, {3.5, 6.5}));
}

TEST_CASE("MaxPool2d gives the gradient of a tie to the first in scan order") {
  const Tensor<double> x({2, 1, 4, 5}, 3.0), dy({2, 1, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  MaxPool2d<double> two(2), general({.kernel_size = {2, 3}, .stride = 2});
  for (MaxPool2d<double>* layer : {&two, &general}) {
    INFO(layer->options().kernel_size);
    const Tensor<double> dx = backward(*layer, x, dy);
    for (Index n = 0; n < 2; ++n) {
      for (Index p = 0; p < 4; ++p) {
        for (Index q = 0; q < 5; ++q) {
          const bool first = p % 2 == 0 && q % 2 == 0 && q < 4;
          CHECK(dx(n, 0, p, q) == (first ? dy(n, 0, p / 2, q / 2) : 0));
        }
      }
    }
  }
}

TEST_CASE("MaxPool2d does not hide what is not a number") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Pair kernel : {Pair(2), Pair(2, 3)}) {
    for (Index place = 0; place < 4; ++place) {
      Tensor<double> x({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6});
      x(0, 0, place / 2, place % 2) = nan;
      MaxPool2d<double> layer(kernel);
      CHECK(std::isnan(forward(layer, x)[0]));
      Tensor<double> expected(x.shape());
      expected(0, 0, place / 2, place % 2) = 7;
      CHECK(backward(layer, x, Tensor<double>({1, 1, 1, 1}, 7.0)) == expected);
    }
  }
}

TEST_CASE("Pooling gives the same bits at any number of threads") {
  MaxPool2d<float> two(2), overlapping({.kernel_size = 3, .stride = 2, .padding = 1});
  AvgPool2d<float> average({.kernel_size = 3, .stride = 2, .padding = 1});
  GlobalAvgPool2d<float> global;
  for (Layer<float>* layer : std::vector<Layer<float>*>{&two, &overlapping, &average, &global}) {
    INFO(layer->type());
    same_layer_at_any_thread_count(*layer, {40, 5, 31, 29});
  }
}

TEST_CASE("Pooling says what is wrong") {
  using Max = MaxPool2d<float>;
  using Average = AvgPool2d<float>;
  expect_error("MaxPool2d: expected kernel_size of at least 1, got 0x0", [] { Max(0); });
  expect_error("MaxPool2d: expected kernel_size of at least 1, got 2x-1", [] { Max({.kernel_size = {2, -1}}); });
  expect_error("MaxPool2d: expected stride of at least 1, got 1x0", [] { Max({.kernel_size = 2, .stride = {1, 0}}); });
  expect_error("MaxPool2d: expected dilation of at least 1, got 0x0", [] { Max({.kernel_size = 2, .dilation = 0}); });
  expect_error("AvgPool2d: expected padding of at least 0, got -1x-1", [] { Average({.kernel_size = 2, .padding = -1}); });
  expect_error("AvgPool2d: expected a padding of at most half of the kernel, got padding 2x2 and kernel 3x3",
               [] { Average({.kernel_size = 3, .padding = 2}); });
  expect_error("MaxPool2d: expected a padding of at most half of the kernel, got padding 1x2 and kernel 3x3", [] {
    Max({.kernel_size = 3, .padding = {1, 2}});
  });
  expect_error("MaxPool2d: expected an input of at least 4x4 pixels with its padding, got 5x3 (input 2x3x5x3, padding 0x0)", [] {
    Max(4).output_shape({2, 3, 5, 3});
  });
  expect_error("AvgPool2d: expected an input N x C x H x W, got 2x3", [] { Average(2).output_shape({2, 3}); });
  expect_error("MaxPool2d: expected windows that reach the input, got one in the padding 2x2 alone (input 1x1x1x1)", [] {
    Max({.kernel_size = 2, .padding = 2, .dilation = 3}).output_shape({1, 1, 1, 1});
  });
  expect_error("AdaptiveAvgPool2d: expected an output_size of at least 1, got 0x1", [] { AdaptiveAvgPool2d<float>({0, 1}); });
  expect_error("GlobalAvgPool2d: expected an input N x C x H x W, got 5x4", [] {
    GlobalAvgPool2d<float>().output_shape({5, 4});
  });
  expect_error("GlobalAvgPool2d: expected an input of at least one pixel, got 5x4x0x2", [] {
    GlobalAvgPool2d<float>().output_shape({5, 4, 0, 2});
  });
  Max named(2);
  named.set_name("pool1");
  expect_error("MaxPool2d \"pool1\": expected an input N x C x H x W, got 5x4", [&] { named.output_shape({5, 4}); });
}
