// A plane as the fewest rows that are contiguous in memory.
#pragma once

#include <normnet/core/batch.hpp>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// So many rows of so many pixels.
struct PlaneRows {
  Index rows, width;
};

/// The rows in which a pass through the planes of some batches of the same extents may go: one long row where none of them has a
/// border left and right, because short rows cost as much to begin and to end as to compute. Not for sums: their order, and with
/// it their rounding, would depend on the borders.
template <class T, class... Batches>
NORMNET_INLINE PlaneRows plane_rows(const Batch<T>& first, const Batches&... others) {
  const bool contiguous = ((first.row_stride() == first.width()) && ... && (others.row_stride() == others.width()));
  return contiguous ? PlaneRows{1, first.plane()} : PlaneRows{first.height(), first.width()};
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
