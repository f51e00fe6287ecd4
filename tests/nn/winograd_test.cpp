// Conv2d by Winograd's algorithm: tiles, against the direct one in every pass, gradients, rounding error, bits, choice, messages.
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <normnet/nn/conv2d.hpp>
#include <normnet/testing/gradient_check.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <vector>

using namespace normnet;

namespace {

struct Case {
  const char* what;
  Index in_channels, out_channels;
  Pair padding;
  Index groups;
  Shape input;
};

// Tiles of 4x4, 4x2, 2x4 and 2x2 that fill a plane or hang over it, register tiles that overlap, a last block that is not full.
const std::vector<Case> cases{
    {"one pixel", 3, 5, 0, 1, {3, 3, 3, 3}},
    {"half tiles", 4, 3, 0, 1, {17, 4, 5, 7}},
    {"a tile", 8, 10, 1, 1, {3, 8, 4, 4}},
    {"tiles that hang over", 7, 11, 1, 1, {9, 7, 14, 9}},
    {"wide", 2, 3, {0, 1}, 1, {3, 2, 4, 21}},
    {"all extents of tiles", 5, 7, 1, 1, {19, 5, 6, 9}},
    {"padding of all taps", 3, 4, 2, 1, {3, 3, 6, 5}},
    {"padding beyond the kernel", 2, 3, {3, 4}, 1, {3, 2, 4, 3}},
    {"groups", 6, 9, 1, 3, {3, 6, 9, 8}},
    {"depthwise", 5, 10, 1, 5, {3, 5, 6, 7}},
    {"several runs and strips", 13, 12, 1, 1, {19, 13, 31, 30}},
    {"many channels on a small plane", 70, 66, 1, 1, {35, 70, 4, 4}},
    {"channels that a thread shares with others, in groups", 200, 120, 1, 2, {3, 200, 5, 4}},
    {"pairs of images in a pack", 10, 20, 1, 1, {21, 10, 9, 10}},
    {"output channels in shares", 21, 151, 1, 1, {19, 21, 6, 5}},
    {"register tiles of output channels that overlap", 5, 56, 1, 1, {19, 5, 14, 13}},
};

template <class T>
Conv2d<T> make(const Case& c, ConvAlgorithm algorithm) {
  Conv2d<T> conv({.in_channels = c.in_channels,
                  .out_channels = c.out_channels,
                  .kernel_size = 3,
                  .padding = c.padding,
                  .groups = c.groups,
                  .algorithm = algorithm});
  conv.reset_parameters(Random(3));
  return conv;
}

/// Output, input gradient and weight gradient, in double whatever they were computed in, of the numbers of a draw. The parameters
/// are those of `weights`.
template <class T>
std::array<Tensor<double>, 3> passes(const Case& c, ConvAlgorithm algorithm, const Conv2d<float>* weights = nullptr,
                                     std::uint64_t draw = 0) {
  auto conv = make<T>(c, algorithm);
  if (weights != nullptr) {
    auto& source = const_cast<Conv2d<float>&>(*weights);
    conv.weight().value = test::cast<T>(source.weight().value);
    conv.bias().value = test::cast<T>(source.bias().value);
  }
  const auto x = Batch<T>::from(test::cast<T>(test::random_tensor<float>(c.input, 2 * draw + 1)), conv.input_halo());
  Batch<T> y(conv.output_shape(c.input), {1, 2}), dx(c.input, {2, 1});
  conv.forward(x, y, {});
  const auto dy = Batch<T>::from(test::cast<T>(test::random_tensor<float>(y.shape(), 2 * draw + 2)), conv.gradient_halo());
  conv.backward(x, y, dy, dx);
  CHECK(test::border_is_zero(y));
  CHECK(test::border_is_zero(dx));
  return {test::cast<double>(y.to_tensor()), test::cast<double>(dx.to_tensor()), test::cast<double>(conv.weight().grad)};
}

}  // namespace

