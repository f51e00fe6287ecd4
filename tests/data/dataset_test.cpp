// Tests of the data set in memory, its statistics and the transforms of its images.
#include <normnet/data/dataset.hpp>
#include <normnet/data/statistics.hpp>
#include <normnet/data/transforms.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace normnet;

namespace {

// Three images of 2x2x3 whose bytes count up from 0.
Dataset counting() {
  std::vector<std::uint8_t> bytes(36);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return Dataset({.channels = 2, .height = 2, .width = 3, .class_names = {"a", "b"}, .synthetic = true}, bytes, {1, 0, 1});
}

}  // namespace

TEST_CASE("A data set gives back its images, labels and names") {
  const Dataset data = counting();
  CHECK(data.size() == 3);
  CHECK(data.image_bytes() == 12);
  CHECK(data.image(1).size() == 12);
  CHECK(data.image(1)[0] == 12);
  CHECK(data.image(2)[11] == 35);
  CHECK(data.label(0) == 1);
  CHECK(data.label(1) == 0);
  CHECK(data.classes() == 2);
  CHECK(data.class_names()[1] == "b");
  CHECK(data.synthetic());
  CHECK(Dataset().empty());
  CHECK(Dataset().classes() == 0);

  CHECK_THROWS_WITH(data.image(3), "Dataset: no image 3 among 3");
  CHECK_THROWS_WITH(data.label(-1), "Dataset: no image -1 among 3");
}

TEST_CASE("The first images of a data set are a data set of their own") {
  const Dataset data = counting();
  const Dataset two = data.first(2);
  CHECK(two.size() == 2);
  CHECK(two.image(1)[11] == 23);
  CHECK(two.label(1) == 0);
  CHECK(two.class_names() == data.class_names());
  CHECK(two.synthetic());
  CHECK(data.first(0).empty());
  CHECK_THROWS_WITH(data.first(4), "Dataset: expected a number of images from 0 to 3 to take, got 4");
  CHECK_THROWS_WITH(data.first(-1), "Dataset: expected a number of images from 0 to 3 to take, got -1");
}

TEST_CASE("A data set refuses what does not fit together") {
  const auto make = [](Index width, std::size_t bytes, std::vector<int> labels) {
    return Dataset({.channels = 2, .height = 2, .width = width, .class_names = {"a", "b"}}, std::vector<std::uint8_t>(bytes),
                   labels);
  };
  CHECK_NOTHROW(make(3, 24, {0, 1}));
  CHECK_THROWS_WITH(make(3, 23, {0, 1}), "Dataset: expected 24 bytes for images of shape 2x2x2x3, got 23");
  CHECK_THROWS_WITH(make(3, 24, {0, 2}),
                    "Dataset: expected labels of at least 0 and below 2 (the class names), got 2 for image 1");
  CHECK_THROWS_WITH(make(3, 24, {-1, 0}),
                    "Dataset: expected labels of at least 0 and below 2 (the class names), got -1 for image 0");
  CHECK_THROWS_WITH(make(0, 0, {0}), "Dataset: expected extents of at least 1, got images of 2x2x0");
}

