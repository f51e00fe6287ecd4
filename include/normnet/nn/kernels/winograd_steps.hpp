// What Winograd's convolutions are made of, forward passes and input gradients: the problem, and the steps of its solution.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/pointwise.hpp>
#include <normnet/nn/kernels/winograd_tiles.hpp>
#include <normnet/nn/kernels/winograd_transforms.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <utility>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// y = after(bias + weight * before(x)), a 3x3 correlation of stride 1 in each group of channels: a forward pass, or an input
/// gradient, in which dy is what is read here, and the weights are turned by 180 degrees.
template <class T>
struct WinogradProblem {
  Pair plane;                     // the extents of y
  Pair origin;                    // the pixel of x that tap (0, 0) of pixel (0, 0) of y reads
  Index groups, inputs, outputs;  // groups of channels; channels of a group
  const T* weight;
  bool input_gradient;
  const T* bias;  // a value for each output channel, or null
  Pointwise<T> after;
  Prologue<T> before;

  /// The weights of a pair of channels, both counted within their group.
  std::array<T, 9> taps(Index group, Index output, Index input) const {
    std::array<T, 9> taps;
    if (input_gradient) {
      const T* const first = weight + ((group * inputs + input) * outputs + output) * 9;
      std::reverse_copy(first, first + 9, taps.begin());
    } else {
      std::copy_n(weight + ((group * outputs + output) * inputs + input) * 9, 9, taps.begin());
    }
    return taps;
  }
};

/// y = after(conv(before(x), weight) + bias) for outputs of the given extents. weight: O x C/G x 3 x 3; bias: O values or null.
template <class T>
WinogradProblem<T> winograd_forward(const ConvGeometry& conv, Pair output, const T* weight, const T* bias,
                                    Pointwise<T> after = {}, Prologue<T> before = {}) {
  return {output,
          {-conv.padding.height, -conv.padding.width},
          conv.groups,
          conv.in_per_group(),
          conv.out_per_group(),
          weight,
          false,
          bias,
          after,
          before};
}

/// dx from dy, for inputs of the given extents.
template <class T>
WinogradProblem<T> winograd_input_gradient(const ConvGeometry& conv, Pair input, const T* weight) {
  return {input,
          {conv.padding.height - 2, conv.padding.width - 2},
          conv.groups,
          conv.out_per_group(),
          conv.in_per_group(),
          weight,
          true,
          nullptr,
          {},
          {}};
}

/// The most output channels of a register tile.
inline constexpr int most_winograd_channels = 10;

/// Copies a few numbers. Of std::copy_n(), compilers make a call of memmove(), which takes as long as the transform of what it copies.
template <class T>
NORMNET_INLINE void copy_few(const T* from, Index count, T* to) {
  constexpr Index step = 4;
  if (count < step) {
    for (Index i = 0; i < count; ++i) to[i] = from[i];
    return;
  }
  for (Index i = 0; i < count; i += step) {
    const Index first = std::min(i, count - step);
    std::copy_n(from + first, step, to + first);
  }
}

/// Transforms the weights of an input channel and of `channels` output channels, at most most_winograd_channels, that begin with
/// first_output; one below zero counts as zero. target[position * position_stride + o] is that of output channel first_output + o, at
/// the positions of the tile.
template <class T>
void winograd_transform_weights(const WinogradProblem<T>& problem, Index group, Index input, Index first_output, Index channels,
                                const WinogradTile& tile, T* target, Index position_stride) {
  constexpr Index lanes = Pack<double>::lanes;
  std::array<std::array<T, (most_winograd_channels + lanes - 1) / lanes * lanes>, winograd_positions> u;
  for (Index first = 0; first < channels; first += lanes) {
    std::array<Pack<double>, 9> g;
    g.fill(Pack<double>(0.0));
    for (Index o = first; o < std::min<Index>(first + lanes, channels); ++o) {
      const std::array<T, 9> of_channel = problem.taps(group, std::max<Index>(0, first_output + o), input);
      for (std::size_t k = 0; k < 9; ++k) g[k].set(static_cast<int>(o - first), static_cast<double>(of_channel[k]));
    }
    const auto transformed = winograd_weight(g);
    for (std::size_t i = 0; i < u.size(); ++i) narrow(transformed[i], u[i].data() + first);
  }
  // Positions are far apart, and with many channels in the same sets of the cache: all channels of one go together.
  for (const int position : tile.positions()) {
    copy_few(u[static_cast<std::size_t>(position)].data(), channels, target + position * position_stride);
  }
}