TEST_CASE("Winograd's tiles cover each pixel of a plane once", "[conv2d][winograd]") {
  for (Index height = 1; height < 14; ++height) {
    for (Index width = 1; width < 14; ++width) {
      for (const Pair largest : {Pair(2), Pair(4), Pair(4, 2)}) {
        for (const Index together : {1, 2, 3, 8, 200}) {
          INFO(height << "x" << width << ", " << largest << ", " << together);
          std::vector<int> covered(static_cast<std::size_t>(height * width));
          const auto tiles = normnet_impl::winograd_tiles_in_groups({height, width}, largest, together);
          for (Index t = 0; t < tiles.size(); ++t) {
            const auto& tile = tiles[t];
            CHECK(tile.has_extents_of(tiles[t - t % together]));
            CHECK((tile.height <= largest.height && tile.width <= largest.width));
            CHECK(std::ssize(tile.positions()) == (tile.height + 2) * (tile.width + 2));
            for (Index i = tile.row; i < std::min(height, tile.row + tile.height); ++i) {
              for (Index j = tile.column; j < std::min(width, tile.column + tile.width); ++j) {
                ++covered[static_cast<std::size_t>(i * width + j)];
              }
            }
          }
          CHECK(std::ranges::all_of(covered, [](int times) { return times == 1; }));
        }
      }
    }
  }
}

TEST_CASE("Winograd multiplies as often as its tiles have positions", "[conv2d][winograd]") {
  // 14: three tiles of 4 pixels and one of 2, 22 points; 7: two of 4, 12 points; 3: two of 2, 8 points.
  CHECK(normnet_impl::winograd_multiplications({14, 7}) == 22 * 12);
  CHECK(normnet_impl::winograd_multiplications({14, 3}) == 22 * 8);
  CHECK(normnet_impl::winograd_multiplications({14, 7}, 2) == 28 * 16);
  CHECK(normnet_impl::winograd_multiplications({14, 7}, {4, 2}) == 22 * 16);
  for (const Pair plane : {Pair(14, 7), Pair(3, 9), Pair(5, 2)}) {
    Index positions = 0;
    for (const auto& tile : normnet_impl::winograd_tiles(plane)) positions += std::ssize(tile.positions());
    CHECK(positions == normnet_impl::winograd_multiplications(plane));
  }
}

TEST_CASE("Winograd's tiles of a batch are those of its blocks, in parts of as many positions", "[conv2d][winograd]") {
  const Pair plane{14, 9};  // 4 x 3 tiles: 3 x 2 of 4x4, 3 of 4x2, 2 of 2x4, one of 2x2
  const Index blocks = 5, parts = 4;
  const normnet_impl::WinogradTilesOfBatch tiles(plane, 4, blocks);
  REQUIRE(tiles.count() == 60);
  std::vector<int> covered(static_cast<std::size_t>(blocks * plane.height * plane.width));
  CHECK(tiles.first_of_part(0, parts) == 0);
  CHECK(tiles.first_of_part(parts, parts) == tiles.count());
  for (Index part = 0; part < parts; ++part) {
    Index positions = 0;
    for (Index t = tiles.first_of_part(part, parts); t < tiles.first_of_part(part + 1, parts); ++t) {
      const auto [block, tile] = tiles[t];
      ++covered[static_cast<std::size_t>((block * plane.height + tile.row) * plane.width + tile.column)];
      positions += std::ssize(tile.positions());
      if (t > 0) CHECK(std::ssize(tiles[t - 1].tile.positions()) >= std::ssize(tile.positions()));
    }
    // A quarter of 5 (6 36 + 5 24 + 16) is 440; a part may begin and end within a tile.
    CHECK(std::abs(positions - 440) <= 36);
  }
  CHECK(std::ranges::count(covered, 1) == 60);
}

TEST_CASE("Winograd agrees with the direct algorithm in every pass", "[conv2d][winograd]") {
  for (const Case& c : cases) {
    INFO(c.what);
    const auto expected = passes<double>(c, ConvAlgorithm::direct), given = passes<double>(c, ConvAlgorithm::winograd);
    // Sums of up to 17,670 products; their transforms lose a digit.
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(test::max_relative_difference(given[i], expected[i]) < 1e-13);
  }
}

TEST_CASE("Winograd in float agrees with the direct algorithm in double", "[conv2d][winograd]") {
  for (const Case& c : cases) {
    INFO(c.what);
    const auto weights = make<float>(c, ConvAlgorithm::direct);
    const auto expected = passes<double>(c, ConvAlgorithm::direct, &weights);
    const auto given = passes<float>(c, ConvAlgorithm::winograd, &weights);
    // Twice what is seen. A product that is missing, or counted twice, makes a thousandth and more.
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(test::max_relative_difference(given[i], expected[i]) < 4e-6);
  }
}

