// Conv2d: every option against a slow obvious reference, the two algorithms against each other, gradients, bits, messages.
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/nn/sequential.hpp>
#include <normnet/testing/gradient_check.hpp>

using namespace normnet;

namespace {

struct Case {
  const char* what;
  Conv2d<double>::Options options;
  Shape input;
};

// lanes + 1 images of double on AVX-512 are 9, on SSE2 3: the batches of 3 and 17 end in a block that is not full.
const std::vector<Case> cases{
    {"1x1", {.in_channels = 3, .out_channels = 7, .kernel_size = 1}, {3, 3, 5, 4}},
    {"3x3", {.in_channels = 3, .out_channels = 5, .kernel_size = 3, .bias = false}, {3, 3, 7, 6}},
    {"3x3 padded", {.in_channels = 4, .out_channels = 10, .kernel_size = 3, .padding = 1}, {17, 4, 6, 5}},
    {"rectangular", {.in_channels = 2, .out_channels = 3, .kernel_size = {2, 5}, .padding = {0, 2}}, {3, 2, 5, 8}},
    {"stride 2", {.in_channels = 3, .out_channels = 4, .kernel_size = 3, .stride = 2, .padding = 1}, {3, 3, 8, 7}},
    {"strides 3 and 2",
     {.in_channels = 2, .out_channels = 6, .kernel_size = {4, 3}, .stride = {3, 2}, .padding = {2, 1}},
     {3, 2, 9, 8}},
    {"stride beyond the kernel", {.in_channels = 2, .out_channels = 3, .kernel_size = 1, .stride = 3}, {3, 2, 8, 7}},
    {"dilation", {.in_channels = 2, .out_channels = 8, .kernel_size = 3, .padding = {2, 1}, .dilation = {2, 3}}, {3, 2, 9, 10}},
    {"dilation and stride",
     {.in_channels = 2, .out_channels = 3, .kernel_size = 3, .stride = 2, .padding = 2, .dilation = {3, 2}},
     {3, 2, 11, 9}},
    {"groups", {.in_channels = 6, .out_channels = 9, .kernel_size = 3, .padding = 1, .groups = 3}, {3, 6, 5, 6}},
    {"depthwise",
     {.in_channels = 5, .out_channels = 10, .kernel_size = 3, .stride = {1, 2}, .padding = 1, .groups = 5, .bias = false},
     {3, 5, 6, 7}},
    {"depthwise, row by row", {.in_channels = 5, .out_channels = 5, .kernel_size = 3, .padding = 1, .groups = 5}, {17, 5, 9, 11}},
    {"two outputs of each channel, row by row",
     {.in_channels = 4, .out_channels = 8, .kernel_size = 3, .padding = {0, 1}, .groups = 4},
     {3, 4, 6, 10}},
    {"groups of two and two, row by row",
     {.in_channels = 6, .out_channels = 6, .kernel_size = {2, 3}, .padding = {1, 2}, .groups = 3},
     {3, 6, 6, 5}},
    {"a channel of short rows",
     {.in_channels = 2, .out_channels = 1, .kernel_size = {4, 3}, .padding = {0, 2}, .bias = false},
     {3, 2, 6, 1}},
    {"a channel of runs of rows",
     {.in_channels = 1, .out_channels = 2, .kernel_size = {5, 3}, .padding = {2, 0}},
     {3, 1, 37, 32}},
    {"padding beyond the kernel", {.in_channels = 2, .out_channels = 3, .kernel_size = 2, .padding = 3}, {3, 2, 4, 3}},
    {"many runs, strips and rows of columns",
     {.in_channels = 8, .out_channels = 7, .kernel_size = 3, .padding = 1},
     {17, 8, 31, 30}},
    {"few pixels, many channels", {.in_channels = 5, .out_channels = 27, .kernel_size = 3, .padding = 1}, {3, 5, 3, 4}},
    {"pixels with a stride, one by one",
     {.in_channels = 26, .out_channels = 10, .kernel_size = 3, .stride = 2, .padding = 1},
     {3, 26, 6, 5}},
    {"several runs of pixels, one by one",
     {.in_channels = 8, .out_channels = 24, .kernel_size = 5, .padding = 2, .groups = 2},
     {3, 8, 12, 11}},
    {"several runs of input channels", {.in_channels = 61, .out_channels = 7, .kernel_size = 3}, {3, 61, 4, 5}},
    {"input as large as the kernel", {.in_channels = 13, .out_channels = 11, .kernel_size = {4, 3}}, {3, 13, 4, 3}},
};

/// The definition, term by term.
Tensor<double> reference(const Conv2d<double>::Options& o, const Tensor<double>& x, const Tensor<double>& weight,
                         const Tensor<double>& bias, const Shape& output) {
  Tensor<double> y(output);
  const Index in_per_group = o.in_channels / o.groups, out_per_group = o.out_channels / o.groups;
  for (Index n = 0; n < output[0]; ++n)
    for (Index out = 0; out < output[1]; ++out)
      for (Index i = 0; i < output[2]; ++i)
        for (Index j = 0; j < output[3]; ++j) {
          double sum = o.bias ? bias[out] : 0;
          for (Index c = 0; c < in_per_group; ++c)
            for (Index u = 0; u < o.kernel_size.height; ++u)
              for (Index v = 0; v < o.kernel_size.width; ++v) {
                const Index row = i * o.stride.height + u * o.dilation.height - o.padding.height;
                const Index column = j * o.stride.width + v * o.dilation.width - o.padding.width;
                if (row < 0 || row >= x.shape()[2] || column < 0 || column >= x.shape()[3]) continue;
                sum += weight(out, c, u, v) * x(n, out / out_per_group * in_per_group + c, row, column);
              }
          y(n, out, i, j) = sum;
        }
  return y;
}

Conv2d<double> make(Conv2d<double>::Options options, ConvAlgorithm algorithm) {
  options.algorithm = algorithm;
  Conv2d<double> conv(options);
  conv.reset_parameters(Random(3));
  return conv;
}

}  // namespace

