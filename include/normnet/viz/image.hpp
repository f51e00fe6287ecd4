// An RGB canvas with the few drawing operations that charts and galleries need.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/out_of_memory.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace normnet::viz {

/// An opaque sRGB colour, 0 to 255 each.
struct Color {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;
  friend bool operator==(const Color&, const Color&) = default;
};

inline constexpr Color black{0, 0, 0};
inline constexpr Color white{255, 255, 255};
inline constexpr Color ink{38, 38, 38};       ///< of text
inline constexpr Color soft_ink{89, 89, 89};  ///< of text that may stand back

/// `share` of `over` mixed with the rest of `under`, channel by channel; share in 0 to 1.
inline Color mix_colors(Color under, Color over, double share) {
  const auto channel = [share](std::uint8_t from, std::uint8_t to) {
    return static_cast<std::uint8_t>(std::lround(from + (to - from) * share));
  };
  return {channel(under.red, over.red), channel(under.green, over.green), channel(under.blue, over.blue)};
}

/// A position in pixels, x to the right, y downwards. The centre of pixel (i, j) is (i + 0.5, j + 0.5).
struct Point {
  double x = 0;
  double y = 0;
};

/// A straight stroke.
struct Segment {
  Point from;
  Point to;
};

/// Whole pixels [x, x + width) x [y, y + height).
struct Rect {
  Index x = 0;
  Index y = 0;
  Index width = 0;
  Index height = 0;
};

/// A picture of width x height RGB pixels, rows from the top. Whatever is drawn outside it is cut off.
class Image {
 public:
  /// Throws Error when an extent is below 1.
  Image(Index width, Index height, Color background = white) : width_(width), height_(height) {
    if (width < 1 || height < 1) fail("Image: expected a size of at least 1x1 pixels, got ", width, "x", height);
    const Index bytes = Shape{height, width, 3}.elements();
    normnet_impl::with_memory_for({"a picture of ", width, "x", height, " pixels"}, static_cast<double>(bytes),
                                  [&] { bytes_.resize(static_cast<std::size_t>(bytes)); });
    fill_rect(bounds(), background);
  }

  Index width() const { return width_; }
  Index height() const { return height_; }
  Rect bounds() const { return {0, 0, width_, height_}; }

  /// The pixels row by row, three bytes each: red, green, blue.
  std::span<const std::uint8_t> bytes() const& { return bytes_; }
  std::vector<std::uint8_t> bytes() && { return std::move(bytes_); }

  /// Throws Error outside the picture.
  Color get(Index x, Index y) const {
    if (!contains(x, y)) fail("Image: no pixel (", x, ", ", y, ") in a picture of ", width_, "x", height_);
    const std::uint8_t* pixel = bytes_.data() + offset(x, y);
    return {pixel[0], pixel[1], pixel[2]};
  }

  void set(Index x, Index y, Color color) {
    if (!contains(x, y)) return;
    std::uint8_t* pixel = bytes_.data() + offset(x, y);
    pixel[0] = color.red;
    pixel[1] = color.green;
    pixel[2] = color.blue;
  }

  /// Mixes `share` (0 to 1) of the colour into one pixel.
  void blend(Index x, Index y, Color color, double share) {
    if (contains(x, y)) set(x, y, mix_colors(get(x, y), color, share));
  }

  void fill_rect(Rect rect, Color color) {
    const Rect visible = intersection(rect, bounds());
    for (Index y = visible.y; y < visible.y + visible.height; ++y) {
      for (Index x = visible.x; x < visible.x + visible.width; ++x) set(x, y, color);
    }
  }

  /// One anti-aliased stroke with round ends, `thickness` pixels wide.
  void draw_line(Point from, Point to, double thickness, Color color) {
    const Segment segment{from, to};
    draw_segments({&segment, 1}, thickness, color, bounds());
  }

  /// An anti-aliased disc.
  void draw_disc(Point centre, double radius, Color color) { draw_line(centre, centre, 2 * radius, color); }