TEST_CASE("Channel statistics are the mean and population standard deviation of byte / 255") {
  // 2,500 images, more than two chunks; channel 0 is constant, channel 1 takes 0 and 255 in turn.
  const Index images = 2500;
  std::vector<std::uint8_t> bytes;
  for (Index i = 0; i < images; ++i) bytes.insert(bytes.end(), {51, 51, 0, 255});
  const Dataset data({.channels = 2, .height = 1, .width = 2, .class_names = {"only"}}, bytes, std::vector<int>(2500, 0));
  const ChannelStatistics statistics = channel_statistics(data);
  CHECK(statistics.mean == std::vector<double>{0.2, 0.5});
  CHECK(statistics.std == std::vector<double>{0.0, 0.5});

  // Against the definition, with a variance far below the mean's square; 1e-13: both sum at most 12 terms in double.
  const ChannelStatistics counted = channel_statistics(counting());
  for (std::size_t c = 0; c < 2; ++c) {
    double mean = 0, squares = 0;
    for (Index i = 0; i < 3; ++i) {
      for (std::size_t p = 0; p < 6; ++p) mean += counting().image(i)[c * 6 + p] / 255.0 / 18;
    }
    for (Index i = 0; i < 3; ++i) {
      for (std::size_t p = 0; p < 6; ++p) squares += std::pow(counting().image(i)[c * 6 + p] / 255.0 - mean, 2) / 18;
    }
    CHECK(counted.mean[c] == Approx(mean).epsilon(1e-13));
    CHECK(counted.std[c] == Approx(std::sqrt(squares)).epsilon(1e-13));
  }
  CHECK_THROWS_WITH(channel_statistics(Dataset()), "channel_statistics: expected at least one image, got none");
}

TEST_CASE("Normalize is (byte / 255 - mean) / std") {
  const auto standard = Normalize{}.tables<double>(3);
  CHECK(standard.size() == 3);
  CHECK(standard[2][0] == -1);
  CHECK(standard[2][255] == 1);

  const auto each = Normalize{.mean = {0.1, 0.7}, .std = {0.5, 0.25}}.tables<float>(2);
  CHECK(each[0][51] == static_cast<float>((51 / 255.0 - 0.1) / 0.5));
  CHECK(each[1][200] == static_cast<float>((200 / 255.0 - 0.7) / 0.25));

  const auto tables = [](std::vector<double> mean, std::vector<double> std) { return Normalize{mean, std}.tables<float>(3); };
  CHECK_THROWS_WITH(tables({0, 0}, {1, 1}),
                    "Normalize: expected 1 or 3 means and as many stds for images of 3 channels, got 2 and 2");
  CHECK_THROWS_WITH(tables({0, 0, 0}, {1}),
                    "Normalize: expected 1 or 3 means and as many stds for images of 3 channels, got 3 and 1");
  CHECK_THROWS_WITH(tables({}, {}), "Normalize: expected 1 or 3 means and as many stds for images of 3 channels, got 0 and 0");
  CHECK_THROWS_WITH(tables({0}, {0}), "Normalize: expected a finite std above 0, got 0 for channel 0");
  CHECK_THROWS_WITH(tables({0, 0, 0}, {1, 1, -1}), "Normalize: expected a finite std above 0, got -1 for channel 2");
  CHECK_THROWS_AS(tables({0}, {std::numeric_limits<double>::quiet_NaN()}), Error);
  CHECK_THROWS_WITH(tables({0}, {std::numeric_limits<double>::infinity()}),
                    "Normalize: expected a finite std above 0, got inf for channel 0");
  CHECK_THROWS_AS(tables({std::numeric_limits<double>::infinity()}, {1}), Error);
}

TEST_CASE("A placement shifts, pads with zeros, then flips") {
  const std::vector<std::uint8_t> plane{1, 2, 3, 4, 5, 6};  // 2 x 3
  const auto placed = [&](Placement placement) {
    std::vector<std::uint8_t> result(6, 99);
    for (Index y = 0; y < 2; ++y) placement.copy_row(plane, y, std::span(result).subspan(static_cast<std::size_t>(3 * y), 3));
    return result;
  };
  using Bytes = std::vector<std::uint8_t>;
  CHECK(placed({}) == plane);
  CHECK(placed({.flip = true}) == Bytes{3, 2, 1, 6, 5, 4});
  CHECK(placed({.dy = 1}) == Bytes{4, 5, 6, 0, 0, 0});
  CHECK(placed({.dy = -1}) == Bytes{0, 0, 0, 1, 2, 3});
  CHECK(placed({.dx = 1}) == Bytes{2, 3, 0, 5, 6, 0});
  CHECK(placed({.dx = -2}) == Bytes{0, 0, 1, 0, 0, 4});
  CHECK(placed({.dx = 1, .flip = true}) == Bytes{0, 3, 2, 0, 6, 5});
  CHECK(placed({.dx = -2, .flip = true}) == Bytes{1, 0, 0, 4, 0, 0});
  CHECK(placed({.dy = 1, .dx = -1, .flip = true}) == Bytes{5, 4, 0, 0, 0, 0});
  CHECK(placed({.dx = 3}) == Bytes(6, 0));
  CHECK(placed({.dx = -5}) == Bytes(6, 0));
}