TEST_CASE("Conv2d computes its definition", "[conv2d]") {
  for (const Case& c : cases) {
    INFO(c.what);
    const Tensor<double> x = test::random_tensor<double>(c.input, 1);
    for (const auto algorithm : {ConvAlgorithm::direct, ConvAlgorithm::im2col}) {
      auto conv = make(c.options, algorithm);
      const Shape output = conv.output_shape(c.input);
      Batch<double> y(output, {1, 2});
      conv.forward(Batch<double>::from(x, conv.input_halo()), y, {});
      // At most 61 * 9 products, whose sum is about 1: their order alone differs.
      CHECK(test::max_difference(y.to_tensor(), reference(c.options, x, conv.weight().value, conv.bias().value, output)) < 1e-14);
      CHECK(test::border_is_zero(y));
    }
  }
}

TEST_CASE("Conv2d has the gradients of its definition", "[conv2d][gradient]") {
  for (const Case& c : cases) {
    INFO(c.what);
    for (const auto algorithm : {ConvAlgorithm::direct, ConvAlgorithm::im2col}) {
      auto conv = make(c.options, algorithm);
      const auto result = gradient_check(conv, c.input);
      INFO(result.message());
      CHECK(result.ok(1e-7));
    }
  }
}

TEST_CASE("Conv2d sums its parameter gradients over the whole batch", "[conv2d]") {
  // Large enough for many partial sums. Against the definition, term by term.
  const Shape input{17, 3, 31, 30};
  const Conv2d<double>::Options options{.in_channels = 3, .out_channels = 2, .kernel_size = 3, .stride = {1, 2}, .padding = 1};
  const Tensor<double> x = test::random_tensor<double>(input, 1);
  for (const auto algorithm : {ConvAlgorithm::direct, ConvAlgorithm::im2col}) {
    auto conv = make(options, algorithm);
    const auto batch = Batch<double>::from(x, conv.input_halo());
    const Tensor<double> dy = test::random_tensor<double>(conv.output_shape(input), 2);
    conv.backward_parameters(batch, batch, Batch<double>::from(dy, conv.gradient_halo()));
    Tensor<double> dweight({2, 3, 3, 3}), dbias({2});
    for (Index n = 0; n < dy.shape()[0]; ++n)
      for (Index o = 0; o < dy.shape()[1]; ++o)
        for (Index i = 0; i < dy.shape()[2]; ++i)
          for (Index j = 0; j < dy.shape()[3]; ++j) {
            dbias(o) += dy(n, o, i, j);
            for (Index k = 0; k < 27; ++k) {
              const Index row = i + k / 3 % 3 - 1, column = 2 * j + k % 3 - 1;
              if (row < 0 || row >= 31 || column < 0 || column >= 30) continue;
              dweight(o, k / 9, k / 3 % 3, k % 3) += dy(n, o, i, j) * x(n, k / 9, row, column);
            }
          }
    // Sums of 7,905 products below 1, which come to about 50.
    CHECK(test::max_difference(conv.weight().grad, dweight) < 1e-12);
    CHECK(test::max_difference(conv.bias().grad, dbias) < 1e-12);
  }
}

