// Winograd's convolution in lane layout: the gradient of the weight, F(3x3, 4x4) and F(3x3, 2x2).
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/core/scratch.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/register_tiles.hpp>
#include <normnet/nn/kernels/strips.hpp>
#include <normnet/nn/kernels/winograd_transforms.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <vector>

// At each position, dg is a product of (output channels x tiles) with (tiles x input channels), whose sums stay in registers over
// all tiles of a strip. The positions of one row of the transform are computed at a time, for as many channels as fit the cache.
namespace normnet::inline NORMNET_ABI::kernels {

/// A row of a transform, B^T or A: the sum over k < M of factor[k] * pixel[index[k]]. No row has more terms.
template <int M, class T>
struct WinogradRow {
  std::array<Index, static_cast<std::size_t>(M)> index{};
  std::array<T, static_cast<std::size_t>(M)> factor{};

  /// Row i of the transform of `Pixels` pixels, found by transforming unit vectors.
  template <std::size_t Pixels, class Transform>
  static WinogradRow of(std::size_t i, Transform transform) {
    WinogradRow row;
    std::size_t terms = 0;
    for (std::size_t k = 0; k < Pixels; ++k) {
      std::array<double, Pixels> unit{};
      unit[k] = 1;
      const double factor = transform(unit)[i];
      if (factor == 0) continue;
      row.index[terms] = static_cast<Index>(k);
      row.factor[terms++] = static_cast<T>(factor);
    }
    return row;
  }
  static WinogradRow of_input(std::size_t i) {
    return of<M + 2>(i, [](const std::array<double, M + 2>& d) { return Winograd<M>::input(d); });
  }
  static WinogradRow of_gradient(std::size_t i) {
    return of<M>(i, [](const std::array<double, M>& dy) { return Winograd<M>::gradient(dy); });
  }

  /// The same where the pixels from `count` on do not exist: they count as zero.
  WinogradRow within(Index count) const {
    WinogradRow row = *this;
    for (std::size_t k = 0; k < row.index.size(); ++k) {
      if (index[k] < count) continue;
      row.index[k] = 0;
      row.factor[k] = T(0);
    }
    return row;
  }
};

/// Transformed pixels of a strip of tiles: value(position, channel)[tile], for the M + 2 positions of a row of the transform.
template <class T>
struct WinogradStrip {
  Pack<T>* values;
  Index channels;
  Index tiles;

