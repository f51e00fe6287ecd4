// Winograd's convolution in lane layout, position by position for a whole batch: forward pass and input gradient of many channels.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/scratch.hpp>
#include <normnet/nn/kernels/winograd_steps.hpp>

#include <algorithm>
#include <cstddef>
#include <span>

// The transformed weights of many channels overflow the second-level cache: 38 MB for 512 to 512. Block by block, on small planes,
// a few products follow each weight that is fetched. Here all tiles of the batch are transformed first; then each position is one
// matrix product, which reads its weights once, (output channels x input channels) times (input channels x tiles); then all tiles
// are transformed back.
namespace normnet::normnet_impl::inline NORMNET_ABI {

/// Whether that moves less memory than block by block: the weights do not stay in a cache, and reading them anew for each block
/// takes longer than writing and reading transformed inputs and products.
template <class T>
bool winograd_takes_batch(const WinogradProblem<T>& problem, Index blocks) {
  constexpr Index cache_bytes = 1024 * 1024;
  const AlignedArray<WinogradTile> all = winograd_tiles(problem.plane);
  const Index tiles = all.size(), positions = std::ssize(all.front().positions());
  const Index pairs = problem.inputs * problem.outputs;
  if (positions * pairs * static_cast<Index>(sizeof(T)) < cache_bytes) return false;
  return (blocks - 1) * pairs > 2 * blocks * tiles * (problem.inputs + problem.outputs) * Pack<T>::lanes;
}

/// y by the way that winograd_takes_batch() is about. All tiles of the plane have the extents of the first.
template <class T>
class WinogradBatch {
 public:
  WinogradBatch(const WinogradProblem<T>& problem, const Batch<T>& x, Batch<T>& y)
      : problem_(problem),
        x_(x),
        y_(y),
        tiles_(winograd_tiles_in_groups(problem.plane, 4, problem.plane.height * problem.plane.width)),
        groups_of_tiles_((x.blocks() * tiles_of_block() + tiles - 1) / tiles),
        register_tiles_((problem.outputs + channels - 1) / channels),
        layout_{tiles, problem.inputs, (groups_of_tiles_ * problem.inputs * tiles) | 1, tiles, problem.inputs * tiles} {}

  void run() const {
    constexpr Index all = winograd_positions;
    Pack<T>* const values = shared_scratch<T>(all * (layout_.position_stride + product_stride() + weight_packs()));
    Pack<T>* const products = values + all * layout_.position_stride;
    T* const weights = reinterpret_cast<T*>(products + all * product_stride());
    for (Index g = 0; g < problem_.groups; ++g) {
      transform_weights(g, weights);
      transform_inputs(g, values);
      multiply(weights, values, products);
      write_outputs(g, products);
    }
  }

 private:
  // Of a register tile.
  static constexpr int channels = simd_registers >= 32 ? 6 : 4, tiles = simd_registers >= 32 ? 4 : 3;
  static constexpr Index channels_at_once = 16;  // that a thread transforms
  // Input channels whose transformed pixels stay in the first-level cache while they meet all weights.
  static constexpr Index inputs_at_once = 24 * 1024 / (tiles * static_cast<Index>(sizeof(Pack<T>)));

  Index tiles_of_block() const { return tiles_.size(); }

  // Weights lie as [position][register tile][input channel][channel of the register tile], products as [position][group of
  // tiles][register tile][channel of the register tile][tile of the group]. Positions stand an odd number of packs apart, so that
  // they do not share a set of the cache.
  Index weight_packs() const { return (register_tiles_ * problem_.inputs * channels / Pack<T>::lanes + 1) | 1; }
  Index weight_stride() const { return weight_packs() * Pack<T>::lanes; }
  Index product_stride() const { return (groups_of_tiles_ * register_tiles_ * channels * tiles) | 1; }

  // The first output channel of a register tile; the last tile overlaps the one before. Negative where there are fewer channels
  // than a register tile has: those below zero come to something that nobody writes.
  Index first_channel(Index register_tile) const { return std::min(register_tile * channels, problem_.outputs - channels); }

