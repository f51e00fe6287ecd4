// Polylines as strokes: cut to a frame, solid or dashed.
#pragma once

#include <normnet/viz/image.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace normnet::normnet_impl {

/// The lengths of a dash and of the gap after it, in pixels; a dash of length 0 means a solid line.
struct DashPattern {
  double dash = 0;
  double gap = 0;
};

/// The part of a segment within [frame.x, frame.x + frame.width] x [frame.y, frame.y + frame.height], as the range of t in
/// from + t (to - from); nothing when it passes by. Liang and Barsky, "A new concept and method for line clipping", 1984.
inline std::optional<std::pair<double, double>> visible_part(const viz::Segment& segment, viz::Rect frame) {
  double first = 0;
  double last = 1;
  const auto cut = [&](double start, double direction, double low, double high) {
    if (direction == 0) return start >= low && start <= high;
    const double a = (low - start) / direction;
    const double b = (high - start) / direction;
    first = std::max(first, std::min(a, b));
    last = std::min(last, std::max(a, b));
    return first <= last;
  };
  const auto left = static_cast<double>(frame.x);
  const auto top = static_cast<double>(frame.y);
  const bool visible = cut(segment.from.x, segment.to.x - segment.from.x, left, left + static_cast<double>(frame.width)) &&
                       cut(segment.from.y, segment.to.y - segment.from.y, top, top + static_cast<double>(frame.height));
  if (!visible) return std::nullopt;
  return std::pair{first, last};
}

/// The strokes that draw the line through the points, as far as they lie within the frame. Dashes follow the line's length from
/// its first point on, around its corners. A single point gives a stroke of length 0, which draws as a dot.
inline std::vector<viz::Segment> polyline_strokes(std::span<const viz::Point> points, DashPattern pattern, viz::Rect frame) {
  std::vector<viz::Segment> strokes;
  if (points.size() == 1 && visible_part({points[0], points[0]}, frame)) strokes.push_back({points[0], points[0]});
  double length_before = 0;
  for (std::size_t i = 1; i < points.size(); ++i) {
    const viz::Segment segment{points[i - 1], points[i]};
    const double dx = segment.to.x - segment.from.x;
    const double dy = segment.to.y - segment.from.y;
    const double length = std::hypot(dx, dy);
    const auto at = [&](double distance) {
      const double t = length > 0 ? distance / length : 0;
      return viz::Point{segment.from.x + t * dx, segment.from.y + t * dy};
    };
    if (const auto part = visible_part(segment, frame)) {
      const double first = part->first * length;
      const double last = part->second * length;
      if (pattern.dash <= 0) {
        strokes.push_back({at(first), at(last)});
      } else {
        const double period = pattern.dash + pattern.gap;
        // Counting periods from the visible part on keeps the work small for a line that comes from far outside.
        for (double start = first - std::fmod(length_before + first, period); start < last; start += period) {
          const double from = std::max(start, first);
          const double to = std::min(start + pattern.dash, last);
          if (from < to) strokes.push_back({at(from), at(to)});
        }
      }
    }
    length_before += length;
  }
  return strokes;
}

}  // namespace normnet::normnet_impl
