// The canvas, PNG files, and strokes: pixels at known places, exact messages, and files that survive a failed write.
#include "support/catch.hpp"
#include "viz/support.hpp"

#include <normnet/viz/image.hpp>
#include <normnet/viz/png.hpp>
#include <normnet/viz/polyline.hpp>

#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <stb_image.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

// Defined in two_units_test.cpp, which includes the same headers.
std::string message_from_the_other_unit(const std::filesystem::path& path);

namespace normnet::viz {
namespace {

using namespace normnet_impl;

namespace fs = std::filesystem;

constexpr Color red{255, 0, 0};
constexpr Color blue{0, 0, 255};

TEST_CASE("an image keeps its pixels and cuts what lies outside", "[viz]") {
  Image image(7, 4, blue);
  CHECK(image.bytes().size() == 7 * 4 * 3);
  image.fill_rect({5, 2, 10, 10}, red);
  image.set(-1, 0, red);
  image.set(0, 4, red);
  for (Index y = 0; y < 4; ++y) {
    for (Index x = 0; x < 7; ++x) CHECK(image.get(x, y) == (x >= 5 && y >= 2 ? red : blue));
  }
  image.blend(0, 0, white, 0.5);
  CHECK(image.get(0, 0) == Color{128, 128, 255});
  image.blend(1, 0, white, 0.0);
  CHECK(image.get(1, 0) == blue);
  CHECK(message_of([&] { image.get(7, 0); }) == "Image: no pixel (7, 0) in a picture of 7x4");
  CHECK(message_of([] { Image(0, 4); }) == "Image: expected a size of at least 1x1 pixels, got 0x4");
}

TEST_CASE("strokes cover the pixels they should", "[viz]") {
  Image image(12, 9);
  image.draw_line({2.5, 4.5}, {8.5, 4.5}, 1, black);
  for (Index x = 2; x <= 8; ++x) {
    CHECK(image.get(x, 4) == black);
    CHECK(image.get(x, 3) == white);
    CHECK(image.get(x, 5) == white);
  }
  CHECK(image.get(1, 4) == white);
  CHECK(image.get(9, 4) == white);

  Image between(12, 9);  // a line on the border of two rows covers half of both
  between.draw_line({2, 4}, {10, 4}, 1, black);
  CHECK(between.get(5, 3) == Color{128, 128, 128});
  CHECK(between.get(5, 4) == Color{128, 128, 128});
  CHECK(between.get(5, 5) == white);

  Image disc(11, 11);
  disc.draw_disc({5.5, 5.5}, 3, red);
  CHECK(disc.get(5, 5) == red);
  CHECK(disc.get(5, 3) == red);
  CHECK(disc.get(5, 2) == mix_colors(white, red, 0.5));
  CHECK(disc.get(5, 1) == white);
  CHECK(disc.get(8, 8) == white);
  CHECK(disc.get(7, 7) == mix_colors(white, red, 3.5 - std::sqrt(8.0)));

  // Two strokes over the same half-covered pixels are one shape; drawn one after the other they would be darker.
  Image twice(12, 9);
  const std::vector<Segment> segments{{{2, 4}, {10, 4}}, {{10, 4}, {2, 4}}};
  twice.draw_segments(segments, 1, black, twice.bounds());
  CHECK(twice.get(5, 4) == Color{128, 128, 128});

  Image clipped(12, 9);
  clipped.draw_segments(segments, 9, black, {4, 3, 2, 2});
  for (Index y = 0; y < 9; ++y) {
    for (Index x = 0; x < 12; ++x) CHECK(clipped.get(x, y) == (x >= 4 && x < 6 && y >= 3 && y < 5 ? black : white));
  }
  for (const Rect beyond : {Rect{20, 3, 2, 2}, Rect{4, 30, 2, 2}, Rect{-9, -9, 4, 4}}) {
    clipped.draw_segments(segments, 9, red, beyond);
    clipped.fill_rect(beyond, red);
  }
  CHECK(count(clipped, clipped.bounds(), red) == 0);
  clipped.draw_line({-1e12, 8.5}, {1e12, 8.5}, 1, red);
  CHECK(clipped.get(0, 8) == red);
  CHECK(clipped.get(11, 8) == red);
  CHECK(message_of([&] {
          clipped.draw_line({0, 1}, {std::numeric_limits<double>::infinity(), 2}, 1, red);
        }) == "Image: expected finite coordinates, got (0, 1) to (inf, 2)");
}

TEST_CASE("pictures are copied in whole pixels", "[viz]") {
  const std::vector<std::uint8_t> planes{1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16, 21, 22, 23, 24, 25, 26};
  const Image source = planar_image(planes, 3, 2, 3);
  CHECK(source.width() == 3);
  CHECK(source.height() == 2);
  CHECK(source.get(0, 0) == Color{1, 11, 21});
  CHECK(source.get(2, 1) == Color{6, 16, 26});
  const Image grey = planar_image(std::span(planes).first(6), 1, 3, 2);
  CHECK(grey.get(1, 2) == Color{6, 6, 6});

  Image canvas(9, 8);
  canvas.blit(source, 2, 1, 3);
  for (Index y = 0; y < 8; ++y) {
    for (Index x = 0; x < 9; ++x) {
      const bool inside = x >= 2 && y >= 1 && y < 7;  // on the right it is cut off
      CHECK(canvas.get(x, y) == (inside ? source.get((x - 2) / 3, (y - 1) / 3) : white));
    }
  }
  CHECK(message_of([&] { planar_image(planes, 2, 3, 3); }) == "planar_image: expected 1 or 3 channels, got 2");
  CHECK(message_of([&] { planar_image(planes, 3, 2, 4); }) == "planar_image: expected 24 bytes (3x2x4), got 18");
  CHECK(message_of([&] { canvas.blit(source, 0, 0, 0); }) == "Image: expected a scale of at least 1, got 0");
}

TEST_CASE("polylines are cut to the frame and dashed along their length", "[viz]") {
  const Rect frame{0, 0, 10, 10};
  CHECK(visible_part({{-10, 5}, {30, 5}}, frame) == std::pair{0.25, 0.5});
  CHECK(visible_part({{2, 2}, {3, 8}}, frame) == std::pair{0.0, 1.0});
  CHECK_FALSE(visible_part({{-10, 5}, {5, 25}}, frame));
  CHECK_FALSE(visible_part({{11, 11}, {11, 11}}, frame));

  const std::vector<Point> corner{{0, 0}, {4, 0}, {4, 8}};  // its length is 12: dashes [0, 3), [5, 8), [10, 12)
  const std::vector<Segment> dashes = polyline_strokes(corner, {3, 2}, frame);
  REQUIRE(dashes.size() == 3);
  CHECK(dashes[0].to.x == Approx(3));
  CHECK(dashes[1].from.y == Approx(1));
  CHECK(dashes[1].to.y == Approx(4));
  CHECK(dashes[2].from.y == Approx(6));
  CHECK(dashes[2].to.y == Approx(8));

  CHECK(polyline_strokes(corner, {}, frame).size() == 2);
  CHECK(polyline_strokes(std::vector<Point>{{5, 5}}, {}, frame).size() == 1);
  CHECK(polyline_strokes(std::vector<Point>{{5, 15}}, {}, frame).empty());
  // A line from far outside costs no more dashes than fit in the frame.
  const std::vector<Segment> far = polyline_strokes(std::vector<Point>{{5, 1e12}, {5, -1e12}}, {3, 2}, frame);
  CHECK(far.size() >= 2);
  CHECK(far.size() <= 3);
}

TEST_CASE("a PNG file gives the picture back", "[viz]") {
  const test::TemporaryFolder folder;
  Image image(37, 23);
  for (Index y = 0; y < 23; ++y) {
    for (Index x = 0; x < 37; ++x) {
      image.set(x, y, {static_cast<std::uint8_t>(7 * x), static_cast<std::uint8_t>(11 * y), static_cast<std::uint8_t>(x * y)});
    }
  }
  write_png(image, folder / "picture.png");
  CHECK(folder.entries() == 1);
  int width = 0, height = 0, channels = 0;
  unsigned char* pixels = stbi_load((folder / "picture.png").c_str(), &width, &height, &channels, 0);
  REQUIRE(pixels != nullptr);
  CHECK(width == 37);
  CHECK(height == 23);
  CHECK(channels == 3);
  CHECK(std::equal(image.bytes().begin(), image.bytes().end(), pixels));
  stbi_image_free(pixels);
}

TEST_CASE("the PNG encoder counts in int", "[viz]") {
  CHECK(normnet_impl::fits_png_encoder(1 << 14, 10922));
  CHECK_FALSE(normnet_impl::fits_png_encoder(1 << 14, 10923));
  CHECK_FALSE(normnet_impl::fits_png_encoder(1, Index{1} << 28));
}

TEST_CASE("a failed write says why and leaves the old file whole", "[viz]") {
  const test::TemporaryFolder folder;
  const fs::path path = folder / "chart.png";
  const Image image(5, 4);
  const auto refusal = [&](const fs::path& target) { return message_of([&] { write_png(image, target); }); };
  const auto expected = [](const fs::path& target, const char* reason) {
    return "cannot write \"" + target.string() + "\": " + reason;
  };

  CHECK(refusal(folder / "none" / "chart.png") == expected(folder / "none" / "chart.png", "No such file or directory"));
  CHECK(message_from_the_other_unit(folder / "none" / "chart.png") ==
        expected(folder / "none" / "chart.png", "No such file or directory"));
  CHECK(folder.entries() == 0);

  std::ofstream(path) << "the old picture";
  const auto refusal_on_a_full_disk = [&] {
    const test::FileSizeLimit limit(10);
    return refusal(path);
  };
  CHECK(refusal_on_a_full_disk() == expected(path, "File too large"));
  CHECK(test::content(path) == "the old picture");
  CHECK(folder.entries() == 1);

  fs::create_directory(folder / "folder.png");  // the last step, renaming, fails
  CHECK(refusal(folder / "folder.png") == expected(folder / "folder.png", "Is a directory"));
  CHECK(folder.entries() == 2);
}

}  // namespace
}  // namespace normnet::viz