TEST_CASE("Winograd has the gradients of its definition", "[conv2d][winograd][gradient]") {
  for (const Case& c : cases) {
    if (c.input[2] > 20 || c.in_channels > 20) continue;
    INFO(c.what);
    auto conv = make<double>(c, ConvAlgorithm::winograd);
    const auto result = gradient_check(conv, c.input);
    INFO(result.message());
    CHECK(result.ok(1e-7));
  }
}

TEST_CASE("Winograd's rounding error in float is less than four times that of the direct algorithm", "[conv2d][winograd]") {
  const std::vector<Case> shapes{
      {"10->20", 10, 20, 0, 1, {19, 10, 30, 30}},     {"30->40", 30, 40, 1, 1, {19, 30, 14, 14}},
      {"64->32", 64, 32, 1, 1, {19, 64, 8, 8}},       {"odd plane", 16, 10, 1, 1, {19, 16, 13, 11}},
      {"2x2 tiles", 20, 30, 0, 1, {19, 20, 5, 5}},    {"all extents of tiles", 20, 30, 1, 1, {19, 20, 6, 5}},
      {"few channels", 3, 16, 1, 1, {19, 3, 32, 32}}, {"whole batch", 130, 120, 1, 1, {35, 130, 4, 4}},
      {"many tiles", 4, 16, 1, 1, {19, 4, 120, 118}}, {"few tiles", 64, 64, 1, 1, {17, 64, 8, 8}}};
  for (const Case& c : shapes) {
    INFO(c.what);
    const auto weights = make<float>(c, ConvAlgorithm::direct);
    // Of four draws: the greatest error of a single one varies by half.
    std::array<double, 3> of_winograd{}, of_direct{};
    for (std::uint64_t draw = 0; draw < 4; ++draw) {
      const auto exact = passes<double>(c, ConvAlgorithm::direct, &weights, draw);
      const auto direct = passes<float>(c, ConvAlgorithm::direct, &weights, draw);
      const auto winograd = passes<float>(c, ConvAlgorithm::winograd, &weights, draw);
      for (std::size_t i = 0; i < exact.size(); ++i) {
        of_winograd[i] = std::max(of_winograd[i], test::max_difference(winograd[i], exact[i]));
        of_direct[i] = std::max(of_direct[i], test::max_difference(direct[i], exact[i]));
      }
    }
    for (std::size_t i = 0; i < of_direct.size(); ++i) {
      INFO("pass " << i);
      CHECK(of_winograd[i] < 4 * of_direct[i]);
    }
  }
}

TEST_CASE("Winograd gives the same bits at any number of threads", "[conv2d][winograd][threads]") {
  for (const Case& c :
       {Case{"block by block", 11, 13, 1, 1, {70, 11, 24, 25}}, Case{"whole batch", 130, 120, 1, 1, {35, 130, 4, 4}},
        Case{"more threads than parts of the batch", 30, 40, 1, 1, {3, 30, 8, 7}}}) {
    INFO(c.what);
    test::same_bits_at_any_thread_count([&] {
      const auto results = passes<float>(c, ConvAlgorithm::winograd);
      return std::vector<Tensor<double>>(results.begin(), results.end());
    });
  }
}

TEST_CASE("Winograd for a whole batch computes what it does block by block", "[conv2d][winograd]") {
  std::vector<Case> also = cases;
  also.push_back({"several runs of input channels", 530, 7, 1, 1, {3, 530, 2, 3}});
  for (const Case& c : also) {
    INFO(c.what);
    auto conv = make<double>(c, ConvAlgorithm::winograd);
    const ConvGeometry geometry{
        .in_channels = c.in_channels, .out_channels = c.out_channels, .kernel = 3, .padding = c.padding, .groups = c.groups};
    const auto x = Batch<double>::from(test::random_tensor<double>(c.input, 1));
    const auto dy = Batch<double>::from(test::random_tensor<double>(conv.output_shape(c.input), 2));
    const double *weight = conv.weight().value.data(), *bias = conv.bias().value.data();
    normnet_impl::Pointwise<double> relu;
    relu.append_relu();
    const auto check = [](const normnet_impl::WinogradProblem<double>& problem, const Batch<double>& from, const Shape& shape) {
      Batch<double> by_blocks(shape), at_once(shape, {2, 1});
      BlockSchedule schedule(from.blocks());
      schedule.each_part(normnet_impl::WinogradCorrelation<double>(problem), from, by_blocks);
      schedule.run();
      normnet_impl::WinogradBatch<double>(problem, from, at_once).run();
      // Where the two take tiles of different sizes, another rounding.
      CHECK(test::max_relative_difference(at_once.to_tensor(), by_blocks.to_tensor()) < 1e-13);
      CHECK(test::border_is_zero(at_once));
    };
    check(normnet_impl::winograd_forward(geometry, {dy.height(), dy.width()}, weight, bias, relu), x, dy.shape());
    check(normnet_impl::winograd_input_gradient(geometry, {x.height(), x.width()}, weight), dy, x.shape());
  }
}

