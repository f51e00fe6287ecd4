// Winograd's convolution in lane layout: the gradient of the weight, F(3x3, 4x4) and F(3x3, 2x2).
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/core/scratch.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/register_tiles.hpp>
#include <normnet/nn/kernels/winograd_transforms.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

// At each position, dg is a product, (output channels x tiles of all images) times (tiles of all images x input channels), and its
// sums run over the images, which stand in the lanes. So dy is turned around when it is read: its lanes become output channels, a
// pack for each image. The product then multiplies these packs by single values of x, its sums are packs of output channels, and
// nothing is left to add over the lanes.
namespace normnet::inline NORMNET_ABI::kernels {

/// A tile of a batch.
struct WinogradTile {
  Index block, row, column;
};

/// What a thread computes at a time: the sums over tiles [first_tile, last_tile) of a batch, for some output channels, in packs,
/// and some input channels of a group.
struct WinogradGradientShare {
  Index first_tile, last_tile;
  Index group;
  Index first_pack, packs;
  Index first_input, inputs;
};

/// The gradient with respect to the weight. x needs a border of the convolution's padding; padding lanes are zero in dy.
template <int M, class T>
class WinogradWeightGradient {
 public:
  WinogradWeightGradient(const ConvGeometry& conv, const Batch<T>& x, const Batch<T>& dy)
      : x_(x),
        dy_(dy),
        grid_{M, dy.height(), dy.width(), {-conv.padding.height, -conv.padding.width}},
        tiles_(dy.blocks() * grid_.tiles()),
        groups_(conv.groups),
        inputs_(conv.in_per_group()),
        outputs_(conv.out_per_group()),
        packs_((outputs_ + lanes - 1) / lanes),
        packs_at_once_(equal_share(packs_, most_tile_channels)) {
    constexpr auto packs_in = [](Index bytes) { return bytes / static_cast<Index>(sizeof(Pack<T>)); };
    // The sums of a share stay in the second-level cache while its tiles add to them.
    inputs_at_once_ = equal_share(inputs_, std::max<Index>(16, packs_in(512 * 1024) / (positions * packs_at_once_)));
    // Each part of the batch has sums of its own: enough parts for many threads, unless the sums would not fit the third-level
    // cache, and of at most 256 tiles, so that the error of a sum stays that of a short one.
    const Index for_threads = std::min({tiles_, Index(16), packs_in(16 * 1024 * 1024) / sums_of_part()});
    parts_ = std::max((tiles_ + 255) / 256, for_threads);
  }

  /// Adds the gradient to dweight.
  void add_to(T* dweight) const {
    if (tiles_ == 0) return;
    Pack<T>* const sums = shared_scratch<T>(parts_ * sums_of_part());
    const Index output_shares = (packs_ + packs_at_once_ - 1) / packs_at_once_;
    const Index input_shares = (inputs_ + inputs_at_once_ - 1) / inputs_at_once_;
    const Index shares = groups_ * output_shares * input_shares;
    const Index cost = tiles_ / parts_ * positions * inputs_at_once_ * packs_at_once_ * lanes;
    parallel_for_2d(parts_, shares, cost, [&](Index part, Index index) {
      const Index input = index % input_shares * inputs_at_once_, pack = index / input_shares % output_shares * packs_at_once_;
      const WinogradGradientShare share{tiles_ * part / parts_,
                                        tiles_ * (part + 1) / parts_,
                                        index / input_shares / output_shares,
                                        pack,
                                        std::min(packs_at_once_, packs_ - pack),
                                        input,
                                        std::min(inputs_at_once_, inputs_ - input)};
      with_tile(static_cast<int>(share.packs), [&](auto tile) { compute<tile()>(share, sums + part * sums_of_part()); });
    });
    const Index runs = (packs_ + summed_at_once - 1) / summed_at_once;
    parallel_for_2d(groups_ * inputs_, runs, parts_ * positions * summed_at_once, [&](Index input, Index run) {
      add_sums(sums + input * positions * packs_, input / inputs_, input % inputs_, run * summed_at_once, dweight);
    });
  }