  /// Anti-aliased strokes with round ends, drawn as one shape: where they join or cross, no pixel is mixed twice.
  /// Nothing is drawn outside `clip`. Throws Error when a coordinate is not finite.
  void draw_segments(std::span<const Segment> segments, double thickness, Color color, Rect clip) {
    clip = intersection(clip, bounds());
    if (clip.width == 0 || clip.height == 0) return;
    std::vector<float> coverage(static_cast<std::size_t>(clip.width * clip.height), 0.0F);
    const double reach = thickness / 2 + 0.5;  // beyond it no pixel is touched
    for (const Segment& segment : segments) {
      const auto [from, to] = segment;
      if (!std::isfinite(from.x + from.y) || !std::isfinite(to.x + to.y)) {
        fail("Image: expected finite coordinates, got (", from.x, ", ", from.y, ") to (", to.x, ", ", to.y, ")");
      }
      const auto [left, right] = pixel_range(std::min(from.x, to.x) - reach, std::max(from.x, to.x) + reach, clip.x, clip.width);
      const auto [top, bottom] = pixel_range(std::min(from.y, to.y) - reach, std::max(from.y, to.y) + reach, clip.y, clip.height);
      for (Index y = top; y < bottom; ++y) {
        for (Index x = left; x < right; ++x) {
          const Point centre{static_cast<double>(x) + 0.5, static_cast<double>(y) + 0.5};
          const auto share = static_cast<float>(std::clamp(reach - distance(centre, segment), 0.0, 1.0));
          float& here = coverage[static_cast<std::size_t>((y - clip.y) * clip.width + x - clip.x)];
          here = std::max(here, share);
        }
      }
    }
    for (Index y = 0; y < clip.height; ++y) {
      for (Index x = 0; x < clip.width; ++x) {
        const float share = coverage[static_cast<std::size_t>(y * clip.width + x)];
        if (share > 0) blend(clip.x + x, clip.y + y, color, share);
      }
    }
  }

  /// Copies a picture to (x, y), each of its pixels as a square of scale x scale pixels (nearest neighbour).
  /// Throws Error when scale is below 1.
  void blit(const Image& source, Index x, Index y, Index scale = 1) {
    if (scale < 1) fail("Image: expected a scale of at least 1, got ", scale);
    for (Index row = 0; row < source.height(); ++row) {
      for (Index column = 0; column < source.width(); ++column) {
        fill_rect({x + column * scale, y + row * scale, scale, scale}, source.get(column, row));
      }
    }
  }

 private:
  bool contains(Index x, Index y) const { return x >= 0 && x < width_ && y >= 0 && y < height_; }
  std::size_t offset(Index x, Index y) const { return static_cast<std::size_t>((y * width_ + x) * 3); }

  static Rect intersection(Rect a, Rect b) {
    const Index x = std::max(a.x, b.x);
    const Index y = std::max(a.y, b.y);
    return {x, y, std::max<Index>(0, std::min(a.x + a.width, b.x + b.width) - x),
            std::max<Index>(0, std::min(a.y + a.height, b.y + b.height) - y)};
  }

  /// The pixels of [start, start + length) that [low, high] touches, as a half-open range. Clamps before it converts, so that
  /// coordinates of any size are safe.
  static std::pair<Index, Index> pixel_range(double low, double high, Index start, Index length) {
    const auto first = static_cast<double>(start);
    const auto last = static_cast<double>(start + length);
    return {static_cast<Index>(std::clamp(std::floor(low), first, last)),
            static_cast<Index>(std::clamp(std::ceil(high), first, last))};
  }

  static double distance(Point point, const Segment& segment) {
    const double dx = segment.to.x - segment.from.x;
    const double dy = segment.to.y - segment.from.y;
    const double length2 = dx * dx + dy * dy;
    const double along = (point.x - segment.from.x) * dx + (point.y - segment.from.y) * dy;
    const double t = length2 > 0 ? std::clamp(along / length2, 0.0, 1.0) : 0.0;
    return std::hypot(point.x - segment.from.x - t * dx, point.y - segment.from.y - t * dy);
  }

  Index width_;
  Index height_;
  std::vector<std::uint8_t> bytes_;
};

/// The picture of planar bytes, channels x height x width as in CIFAR's files: three planes red, green, blue, or one plane of
/// grey. Throws Error when there are neither 1 nor 3 channels or the number of bytes does not fit.
inline Image planar_image(std::span<const std::uint8_t> pixels, Index channels, Index height, Index width) {
  if (channels != 1 && channels != 3) fail("planar_image: expected 1 or 3 channels, got ", channels);
  const Shape shape{channels, height, width};
  if (static_cast<Index>(pixels.size()) != shape.elements()) {
    fail("planar_image: expected ", shape.elements(), " bytes (", shape, "), got ", pixels.size());
  }
  Image image(width, height);
  const auto plane = static_cast<std::size_t>(height * width);
  for (Index y = 0; y < height; ++y) {
    for (Index x = 0; x < width; ++x) {
      const auto i = static_cast<std::size_t>(y * width + x);
      image.set(
          x, y,
          channels == 1 ? Color{pixels[i], pixels[i], pixels[i]} : Color{pixels[i], pixels[plane + i], pixels[2 * plane + i]});
    }
  }
  return image;
}

}  // namespace normnet::viz