  /// Odd, so that channels do not share a set of the cache.
  Index stride() const { return tiles | 1; }
  Pack<T>* operator()(Index position, Index channel) const { return values + (position * channels + channel) * stride(); }
};

/// Transforms some channels of a strip of tiles: one row of the transform. The plane of `height` x `width` pixels that the tiles
/// read starts at `origin`; each tile reads Pixels x Pixels of them, which Transform makes M + 2 of.
template <int M, std::size_t Pixels, class T, class Transform>
void winograd_strip(const WinogradGrid& grid, const Strip& strip, const Batch<T>& batch, Pair origin, Index height, Index width,
                    const WinogradRow<M, T>& row, Index first_channel, const WinogradStrip<T>& out, Transform transform) {
  const Index columns = grid.columns(), stride = out.channels * out.stride();
  for (Index c = 0; c < out.channels; ++c) {
    Pack<T>* target = out(0, c);
    for (Index block = strip.first_block; block < strip.last_block; ++block) {
      for (Index i = strip.first_row; i < strip.last_row; ++i) {
        const WinogradRow<M, T> present = row.within(height - i * M);
        const Pack<T>* pixel[M];
        Pack<T> factor[M];
        for (std::size_t k = 0; k < M; ++k) {
          pixel[k] = batch.row(block, first_channel + c, origin.height + i * M + present.index[k]) + origin.width;
          factor[k] = Pack<T>(present.factor[k]);
        }
        const auto column = [&](Index j) {
          for (std::size_t k = 0; k < M; ++k) prefetch(pixel[k] + j + batch.channel_stride());
          Pack<T> value = factor[0] * pixel[0][j];
#pragma GCC unroll 4
          for (std::size_t k = 1; k < M; ++k) value += factor[k] * pixel[k][j];
          return value;
        };
        std::array<Pack<T>, Pixels> d;
        for (std::size_t k = M; k < Pixels; ++k) d[k] = column(static_cast<Index>(k - M));
        for (Index j = 0; j < columns; ++j, ++target) {
          for (std::size_t k = M; k < Pixels; ++k) d[k - M] = d[k];
          const Index next = j * M + static_cast<Index>(Pixels) - M, count = std::min<Index>(M, width - next);
          if (count == M) {
#pragma GCC unroll 4
            for (std::size_t k = 0; k < M; ++k) d[Pixels - M + k] = column(next + static_cast<Index>(k));
          } else {
            for (std::size_t k = 0; k < M; ++k)
              d[Pixels - M + k] = static_cast<Index>(k) < count ? column(next + static_cast<Index>(k)) : Pack<T>(T(0));
          }
          const auto transformed = transform(d);
#pragma GCC unroll 6
          for (std::size_t k = 0; k < M + 2; ++k) target[static_cast<Index>(k) * stride] = transformed[k];
        }
      }
    }
  }
}

/// One register tile: result[o * result_stride + c] = sum over tiles and lanes of u[o * stride + tile] * v[c * stride + tile].
template <int Outputs, int Inputs, class T>
void winograd_gradient_tile(const Pack<T>* u, const Pack<T>* v, Index tiles, Index stride, T* result, Index result_stride) {
  Pack<T> total[Outputs * Inputs];
#pragma GCC unroll 54
  for (int i = 0; i < Outputs * Inputs; ++i) total[i] = Pack<T>(T(0));
  for (Index tile = 0; tile < tiles; ++tile) {
    Pack<T> g[Outputs];
#pragma GCC unroll 6
    for (int o = 0; o < Outputs; ++o) g[o] = load(u[o * stride + tile]);
#pragma GCC unroll 9
    for (int c = 0; c < Inputs; ++c) {
      const Pack<T> value = load(v[c * stride + tile]);
#pragma GCC unroll 6
      for (int o = 0; o < Outputs; ++o) total[o * Inputs + c] += g[o] * value;
    }
  }
  T over_lanes[Outputs * Inputs];
  sums(total, over_lanes);
  for (int o = 0; o < Outputs; ++o) std::copy_n(over_lanes + o * Inputs, Inputs, result + o * result_stride);
}

/// All pairs of the channels at one position of two transformed strips: result[o * result_stride + c].
template <class T>
void winograd_gradient_product(const WinogradStrip<T>& u, const WinogradStrip<T>& v, Index position, T* result,
                               Index result_stride) {
  const Index outputs = u.channels, inputs = v.channels;
  with_tile(channels_per_tile(outputs), [&](auto tile) {
    constexpr int rows = tile(), columns = columns_per_tile<rows>();
    for (Index next = 0; next < outputs; next += rows) {
      const Index o = std::min<Index>(next, outputs - rows);
      if (inputs < columns) {
        for (Index c = 0; c < inputs; ++c) {
          winograd_gradient_tile<rows, 1>(u(position, o), v(position, c), u.tiles, u.stride(), result + o * result_stride + c,
                                          result_stride);
        }
      } else {
        for (Index column = 0; column < inputs; column += columns) {
          const Index c = std::min<Index>(column, inputs - columns);
          winograd_gradient_tile<rows, columns>(u(position, o), v(position, c), u.tiles, u.stride(),
                                                result + o * result_stride + c, result_stride);
        }
      }
    }
  });
}

/// The channels of a strip that are transformed at a time: as many as fit so many bytes, in shares of about the same size.
template <int M, class T>
Index winograd_channels_at_once(Index channels, Index tiles, Index cache_bytes) {
  const Index fit = std::max<Index>(8, cache_bytes / ((M + 2) * tiles * static_cast<Index>(sizeof(Pack<T>))));
  const Index shares = (channels + fit - 1) / fit;
  return (channels + shares - 1) / shares;
}

/// One row of positions of a strip: partial[position][output channel][input channel] for positions [i (M + 2), (i + 1) (M + 2)).
template <int M, class T>
void winograd_gradient_row(const ConvGeometry& conv, const WinogradGrid& grid, const Strip& strip, const Batch<T>& x,
                           const Batch<T>& dy, Index i, T* partial) {
  const Index inputs = conv.in_per_group(), outputs = conv.out_per_group(), pairs = conv.out_channels * inputs;
  const Index tiles = (strip.last_block - strip.first_block) * (strip.last_row - strip.first_row) * grid.columns();
  const Index outputs_at_once = winograd_channels_at_once<M, T>(outputs, tiles, 512 * 1024);
  const Index inputs_at_once = winograd_channels_at_once<M, T>(inputs, tiles, 192 * 1024);
  const Index channel_packs = (M + 2) * (tiles | 1);
  Pack<T>* const memory = scratch<T>((outputs_at_once + inputs_at_once) * channel_packs);
  const auto row_of_gradient = WinogradRow<M, T>::of_gradient(static_cast<std::size_t>(i));
  const auto row_of_input = WinogradRow<M, T>::of_input(static_cast<std::size_t>(i));
  for (Index g = 0; g < conv.groups; ++g) {
    for (Index o = 0; o < outputs; o += outputs_at_once) {
      const WinogradStrip<T> u{memory, std::min(outputs_at_once, outputs - o), tiles};
      winograd_strip<M, M>(grid, strip, dy, {0, 0}, grid.height, grid.width, row_of_gradient, g * outputs + o, u,
                           [](const std::array<Pack<T>, M>& pixels) { return Winograd<M>::gradient(pixels); });
      for (Index c = 0; c < inputs; c += inputs_at_once) {
        const WinogradStrip<T> v{u.values + u.channels * channel_packs, std::min(inputs_at_once, inputs - c), tiles};
        winograd_strip<M, M + 2>(grid, strip, x, grid.origin, grid.input_height(), grid.input_width(), row_of_input,
                                 g * inputs + c, v, [](const std::array<Pack<T>, M + 2>& d) { return Winograd<M>::input(d); });
        for (Index j = 0; j < M + 2; ++j) {
          winograd_gradient_product(u, v, j, partial + (i * (M + 2) + j) * pairs + (g * outputs + o) * inputs + c, inputs);
        }
      }
    }
  }
}

/// Cuts a batch into strips of tiles: few enough for the pixels of a strip and their transforms to stay in the second-level cache,
/// enough for the sum over the lanes at the end of each not to count. Large planes are cut; small ones of two blocks go together.
inline std::vector<Strip> winograd_strips(Index blocks, const WinogradGrid& grid) {
  return strips(blocks, grid.rows(), grid.columns(), grid.tiles() > 20 ? 16 : 32);
}

/// Adds the gradient with respect to the weight to dweight, from partial sums over fixed strips of tiles. x needs a border of the
/// convolution's padding; padding lanes are zero in dy.
template <int M, class T>
void winograd_weight_gradient(const ConvGeometry& conv, const Batch<T>& x, const Batch<T>& dy, T* dweight) {
  constexpr Index positions = winograd_positions<M>;
  const WinogradGrid grid{M, dy.height(), dy.width(), {-conv.padding.height, -conv.padding.width}};
  const std::vector<Strip> parts = winograd_strips(dy.blocks(), grid);
  const Index pairs = conv.out_channels * conv.in_per_group(), count = static_cast<Index>(parts.size());
  const auto partial = std::make_unique_for_overwrite<T[]>(static_cast<std::size_t>(count * positions * pairs));
  const Index cost = (M + 2) * pairs * grid.tiles() * dy.blocks() / std::max<Index>(1, count);
  parallel_for_2d(count, M + 2, cost, [&](Index part, Index i) {
    winograd_gradient_row<M>(conv, grid, parts[static_cast<std::size_t>(part)], x, dy, i,
                             partial.get() + part * positions * pairs);
  });
  parallel_for(pairs, positions * count, [&](Index pair) {
    std::array<double, static_cast<std::size_t>(positions)> total{};
    const T* value = partial.get() + pair;
    for (Index part = 0; part < count; ++part) {
      for (double& of_position : total) {
        of_position += static_cast<double>(*value);
        value += pairs;
      }
    }
    const std::array<double, 9> gradient = winograd_weight_gradient<M>(total);
    for (std::size_t tap = 0; tap < 9; ++tap) dweight[pair * 9 + static_cast<Index>(tap)] += static_cast<T>(gradient[tap]);
  });
}

/// The same with the size of tiles that multiplies less.
template <class T>
void conv_winograd_weight_gradient(const ConvGeometry& conv, const Batch<T>& x, const Batch<T>& dy, T* dweight) {
  const int size =
      winograd_multiplications({dy.height(), dy.width()}) < winograd_multiplications(2, {dy.height(), dy.width()}) ? 4 : 2;
  with_winograd_tile(size, [&](auto tile) { winograd_weight_gradient<tile()>(conv, x, dy, dweight); });
}

}  // namespace normnet::inline NORMNET_ABI::kernels
