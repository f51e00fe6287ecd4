// Text on pictures: alignment, rotation, and shortening to a width.
#pragma once

#include <normnet/viz/font.hpp>
#include <normnet/viz/image.hpp>

#include <cmath>
#include <string>
#include <string_view>

namespace normnet::viz {

enum class HorizontalAlign { left, center, right };

/// What of the text lies at the given y: the top of its capitals, the middle of its capitals, or the baseline.
enum class VerticalAlign { top, middle, baseline };

/// How draw_text draws. `size` is in pixels per em; `upwards` turns the text by 90 degrees, so that it reads from bottom to top.
struct TextStyle {
  double size = 16;
  Color color = black;
  HorizontalAlign horizontal = HorizontalAlign::left;
  VerticalAlign vertical = VerticalAlign::baseline;
  bool upwards = false;
};

/// Draws one line of UTF-8 text, anti-aliased, aligned to (x, y). Upwards text turns around (x, y) with its alignment.
inline void draw_text(Image& image, double x, double y, std::string_view text, const Font& font, const TextStyle& style) {
  if (text.empty()) return;
  const double width = font.width(text, style.size);
  const HorizontalAlign horizontal = style.horizontal;
  const double along = horizontal == HorizontalAlign::left ? 0 : horizontal == HorizontalAlign::center ? width / 2 : width;
  const double cap = font.cap_height(style.size);
  const double below = style.vertical == VerticalAlign::top ? cap : style.vertical == VerticalAlign::middle ? cap / 2 : 0;
  const TextMask mask = font.rasterize(text, style.size);
  // The text's start on the baseline, in whole pixels, which keeps horizontal stems sharp.
  const auto start_x = static_cast<Index>(std::lround(style.upwards ? x + below : x - along));
  const auto start_y = static_cast<Index>(std::lround(style.upwards ? y + along : y + below));
  for (Index row = 0; row < mask.height; ++row) {
    for (Index column = 0; column < mask.width; ++column) {
      const float share = mask.coverage[static_cast<std::size_t>(row * mask.width + column)];
      if (share == 0) continue;
      const Index u = column - mask.origin;
      const Index v = row - mask.baseline;
      if (style.upwards) {
        image.blend(start_x + v, start_y - u - 1, style.color, static_cast<double>(share));
      } else {
        image.blend(start_x + u, start_y + v, style.color, static_cast<double>(share));
      }
    }
  }
}

/// The text, or where it is wider than `width` pixels as much of its beginning as fits before an ellipsis.
inline std::string shorten(std::string_view text, const Font& font, double size, double width) {
  if (font.width(text, size) <= width) return std::string(text);
  std::string kept(text);
  while (!kept.empty()) {
    const auto continues = [&kept] { return (static_cast<unsigned char>(kept.back()) & 0xC0U) == 0x80U; };
    while (kept.size() > 1 && continues()) kept.pop_back();  // the tail of a UTF-8 sequence
    kept.pop_back();
    while (!kept.empty() && kept.back() == ' ') kept.pop_back();
    if (font.width(kept + "…", size) <= width) break;
  }
  return kept + "…";
}

}  // namespace normnet::viz
