// An image beside its channels.
#include "support/catch.hpp"
#include "viz/support.hpp"

#include <normnet/viz/channel_picture.hpp>

#include <cstdint>
#include <vector>

namespace normnet::viz {
namespace {

TEST_CASE("each channel has its colour and its values", "[viz]") {
  // Two pixels: (200, 100, 255) and (0, 150, 10).
  const std::vector<std::uint8_t> bytes{200, 0, 100, 150, 255, 10};
  const Image image = ChannelPicture(bytes, {.height = 1, .width = 2, .scale = 40, .font = Font::builtin()}).render();
  REQUIRE(image.width() == 2 * 80 + 3 * 32);
  // The image itself is without digits, its channels are full of them.
  CHECK(count(image, image.bounds(), {200, 100, 255}) == 1600);
  CHECK(count(image, image.bounds(), {0, 150, 10}) == 1600);
  for (const Color color : {Color{200, 0, 0}, Color{0, 100, 0}, Color{0, 150, 0}, Color{0, 0, 255}, Color{0, 0, 10}}) {
    CHECK(count(image, image.bounds(), color) > 800);
    CHECK(count(image, image.bounds(), color) < 1600);
  }
}

TEST_CASE("digits can be read on their pixels", "[viz]") {
  // Dark ones on bright green alone: red and blue stay dark enough for white ones at any value.
  const std::vector<std::uint8_t> bytes{200, 120, 100, 150, 255, 10};
  const Image image = ChannelPicture(bytes, {.height = 1, .width = 2, .scale = 40, .font = Font::builtin()}).render();
  const Index right = 2 * 32 + 80, first = 32 + 38, second = 2 * first + 40;  // labels are 38 pixels high
  for (const Rect pixel : {Rect{right, first, 40, 40}, Rect{32, second, 40, 40}, Rect{right, second, 40, 40}}) {
    CHECK(count(image, pixel, white) > 20);
    CHECK(count(image, pixel, black) == 0);
  }
  CHECK(count(image, {32 + 40, second, 40, 40}, black) > 20);
  CHECK(count(image, {32 + 40, second, 40, 40}, white) == 0);
}

TEST_CASE("a picture of channels says what is wrong", "[viz]") {
  const std::vector<std::uint8_t> bytes(12);
  CHECK(message_of([&] { ChannelPicture(bytes, {.height = 2, .width = 3, .font = Font::builtin()}); }) ==
        "planar_image: expected 18 bytes (3x2x3), got 12");
  CHECK(message_of([&] { ChannelPicture(bytes, {.height = 2, .width = 2, .scale = 0, .font = Font::builtin()}); }) ==
        "ChannelPicture: expected a scale of at least 1, got 0");
  const test::TemporaryFolder folder;
  ChannelPicture(bytes, {.height = 2, .width = 2, .title = "frog", .font = Font::builtin()}).write(folder / "channels.png");
  CHECK(test::content(folder / "channels.png").substr(0, 8) == "\x89PNG\r\n\x1a\n");
}

}  // namespace
}  // namespace normnet::viz
