// Winograd's convolution in lane layout, block by block: forward pass and input gradient.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/scratch.hpp>
#include <normnet/nn/kernels/register_tiles.hpp>
#include <normnet/nn/kernels/winograd_read_ahead.hpp>
#include <normnet/nn/kernels/winograd_steps.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <utility>

// For a run of tiles that fits the second-level cache: all inputs are transformed; then, at each position, register tiles compute
// (output channels x input channels) times (input channels x tiles), and are transformed back.
namespace normnet::normnet_impl::inline NORMNET_ABI {

/// Output channels and tiles that a register tile covers: enough products for the latency of a multiplication, few enough for
/// those of all positions to stay in the first-level cache, with what is read meanwhile, until they are transformed back.
template <int Channels, int Tiles>
struct WinogradRegisterTile {
  static_assert(Channels <= most_winograd_channels);
  static constexpr int channels = Channels, tiles = Tiles;
};

/// Calls f with every register tile that there is code for.
template <class F>
void for_winograd_register_tiles(F&& f) {
  f(WinogradRegisterTile<1, 8>());
  f(WinogradRegisterTile<3, 3>());
  if constexpr (simd_registers < 32) f(WinogradRegisterTile<4, 3>());
  f(WinogradRegisterTile<5, 2>());
  if constexpr (simd_registers >= 32) {
    f(WinogradRegisterTile<8, 1>());
    f(WinogradRegisterTile<10, 1>());
  }
}

/// A problem solved block by block.
template <class T>
class WinogradCorrelation {
 public:
  explicit WinogradCorrelation(WinogradProblem<T> problem) : problem_(std::move(problem)) {
    choose_tiles();
    weight_ = AlignedArray<T>::for_overwrite(problem_.groups * register_tiles() * register_tile_weights());
    const WinogradTile& largest = tiles_.front();
    parallel_for_2d(problem_.groups * register_tiles(), problem_.inputs, channels_ * 4, [&](Index group_and_tile, Index c) {
      const Index g = group_and_tile / register_tiles(), first = first_channel(group_and_tile % register_tiles());
      winograd_transform_weights(problem_, g, c, first, channels_, largest,
                                 weight_.data() + group_and_tile * register_tile_weights() + c * channels_,
                                 problem_.inputs * channels_);
    });
  }

  /// Runs of tiles: the parts of a block that can be computed independently.
  Index parts() const { return (count() + tiles_at_once() - 1) / tiles_at_once(); }

  /// The vector operations of a part.
  Index cost() const {
    return std::min(tiles_at_once(), count()) * winograd_positions * problem_.groups * problem_.inputs * problem_.outputs;
  }

  void run(const Batch<T>& x, Batch<T>& y, Index block, Index part) const {
    const Index first = part * tiles_at_once(), last = std::min(first + tiles_at_once(), count());
    for_winograd_register_tiles([&](auto tile) {
      if (tile.channels == channels_) run_tiles<tile.channels, tile.tiles>(x, y, block, first, last);
    });
  }

 private:
  Index count() const { return tiles_.size(); }  // of tiles
  Index register_tiles() const { return (problem_.outputs + channels_ - 1) / channels_; }
  Index register_tile_weights() const { return winograd_positions * problem_.inputs * channels_; }

  // The first output channel of a register tile; the last tile overlaps the one before.
  Index first_channel(Index register_tile) const { return std::min(register_tile * channels_, problem_.outputs - channels_); }

  // Sets the tiles and the channels of a register tile so that all channels and tiles are covered with the fewest multiplications
  // and loads of packs. Small planes rarely fill register tiles of large tiles.
  void choose_tiles() {
    Index best_cost = 0;
    for (const Index largest : {2, 4}) {
      for_winograd_register_tiles([&](auto shape) {
        if (shape.channels > problem_.outputs) return;
        AlignedArray<WinogradTile> tiles = winograd_tiles_in_groups(problem_.plane, largest, shape.tiles);
        Index positions = 0;
        for (Index first = 0; first < tiles.size(); first += shape.tiles) positions += std::ssize(tiles[first].positions());
        const Index cost =
            positions * ((problem_.outputs + shape.channels - 1) / shape.channels) * (shape.channels * shape.tiles + shape.tiles);
        if (best_cost != 0 && cost >= best_cost) return;
        best_cost = cost;
        tiles_ = std::move(tiles);
        channels_ = shape.channels;
        tiles_of_group_ = shape.tiles;
      });
    }
  }

  // The tiles of a part, a multiple of those of a register tile: their transformed inputs should stay in the second-level cache,
  // and parts should take about the same time.
  Index tiles_at_once() const {
    constexpr Index cache_packs = 256 * 1024 / static_cast<Index>(sizeof(Pack<T>));
    const Index groups = (count() + tiles_of_group_ - 1) / tiles_of_group_;
    const Index fit = std::max<Index>(1, cache_packs / WinogradLayout::by_group(tiles_of_group_, problem_.inputs).group_stride);
    return equal_share(groups, fit) * tiles_of_group_;
  }

