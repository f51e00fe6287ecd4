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
#include <vector>

// At each position, dg is a product of (output channels x tiles) with (tiles x input channels), whose sums stay in registers over
// all tiles of a strip. The positions of two rows of the transform are computed at a time, for as many channels as fit the cache.
namespace normnet::inline NORMNET_ABI::kernels {

/// Two rows of a transform, B^T or A, that have most of their terms in common, of M / 2 + 1 such pairs: first and last, second and
/// third, ...
template <int M>
struct WinogradRows {
  static constexpr Index pairs = M / 2 + 1;

  /// Row 0 or 1 of a pair, among those of the transform.
  static constexpr Index row(Index pair, Index which) {
    if (pair == 0) return which == 0 ? 0 : M + 1;
    return 2 * pair - 1 + which;
  }
};

/// Transformed pixels of a strip of tiles: value(position, channel)[tile], for the positions of two rows of the transform.
template <class T>
struct WinogradStrip {
  Pack<T>* values;
  Index channels;
  Index tiles;

  /// Odd, so that channels do not share a set of the cache.
  Index stride() const { return tiles | 1; }
  Pack<T>* operator()(Index position, Index channel) const { return values + (position * channels + channel) * stride(); }
};

/// The plane of pixels that the tiles of a strip read, and a row of zeros for those that hang over.
template <class T>
struct WinogradPlane {
  const Batch<T>& batch;
  Pair origin;
  Index height, width;
  const Pack<T>* zeros;
};

/// Transforms some channels of a strip of tiles: one pair of rows of the transform. Each tile reads Pixels x Pixels pixels, of
/// which Transform makes M + 2 in each direction.
template <int M, Index RowPair, std::size_t Pixels, class T, class Transform>
void winograd_strip(const WinogradGrid& grid, const Strip& strip, const WinogradPlane<T>& plane, Index first_channel,
                    const WinogradStrip<T>& out, Transform transform) {
  using Rows = WinogradRows<M>;
  constexpr auto row_0 = static_cast<std::size_t>(Rows::row(RowPair, 0)), row_1 = static_cast<std::size_t>(Rows::row(RowPair, 1));
  const Index columns = grid.columns(), stride = out.channels * out.stride();
  for (Index c = 0; c < out.channels; ++c) {
    Pack<T>* target = out(0, c);
    for (Index block = strip.first_block; block < strip.last_block; ++block) {
      for (Index i = strip.first_row; i < strip.last_row; ++i) {
        const Pack<T>* pixel[Pixels];
        for (std::size_t k = 0; k < Pixels; ++k) {
          const Index row = i * M + static_cast<Index>(k);
          pixel[k] = plane.zeros;
          if (row < plane.height) {
            pixel[k] = plane.batch.row(block, first_channel + c, plane.origin.height + row) + plane.origin.width;
          }
        }
        // The pixels of both rows that a tile reads; it shares some with the tile before.
        std::array<Pack<T>, Pixels> d[2];
        const auto read = [&](std::size_t k, Index j) {
          std::array<Pack<T>, Pixels> column;
#pragma GCC unroll 6
          for (std::size_t l = 0; l < Pixels; ++l) column[l] = pixel[l][j];
          const auto transformed = transform(column);
          d[0][k] = transformed[row_0];
          d[1][k] = transformed[row_1];
        };
        for (std::size_t k = M; k < Pixels; ++k) read(k, static_cast<Index>(k - M));
        for (Index j = 0; j < columns; ++j, ++target) {
          for (std::size_t k = M; k < Pixels; ++k) {
            d[0][k - M] = d[0][k];
            d[1][k - M] = d[1][k];
          }
          const Index next = j * M + static_cast<Index>(Pixels) - M, count = std::min<Index>(M, plane.width - next);
          if (count == M) {
#pragma GCC unroll 4
            for (std::size_t k = 0; k < M; ++k) read(Pixels - M + k, next + static_cast<Index>(k));
          } else {
            for (std::size_t k = 0; k < M; ++k) {
              d[0][Pixels - M + k] = d[1][Pixels - M + k] = Pack<T>(T(0));
              if (static_cast<Index>(k) < count) read(Pixels - M + k, next + static_cast<Index>(k));
            }
          }
#pragma GCC unroll 2
          for (Index which = 0; which < 2; ++which) {
            const auto transformed = transform(d[which]);
#pragma GCC unroll 6
            for (Index k = 0; k < M + 2; ++k) target[(which * (M + 2) + k) * stride] = transformed[static_cast<std::size_t>(k)];
          }
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
        // Too few for a tile, which is rare: one pair at a time, in code that serves tiles of every size.
        for (Index row = next; row < std::min(next + rows, outputs); ++row) {
          for (Index c = 0; c < inputs; ++c) {
            winograd_gradient_tile<1, 1>(u(position, row), v(position, c), u.tiles, u.stride(), result + row * result_stride + c,
                                         result_stride);
          }
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

inline Index winograd_tiles_in(const Strip& strip, const WinogradGrid& grid) {
  return (strip.last_block - strip.first_block) * (strip.last_row - strip.first_row) * grid.columns();
}

/// The channels of a strip that are transformed at a time: as many as fit so many bytes, in shares of about the same size.
template <int M, class T>
Index winograd_channels_at_once(Index channels, Index tiles, Index cache_bytes) {
  const Index fit = std::max<Index>(8, cache_bytes / (2 * (M + 2) * tiles * static_cast<Index>(sizeof(Pack<T>))));
  return equal_share(channels, fit);
}

/// Which partial sums a thread computes at a time: those of a strip, a pair of rows of positions and some output channels of
/// each group.
struct WinogradGradientShare {
  Strip strip;
  Index first_output, last_output;
};

/// partial[position][output channel][input channel] for the positions of a pair of rows.
template <int M, Index RowPair, class T>
void winograd_gradient_rows(const ConvGeometry& conv, const WinogradGrid& grid, const WinogradGradientShare& share,
                            const Batch<T>& x, const Batch<T>& dy, T* partial) {
  const Strip& strip = share.strip;
  const Index inputs = conv.in_per_group(), outputs = conv.out_per_group(), pairs = conv.out_channels * inputs;
  const Index tiles = winograd_tiles_in(strip, grid), outputs_at_once = share.last_output - share.first_output;
  const Index inputs_at_once = winograd_channels_at_once<M, T>(inputs, tiles, 256 * 1024);
  const Index channel_packs = 2 * (M + 2) * (tiles | 1), width = grid.input_width();
  Pack<T>* const zeros = scratch<T>(width + (outputs_at_once + inputs_at_once) * channel_packs);
  std::fill_n(zeros, width, Pack<T>(T(0)));
  const WinogradPlane<T> gradients{dy, {0, 0}, grid.height, grid.width, zeros};
  const WinogradPlane<T> pixels{x, grid.origin, grid.input_height(), grid.input_width(), zeros};
  for (Index g = 0; g < conv.groups; ++g) {
    const Index first_output = g * outputs + share.first_output;
    const WinogradStrip<T> u{zeros + width, outputs_at_once, tiles};
    winograd_strip<M, RowPair, M>(grid, strip, gradients, first_output, u,
                                  [](const std::array<Pack<T>, M>& d) { return Winograd<M>::gradient(d); });
    for (Index c = 0; c < inputs; c += inputs_at_once) {
      const WinogradStrip<T> v{u.values + u.channels * channel_packs, std::min(inputs_at_once, inputs - c), tiles};
      winograd_strip<M, RowPair, M + 2>(grid, strip, pixels, g * inputs + c, v,
                                        [](const std::array<Pack<T>, M + 2>& d) { return Winograd<M>::input(d); });
      for (Index j = 0; j < 2 * (M + 2); ++j) {
        const Index position = WinogradRows<M>::row(RowPair, j / (M + 2)) * (M + 2) + j % (M + 2);
        winograd_gradient_product(u, v, j, partial + position * pairs + first_output * inputs + c, inputs);
      }
    }
  }
}

/// Cuts a batch into strips of at most about 16 tiles: few enough for their transforms to stay in the second-level cache, enough
/// for the sum over the lanes at the end of each not to count. Large planes are cut; small ones of several blocks go together.
inline std::vector<Strip> winograd_strips(Index blocks, const WinogradGrid& grid) {
  return strips(blocks, grid.rows(), grid.columns(), 16);
}

/// Adds the gradient with respect to the weight to dweight, from partial sums over fixed strips of tiles. x needs a border of the
/// convolution's padding; padding lanes are zero in dy.
template <int M, class T>
void winograd_weight_gradient(const ConvGeometry& conv, const Batch<T>& x, const Batch<T>& dy, T* dweight) {
  constexpr Index positions = winograd_positions<M>;
  const WinogradGrid grid{M, dy.height(), dy.width(), {-conv.padding.height, -conv.padding.width}};
  const std::vector<Strip> parts = winograd_strips(dy.blocks(), grid);
  const Index pairs = conv.out_channels * conv.in_per_group(), count = static_cast<Index>(parts.size());
  // With room for the last sums to be read as a whole line of the cache.
  constexpr Index at_once = Pack<T>::lanes;
  const Index sums = count * positions * pairs;
  T* const partial = reinterpret_cast<T*>(shared_scratch<T>((sums + 2 * at_once - 1) / at_once));
  std::fill_n(partial + sums, at_once, T(0));
  constexpr Index row_pairs = WinogradRows<M>::pairs;
  Index most_tiles = 1;
  for (const Strip& strip : parts) most_tiles = std::max(most_tiles, winograd_tiles_in(strip, grid));
  const Index outputs = conv.out_per_group(), outputs_at_once = winograd_channels_at_once<M, T>(outputs, most_tiles, 512 * 1024);
  const Index shares = (outputs + outputs_at_once - 1) / outputs_at_once;
  const Index cost = 2 * (M + 2) * pairs * grid.tiles() * dy.blocks() / std::max<Index>(1, count * shares);
  parallel_for_2d(count, row_pairs * shares, cost, [&](Index part, Index row_pair_and_share) {
    const Index row_pair = row_pair_and_share / shares, first_output = row_pair_and_share % shares * outputs_at_once;
    const WinogradGradientShare share{parts[static_cast<std::size_t>(part)], first_output,
                                      std::min(first_output + outputs_at_once, outputs)};
    T* const of_part = partial + part * positions * pairs;
    if (row_pair == 0) return winograd_gradient_rows<M, 0>(conv, grid, share, x, dy, of_part);
    if (row_pair == 1) return winograd_gradient_rows<M, 1>(conv, grid, share, x, dy, of_part);
    if constexpr (row_pairs == 3) winograd_gradient_rows<M, 2>(conv, grid, share, x, dy, of_part);
  });
  constexpr Index lanes = Pack<double>::lanes;
  parallel_for((pairs + at_once - 1) / at_once, positions * count, [&](Index run) {
    const Index first = run * at_once;
    std::array<std::array<Pack<double>, static_cast<std::size_t>(positions)>, static_cast<std::size_t>(at_once / lanes)> total;
    for (std::size_t position = 0; position < static_cast<std::size_t>(positions); ++position) {
      for (auto& of_lanes : total) of_lanes[position] = Pack<double>(0.0);
      const T* value = partial + static_cast<Index>(position) * pairs + first;
      for (Index part = 0; part < count; ++part, value += positions * pairs) {
        for (std::size_t i = 0; i < total.size(); ++i) total[i][position] += widen(value + static_cast<Index>(i) * lanes);
      }
    }
    for (std::size_t i = 0; i < total.size(); ++i) {
      const std::array<Pack<double>, 9> gradient = winograd_weight_gradient<M>(total[i]);
      const Index pair = first + static_cast<Index>(i) * lanes;
      for (int lane = 0; lane < std::min(lanes, pairs - pair); ++lane) {
        T* const weight = dweight + (pair + lane) * 9;
        for (std::size_t tap = 0; tap < 9; ++tap) weight[tap] += static_cast<T>(gradient[tap][lane]);
      }
    }
  });
}

/// The same with the size of tiles that multiplies less.
template <class T>
void conv_winograd_weight_gradient(const ConvGeometry& conv, const Batch<T>& x, const Batch<T>& dy, T* dweight) {
  with_winograd_tile(fastest_winograd_tile({dy.height(), dy.width()}),
                     [&](auto tile) { winograd_weight_gradient<tile()>(conv, x, dy, dweight); });
}

}  // namespace normnet::inline NORMNET_ABI::kernels
