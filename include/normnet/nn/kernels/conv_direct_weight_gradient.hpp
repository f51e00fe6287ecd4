// Direct convolution in lane layout: the gradient of the weight.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/batch.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/pointwise.hpp>
#include <normnet/nn/kernels/register_tiles.hpp>
#include <normnet/nn/kernels/strips.hpp>

#include <algorithm>

// With k = (channel, tap), a product in which one factor is a list of offsets instead of a matrix:
//
//     dw[o][k] = sum over p of dy[o](p) * x(p + offset[k])
//
// A register tile computes a few output channels times a few k, its sums in registers over all pixels of a strip.
namespace normnet::normnet_impl::inline NORMNET_ABI {

/// The offset of every k = (input channel of the group, tap) from the pixel (i S, j S) of the group's first channel.
inline AlignedArray<Index> column_offsets(const ConvGeometry& conv, Index channel_stride, Index row_stride) {
  auto offsets = AlignedArray<Index>::for_overwrite(conv.in_per_group() * conv.taps());
  Index* next = offsets.data();
  for (Index c = 0; c < conv.in_per_group(); ++c) {
    for (Index u = 0; u < conv.kernel.height; ++u) {
      for (Index v = 0; v < conv.kernel.width; ++v) {
        *next++ = c * channel_stride + (u * conv.dilation.height - conv.padding.height) * row_stride + v * conv.dilation.width -
                  conv.padding.width;
      }
    }
  }
  return offsets;
}

/// Where a tile of the weight gradient stands, and which of its channels the tile before has written already.
struct WeightTile {
  Index in_channel, out_channel;  // the first of each
  Index skip;
};

/// One register tile of the weight gradient over one strip: result[o * result_stride + k] = sum over pixels and lanes of
/// dy[o] * read(k, x(p + offset[k])), for every channel o of the tile but the skipped ones: another thread may be writing those.
template <int Channels, int Columns, class T, class Read>
void weight_gradient_tile(const ConvGeometry& conv, const Strip& strip, const Batch<T>& x, const Batch<T>& dy,
                          const WeightTile& tile, const Index* offset, T* result, Index result_stride, Read read) {
  Pack<T> total[Channels * Columns];
#pragma GCC unroll 54
  for (int i = 0; i < Channels * Columns; ++i) total[i] = Pack<T>(T(0));
  // Where planes are of one pixel, those of all blocks are the row.
  const bool row_of_blocks = dy.plane() == 1;
  const Index blocks = strip.last_block - strip.first_block;
  const Index step = row_of_blocks ? dy.block_stride() : 1, end = step * (row_of_blocks ? blocks : dy.width());
  const Index input_step = row_of_blocks ? x.block_stride() : conv.stride.width;
  for (Index block = strip.first_block; block < strip.first_block + (row_of_blocks ? 1 : blocks); ++block) {
    for (Index row = strip.first_row; row < strip.last_row; ++row) {
      const Pack<T>* const first_gradient = dy.row(block, tile.out_channel, row);
      const Pack<T>* const first_input = x.row(block, tile.in_channel, row * conv.stride.height);
      const Pack<T>* gradient[Channels];
      const Pack<T>* input[Columns];
      for (int o = 0; o < Channels; ++o) gradient[o] = first_gradient + o * dy.channel_stride();
      for (int k = 0; k < Columns; ++k) input[k] = first_input + offset[k];
      for (Index i = 0, j = 0; i < end; i += step, j += input_step) {
        add_outer_product<Channels, Columns>([&](int o) { return gradient[o][i]; }, [&](int k) { return read(k, input[k][j]); },
                                             total);
      }
    }
  }
  T over_lanes[Channels * Columns];
  sums(total, over_lanes);
  for (Index o = tile.skip; o < Channels; ++o) std::copy_n(over_lanes + o * Columns, Columns, result + o * result_stride);
}

/// The pixels of dy that a strip may have: a few hundred are enough for the sums over the lanes not to count. Of many channels
/// fewer, so that the pixels of x which they read stay in the second-level cache from register tile to register tile; but so many
/// that the partial sums of all strips do not take more memory than a large batch does.
template <class T>
Index most_strip_pixels(const ConvGeometry& conv, const Batch<T>& dy) {
  constexpr Index cache_packs = 1024 * 1024 / static_cast<Index>(sizeof(Pack<T>));
  constexpr Index most_sums = 64 * 1024 * 1024 / static_cast<Index>(sizeof(T));
  const Index packs_per_pixel = conv.in_per_group() * conv.stride.height * conv.stride.width;
  const Index weights = conv.out_channels * conv.in_per_group() * conv.taps();
  return std::max(std::clamp<Index>(cache_packs / packs_per_pixel, 64, 448),
                  dy.blocks() * dy.plane() / std::max<Index>(1, most_sums / weights));
}

/// The output channels of register tiles that read x through a prologue: there is code for one size, which serves most layers
/// well.
inline constexpr int prologue_tile_channels = 4;

/// Whether the direct algorithm can read x through a prologue, forward and in the weight gradient: where it reads no border, each
/// pixel of a channel for few outputs, and channels fill register tiles of that size.
inline bool conv_direct_takes_prologue(const ConvGeometry& conv) {
  return conv.kernel == Pair(1) && conv.padding == Pair(0) && conv.out_per_group() >= prologue_tile_channels &&
         conv.in_per_group() >= columns_per_tile(prologue_tile_channels);
}

/// Adds the gradient with respect to the weight, of outputs of before(x), to dweight. x needs a border of the convolution's
/// padding; padding lanes are zero in dy. Each strip has a partial sum of its own, and these are added in their order, so no bit
/// depends on the number of threads.
template <class T>
void conv_direct_weight_gradient(const ConvGeometry& conv, const Batch<T>& x, const Batch<T>& dy, T* dweight,
                                 const Prologue<T>& before = {}) {
  const AlignedArray<Index> offset = column_offsets(conv, x.channel_stride(), x.row_stride());
  const Index columns = offset.size();
  const Strips parts(dy.blocks(), dy.height(), dy.width(), most_strip_pixels(conv, dy));
  const Index weights = conv.out_channels * columns;
  auto partial = AlignedArray<T>::for_overwrite(parts.count() * weights);
  const auto read = [](int, const Pack<T>& pixel) { return pixel; };
  with_tile(before.empty() ? channels_per_tile(conv.out_per_group()) : prologue_tile_channels, [&](auto tile) {
    constexpr int channels = tile();
    constexpr int at_once = columns_per_tile(channels);
    const Index tiles = (conv.out_per_group() + channels - 1) / channels;
    const Index cost = columns * channels * dy.plane() * dy.blocks() / std::max<Index>(1, parts.count());
    parallel_for_2d(parts.count(), conv.groups * tiles, cost, [&](Index part, Index group_tile) {
      const Index g = group_tile / tiles, next = group_tile % tiles * channels;
      const Index start = std::min(next, conv.out_per_group() - channels);
      const WeightTile where{g * conv.in_per_group(), g * conv.out_per_group() + start, next - start};
      const Strip strip = parts[part];
      T* result = partial.data() + part * weights + where.out_channel * columns;
      if (columns < at_once) {
        // Too few for a tile, which is rare: one weight at a time, in code that serves tiles of every size.
        for (Index o = where.skip; o < channels; ++o) {
          const WeightTile single{where.in_channel, where.out_channel + o, 0};
          for (Index k = 0; k < columns; ++k) {
            weight_gradient_tile<1, 1>(conv, strip, x, dy, single, &offset[k], result + o * columns + k, columns, read);
          }
        }
      } else {
        for (Index column = 0; column < columns; column += at_once) {
          const Index k = std::min(column, columns - at_once);
          const Index* const first = &offset[k];
          if (before.empty()) {
            weight_gradient_tile<channels, at_once>(conv, strip, x, dy, where, first, result + k, columns, read);
          } else if constexpr (channels == prologue_tile_channels) {
            const NormalizingLine<T>* const lines = before.lines + where.in_channel + k;
            const Pack<T> least = before.least();
            weight_gradient_tile<channels, at_once>(
                conv, strip, x, dy, where, first, result + k, columns,
                [lines, least](int column_of_tile, const Pack<T>& pixel) { return max(least, lines[column_of_tile](pixel)); });
          }
        }
      }
    });
  });
  constexpr Index at_once = 64;
  parallel_for((weights + at_once - 1) / at_once, parts.count() * at_once, [&](Index run) {
    const Index first = run * at_once, count = std::min(at_once, weights - first);
    double total[at_once] = {};
    for (Index part = 0; part < parts.count(); ++part) {
      const T* const of_part = partial.data() + part * weights + first;
      for (Index i = 0; i < count; ++i) total[i] += static_cast<double>(of_part[i]);
    }
    for (Index i = 0; i < count; ++i) dweight[first + i] += static_cast<T>(total[i]);
  });
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
