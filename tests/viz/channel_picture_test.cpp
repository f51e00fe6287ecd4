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