TEST_CASE("Conv2d: direct and im2col agree in every pass", "[conv2d]") {
  for (const Case& c : cases) {
    INFO(c.what);
    const Tensor<double> x = test::random_tensor<double>(c.input, 1);
    std::vector<Tensor<double>> results[2];
    for (const int which : {0, 1}) {
      auto conv = make(c.options, which == 0 ? ConvAlgorithm::direct : ConvAlgorithm::im2col);
      const Batch<double> input = Batch<double>::from(x, conv.input_halo());
      Batch<double> y(conv.output_shape(c.input)), dx(c.input);
      conv.forward(input, y, {});
      const auto dy = Batch<double>::from(test::random_tensor<double>(y.shape(), 2), conv.gradient_halo());
      conv.backward(input, y, dy, dx);
      results[which] = {y.to_tensor(), dx.to_tensor(), conv.weight().grad, conv.bias().grad};
    }
    for (std::size_t i = 0; i < results[0].size(); ++i) {
      CHECK(test::max_relative_difference(results[0][i], results[1][i]) < 1e-12);
    }
  }
}

TEST_CASE("Conv2d: set_algorithm works in a model that has planned its memory", "[conv2d]") {
  const Tensor<double> x = test::random_tensor<double>({11, 3, 7, 6}, 1);
  const auto gradient_of = [&](ConvAlgorithm first, ConvAlgorithm then) {
    Sequential<double> net(1);
    net.add(Conv2d<double>({.in_channels = 3, .out_channels = 4, .kernel_size = 3}));
    net.add(Conv2d<double>({.in_channels = 4, .out_channels = 2, .kernel_size = 3, .padding = 1, .algorithm = first}));
    auto& conv = dynamic_cast<Conv2d<double>&>(net[1]);
    const auto images = Batch<double>::from(x);
    net.forward(images);
    conv.set_algorithm(then);
    CHECK(conv.options().algorithm == then);
    const Batch<double>& y = net.forward(images);
    Batch<double> dx;
    net.backward(Batch<double>::from(test::random_tensor<double>(y.shape(), 2)), dx);
    return dx.to_tensor();
  };
  const Tensor<double> expected = gradient_of(ConvAlgorithm::direct, ConvAlgorithm::direct);
  CHECK(test::max_relative_difference(gradient_of(ConvAlgorithm::im2col, ConvAlgorithm::direct), expected) < 1e-12);
  CHECK(test::max_relative_difference(gradient_of(ConvAlgorithm::direct, ConvAlgorithm::im2col), expected) < 1e-12);
}

TEST_CASE("Conv2d gives the same bits at any number of threads", "[conv2d][threads]") {
  using Options = Conv2d<float>::Options;
  const Options strided{.in_channels = 6, .out_channels = 11, .kernel_size = 3, .stride = {1, 2}, .padding = 1};
  const Options depthwise{.in_channels = 6, .out_channels = 12, .kernel_size = 3, .padding = 1, .groups = 6};
  for (Options options : {strided, depthwise}) {
    for (const auto algorithm : {ConvAlgorithm::direct, ConvAlgorithm::im2col}) {
      options.algorithm = algorithm;
      const Shape input{70, 6, 24, 25};
      const Tensor<float> x = test::random_tensor<float>(input, 1);
      test::same_bits_at_any_thread_count([&] {
        Conv2d<float> conv(options);
        const auto batch = Batch<float>::from(x, conv.input_halo());
        Batch<float> y(conv.output_shape(input)), dx(input);
        conv.forward(batch, y, {});
        const auto dy = Batch<float>::from(test::random_tensor<float>(y.shape(), 2), conv.gradient_halo());
        conv.backward(batch, y, dy, dx);
        return std::vector<Tensor<float>>{y.to_tensor(), dx.to_tensor(), conv.weight().grad, conv.bias().grad};
      });
    }
  }
}