  template <int Channels, int Tiles>
  void run_tiles(const Batch<T>& x, Batch<T>& y, Index block, Index first, Index last) const {
    const WinogradLayout layout = WinogradLayout::by_group(Tiles, problem_.inputs);
    const Index groups_of_tiles = (last - first + Tiles - 1) / Tiles, line_packs = winograd_line_packs(problem_.plane);
    Pack<T>* const zeros = scratch<T>(x.width() + line_packs + groups_of_tiles * layout.group_stride);
    Pack<T>* const lines = std::fill_n(zeros, x.width(), Pack<T>(T(0)));
    Pack<T>* const values = lines + line_packs;
    const auto tiles = tiles_.span().subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first));
    WinogradReadAhead<T> ahead(x, 0, x.channels(), problem_.origin, tiles_at_once());  // of the next part
    for (Index tile = last; tile < std::min(last + tiles_at_once(), count()); ++tile) {
      ahead.add(tiles_[tile], block);
    }
    ahead.begin(problem_.groups * register_tiles() * groups_of_tiles * std::ssize(tiles.front().positions()));
    const T* weight = weight_.data();
    for (Index g = 0; g < problem_.groups; ++g) {
      winograd_transform(tiles, problem_.origin, x, block, g * problem_.inputs, layout, zeros, lines, values, problem_.before);
      for (Index t = 0; t < register_tiles(); ++t, weight += register_tile_weights()) {
        const Pack<T>* v = values;
        for (std::size_t tile = 0; tile < tiles.size(); tile += Tiles, v += layout.group_stride) {
          compute<Channels, Tiles>(weight, v, layout, y, block, g * problem_.outputs + first_channel(t),
                                   tiles.subspan(tile, std::min<std::size_t>(Tiles, tiles.size() - tile)), ahead);
        }
      }
    }
  }

  // One register tile: the outputs of some tiles, of the same extents, in Channels channels.
  template <int Channels, int Tiles>
  void compute(const T* weight, const Pack<T>* v, const WinogradLayout& layout, Batch<T>& y, Index block, Index channel,
               std::span<const WinogradTile> tiles, WinogradReadAhead<T>& ahead) const {
    WinogradTarget<T> targets[Tiles];
    for (std::size_t p = 0; p < tiles.size(); ++p) targets[p] = winograd_target(tiles[p], y, block, channel);
    Pack<T> product[winograd_positions][Channels][Tiles];
    const std::span<const int> positions = tiles.front().positions();
    auto next = positions.begin();
    const auto multiply = [&] {
      const Index position = *next++;
      ahead.turn();
      winograd_product(weight + position * problem_.inputs * Channels, v + position * layout.position_stride,
                       layout.channel_stride, problem_.inputs, product[position]);
    };
    // The outputs are rarely in a cache. They are asked for one row of a tile at a time, so that this does not hold up the products.
    for (int o = 0; o < Channels; ++o) {
      for (std::size_t p = 0; p < tiles.size(); ++p) {
        const Pack<T>* row = targets[p].pixel + o * y.channel_stride();
        for (Index k = 0; k < targets[p].rows; ++k, row += targets[p].row_stride) {
          prefetch_row(row, targets[p].columns);
          if (next != positions.end()) multiply();
        }
      }
    }
    while (next != positions.end()) multiply();
    const auto write = winograd_writer<T>(tiles.front());
    for (int o = 0; o < Channels; ++o) {
      const T shift = problem_.bias == nullptr ? T(0) : problem_.bias[channel + o];
      const auto after = problem_.after.of_channel(channel + o);
      for (std::size_t p = 0; p < tiles.size(); ++p) {
        write(&product[0][o][p], Channels * Tiles, shift, after, targets[p]);
        targets[p].pixel += y.channel_stride();
      }
    }
  }

  // Asks for a row of a tile of outputs. A column too much does no harm, loops would.
  NORMNET_INLINE static void prefetch_row(const Pack<T>* row, Index columns) {
    prefetch_for_write(row);
    prefetch_for_write(row + 1);
    if (columns <= 2) return;
    prefetch_for_write(row + 2);
    prefetch_for_write(row + 3);
  }

  WinogradProblem<T> problem_;
  AlignedArray<WinogradTile> tiles_;       // the first is the largest
  int channels_ = 1, tiles_of_group_ = 8;  // of a register tile
  // Transformed: [group][register tile][position][input channel][channel of the register tile]. Not cleared first: with many
  // channels it is larger than any cache.
  AlignedArray<T> weight_;
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
