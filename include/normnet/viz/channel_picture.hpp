// A colour image taken apart: what a network is given.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/viz/image.hpp>
#include <normnet/viz/png.hpp>
#include <normnet/viz/text.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>

namespace normnet::viz {

/// An RGB image beside its red, green and blue channels, in which every pixel's value is written:
///
///     ChannelPicture(data.train.image(7), {.height = 32, .width = 32, .title = "frog"}).write("channels.png");
class ChannelPicture {
 public:
  struct Options {
    Index height = 32;
    Index width = 32;
    Index scale = 28;  ///< each pixel is shown as a square of scale x scale; below 24, three digits are hard to read
    std::string title = {};
    Font font = Font::system();
  };

  /// Takes planar pixels, 3 x height x width, as in CIFAR's files. Throws Error when they have another number, or the scale is
  /// below 1.
  ChannelPicture(std::span<const std::uint8_t> pixels, Options options)
      : options_(std::move(options)), image_(planar_image(pixels, 3, options_.height, options_.width)) {
    if (options_.scale < 1) fail("ChannelPicture: expected a scale of at least 1, got ", options_.scale);
  }

  Image render() const {
    const Font& font = options_.font;
    const double title_size = 34, label_size = 24;
    const Index title_height = options_.title.empty() ? 0 : std::lround(1.6 * title_size);
    const Index label_height = std::lround(1.6 * label_size);
    const Index panel_width = options_.width * options_.scale, panel_height = options_.height * options_.scale + label_height;
    Image picture(2 * panel_width + 3 * margin, title_height + 2 * panel_height + 3 * margin);
    const auto at = [](Index i) { return static_cast<double>(i); };
    const std::string title = shorten(options_.title, font, title_size, at(2 * panel_width + margin));
    draw_text(picture, at(margin), at(margin) + font.ascent(title_size), title, font, {.size = title_size, .color = ink});

    static constexpr std::array<const char*, 4> labels{"the image", "red", "green", "blue"};
    for (Index panel = 0; panel < 4; ++panel) {
      const Index x = margin + panel % 2 * (panel_width + margin);
      const Index y = margin + title_height + panel / 2 * (panel_height + margin);
      draw_text(picture, at(x), at(y) + font.ascent(label_size), labels[static_cast<std::size_t>(panel)], font,
                {.size = label_size, .color = ink});
      if (panel == 0) {
        picture.blit(image_, x, y + label_height, options_.scale);
      } else {
        draw_channel(picture, x, y + label_height, panel - 1);
      }
    }
    return picture;
  }

  /// Renders the picture into a PNG file; see write_png.
  void write(const std::filesystem::path& path) const { write_png(render(), path); }

 private:
  static constexpr Index margin = 32;

  void draw_channel(Image& picture, Index left, Index top, Index channel) const {
    const Index scale = options_.scale;
    for (Index row = 0; row < options_.height; ++row) {
      for (Index column = 0; column < options_.width; ++column) {
        const Color pixel = image_.get(column, row);
        const std::uint8_t value = std::array{pixel.red, pixel.green, pixel.blue}[static_cast<std::size_t>(channel)];
        Color color = black;
        (channel == 0 ? color.red : channel == 1 ? color.green : color.blue) = value;
        const Index x = left + column * scale, y = top + row * scale;
        picture.fill_rect({x, y, scale, scale}, color);
        // Green is the one colour that becomes too light for white digits.
        const Color digits = channel == 1 && value > 140 ? black : white;
        draw_text(picture, static_cast<double>(x) + static_cast<double>(scale) / 2,
                  static_cast<double>(y) + static_cast<double>(scale) / 2, std::to_string(value), options_.font,
                  {.size = 0.46 * static_cast<double>(scale),
                   .color = digits,
                   .horizontal = HorizontalAlign::center,
                   .vertical = VerticalAlign::middle});
      }
    }
  }

  Options options_;
  Image image_;
};

}  // namespace normnet::viz
