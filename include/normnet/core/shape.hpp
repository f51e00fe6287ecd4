// The extents of a tensor.
#pragma once

#include <normnet/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace normnet {

/// Extents, indices and counts. Signed, so that differences need no care.
using Index = std::ptrdiff_t;

/// The extents of a tensor in PyTorch's order, outermost first: {N, C, H, W} for a batch of images, {N, F} for features.
/// Prints as 128x3x32x32; the shape of a scalar, which has no extents, prints as "scalar".
class Shape {
 public:
  Shape() = default;

  /// Throws Error when an extent is negative or the number of elements does not fit an Index.
  Shape(std::initializer_list<Index> extents) : Shape(std::vector<Index>(extents)) {}
  explicit Shape(std::vector<Index> extents) : extents_(std::move(extents)) {
    Index elements = 1;
    for (const Index extent : extents_) {
      if (extent < 0) fail("Shape: expected extents of at least 0, got ", extent, " in ", to_string());
      if (extent > 0 && elements > std::numeric_limits<Index>::max() / extent) {
        fail("Shape: the number of elements of ", to_string(), " does not fit 63 bits");
      }
      elements *= extent;
    }
  }

  Index rank() const { return static_cast<Index>(extents_.size()); }

  /// Extent i, counted from the end where i is negative: [-1] is the innermost. Throws Error outside the rank.
  Index operator[](Index i) const {
    const Index position = i < 0 ? i + rank() : i;
    if (position < 0 || position >= rank()) fail("Shape ", to_string(), ": no extent ", i, " in a shape of rank ", rank());
    return extents_[static_cast<std::size_t>(position)];
  }

  /// The number of elements; 1 for a scalar.
  Index elements() const {
    Index product = 1;
    for (const Index extent : extents_) product *= extent;
    return product;
  }

  const std::vector<Index>& extents() const& { return extents_; }
  std::vector<Index> extents() && { return std::move(extents_); }

  std::string to_string() const {
    if (extents_.empty()) return "scalar";
    std::string text;
    for (const Index extent : extents_) {
      if (!text.empty()) text += 'x';
      text += std::to_string(extent);
    }
    return text;
  }

  friend bool operator==(const Shape&, const Shape&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.to_string(); }

 private:
  std::vector<Index> extents_;
};

}  // namespace normnet