/// How the transformed inputs of tiles lie in memory, in packs. A group has as many tiles as a register tile covers; they stand
/// side by side.
struct WinogradLayout {
  int tiles;  // of a group
  Index channels;
  Index position_stride, channel_stride, group_stride;

  /// [group of tiles][channel][position][tile of the group]: what a tile's channel is transformed to is written in one go.
  static WinogradLayout by_group(int tiles, Index channels) {
    // An odd number of packs: powers of two would put a position of all channels into one set of the cache.
    const Index channel_stride = (winograd_positions * tiles) | 1;
    return {tiles, channels, tiles, channel_stride, channels * channel_stride};
  }
};

/// The room that winograd_transform() needs for the columns of a row of tiles, [column][point], in planes of that width.
inline Index winograd_line_packs(Pair plane) { return WinogradPoints::count * (plane.width + 5); }

/// The pixels that neighbouring tiles in a row read, in a channel.
template <class T>
struct WinogradPixels {
  std::array<const Pack<T>*, WinogradPoints::count> row;  // at column 0 of the input; as many as tiles have points in a column
  std::array<Index, WinogradPoints::count> to_next;       // what is added to it for the next channel
  // Columns [left, right), of which those inside of the input are [inside, outside).
  Index left, inside, outside, right;

  /// `zeros`: what is read where a row is outside of the input.
  WinogradPixels(const WinogradTile& first, Index count, Pair origin, const Batch<T>& x, Index block, Index channel,
                 const Pack<T>* zeros)
      : left(origin.width + first.column),
        inside(std::max<Index>(left, 0)),
        outside(std::min(left + count * first.width + 2, x.width())),
        right(left + count * first.width + 2) {
    for (Index k = 0; k < first.height + 2; ++k) {
      const Index y = origin.height + first.row + k;
      const bool is_inside = y >= 0 && y < x.height();
      row[static_cast<std::size_t>(k)] = is_inside ? x.row(block, channel, y) : zeros;
      to_next[static_cast<std::size_t>(k)] = is_inside ? x.channel_stride() : 0;
    }
  }
};

/// A prologue of the pixels in a column that tiles read. Rows outside of the input are not read through it: they stay zero.
template <std::size_t points, class T>
class PrologueOfColumn {
 public:
  PrologueOfColumn(const NormalizingLine<T>& line, const Pack<T>& least, const WinogradPixels<T>& pixels)
      : mean_(line.mean), least_(least) {
    for (std::size_t k = 0; k < points; ++k) {
      const bool is_inside = pixels.to_next[k] != 0;
      scale_[k] = is_inside ? line.scale : Pack<T>(T(0));
      shift_[k] = is_inside ? line.shift : Pack<T>(T(0));
    }
  }

  NORMNET_INLINE void apply(std::array<Pack<T>, points>& pixels) const {
#pragma GCC unroll 6
    for (std::size_t k = 0; k < points; ++k) pixels[k] = max(least_, (pixels[k] - mean_) * scale_[k] + shift_[k]);
  }

 private:
  Pack<T> mean_, least_;
  std::array<Pack<T>, points> scale_, shift_;
};

