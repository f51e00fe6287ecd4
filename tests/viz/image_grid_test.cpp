// Galleries of small images.
#include "support/catch.hpp"
#include "viz/support.hpp"

#include <normnet/viz/image_grid.hpp>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace normnet::viz {
namespace {

/// channels x height x width bytes; pixel i of channel c is base + 40 c + i.
std::vector<std::uint8_t> picture(Index channels, Index pixels, int base) {
  std::vector<std::uint8_t> bytes;
  for (Index c = 0; c < channels; ++c) {
    for (Index i = 0; i < pixels; ++i) bytes.push_back(static_cast<std::uint8_t>(base + 40 * c + i));
  }
  return bytes;
}

TEST_CASE("a gallery shows its images in rows", "[viz]") {
  ImageGrid grid({.height = 2, .width = 3, .columns = 2, .scale = 20, .font = Font::builtin()});
  for (int i = 0; i < 3; ++i) {
    grid.add({.pixels = picture(3, 6, 10 * i), .highlight = i == 1});
  }
  const Image image = grid.render();
  // Two columns of 60 and two rows of 40 pixels, gaps of 20, margins of 24.
  REQUIRE(image.width() == 24 + 60 + 20 + 60 + 24);
  REQUIRE(image.height() == 24 + 40 + 20 + 40 + 24);
  const auto color = [](int base, int pixel) {
    const int first = base + pixel;
    return Color{static_cast<std::uint8_t>(first), static_cast<std::uint8_t>(first + 40), static_cast<std::uint8_t>(first + 80)};
  };
  CHECK(image.get(24, 24) == color(0, 0));
  CHECK(image.get(24 + 59, 24 + 39) == color(0, 5));
  CHECK(image.get(24 + 19, 24 + 20) == color(0, 3));
  CHECK(image.get(24 + 20, 24 + 19) == color(0, 1));
  CHECK(image.get(104, 24) == color(10, 0));
  CHECK(image.get(24, 84) == color(20, 0));
  CHECK(image.get(104, 84) == white);  // no fourth image
  const Color accent{213, 94, 0};
  CHECK(image.get(100, 20) == accent);  // the frame, 4 pixels wide
  CHECK(image.get(99, 20) == white);
  CHECK(image.get(104 + 63, 24 + 43) == accent);
  CHECK(image.get(23, 24) == white);
  CHECK(count(image, image.bounds(), accent) == 68 * 48 - 60 * 40);
}

TEST_CASE("captions stand under their images", "[viz]") {
  const Color accent{213, 94, 0}, ink{38, 38, 38};
  const auto shown = [&](const std::string& caption, bool highlight) {
    ImageGrid grid({.height = 4, .width = 2, .channels = 1, .columns = 3, .scale = 10, .font = Font::builtin()});
    const std::vector<std::uint8_t> bytes = picture(1, 8, 100);
    grid.add({.pixels = bytes, .caption = caption, .highlight = highlight});
    grid.add({.pixels = bytes, .caption = "dog"});
    return grid.render();
  };
  const Image two_lines = shown("cat\nfrog", true);
  const Image one_line = shown("cat", false);
  CHECK(two_lines.height() - one_line.height() == std::lround(Font::builtin().line_height(16)));
  CHECK(count(one_line, one_line.bounds(), accent) == 0);
  const Rect captions{0, 24 + 40 + 4, two_lines.width(), two_lines.height() - 68};
  CHECK(count(two_lines, captions, accent) > 10);
  CHECK(count(two_lines, captions, ink) > 10);
  // The accent is the last line's: "frog" in the second line, while "cat" and the other image's "dog" are in the first.
  const Index second = 24 + 40 + 10 + std::lround(Font::builtin().line_height(16));
  CHECK(count(two_lines, {0, 68, two_lines.width(), second - 68}, accent) == 0);
  CHECK(count(two_lines, {0, second, two_lines.width(), two_lines.height() - second}, ink) == 0);
  // However long a caption is, it stays in its cell: six ems where the image is narrower.
  const Image endless = shown(std::string(400, 'W'), false);
  CHECK(endless.width() == 24 + 96 + 20 + 96 + 24);
  CHECK(count(endless, {24 + 97, 24 + 40, 18, 40}, ink) == 0);
}

TEST_CASE("rows have titles, and places may stay empty", "[viz]") {
  const std::vector<std::uint8_t> bytes = picture(1, 4, 100);
  const auto shown = [&](std::vector<std::string> titles) {
    ImageGrid grid({.height = 2,
                    .width = 2,
                    .channels = 1,
                    .columns = 2,
                    .scale = 20,
                    .row_titles = std::move(titles),
                    .font = Font::builtin()});
    grid.add({}).add({.pixels = bytes}).add({.pixels = bytes});
    return grid.render();
  };
  const Image without = shown({}), with = shown({"cat", "frog"});
  const Index before = with.width() - without.width();
  CHECK(before == static_cast<Index>(std::ceil(Font::builtin().width("frog", 16))) + 20);
  CHECK(with.get(24 + before, 24) == white);
  CHECK(with.get(24 + before + 60, 24) == Color{100, 100, 100});
  CHECK(with.get(24 + before, 24 + 60) == Color{100, 100, 100});
  for (const Index row : {0, 1}) CHECK(count(with, {24, 24 + 60 * row, before, 40}, {38, 38, 38}) > 5);
}

TEST_CASE("a gallery without images is a picture too", "[viz]") {
  const Image image = ImageGrid({.title = "Misclassified", .font = Font::builtin()}).render();
  CHECK(image.width() >= 208);
  CHECK(count(image, image.bounds(), {38, 38, 38}) > 10);  // the title
  CHECK(count(image, image.bounds(), {89, 89, 89}) > 10);  // "no images"
}

TEST_CASE("a gallery says what is wrong", "[viz]") {
  const Font font = Font::builtin();
  const std::vector<std::uint8_t> bytes(3071);
  ImageGrid grid({.font = font});
  grid.add({.pixels = std::vector<std::uint8_t>(3072)});
  CHECK(message_of([&] { grid.add({.pixels = bytes}); }) == "ImageGrid: expected 3072 bytes (3x32x32) in tile 1, got 3071");
  CHECK(message_of([&] { ImageGrid({.height = 0, .font = font}); }) ==
        "ImageGrid: expected images of at least 1x1 pixels, got 32x0");
  CHECK(message_of([&] { ImageGrid({.channels = 2, .font = font}); }) == "ImageGrid: expected 1 or 3 channels, got 2");
  CHECK(message_of([&] { ImageGrid({.columns = 0, .font = font}); }) == "ImageGrid: expected at least 1 column, got 0");
  CHECK(message_of([&] { ImageGrid({.scale = 0, .font = font}); }) == "ImageGrid: expected a scale of at least 1, got 0");
}

}  // namespace
}  // namespace normnet::viz