TEST_CASE("Augmentation draws every offset equally often, and flips with its probability") {
  const Augmentation augmentation{.crop_padding = 4, .flip_probability = 0.25};
  const Random epoch(7);
  std::map<Index, int> down, right;
  int flips = 0, on_the_diagonal = 0;
  const int images = 9000;
  for (int i = 0; i < images; ++i) {
    const Placement placement = augmentation.draw(epoch, i);
    CHECK(placement == augmentation.draw(epoch, i));
    ++down[placement.dy];
    ++right[placement.dx];
    flips += placement.flip;
    on_the_diagonal += placement.dy == placement.dx;
  }
  CHECK(flips == Approx(images * 0.25).margin(4 * std::sqrt(images * 0.25 * 0.75)));  // four standard deviations
  for (const auto& counts : {down, right}) {
    CHECK(counts.size() == 9);
    CHECK(counts.begin()->first == -4);
    for (const auto& [offset, count] : counts) CHECK(count == Approx(1000).margin(4 * std::sqrt(1000.0)));
  }
  CHECK(on_the_diagonal == Approx(1000).margin(4 * std::sqrt(1000.0)));
  CHECK(Augmentation{}.draw(epoch, 5) == Placement{});
  CHECK(Augmentation{.flip_probability = 1}.draw(epoch, 5) == Placement{.flip = true});
  CHECK_FALSE(Augmentation{}.enabled());
  CHECK(Augmentation{.crop_padding = 1}.enabled());
  CHECK(Augmentation{.flip_probability = 0.5}.enabled());

  const auto check = [](Augmentation wrong) { wrong.check(); };
  CHECK_THROWS_WITH(check({.crop_padding = -1}), "Augmentation: expected a crop_padding of at least 0, got -1");
  CHECK_THROWS_WITH(check({.flip_probability = 1.5}), "Augmentation: expected a flip_probability from 0 to 1, got 1.5");
  CHECK_THROWS_AS(check({.flip_probability = std::numeric_limits<double>::quiet_NaN()}), Error);
}

TEST_CASE("What augmentation draws for an image says nothing of its neighbours") {
  const Augmentation augment{.crop_padding = 7, .flip_probability = 0.5};
  const Random epoch(3);
  constexpr Index images = 4000;
  // How often two of the six draws of neighbouring images fall on the same side of their middle.
  const auto sides = [&](Index image) {
    const Placement placed = augment.draw(epoch, image);
    return std::array{placed.dy < 0, placed.dx < 0, placed.flip};
  };
  std::array<std::array<int, 6>, 6> same{};
  for (Index image = 0; image < images; ++image) {
    const auto of_image = sides(image), of_next = sides(image + 1);
    std::array<bool, 6> all{};
    std::copy(of_image.begin(), of_image.end(), all.begin());
    std::copy(of_next.begin(), of_next.end(), all.begin() + 3);
    for (std::size_t i = 0; i < 6; ++i) {
      for (std::size_t j = 0; j < i; ++j) same[i][j] += all[i] == all[j];
    }
  }
  for (std::size_t i = 0; i < 6; ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      INFO(i << " and " << j);
      CHECK(std::abs(same[i][j] - images / 2) < 200);  // the standard deviation is 32
    }
  }
}