/// Transforms the input of `count` neighbouring tiles of M x N pixels, channel by channel; the first becomes tile `first_in_group` of the
/// group at v. The columns of pixels are transformed first, once for the tiles that share them, into `lines`.
template <int M, int N, class T>
NORMNET_NOINLINE void winograd_transform_row(WinogradPixels<T> pixels, Index count, const WinogradLayout& layout, Pack<T>* lines,
                                             Pack<T>* v, int first_in_group, const Prologue<T>& before) {
  constexpr std::size_t m = M + 2, n = N + 2;
  const Index stride = layout.position_stride;
  const Pack<T> least = before.least();
  for (Index c = 0; c < layout.channels; ++c, v += layout.channel_stride) {
    const Pack<T>* row[m];
#pragma GCC unroll 6
    for (std::size_t k = 0; k < m; ++k) {
      row[k] = pixels.row[k];
      pixels.row[k] += pixels.to_next[k];
    }
    Pack<T>* line = lines;
    const auto add_zeros = [&line](Index columns) {  // by no call of memset(), as compilers make of std::fill_n()
      for (; columns > 0; --columns, line += m) {
#pragma GCC unroll 6
        for (std::size_t k = 0; k < m; ++k) line[k] = Pack<T>(T(0));
      }
    };
    add_zeros(pixels.inside - pixels.left);
    const auto add_columns = [&](auto function) {
      for (Index j = pixels.inside; j < pixels.outside; ++j, line += m) {
        std::array<Pack<T>, m> d;
#pragma GCC unroll 6
        for (std::size_t k = 0; k < m; ++k) {
          d[k] = row[k][j];
          prefetch(row[k] + j + pixels.to_next[k]);
        }
        function(d);
        d = Winograd<M>::input(d);
#pragma GCC unroll 6
        for (std::size_t k = 0; k < m; ++k) line[k] = d[k];
      }
    };
    if (before.empty()) {
      add_columns([](const auto&) {});
    } else {
      const PrologueOfColumn<m, T> of_column(before.lines[c], least, pixels);
      add_columns([&](auto& d) { of_column.apply(d); });
    }
    add_zeros(pixels.right - pixels.outside);
    line = lines;
    Pack<T>* group = v;
    int in_group = first_in_group;
    for (Index tile = 0; tile < count; ++tile, line += m * N) {
      Pack<T>* target = group + in_group;
#pragma GCC unroll 6
      for (std::size_t k = 0; k < m; ++k) {
        std::array<Pack<T>, n> d;
#pragma GCC unroll 6
        for (std::size_t l = 0; l < n; ++l) d[l] = line[l * m + k];
        d = Winograd<N>::input(d);
#pragma GCC unroll 6
        for (std::size_t l = 0; l < n; ++l) {
          *target = d[l];
          target += winograd_step(M, N, k, l) * stride;
        }
      }
      if (++in_group == layout.tiles) {
        in_group = 0;
        group += layout.group_stride;
      }
    }
  }
}

/// Transforms the input of tiles; the first becomes tile `first_in_group` of the group at v. What lies outside of x is zero
/// without being read; `zeros` is a row of such pixels, and `lines` room for winograd_line_packs(). `origin`: the input pixel
/// that tap (0, 0) of output pixel (0, 0) reads. `before`: that of all channels of x.
template <class T>
void winograd_transform(std::span<const WinogradTile> tiles, Pair origin, const Batch<T>& x, Index block, Index first_channel,
                        const WinogradLayout& layout, const Pack<T>* zeros, Pack<T>* lines, Pack<T>* v, const Prologue<T>& before,
                        int first_in_group = 0) {
  const Prologue<T> of_channels = before.from_channel(first_channel);
  for (std::size_t first = 0, end; first < tiles.size(); first = end) {
    for (end = first + 1; end < tiles.size() && tiles[end - 1].is_left_of(tiles[end]); ++end) {
    }
    const WinogradTile& tile = tiles[first];
    const Index count = static_cast<Index>(end - first), place = first_in_group + static_cast<Index>(first);
    const WinogradPixels<T> pixels(tile, count, origin, x, block, first_channel, zeros);
    Pack<T>* const group = v + place / layout.tiles * layout.group_stride;
    const int in_group = static_cast<int>(place % layout.tiles);
    with_winograd_extent(tile.height, [&](auto height) {
      with_winograd_extent(tile.width, [&](auto width) {
        winograd_transform_row<height(), width()>(pixels, count, layout, lines, group, in_group, of_channels);
      });
    });
  }
}