  void transform_weights(Index g, T* weights) const {
    parallel_for_2d(register_tiles_, problem_.inputs, channels * 4, [&](Index t, Index c) {
      winograd_transform_weights(problem_, g, c, first_channel(t), channels, tiles_.front(),
                                 weights + (t * problem_.inputs + c) * channels, weight_stride());
    });
  }

  void transform_inputs(Index g, Pack<T>* values) const {
    const Index shares = (problem_.inputs + channels_at_once - 1) / channels_at_once;
    parallel_for_2d(x_.blocks(), shares, tiles_of_block() * winograd_positions * channels_at_once, [&](Index block, Index share) {
      const Index first = share * channels_at_once, tile = block * tiles_of_block();
      WinogradLayout layout = layout_;
      layout.channels = std::min(channels_at_once, problem_.inputs - first);
      Pack<T>* const zeros = scratch<T>(x_.width() + winograd_line_packs(problem_.plane));
      Pack<T>* const lines = std::fill_n(zeros, x_.width(), Pack<T>(T(0)));
      winograd_transform(tiles_.span(), problem_.origin, x_, block, g * problem_.inputs + first, layout, zeros, lines,
                         values + tile / tiles * layout.group_stride + first * layout.channel_stride, problem_.before,
                         static_cast<int>(tile % tiles));
    });
  }

  void multiply(const T* weights, const Pack<T>* values, Pack<T>* products) const {
    constexpr Index shares = 4;  // of the register tiles of a position
    const Index cost = register_tiles_ * channels * problem_.inputs * groups_of_tiles_ * tiles / shares;
    const std::span<const int> positions = tiles_.front().positions();
    parallel_for_2d(std::ssize(positions), shares, cost, [&](Index index, Index share) {
      const Index position = positions[static_cast<std::size_t>(index)];
      const Index first = register_tiles_ * share / shares, last = register_tiles_ * (share + 1) / shares;
      const T* const weight = weights + position * weight_stride();
      for (Index c = 0; c < problem_.inputs; c += inputs_at_once) {
        const Index inputs = std::min(inputs_at_once, problem_.inputs - c);
        for (Index group = 0; group < groups_of_tiles_; ++group) {
          const Pack<T>* const v =
              values + position * layout_.position_stride + group * layout_.group_stride + c * layout_.channel_stride;
          for (Index t = first; t < last; ++t) {
            auto& product = *reinterpret_cast<Pack<T>(*)[channels][tiles]>(product_of(products, position, group, t));
            winograd_product(weight + (t * problem_.inputs + c) * channels, v, layout_.channel_stride, inputs, product, c > 0);
          }
        }
      }
    });
  }

  void write_outputs(Index g, Pack<T>* products) const {
    const Index of_block = tiles_of_block(), count = x_.blocks() * of_block;
    const auto write = winograd_writer<T>(tiles_.front());
    parallel_for_2d(groups_of_tiles_, register_tiles_, winograd_positions * channels * tiles, [&](Index group, Index t) {
      const Pack<T>* const product = product_of(products, 0, group, t);
      // Not again what the register tile before writes: another thread may be doing so.
      for (Index o = t * channels - first_channel(t); o < channels; ++o) {
        const Index channel = g * problem_.outputs + first_channel(t) + o;
        const T shift = problem_.bias == nullptr ? T(0) : problem_.bias[channel];
        const auto after = problem_.after.of_channel(channel);
        for (Index p = 0; p < std::min<Index>(tiles, count - group * tiles); ++p) {
          const Index index = group * tiles + p;
          const WinogradTile& tile = tiles_[index % of_block];
          write(product + o * tiles + p, product_stride(), shift, after, winograd_target(tile, y_, index / of_block, channel));
        }
      }
    });
  }

  Pack<T>* product_of(Pack<T>* products, Index position, Index group, Index register_tile) const {
    return products + position * product_stride() + (group * register_tiles_ + register_tile) * channels * tiles;
  }

  const WinogradProblem<T>& problem_;
  const Batch<T>& x_;
  Batch<T>& y_;
  AlignedArray<WinogradTile> tiles_;  // of a block
  Index groups_of_tiles_, register_tiles_;
  WinogradLayout layout_;  // of the transformed inputs: [position][group of tiles][channel][tile of the group]
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