 private:
  static constexpr Index positions = winograd_positions<M>;
  static constexpr Index lanes = Pack<T>::lanes;
  // Tiles that are transformed at a time: 32 products for each load and store of a sum, and their positions fit the second-level
  // cache.
  static constexpr Index at_once = std::max<Index>(1, 32 / lanes);
  // Where they stand, in packs: u[position][tile][image][pack of output channels], v[input channel][position][tile]. Odd numbers,
  // for at powers of two what is written in turn would fall into one set of the cache.
  static constexpr Index u_stride = (at_once * lanes * most_tile_channels) | 1;
  static constexpr Index v_stride = (positions * at_once) | 1;
  // Packs of output channels whose sums are added at a time.
  static constexpr Index summed_at_once = 4;

  // The sums of a part of the batch: [group][input channel][position][pack of output channels].
  Index sums_of_part() const { return groups_ * positions * inputs_ * packs_; }
  Index sum_at(Index group, Index position, Index input, Index pack) const {
    return ((group * inputs_ + input) * positions + position) * packs_ + pack;
  }

  WinogradTile tile_at(Index index) const {
    const Index in_block = index % grid_.tiles();
    return {index / grid_.tiles(), in_block / grid_.columns(), in_block % grid_.columns()};
  }

  // Where the square of pixels that a tile reads has its corner.
  const Pack<T>* first_pixel(const WinogradTile& tile, Index channel) const {
    return x_.row(tile.block, channel, grid_.origin.height + tile.row * M) + grid_.origin.width + tile.column * M;
  }
  // The same of its gradients.
  const Pack<T>* first_gradient(const WinogradTile& tile, Index channel) const {
    return dy_.row(tile.block, channel, tile.row * M) + tile.column * M;
  }

  // Sets u of `count` tiles: the packs of output channels of a share.
  void transform_gradients(const WinogradGradientShare& share, Index first, Index count, Pack<T>* u) const {
    constexpr std::size_t n = M + 2, m = M;
    for (Index t = 0; t < count; ++t) {
      const WinogradTile tile = tile_at(first + t), next = tile_at(std::min(first + t + 1, tiles_ - 1));
      for (Index r = 0; r < share.packs; ++r) {
        Pack<T> turned[m][m][lanes];  // [row][column][image], packs of channels
        turn_gradients(share.group, share.first_pack + r, tile, next, turned);
        for (Index image = 0; image < lanes; ++image) {
          std::array<std::array<Pack<T>, m>, n> half;
#pragma GCC unroll 4
          for (std::size_t j = 0; j < m; ++j) {
            std::array<Pack<T>, m> column;
#pragma GCC unroll 4
            for (std::size_t i = 0; i < m; ++i) column[i] = turned[i][j][image];
            const auto result = Winograd<M>::gradient(column);
#pragma GCC unroll 6
            for (std::size_t i = 0; i < n; ++i) half[i][j] = result[i];
          }
          Pack<T>* target = u + (t * lanes + image) * share.packs + r;
#pragma GCC unroll 6
          for (std::size_t i = 0; i < n; ++i) {
            const auto result = Winograd<M>::gradient(half[i]);
#pragma GCC unroll 6
            for (std::size_t j = 0; j < n; ++j, target += u_stride) *target = result[j];
          }
        }
      }
    }
  }

  // Turns the gradients of a tile around, for a pack of output channels; what is no pixel or channel is zero. Those of the next tile
  // are asked for.
  void turn_gradients(Index group, Index pack, const WinogradTile& tile, const WinogradTile& next,
                      Pack<T> (&turned)[M][M][lanes]) const {
    const Index rows = std::min<Index>(M, grid_.height - tile.row * M),
                columns = std::min<Index>(M, grid_.width - tile.column * M);
    const Index channel = pack * lanes, channels = std::min(lanes, outputs_ - channel), stride = dy_.channel_stride();
    const Pack<T>* const first = first_gradient(tile, group * outputs_ + channel);
    const Pack<T>* const first_of_next = first_gradient(next, group * outputs_ + channel);
    for (Index i = 0; i < M; ++i) {
      for (Index j = 0; j < M; ++j) {
        const Index offset = i * dy_.row_stride() + j;
        for (Index l = 0; l < channels; ++l) prefetch(first_of_next + offset + l * stride);
        Pack<T>(&pixel)[lanes] = turned[i][j];
        const bool inside = i < rows && j < columns;
        const Index read = inside ? channels : 0;
        for (Index l = 0; l < read; ++l) pixel[l] = first[offset + l * stride];
        std::fill_n(pixel + read, lanes - read, Pack<T>(T(0)));
        if (inside) transpose(pixel);
      }
    }
  }

