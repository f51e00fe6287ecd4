// The tiles into which Winograd's algorithm cuts a plane.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/pair.hpp>
#include <normnet/nn/kernels/winograd_transforms.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// The tiles in one direction: as many of 4 pixels as fit, and what is left in one of 2, or in another of 4 where that is 3 pixels.
/// Planes that hold no tile of 4 have those of 2 alone: with 4, they would gain little for the greater rounding error. The last tile
/// may hang over.
struct WinogradCut {
  Index fours, twos;

  /// Of so many pixels; without tiles of 4 where `largest` is 2.
  WinogradCut(Index pixels, Index largest)
      : fours(largest == 4 && pixels >= 4 ? (pixels + 1) / 4 : 0), twos((std::max<Index>(0, pixels - 4 * fours) + 1) / 2) {}

  Index points() const { return 6 * fours + 4 * twos; }
};

/// The multiplications for each pair of channels, with tiles of so many pixels at most.
inline Index winograd_multiplications(Pair plane, Pair largest = 4) {
  return WinogradCut(plane.height, largest.height).points() * WinogradCut(plane.width, largest.width).points();
}

/// The extents of the largest tiles in the gradient of the weight. Where one tile of 4x4 covers the plane, sums are so short, and the
/// direct algorithm rounds so little, that its error would not stay below four times that of the direct one.
inline Pair largest_winograd_gradient_tile(Pair plane) { return std::max(plane.height, plane.width) <= 4 ? Pair(4, 2) : Pair(4); }

/// The positions of a tile of M x N pixels.
template <int M, int N>
inline constexpr auto winograd_positions_of = [] {
  std::array<int, (M + 2) * (N + 2)> positions{};
  for (std::size_t i = 0; i < positions.size(); ++i) {
    positions[i] = static_cast<int>(winograd_position(M, N, i / (N + 2), i % (N + 2)));
  }
  return positions;
}();

/// Calls f with std::integral_constant<int, extent>, for an extent of 4 or 2.
template <class F>
NORMNET_INLINE auto with_winograd_extent(Index extent, F&& f) {
  return extent == 4 ? f(std::integral_constant<int, 4>()) : f(std::integral_constant<int, 2>());
}

/// Neighbouring output pixels that are computed together, 4 or 2 in each direction.
struct WinogradTile {
  Index row, column;  // of the first
  Index height, width;

  bool has_extents_of(const WinogradTile& other) const { return height == other.height && width == other.width; }

  /// Whether the other, of the same extents, is the next one in its row.
  bool is_left_of(const WinogradTile& next) const {
    return next.row == row && next.column == column + width && next.has_extents_of(*this);
  }

  /// Its positions, some of those of a tile of 4x4.
  std::span<const int> positions() const {
    return with_winograd_extent(height, [&](auto h) {
      return with_winograd_extent(width, [&](auto w) { return std::span<const int>(winograd_positions_of<h(), w()>); });
    });
  }
};

/// Gives tiles that are computed together the extents of the largest.
inline void group_winograd_tiles(std::span<WinogradTile> tiles) {
  Index height = 0, width = 0;
  for (const WinogradTile& tile : tiles) {
    height = std::max(height, tile.height);
    width = std::max(width, tile.width);
  }
  for (WinogradTile& tile : tiles) {
    tile.height = height;
    tile.width = width;
  }
}

/// The tiles of a plane, row by row: first those of 4x4 pixels, then those of 4x2, of 2x4 and of 2x2. `largest` are the greatest
/// extents, 4 or 2.
inline AlignedArray<WinogradTile> winograd_tiles(Pair plane, Pair largest = 4) {
  const WinogradCut rows(plane.height, largest.height), columns(plane.width, largest.width);
  auto tiles = AlignedArray<WinogradTile>::for_overwrite((rows.fours + rows.twos) * (columns.fours + columns.twos));
  WinogradTile* next = tiles.data();
  const auto append = [&](Index first_row, Index height, Index down, Index first_column, Index width, Index across) {
    for (Index i = 0; i < down; ++i) {
      for (Index j = 0; j < across; ++j) *next++ = {first_row + i * height, first_column + j * width, height, width};
    }
  };
  const Index row = 4 * rows.fours, column = 4 * columns.fours;  // where smaller tiles begin
  append(0, 4, rows.fours, 0, 4, columns.fours);
  append(0, 4, rows.fours, column, 2, columns.twos);
  append(row, 2, rows.twos, 0, 4, columns.fours);
  append(row, 2, rows.twos, column, 2, columns.twos);
  return tiles;
}

/// Those tiles, `size` of them computed together.
inline AlignedArray<WinogradTile> winograd_tiles_in_groups(Pair plane, Pair largest, Index size) {
  AlignedArray<WinogradTile> tiles = winograd_tiles(plane, largest);
  const std::span<WinogradTile> all = tiles.span();
  const auto group = static_cast<std::size_t>(size);
  for (std::size_t first = 0; first < all.size(); first += group) {
    group_winograd_tiles(all.subspan(first, std::min(group, all.size() - first)));
  }
  return tiles;
}

/// The tiles of a batch, one extent after the other: those of 4x4 pixels of all blocks, then those of 4x2 and so on. So nearly all that
/// are computed together have the same extents.
class WinogradTilesOfBatch {
 public:
  WinogradTilesOfBatch(Pair plane, Pair largest, Index blocks) : of_block_(winograd_tiles(plane, largest)), blocks_(blocks) {
    for (Index t = 0; t < of_block_.size(); ++t) {
      const WinogradTile& tile = of_block_[t];
      Kind& kind = kinds_[(tile.height == 4 ? 0 : 2) + (tile.width == 4 ? 0 : 1)];
      if (kind.tiles == 0) kind = {t, 0, std::ssize(tile.positions())};
      kind.tiles += blocks;
      positions_ += blocks * kind.positions;
    }
  }

  Index count() const { return blocks_ * of_block_.size(); }

  /// Those that any tile has: the first is the largest.
  std::span<const int> positions() const { return of_block_.front().positions(); }

  struct Place {
    Index block;
    WinogradTile tile;
  };
  Place operator[](Index tile) const {
    auto kind = kinds_.begin();
    for (; tile >= kind->tiles; ++kind) tile -= kind->tiles;
    const Index of_block = kind->tiles / blocks_;
    return {tile / of_block, of_block_[kind->first + tile % of_block]};
  }

  /// Where part of so many begins, if they have about as many positions each.
  Index first_of_part(Index part, Index parts) const {
    Index positions = positions_ * part / parts, tile = 0;
    for (const Kind& kind : kinds_) {
      if (positions < kind.tiles * kind.positions) return tile + positions / kind.positions;
      positions -= kind.tiles * kind.positions;
      tile += kind.tiles;
    }
    return tile;
  }

 private:
  // The tiles of the same extents.
  struct Kind {
    Index first;      // in of_block_
    Index tiles;      // in the batch
    Index positions;  // of a tile
  };

  AlignedArray<WinogradTile> of_block_;
  std::array<Kind, 4> kinds_{};  // in the order of the tiles; without tiles where there are none
  Index blocks_;
  Index positions_ = 0;  // of all tiles
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