/// A register tile at one position: product[o][p] = sum over c of weight[c][o] * v[c * stride + p], or that added to it. A function
/// of its own: inlined, it would have to spill its sums to the stack, for the constants of the transforms around it keep their
/// registers.
template <int Channels, int Tiles, class T>
NORMNET_NOINLINE void winograd_product(const T* weight, const Pack<T>* v, Index stride, Index inputs,
                                       Pack<T> (&product)[Channels][Tiles], bool adds = false) {
  Pack<T> sum[Channels][Tiles];
#pragma GCC unroll 10
  for (int o = 0; o < Channels; ++o) {
#pragma GCC unroll 8
    for (int p = 0; p < Tiles; ++p) sum[o][p] = adds ? product[o][p] : Pack<T>(T(0));
  }
  for (Index c = 0; c < inputs; ++c, v += stride, weight += Channels) {
    Pack<T> of_tile[Tiles];
#pragma GCC unroll 8
    for (int p = 0; p < Tiles; ++p) of_tile[p] = load(v[p]);
#pragma GCC unroll 10
    for (int o = 0; o < Channels; ++o) {
      const Pack<T> w(weight[o]);
#pragma GCC unroll 8
      for (int p = 0; p < Tiles; ++p) sum[o][p] += w * of_tile[p];
    }
  }
#pragma GCC unroll 10
  for (int o = 0; o < Channels; ++o) {
#pragma GCC unroll 8
    for (int p = 0; p < Tiles; ++p) product[o][p] = sum[o][p];
  }
}

/// Where a tile of outputs is to be written in one channel, and how much of it lies inside the plane.
template <class T>
struct WinogradTarget {
  Pack<T>* pixel;  // the first
  Index row_stride;
  Index rows, columns;
};

/// That of a tile in a channel of a block.
template <class T>
WinogradTarget<T> winograd_target(const WinogradTile& tile, Batch<T>& y, Index block, Index channel) {
  return {y.row(block, channel, tile.row) + tile.column, y.row_stride(), std::min(tile.height, y.height() - tile.row),
          std::min(tile.width, y.width() - tile.column)};
}

/// Writes what a tile of M x N pixels comes to in one channel: after(A^T m A + shift), where m at position i is
/// product[i * position_stride]. A function of its own, as the product is.
template <int M, int N, class T>
NORMNET_NOINLINE void winograd_write_tile(const Pack<T>* product, Index position_stride, T shift,
                                          const typename Pointwise<T>::OfChannel& after, const WinogradTarget<T>& target) {
  constexpr std::size_t points = N + 2, n = N;
  std::array<std::array<Pack<T>, points>, M> half;
#pragma GCC unroll 6
  for (std::size_t l = 0; l < points; ++l) {
    std::array<Pack<T>, M + 2> column;
#pragma GCC unroll 6
    for (std::size_t k = 0; k < M + 2; ++k) column[k] = product[winograd_position(M, N, k, l) * position_stride];
    const auto result = Winograd<M>::output(column);
#pragma GCC unroll 4
    for (std::size_t k = 0; k < M; ++k) half[k][l] = result[k];
  }
  Pack<T>* row = target.pixel;
  // Unrolled, so that all of `half` stays in registers.
#pragma GCC unroll 4
  for (std::size_t k = 0; k < M; ++k, row += target.row_stride) {
    if (static_cast<Index>(k) == target.rows) return;
    const auto result = Winograd<N>::output(half[k]);
    Pack<T> values[n];
#pragma GCC unroll 4
    for (std::size_t l = 0; l < n; ++l) values[l] = result[l] + Pack<T>(shift);
    after.apply(values);
#pragma GCC unroll 4
    for (std::size_t l = 0; l < n; ++l) {
      if (static_cast<Index>(l) < target.columns) row[l] = values[l];
    }
  }
}

/// That function for the extents of a tile.
template <class T>
auto winograd_writer(const WinogradTile& tile) {
  return with_winograd_extent(tile.height, [&](auto height) {
    return with_winograd_extent(tile.width, [&](auto width) { return &winograd_write_tile<height(), width(), T>; });
  });
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