TEST_CASE("Conv2d in float stays within rounding of double", "[conv2d]") {
  const Shape input{18, 12, 9, 8};
  Conv2d<float> conv({.in_channels = 12, .out_channels = 10, .kernel_size = 3, .padding = 1, .algorithm = ConvAlgorithm::direct});
  Conv2d<double> exact({.in_channels = 12, .out_channels = 10, .kernel_size = 3, .padding = 1});
  for (Index i = 0; i < exact.weight().value.size(); ++i) exact.weight().value[i] = static_cast<double>(conv.weight().value[i]);
  for (Index i = 0; i < exact.bias().value.size(); ++i) exact.bias().value[i] = static_cast<double>(conv.bias().value[i]);
  const Tensor<float> x = test::random_tensor<float>(input, 1);
  Batch<float> y(conv.output_shape(input));
  conv.forward(Batch<float>::from(x, conv.input_halo()), y, {});
  Batch<double> expected(y.shape());
  exact.forward(Batch<double>::from(test::cast<double>(x), exact.input_halo()), expected, {});
  // 108 products of magnitude below 0.1: a rounding error of 108 * 2^-24 * 0.1 at the very worst.
  CHECK(test::max_difference(test::cast<double>(y.to_tensor()), expected.to_tensor()) < 7e-7);
}

TEST_CASE("Conv2d draws its parameters as PyTorch does", "[conv2d]") {
  Conv2d<float> conv({.in_channels = 8, .out_channels = 64, .kernel_size = {3, 5}, .groups = 2});
  CHECK(conv.weight().value.shape() == Shape{64, 4, 3, 5});
  const float bound = 1 / std::sqrt(60.0F);
  const auto [low, high] = std::minmax_element(conv.weight().value.span().begin(), conv.weight().value.span().end());
  CHECK((*low >= -bound && *low<-0.99F * bound&& * high <= bound&& * high> 0.99F * bound));
  const auto [bias_low, bias_high] = std::minmax_element(conv.bias().value.span().begin(), conv.bias().value.span().end());
  CHECK((*bias_low >= -bound && *bias_low<-0.8F * bound&& * bias_high <= bound&& * bias_high> 0.8F * bound));
  CHECK(conv.weight().value[0] != conv.bias().value[0]);
  Linear<float> linear(60, 300);
  const auto [linear_low, linear_high] =
      std::minmax_element(linear.bias().value.span().begin(), linear.bias().value.span().end());
  CHECK((*linear_low >= -bound && *linear_low<-0.8F * bound&& * linear_high <= bound&& * linear_high> 0.8F * bound));
  CHECK(linear.weight().value[0] != linear.bias().value[0]);
  const Tensor<float> first = conv.weight().value;
  conv.reset_parameters(Random(0));
  CHECK(conv.weight().value == first);
  conv.reset_parameters(Random(1));
  CHECK_FALSE(conv.weight().value == first);
}

TEST_CASE("Conv2d gets its options as they were given", "[conv2d]") {
  // By value, g++ 12.2 would hand over a padding of 3 here.
  Conv2d<float> conv({.in_channels = 3, .out_channels = 3, .kernel_size = 3, .stride = 3});
  CHECK(conv.options().stride == Pair(3));
  CHECK(conv.options().padding == Pair(0));
  CHECK(conv.options().dilation == Pair(1));
}

