// Asking for what the next tiles read while the products of the present ones are computed.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/batch.hpp>
#include <normnet/core/pair.hpp>
#include <normnet/nn/kernels/winograd_tiles.hpp>

#include <algorithm>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// Asks for the pixels of tiles, a few at each turn. A transform whose pixels are not in a cache waits most of its time, while
/// products leave the memory idle. A core drops much of what it is asked for at once, so the rows are spread over the products.
template <class T>
class WinogradReadAhead {
 public:
  /// Of at most so many tiles, to be added, in some channels of x. `origin`: the pixel of x that tap (0, 0) of output pixel (0, 0)
  /// reads.
  WinogradReadAhead(const Batch<T>& x, Index first_channel, Index channels, Pair origin, Index most)
      : x_(x),
        channels_(channels),
        origin_(origin),
        corner_(x.row(0, first_channel, 0)),
        tiles_(AlignedArray<Index>::for_overwrite(most)) {}

  /// Forgets the tiles.
  void clear() { count_ = tile_ = row_ = channel_ = 0; }

  /// Adds a tile of a block: the last 4x4 of the pixels that it reads. The others were read for the tiles beside it.
  void add(const WinogradTile& tile, Index block) {
    if (std::min(x_.height(), x_.width()) < extent) return;
    const auto last = [](Index first, Index pixels, Index size) {
      return std::clamp<Index>(first + pixels + 2 - extent, 0, size - extent);
    };
    tiles_[count_++] = block * x_.block_stride() + last(origin_.height + tile.row, tile.height, x_.height()) * x_.row_stride() +
                       last(origin_.width + tile.column, tile.width, x_.width());
  }

  /// Spreads what was added over so many turns.
  void begin(Index turns) {
    rows_of_turn_ = (count_ * extent * channels_ + turns - 1) / turns;
    next_ = corner_ + (count_ == 0 ? 0 : tiles_[0]);
  }

  /// Asks for the share of a turn; for nothing when all was asked for.
  void turn() {
    for (Index left = rows_of_turn_; left > 0 && tile_ < count_; --left) {
      for (Index i = 0; i < extent; ++i) prefetch_later(next_ + i);
      next_ += x_.channel_stride();
      if (++channel_ == channels_) begin_row();
    }
  }

 private:
  static constexpr Index extent = 4;

  void begin_row() {
    channel_ = 0;
    if (++row_ == extent) {
      row_ = 0;
      if (++tile_ == count_) return;
    }
    next_ = corner_ + tiles_[tile_] + row_ * x_.row_stride();
  }

  const Batch<T>& x_;
  Index channels_;
  Pair origin_;
  const Pack<T>* corner_;      // pixel (0, 0) of the first of these channels, in the first block
  AlignedArray<Index> tiles_;  // how far behind it the first pixel of each is
  Index count_ = 0;            // of those that were added
  Index rows_of_turn_ = 0;
  Index tile_ = 0, row_ = 0, channel_ = 0;
  const Pack<T>* next_ = nullptr;  // the first pixel of that tile, row and channel
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