  // Sets v of `count` tiles: the input channels of a share. What lies beyond the last row or column that a pixel of y reads is zero;
  // `zeros` is such a row.
  void transform_pixels(const WinogradGradientShare& share, Index first, Index count, const Pack<T>* zeros, Pack<T>* v) const {
    constexpr std::size_t n = M + 2;
    const Index channel = share.group * inputs_ + share.first_input, stride = x_.channel_stride();
    for (Index t = 0; t < count; ++t) {
      const WinogradTile tile = tile_at(first + t), next = tile_at(std::min(first + t + 1, tiles_ - 1));
      const Index rows = grid_.input_height() - tile.row * M;
      const auto columns = static_cast<std::size_t>(std::min<Index>(M + 2, grid_.input_width() - tile.column * M));
      for (Index c = 0; c < share.inputs; ++c) {
        const Pack<T>* const pixel = first_pixel(tile, channel) + c * stride;
        const Pack<T>* const pixel_of_next = first_pixel(next, channel) + c * stride;
        const Pack<T>* row[n];
        for (std::size_t i = 0; i < n; ++i) {
          const Index offset = static_cast<Index>(i) * x_.row_stride();
          row[i] = static_cast<Index>(i) < rows ? pixel + offset : zeros;
#pragma GCC unroll 4
          for (Index j = 2; j < M + 2; ++j) prefetch(pixel_of_next + offset + j);  // those before are this tile's
        }
        std::array<std::array<Pack<T>, n>, n> half;
        for (std::size_t j = 0; j < columns; ++j) {
          std::array<Pack<T>, n> column;
#pragma GCC unroll 6
          for (std::size_t i = 0; i < n; ++i) column[i] = row[i][j];
          const auto result = Winograd<M>::input(column);
#pragma GCC unroll 6
          for (std::size_t i = 0; i < n; ++i) half[i][j] = result[i];
        }
        for (auto& of_row : half) std::fill(of_row.begin() + static_cast<std::ptrdiff_t>(columns), of_row.end(), Pack<T>(T(0)));
        Pack<T>* target = v + c * v_stride + t;
#pragma GCC unroll 6
        for (std::size_t i = 0; i < n; ++i) {
          const auto result = Winograd<M>::input(half[i]);
#pragma GCC unroll 6
          for (std::size_t j = 0; j < n; ++j, target += at_once) *target = result[j];
        }
      }
    }
  }

  // With 32 registers there are two sums of each kind, of every other product: half as long, they round less.
  static constexpr int sums_of_kind = simd_registers >= 32 ? 2 : 1;

  // The input channels of a register tile of so many packs.
  template <int Packs>
  static constexpr int inputs_per_tile() {
    constexpr int with_32_registers[] = {8, 5, 4, 3, 2, 2};
    constexpr int with_16_registers[] = {8, 5, 3, 3, 2};
    if constexpr (simd_registers >= 32) return with_32_registers[Packs - 1];
    return with_16_registers[Packs - 1];
  }

  // One register tile, for the input channels [first, last) of those it covers: sum[c * sum_stride + r] = the sum over k of
  // u[k * Packs + r] * v[c][k], or that added to it. k = (tile, image). A function of its own: it needs all registers.
  template <int Packs, int Inputs>
  NORMNET_NOINLINE static void multiply(const Pack<T>* u, const Pack<T>* v, Index count, Pack<T>* sum, Index sum_stride,
                                        int first, int last, bool adds) {
    Pack<T> total[sums_of_kind][Packs * Inputs];
#pragma GCC unroll 2
    for (auto& of_kind : total) {
#pragma GCC unroll 12
      for (auto& value : of_kind) value = Pack<T>(T(0));
    }
    const T* value = reinterpret_cast<const T*>(v);
    for (Index k = 0; k < count; k += sums_of_kind) {
#pragma GCC unroll 2
      for (auto& of_kind : total) {
        add_outer_product<Packs, Inputs>([&](int r) { return u[r]; }, [&](int c) { return Pack<T>(value[c * v_stride * lanes]); },
                                         of_kind);
        u += Packs;
        ++value;
      }
    }
    if constexpr (sums_of_kind == 2) {
#pragma GCC unroll 12
      for (int i = 0; i < Packs * Inputs; ++i) total[0][i] += total[1][i];
    }
#pragma GCC unroll 10
    for (int c = 0; c < Inputs; ++c) {
      if (c < first || c >= last) continue;
      Pack<T>* const result = sum + c * sum_stride;
#pragma GCC unroll 10
      for (int r = 0; r < Packs; ++r) result[r] = adds ? result[r] + total[0][r * Inputs + c] : total[0][r * Inputs + c];
    }
  }

