// Winograd's convolution in lane layout, block by block: forward pass and input gradient.
#pragma once

#include <normnet/core/scratch.hpp>
#include <normnet/nn/kernels/register_tiles.hpp>
#include <normnet/nn/kernels/winograd_steps.hpp>

#include <algorithm>
#include <memory>
#include <utility>

// For a run of tiles that fits the second-level cache: all inputs are transformed; then, at each position, register tiles compute
// (output channels x input channels) times (input channels x tiles), and are transformed back.
namespace normnet::inline NORMNET_ABI::kernels {

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
    weight_ = std::make_unique_for_overwrite<T[]>(
        static_cast<std::size_t>(problem_.groups * register_tiles() * register_tile_weights()));
    with_winograd_tile(grid_.size, [&](auto size) {
      parallel_for_2d(problem_.groups * register_tiles(), problem_.inputs, channels_ * 4, [&](Index group_and_tile, Index c) {
        const Index g = group_and_tile / register_tiles(), first = first_channel(group_and_tile % register_tiles());
        winograd_transform_weights<size()>(problem_, g, c, first, channels_,
                                           weight_.get() + group_and_tile * register_tile_weights() + c * channels_,
                                           problem_.inputs * channels_);
      });
    });
  }

  /// Runs of tiles: the parts of a block that can be computed independently.
  Index parts() const { return (grid_.tiles() + tiles_at_once() - 1) / tiles_at_once(); }

  /// The vector operations of a part.
  Index cost() const {
    return std::min(tiles_at_once(), grid_.tiles()) * positions() * problem_.groups * problem_.inputs * problem_.outputs;
  }

  void run(const Batch<T>& x, Batch<T>& y, Index block, Index part) const {
    const Index first = part * tiles_at_once(), last = std::min(first + tiles_at_once(), grid_.tiles());
    with_winograd_tile(grid_.size, [&](auto size) {
      for_winograd_register_tiles([&](auto tile) {
        if (tile.channels == channels_) run_tiles<size(), tile.channels, tile.tiles>(x, y, block, first, last);
      });
    });
  }

 private:
  Index positions() const { return (grid_.size + 2) * (grid_.size + 2); }
  Index register_tiles() const { return (problem_.outputs + channels_ - 1) / channels_; }
  Index register_tile_weights() const { return positions() * problem_.inputs * channels_; }

  // The first output channel of a register tile; the last tile overlaps the one before.
  Index first_channel(Index register_tile) const { return std::min(register_tile * channels_, problem_.outputs - channels_); }

  // Sets the size of the tiles and the channels of a register tile so that all channels and tiles are covered with the fewest
  // multiplications and loads of packs. Small planes rarely fill register tiles of large tiles.
  void choose_tiles() {
    const Pair plane = problem_.plane;
    Index best_cost = 0;
    for (const int size : {2, 4}) {
      if (!winograd_tile_fits(size, plane)) continue;
      const WinogradGrid grid{size, plane.height, plane.width, problem_.origin};
      for_winograd_register_tiles([&](auto tile) {
        const Index cost = (size + 2) * (size + 2) * ((problem_.outputs + tile.channels - 1) / tile.channels) *
                           ((grid.tiles() + tile.tiles - 1) / tile.tiles) * (tile.channels * tile.tiles + tile.tiles);
        if (tile.channels > problem_.outputs || (best_cost != 0 && cost >= best_cost)) return;
        best_cost = cost;
        grid_ = grid;
        channels_ = tile.channels;
        tiles_ = tile.tiles;
      });
    }
  }

  // The tiles of a part, a multiple of those of a register tile: their transformed inputs should stay in the second-level cache,
  // and parts should take about the same time.
  Index tiles_at_once() const {
    constexpr Index cache_packs = 256 * 1024 / static_cast<Index>(sizeof(Pack<T>));
    const Index groups = (grid_.tiles() + tiles_ - 1) / tiles_;  // of tiles
    const Index fit =
        std::max<Index>(1, cache_packs / WinogradLayout::by_group(tiles_, problem_.inputs, positions()).group_stride);
    return equal_share(groups, fit) * tiles_;
  }

  template <int M, int Channels, int Tiles>
  void run_tiles(const Batch<T>& x, Batch<T>& y, Index block, Index first, Index last) const {
    constexpr Index count = winograd_positions<M>;
    const WinogradLayout layout = WinogradLayout::by_group(Tiles, problem_.inputs, count);
    const Index groups_of_tiles = (last - first + Tiles - 1) / Tiles, line_packs = winograd_line_packs(grid_);
    Pack<T>* const zeros = scratch<T>(x.width() + line_packs + groups_of_tiles * layout.group_stride);
    Pack<T>* const lines = std::fill_n(zeros, x.width(), Pack<T>(T(0)));
    Pack<T>* const values = lines + line_packs;
    const T* weight = weight_.get();
    for (Index g = 0; g < problem_.groups; ++g) {
      winograd_transform<M>(grid_, x, block, g * problem_.inputs, first, last, layout, zeros, lines, values);
      for (Index t = 0; t < register_tiles(); ++t, weight += register_tile_weights()) {
        const Pack<T>* v = values;
        for (Index tile = first; tile < last; tile += Tiles, v += layout.group_stride) {
          compute<M, Channels, Tiles>(weight, v, layout, y, block, g * problem_.outputs + first_channel(t), tile,
                                      static_cast<int>(std::min<Index>(Tiles, last - tile)));
        }
      }
    }
  }

  // One register tile: the outputs of `present` tiles, from the first on, in Channels channels.
  template <int M, int Channels, int Tiles>
  void compute(const T* weight, const Pack<T>* v, const WinogradLayout& layout, Batch<T>& y, Index block, Index channel,
               Index first, int present) const {
    constexpr Index count = winograd_positions<M>;
    WinogradTarget<T> targets[Tiles];
    for (int p = 0; p < present; ++p) targets[p] = winograd_target<M>(grid_, first + p, y, block, channel);
    Pack<T> product[count][Channels][Tiles];
    for (Index i = 0; i < count; ++i) {
      // The outputs are rarely in a cache: those of a channel at a time are asked for.
      constexpr Index every = count / Channels;
      if (i % every == 0 && i / every < Channels) {
        for (int p = 0; p < present; ++p) prefetch_tile<M>(targets[p], i / every * y.channel_stride());
      }
      winograd_product(weight + i * problem_.inputs * Channels, v + i * layout.position_stride, layout.channel_stride,
                       problem_.inputs, product[i]);
    }
    for (int o = 0; o < Channels; ++o) {
      const T shift = problem_.bias == nullptr ? T(0) : problem_.bias[channel + o];
      const auto after = problem_.after.of_channel(channel + o);
      for (int p = 0; p < present; ++p) {
        winograd_write_tile<M>(&product[0][o][p], Channels * Tiles, shift, after, targets[p]);
        targets[p].pixel += y.channel_stride();
      }
    }
  }

  // Asks for a tile of outputs that many packs behind that of the first channel.
  template <int M>
  NORMNET_INLINE static void prefetch_tile(const WinogradTarget<T>& target, Index offset) {
    const Pack<T>* row = target.pixel + offset;
    for (int k = 0; k < M; ++k, row += target.row_stride) {
#pragma GCC unroll 4
      for (int l = 0; l < M; ++l) prefetch_for_write(row + l);
    }
  }

  WinogradProblem<T> problem_;
  WinogradGrid grid_{};
  int channels_ = 1, tiles_ = 8;  // of a register tile
  // Transformed: [group][register tile][position][input channel][channel of the register tile]. Not cleared first: with many
  // channels it is larger than any cache.
  std::unique_ptr<T[]> weight_;
};

}  // namespace normnet::inline NORMNET_ABI::kernels