TEST_CASE("Linear computes its definition and has its gradients", "[linear]") {
  Linear<double> linear(7, 5);
  linear.reset_parameters(Random(2));
  const Tensor<double> x = test::random_tensor<double>({17, 7}, 1);
  Batch<double> y(Shape{17, 5});
  linear.forward(Batch<double>::from(x), y, {});
  Tensor<double> expected({17, 5});
  for (Index n = 0; n < 17; ++n)
    for (Index o = 0; o < 5; ++o) {
      expected(n, o) = linear.bias().value[o];
      for (Index i = 0; i < 7; ++i) expected(n, o) += linear.weight().value(o, i) * x(n, i);
    }
  CHECK(test::max_difference(y.to_tensor(), expected) < 1e-15);  // eight terms below 1
  for (const Shape& shape : {Shape{3, 7}, Shape{17, 7}, Shape{3, 7, 1, 1}}) {
    Linear<double> without_bias(7, 3, false);
    CHECK(gradient_check(without_bias, shape).ok(1e-7));
    CHECK(gradient_check(linear, shape).ok(1e-7));
  }
}

TEST_CASE("Conv2d and Linear say what is wrong", "[conv2d][linear][errors]") {
  using Options = Conv2d<float>::Options;
  CHECK_THROWS_WITH(Conv2d<float>(Options{.out_channels = 4}), "Conv2d: expected in_channels of at least 1, got 0");
  CHECK_THROWS_WITH(Conv2d<float>(Options{.in_channels = 3}), "Conv2d: expected out_channels of at least 1, got 0");
  CHECK_THROWS_WITH(Conv2d<float>(Options{.in_channels = 3, .out_channels = 4, .kernel_size = {3, 0}}),
                    "Conv2d: expected a kernel_size of at least 1, got 3x0");
  CHECK_THROWS_WITH(Conv2d<float>(Options{.in_channels = 3, .out_channels = 4, .stride = 0}),
                    "Conv2d: expected a stride of at least 1, got 0x0");
  CHECK_THROWS_WITH(Conv2d<float>(Options{.in_channels = 3, .out_channels = 4, .padding = Index{1} << 21}),
                    "Conv2d: expected a padding of at most 1048576, got 2097152x2097152");
  CHECK_THROWS_WITH(Conv2d<float>(Options{.in_channels = 3, .out_channels = 4, .padding = -1}),
                    "Conv2d: expected a padding of at least 0, got -1x-1");
  CHECK_THROWS_WITH(Conv2d<float>(Options{.in_channels = 3, .out_channels = 4, .dilation = {0, 1}}),
                    "Conv2d: expected a dilation of at least 1, got 0x1");
  CHECK_THROWS_WITH(Conv2d<float>(Options{.in_channels = 3, .out_channels = 4, .groups = 0}),
                    "Conv2d: expected groups of at least 1, got 0");
  CHECK_THROWS_WITH(Conv2d<float>(Options{.in_channels = 4, .out_channels = 6, .groups = 4}),
                    "Conv2d: expected channels that 4 groups divide, got 4 to 6");
  Conv2d<float> conv({.in_channels = 10, .out_channels = 20, .kernel_size = 3});
  CHECK_THROWS_WITH(conv.output_shape({128, 20, 14, 14}), "Conv2d: expected 10 input channels, got 20 (input 128x20x14x14)");
  CHECK_THROWS_WITH(conv.output_shape({128, 10}), "Conv2d: expected an input N x C x H x W, got 128x10");
  CHECK_THROWS_WITH(conv.output_shape({2, 10, 2, 9}),
                    "Conv2d: expected an input of at least 3x3 pixels with its padding, got 2x9 (input 2x10x2x9, padding 0x0)");
  Conv2d<float> strided({.in_channels = 10, .out_channels = 20, .kernel_size = 3, .stride = 2});
  CHECK_THROWS_WITH(strided.output_shape({2, 10, 9, 2}),
                    "Conv2d: expected an input of at least 3x3 pixels with its padding, got 9x2 (input 2x10x9x2, padding 0x0)");
  CHECK_THROWS_WITH(Linear<float>(0, 4), "Linear: expected in_features of at least 1, got 0");
  CHECK_THROWS_WITH(Linear<float>(4, -1), "Linear: expected out_features of at least 1, got -1");
  Linear<float> linear(40, 10);
  CHECK_THROWS_WITH(linear.output_shape({8, 41}), "Linear: expected 40 input features, got 41 (input 8x41)");
  CHECK_THROWS_WITH(linear.output_shape({8, 40, 2, 1}), "Linear: expected an input N x F or N x F x 1 x 1, got 8x40x2x1");
}