  // The sums of a share, written to those of its part.
  template <int Packs>
  void compute(const WinogradGradientShare& share, Pack<T>* sums) const {
    constexpr int Inputs = inputs_per_tile<Packs>();
    const Index missing = std::max<Index>(0, Inputs - share.inputs);  // of a register tile
    Pack<T>* const zeros = scratch<T>(M + 2 + positions * u_stride + (share.inputs + missing) * v_stride);
    Pack<T>* const u = std::fill_n(zeros, M + 2, Pack<T>(T(0)));
    Pack<T>* const v = u + positions * u_stride;
    std::fill_n(v + share.inputs * v_stride, missing * v_stride, Pack<T>(T(0)));
    for (Index tile = share.first_tile; tile < share.last_tile; tile += at_once) {
      const Index count = std::min(at_once, share.last_tile - tile);
      transform_gradients(share, tile, count, u);
      transform_pixels(share, tile, count, zeros, v);
      for (Index position = 0; position < positions; ++position) {
        for (Index next = 0; next < share.inputs; next += Inputs) {
          // The last register tile overlaps the one before, or covers more channels than there are.
          const Index c = std::max<Index>(0, std::min(next, share.inputs - Inputs));
          multiply<Packs, Inputs>(u + position * u_stride, v + c * v_stride + position * at_once, count * lanes,
                                  sums + sum_at(share.group, position, share.first_input + c, share.first_pack),
                                  positions * packs_, static_cast<int>(next - c),
                                  static_cast<int>(std::min<Index>(Inputs, share.inputs - c)), tile != share.first_tile);
        }
      }
    }
  }

  // Adds the sums over all parts, of one input channel and a few packs of output channels, to dweight.
  void add_sums(const Pack<T>* sums, Index group, Index input, Index first_pack, T* dweight) const {
    constexpr Index wide = Pack<double>::lanes, wide_packs = summed_at_once * lanes / wide;
    std::array<std::array<Pack<double>, static_cast<std::size_t>(positions)>, static_cast<std::size_t>(wide_packs)> total;
    for (auto& of_pack : total) of_pack.fill(Pack<double>(0.0));
    const auto count = static_cast<std::size_t>(std::min(summed_at_once, packs_ - first_pack) * lanes / wide);
    for (Index part = 0; part < parts_; ++part) {
      for (std::size_t position = 0; position < static_cast<std::size_t>(positions); ++position) {
        const Index at = part * sums_of_part() + static_cast<Index>(position) * packs_ + first_pack;
        const T* const value = reinterpret_cast<const T*>(sums + at);
        for (std::size_t i = 0; i < count; ++i) total[i][position] += widen(value + static_cast<Index>(i) * wide);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      const std::array<Pack<double>, 9> gradient = winograd_weight_gradient<M>(total[i]);
      const Index output = first_pack * lanes + static_cast<Index>(i) * wide;
      for (int lane = 0; lane < std::min<Index>(wide, outputs_ - output); ++lane) {
        T* const weight = dweight + ((group * outputs_ + output + lane) * inputs_ + input) * 9;
        for (std::size_t tap = 0; tap < 9; ++tap) weight[tap] += static_cast<T>(gradient[tap][lane]);
      }
    }
  }

  const Batch<T>& x_;
  const Batch<T>& dy_;
  WinogradGrid grid_;
  Index tiles_;                               // of the whole batch
  Index groups_, inputs_, outputs_;           // channels of a group
  Index packs_;                               // of output channels of a group
  Index packs_at_once_, inputs_at_once_ = 1;  // of a share
  Index parts_ = 1;
};

/// Adds the gradient with respect to the weight to dweight, with the size of tiles that multiplies less. x needs a border of the
/// convolution's padding; padding lanes are zero in dy.
template <class T>
void conv_winograd_weight_gradient(const ConvGeometry& conv, const Batch<T>& x, const Batch<T>& dy, T* dweight) {
  with_winograd_tile(fastest_winograd_tile({dy.height(), dy.width()}),
                     [&](auto tile) { WinogradWeightGradient<tile(), T>(conv, x, dy).add_to(dweight); });
}

}  // namespace normnet::inline NORMNET_ABI::kernels