TEST_CASE("Winograd takes a whole batch where weights are many and tiles few", "[conv2d][winograd]") {
  const auto takes_batch = [](Index channels, Index side, Index blocks) {
    const ConvGeometry conv{.in_channels = channels, .out_channels = channels, .kernel = 3, .padding = 1};
    return normnet_impl::winograd_takes_batch(normnet_impl::winograd_forward<float>(conv, side, nullptr, nullptr), blocks);
  };
  CHECK(takes_batch(512, 4, 8));
  CHECK(!takes_batch(512, 4, 1));
  CHECK(!takes_batch(512, 32, 8));
  CHECK(!takes_batch(64, 4, 8));
}

TEST_CASE("The automatic algorithm of a convolution computes what the direct one does", "[conv2d][winograd]") {
  using normnet_impl::ConvPass, normnet_impl::fastest_algorithm;
  const ConvGeometry conv{.in_channels = 30, .out_channels = 40, .kernel = 3};
  for (const ConvPass pass : {ConvPass::forward, ConvPass::input_gradient, ConvPass::weight_gradient}) {
    CHECK(fastest_algorithm<float>(conv, {14, 14}, pass) == ConvAlgorithm::winograd);
    CHECK(fastest_algorithm<float>(conv, {3, 3}, pass) == ConvAlgorithm::direct);
    CHECK(fastest_algorithm<double>(conv, {14, 14}, pass) == ConvAlgorithm::direct);
    CHECK(fastest_algorithm<float>({.in_channels = 8, .out_channels = 8, .kernel = 3, .groups = 8}, {32, 32}, pass) ==
          ConvAlgorithm::direct);
  }
  const ConvGeometry of_pixels{.in_channels = 3, .out_channels = 64, .kernel = 3};
  CHECK(fastest_algorithm<float>(of_pixels, {32, 32}, ConvPass::forward) == ConvAlgorithm::direct);
  CHECK(fastest_algorithm<float>(of_pixels, {32, 32}, ConvPass::input_gradient) == ConvAlgorithm::winograd);

  for (const Index side : {3, 5, 7, 12}) {
    const Case c{"", 9, 10, 0, 1, {19, 9, side, side + 1}};
    INFO(c.input);
    const auto expected = passes<float>(c, ConvAlgorithm::direct), given = passes<float>(c, ConvAlgorithm::automatic);
    for (std::size_t i = 0; i < expected.size(); ++i) CHECK(test::max_relative_difference(given[i], expected[i]) < 2e-6);
  }
}

TEST_CASE("A batch without images leaves the gradient of a convolution's weight as it is", "[conv2d][winograd]") {
  for (const auto algorithm : {ConvAlgorithm::direct, ConvAlgorithm::im2col, ConvAlgorithm::winograd}) {
    const Case c{"", 3, 5, 1, 1, {0, 3, 6, 7}};
    CHECK(test::max_difference(passes<float>(c, algorithm)[2], Tensor<double>({5, 3, 3, 3})) == 0);
  }
}

TEST_CASE("Winograd says what it cannot compute", "[conv2d][winograd][errors]") {
  using Options = Conv2d<float>::Options;
  const char* const message =
      "Conv2d: expected a 3x3 kernel, stride 1 and dilation 1 for ConvAlgorithm::winograd, got a kernel of 3x3, stride 2x1, "
      "dilation 1x1";
  CHECK_THROWS_WITH(
      Conv2d<float>(
          Options{.in_channels = 3, .out_channels = 4, .kernel_size = 3, .stride = {2, 1}, .algorithm = ConvAlgorithm::winograd}),
      message);
  Conv2d<float> conv({.in_channels = 3, .out_channels = 4, .kernel_size = 3, .stride = {2, 1}});
  CHECK_THROWS_WITH(conv.set_algorithm(ConvAlgorithm::winograd), message);
  CHECK(conv.options().algorithm == ConvAlgorithm::automatic);
}
