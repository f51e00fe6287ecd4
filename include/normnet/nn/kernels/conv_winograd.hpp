// Winograd's convolution in lane layout: forward pass and input gradient.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/core/scratch.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/pointwise.hpp>
#include <normnet/nn/kernels/register_tiles.hpp>
#include <normnet/nn/kernels/winograd_transforms.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <utility>

// For a run of tiles that fits the second-level cache: all inputs are transformed; then, at each position, register tiles compute
// (output channels x input channels) times (input channels x tiles), and are transformed back.
namespace normnet::inline NORMNET_ABI::kernels {

/// The most output channels of a register tile.
inline constexpr int most_winograd_channels = 10;

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

/// How the transformed inputs of a run of tiles lie in memory: [group of tiles][channel][position][tile of the group]. A group has
/// as many tiles as a register tile covers; what a tile's channel is transformed to is written in one go.
struct WinogradLayout {
  int tiles;  // of a group
  Index channels;
  Index positions;

  Index position_stride() const { return tiles; }
  /// An odd number of packs: powers of two would put a position of all channels into one set of the cache.
  Index channel_stride() const { return (positions * tiles) | 1; }
  Index group_stride() const { return channels * channel_stride(); }
};

/// Transforms the input of tiles [first, last), channel by channel, so that pixels are read one after the other. The columns of
/// pixels are transformed first, once for neighbouring tiles that share them, into `lines`: room for [column][M + 2]. What lies
/// outside of x is zero without being read; `zeros` is a row of such pixels.
template <int M, class T>
void winograd_transform(const WinogradGrid& grid, const Batch<T>& x, Index block, Index first_channel, Index first, Index last,
                        const WinogradLayout& layout, const Pack<T>* zeros, Pack<T>* lines, Pack<T>* v) {
  constexpr std::size_t n = M + 2;
  const Index columns = grid.columns(), stride = layout.position_stride();
  for (Index c = 0; c < layout.channels; ++c) {
    Pack<T>* group = v + c * layout.channel_stride();
    int in_group = 0;
    for (Index tile = first; tile < last;) {
      const Index i = tile / columns, begin = tile % columns, end = std::min(columns, begin + last - tile);
      const Pack<T>* row[n];
      for (std::size_t k = 0; k < n; ++k) {
        const Index y = grid.origin.height + i * M + static_cast<Index>(k);
        row[k] = y >= 0 && y < x.height() ? x.row(block, first_channel + c, y) : zeros;
      }
      // The pixels of these tiles, and which of them are inside.
      const Index left = grid.origin.width + begin * M, right = left + (end - begin) * M + 2;
      const Index inside = std::max<Index>(left, 0), outside = std::min(right, x.width());
      Pack<T>* line = std::fill_n(lines, (inside - left) * static_cast<Index>(n), Pack<T>(T(0)));
      for (Index j = inside; j < outside; ++j, line += n) {
        std::array<Pack<T>, n> d;
#pragma GCC unroll 6
        for (std::size_t k = 0; k < n; ++k) {
          d[k] = row[k][j];
          prefetch(row[k] + j + x.channel_stride());
        }
        d = Winograd<M>::input(d);
#pragma GCC unroll 6
        for (std::size_t k = 0; k < n; ++k) line[k] = d[k];
      }
      std::fill_n(line, (right - outside) * static_cast<Index>(n), Pack<T>(T(0)));
      line = lines;
      for (Index j = begin; j < end; ++j, ++tile, line += n * M) {
        Pack<T>* target = group + in_group;
#pragma GCC unroll 6
        for (std::size_t k = 0; k < n; ++k) {
          std::array<Pack<T>, n> d;
#pragma GCC unroll 6
          for (std::size_t l = 0; l < n; ++l) d[l] = line[l * n + k];
          d = Winograd<M>::input(d);
#pragma GCC unroll 6
          for (std::size_t l = 0; l < n; ++l, target += stride) *target = d[l];
        }
        if (++in_group == layout.tiles) {
          in_group = 0;
          group += layout.group_stride();
        }
      }
    }
  }
}

/// A register tile at one position: product[o][p] = sum over c of weight[c][o] * v[c * stride + p]. A function of its own: inlined,
/// it would have to spill its sums to the stack, for the constants of the transforms around it keep their registers.
template <int Channels, int Tiles, class T>
NORMNET_NOINLINE void winograd_product(const T* weight, const Pack<T>* v, Index stride, Index inputs,
                                       Pack<T> (&product)[Channels][Tiles]) {
  Pack<T> sum[Channels][Tiles];
#pragma GCC unroll 10
  for (int o = 0; o < Channels; ++o) {
#pragma GCC unroll 8
    for (int p = 0; p < Tiles; ++p) sum[o][p] = Pack<T>(T(0));
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

/// y = after(bias + weight * x), a 3x3 correlation of stride 1 in each group of channels.
template <class T>
class WinogradCorrelation {
 public:
  /// value(group, output channel, input channel) are the 3x3 weights of that pair of channels, both counted within the group.
  /// bias: a value for each output channel, or null.
  template <class F>
  WinogradCorrelation(Pair plane, Pair origin, Index groups, Index inputs, Index outputs, const T* bias, F value,
                      Pointwise<T> after = {})
      : groups_(groups), inputs_(inputs), outputs_(outputs), bias_(bias), after_(std::move(after)) {
    choose_tiles(plane, origin);
    weight_ = std::make_unique_for_overwrite<T[]>(static_cast<std::size_t>(groups * register_tiles() * register_tile_weights()));
    with_winograd_tile(grid_.size, [&](auto size) {
      parallel_for_2d(groups * register_tiles(), inputs, channels_ * 4, [&](Index group_and_tile, Index c) {
        const Index g = group_and_tile / register_tiles(), first = first_channel(group_and_tile % register_tiles());
        transform_weights<size()>(weight_.get() + group_and_tile * register_tile_weights() + c * channels_,
                                  [&](Index o) { return value(g, first + o, c); });
      });
    });
  }

  /// Runs of tiles: the parts of a block that can be computed independently.
  Index parts() const { return (grid_.tiles() + tiles_at_once() - 1) / tiles_at_once(); }

  /// The vector operations of a part.
  Index cost() const { return std::min(tiles_at_once(), grid_.tiles()) * positions() * groups_ * inputs_ * outputs_; }

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
  Index register_tiles() const { return (outputs_ + channels_ - 1) / channels_; }
  Index register_tile_weights() const { return positions() * inputs_ * channels_; }

  // The first output channel of a register tile; the last tile overlaps the one before.
  Index first_channel(Index register_tile) const { return std::min(register_tile * channels_, outputs_ - channels_); }

  // Writes the weights of a register tile for one input channel. taps(o) are those of output channel o of the tile.
  template <int M, class F>
  void transform_weights(T* target, F taps) const {
    constexpr Index lanes = Pack<double>::lanes;
    std::array<std::array<T, (most_winograd_channels + lanes - 1) / lanes * lanes>, winograd_positions<M>> u;
    for (Index first = 0; first < channels_; first += lanes) {
      std::array<Pack<double>, 9> g;
      g.fill(Pack<double>(0.0));
      for (Index o = first; o < std::min<Index>(first + lanes, channels_); ++o) {
        const std::array<T, 9> of_channel = taps(o);
        for (std::size_t k = 0; k < 9; ++k) g[k].set(static_cast<int>(o - first), static_cast<double>(of_channel[k]));
      }
      const auto transformed = winograd_weight<M>(g);
      for (std::size_t i = 0; i < u.size(); ++i) narrow(transformed[i], u[i].data() + first);
    }
    // Positions are far apart, and with many channels in the same sets of the cache: all channels of one go together.
    for (std::size_t i = 0; i < u.size(); ++i) {
      std::copy_n(u[i].data(), channels_, target + static_cast<Index>(i) * inputs_ * channels_);
    }
  }

  // Sets the size of the tiles and the channels of a register tile so that all channels and tiles are covered with the fewest
  // multiplications and loads of packs. Small planes rarely fill register tiles of large tiles.
  void choose_tiles(Pair plane, Pair origin) {
    Index best_cost = 0;
    for (const int size : {2, 4}) {
      if (!winograd_tile_fits(size, plane)) continue;
      const WinogradGrid grid{size, plane.height, plane.width, origin};
      for_winograd_register_tiles([&](auto tile) {
        const Index cost = (size + 2) * (size + 2) * ((outputs_ + tile.channels - 1) / tile.channels) *
                           ((grid.tiles() + tile.tiles - 1) / tile.tiles) * (tile.channels * tile.tiles + tile.tiles);
        if (tile.channels > outputs_ || (best_cost != 0 && cost >= best_cost)) return;
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
    const Index fit = std::max<Index>(1, cache_packs / WinogradLayout{tiles_, inputs_, positions()}.group_stride());
    const Index parts = (groups + fit - 1) / fit;
    return (groups + parts - 1) / parts * tiles_;
  }

  template <int M, int Channels, int Tiles>
  void run_tiles(const Batch<T>& x, Batch<T>& y, Index block, Index first, Index last) const {
    constexpr Index count = winograd_positions<M>;
    const WinogradLayout layout{Tiles, inputs_, count};
    const Index groups_of_tiles = (last - first + Tiles - 1) / Tiles, line_packs = (M + 2) * (grid_.columns() * M + 2);
    Pack<T>* const zeros = scratch<T>(x.width() + line_packs + groups_of_tiles * layout.group_stride());
    Pack<T>* const lines = std::fill_n(zeros, x.width(), Pack<T>(T(0)));
    Pack<T>* const values = lines + line_packs;
    const T* weight = weight_.get();
    for (Index g = 0; g < groups_; ++g) {
      winograd_transform<M>(grid_, x, block, g * inputs_, first, last, layout, zeros, lines, values);
      for (Index t = 0; t < register_tiles(); ++t, weight += register_tile_weights()) {
        const Pack<T>* v = values;
        for (Index tile = first; tile < last; tile += Tiles, v += layout.group_stride()) {
          Pack<T> product[count][Channels][Tiles];
          const int present = static_cast<int>(std::min<Index>(Tiles, last - tile));
          for (Index i = 0; i < count; ++i) {
            constexpr Index every = count / Channels;  // for a channel at a time
            if (i % every == 0 && i / every < Channels) {
              prefetch_outputs<M>(y, block, g * outputs_ + first_channel(t) + i / every, tile, present);
            }
            winograd_product(weight + i * inputs_ * Channels, v + i * layout.position_stride(), layout.channel_stride(), inputs_,
                             product[i]);
          }
          write<M>(product, y, block, g * outputs_ + first_channel(t), tile, present);
        }
      }
    }
  }

  // Asks for the outputs of a channel while the products are computed: they are rarely in a cache.
  template <int M>
  NORMNET_INLINE void prefetch_outputs(const Batch<T>& y, Index block, Index channel, Index first, int count) const {
    for (int p = 0; p < count; ++p) {
      const Pack<T>* target = y.row(block, channel, M * ((first + p) / grid_.columns())) + M * ((first + p) % grid_.columns());
      for (int k = 0; k < M; ++k, target += y.row_stride()) {
#pragma GCC unroll 4
        for (int l = 0; l < M; ++l) prefetch_for_write(target + l);
      }
    }
  }

  // after(A^T m A + bias) of `count` tiles.
  template <int M, int Channels, int Tiles>
  void write(const Pack<T> (&product)[winograd_positions<M>][Channels][Tiles], Batch<T>& y, Index block, Index channel,
             Index first, int count) const {
    constexpr std::size_t n = M + 2, m = M;
    for (int o = 0; o < Channels; ++o) {
      const Pack<T> shift(bias_ == nullptr ? T(0) : bias_[channel + o]);
      const auto after = after_.of_channel(channel + o);
      for (int p = 0; p < count; ++p) {
        const Index i = M * ((first + p) / grid_.columns()), j = M * ((first + p) % grid_.columns());
        std::array<std::array<Pack<T>, n>, m> half;
#pragma GCC unroll 6
        for (std::size_t l = 0; l < n; ++l) {
          std::array<Pack<T>, n> column;
#pragma GCC unroll 6
          for (std::size_t k = 0; k < n; ++k) column[k] = product[n * k + l][o][p];
          const auto result = Winograd<M>::output(column);
#pragma GCC unroll 4
          for (std::size_t k = 0; k < m; ++k) half[k][l] = result[k];
        }
        const auto rows = static_cast<std::size_t>(std::min<Index>(M, grid_.height - i));
        const auto columns = static_cast<std::size_t>(std::min<Index>(M, grid_.width - j));
        for (std::size_t k = 0; k < rows; ++k) {
          Pack<T>* const target = y.row(block, channel + o, i + static_cast<Index>(k)) + j;
          const auto result = Winograd<M>::output(half[k]);
          if (columns == m) {
#pragma GCC unroll 4
            for (std::size_t l = 0; l < m; ++l) target[l] = after(result[l] + shift);
          } else {
            for (std::size_t l = 0; l < columns; ++l) target[l] = after(result[l] + shift);
          }
        }
      }
    }
  }

  WinogradGrid grid_{};
  Index groups_, inputs_, outputs_;  // channels of a group
  int channels_ = 1, tiles_ = 8;     // of a register tile
  const T* bias_;
  Pointwise<T> after_;
  // Transformed: [group][register tile][position][input channel][channel of the register tile]. Not cleared first: with many
  // channels it is larger than any cache.
  std::unique_ptr<T[]> weight_;
};

/// y = after(conv(x, weight) + bias), prepared for outputs of the given extents. weight: O x C/G x 3 x 3; bias: O values or null.
template <class T>
WinogradCorrelation<T> winograd_forward(const ConvGeometry& conv, Pair output, const T* weight, const T* bias,
                                        Pointwise<T> after = {}) {
  const Pair origin{-conv.padding.height, -conv.padding.width};
  const Index inputs = conv.in_per_group(), outputs = conv.out_per_group();
  return WinogradCorrelation<T>(
      output, origin, conv.groups, inputs, outputs, bias,
      [&](Index g, Index o, Index c) {
        std::array<T, 9> taps;
        std::copy_n(weight + ((g * outputs + o) * inputs + c) * 9, 9, taps.begin());
        return taps;
      },
      std::move(after));
}

/// dx from dy, prepared for inputs of the given extents: a correlation with the weights turned by 180 degrees.
template <class T>
WinogradCorrelation<T> winograd_input_gradient(const ConvGeometry& conv, Pair input, const T* weight) {
  const Pair origin{conv.padding.height - 2, conv.padding.width - 2};
  const Index inputs = conv.in_per_group(), outputs = conv.out_per_group();
  return WinogradCorrelation<T>(input, origin, conv.groups, outputs, inputs, nullptr, [&](Index g, Index c, Index o) {
    std::array<T, 9> taps;
    const T* first = weight + ((g * outputs + o) * inputs + c) * 9;
    std::reverse_copy(first, first + 9, taps.begin());
    return taps;
  });
}

}  // namespace normnet::inline NORMNET_ABI::kernels
