// Two extents of a plane, height and width: kernel sizes, strides, paddings.
#pragma once

#include <normnet/core/shape.hpp>

#include <ostream>
#include <string>

namespace normnet {

/// A number for the height and one for the width of a plane. One number stands for both: `.kernel_size = 3` means 3x3.
/// Prints as 3x5, height first.
struct Pair {
  Index height = 0;
  Index width = 0;

  constexpr Pair() = default;
  constexpr Pair(Index both) : height(both), width(both) {}
  constexpr Pair(Index h, Index w) : height(h), width(w) {}

  friend constexpr bool operator==(const Pair&, const Pair&) = default;
  std::string to_string() const { return std::to_string(height) + "x" + std::to_string(width); }
  friend std::ostream& operator<<(std::ostream& out, const Pair& pair) { return out << pair.to_string(); }
};

}  // namespace normnet
