// Winograd's convolution in lane layout: the gradient of the weight, F(3x3, 4x4) and F(3x3, 2x2).
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/core/parallel.hpp>
#include <normnet/core/scratch.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/winograd_gradient_product.hpp>
#include <normnet/nn/kernels/winograd_steps.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>

// At each position, dg is a product, (output channels x tiles of all images) times (tiles of all images x input channels), and its
// sums run over the images, which stand in the lanes. So dy is turned around when it is read: its lanes become output channels, a
// pack for each image, or half as many output channels for a pair of images. The product then multiplies these packs by the values
// of x for that image or pair, repeated; its sums are packs of output channels, and at most pairs of lanes are left to add.
namespace normnet::inline NORMNET_ABI::kernels {

/// What a thread computes at a time: the sums over tiles [first_tile, last_tile) of a batch, for some output channels, in packs,
/// and some input channels of a group.
struct WinogradGradientShare {
  Index first_tile, last_tile;
  Index group;
  Index first_pack, packs;
  Index first_input, inputs;
};

/// The gradient with respect to the weight. Padding lanes are zero in dy.
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
        product_(WinogradGradientProduct<T>::best(outputs_, inputs_)),
        packs_((outputs_ + channels_of_pack() - 1) / channels_of_pack()) {
    // Each part of the batch has sums of its own: parts enough for threads to share, a power of two, so that most are of as many
    // tiles, unless they have few tiles or their sums fill the caches. The error of a sum stays that of a short one: at most 128
    // tiles a part, and four parts of few tiles and many channels.
    const auto parts_in = [&](Index bytes, Index most) {
      return power_of_two_below(std::min({tiles_, most, packs_in(bytes) / sums_of_part()}));
    };
    constexpr Index mib = 1024 * 1024;
    parts_ = std::max({(tiles_ + 127) / 128, parts_in(5 * mib, std::clamp<Index>(tiles_ / 4, 8, 16)), parts_in(40 * mib, 4)});
    // The chains of additions, of products and then of what they come to, are about as long.
    const Index products = tiles_ / parts_ * channels_of_pack();
    chain_ = std::clamp<Index>(power_of_two_below(static_cast<Index>(std::sqrt(2 * static_cast<double>(products)))), 8, 64);
    // The sums of a share stay in the second-level cache while its tiles add to them. Where there are more threads, they share the
    // input channels, although each has to transform dy.
    const Index tiles_of_packs = (packs_ + product_.packs - 1) / product_.packs;
    packs_at_once_ = product_.packs * equal_share(tiles_of_packs, std::max<Index>(1, 64 / (product_.packs * channels_of_pack())));
    inputs_at_once_ = equal_share(inputs_, std::max<Index>(16, packs_in(640 * 1024) / (positions * packs_at_once_)));
    while (parts_ * shares() < num_threads() && inputs_at_once_ > 8) inputs_at_once_ = (inputs_at_once_ + 1) / 2;
  }

  /// Adds the gradient to dweight.
  void add_to(T* dweight) const {
    if (tiles_ == 0) return;
    Pack<T>* const sums = shared_scratch<T>(parts_ * sums_of_part());
    const Index cost = tiles_ / parts_ * positions * inputs_at_once_ * packs_at_once_ * channels_of_pack();
    parallel_for_2d(parts_, shares(), cost, [&](Index part, Index index) {
      const Index input = index % input_shares() * inputs_at_once_,
                  pack = index / input_shares() % output_shares() * packs_at_once_;
      compute({tiles_ * part / parts_, tiles_ * (part + 1) / parts_, index / input_shares() / output_shares(), pack,
               std::min(packs_at_once_, packs_ - pack), input, std::min(inputs_at_once_, inputs_ - input)},
              sums + part * sums_of_part());
    });
    parallel_for_2d(groups_ * inputs_, packs_, parts_ * positions, [&](Index input, Index pack) {
      add_sums(sums + input * positions * packs_ + pack, input / inputs_, input % inputs_, pack, dweight);
    });
  }

 private:
  static constexpr Index positions = winograd_positions<M>;
  static constexpr Index lanes = Pack<T>::lanes;
  static constexpr Index at_once = winograd_gradient_tiles;

  static Index power_of_two_below(Index value) {
    return static_cast<Index>(std::bit_floor(static_cast<std::size_t>(std::max<Index>(1, value))));
  }
  static constexpr Index packs_in(Index bytes) { return bytes / static_cast<Index>(sizeof(Pack<T>)); }
  Index channels_of_pack() const { return product_.channels_of_pack(); }

  Index output_shares() const { return (packs_ + packs_at_once_ - 1) / packs_at_once_; }
  Index input_shares() const { return (inputs_ + inputs_at_once_ - 1) / inputs_at_once_; }
  Index shares() const { return groups_ * output_shares() * input_shares(); }

  // The sums of a part of the batch: [group][input channel][position][pack of output channels].
  Index sums_of_part() const { return groups_ * positions * inputs_ * packs_; }
  Index sum_at(Index group, Index position, Index input, Index pack) const {
    return ((group * inputs_ + input) * positions + position) * packs_ + pack;
  }

  // Where the gradients of a tile have their corner in a channel's plane.
  const Pack<T>* first_gradient(Index tile, Index channel) const {
    const Index in_block = tile % grid_.tiles();
    return dy_.row(tile / grid_.tiles(), channel, in_block / grid_.columns() * M) + in_block % grid_.columns() * M;
  }

  // Sets u of `count` tiles, the packs of output channels of a share: u[position * u_stride + (tile, images) * share.packs + pack].
  template <int Images>
  void transform_gradients(const WinogradGradientShare& share, Index first, Index count, Pack<T>* u, Index u_stride) const {
    constexpr std::size_t n = M + 2, m = M;
    constexpr Index size = lanes / Images;
    for (Index t = 0; t < count; ++t) {
      for (Index r = 0; r < share.packs; ++r) {
        Pack<T> turned[m][m][size];  // [row][column][images], packs of channels
        turn_gradients<Images>(share.group, share.first_pack + r, first + t, turned);
        for (Index images = 0; images < size; ++images) {
          std::array<std::array<Pack<T>, m>, n> half;
#pragma GCC unroll 4
          for (std::size_t j = 0; j < m; ++j) {
            std::array<Pack<T>, m> column;
#pragma GCC unroll 4
            for (std::size_t i = 0; i < m; ++i) column[i] = turned[i][j][images];
            const auto result = Winograd<M>::gradient(column);
#pragma GCC unroll 6
            for (std::size_t i = 0; i < n; ++i) half[i][j] = result[i];
          }
          Pack<T>* target = u + (t * size + images) * share.packs + r;
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
  template <int Images>
  void turn_gradients(Index group, Index pack, Index tile, Pack<T> (&turned)[M][M][lanes / Images]) const {
    constexpr Index size = lanes / Images;
    const Index row = tile % grid_.tiles() / grid_.columns(), column = tile % grid_.columns();
    const Index rows = std::min<Index>(M, grid_.height - row * M), columns = std::min<Index>(M, grid_.width - column * M);
    const Index channel = pack * size, channels = std::min(size, outputs_ - channel), stride = dy_.channel_stride();
    const Pack<T>* const first = first_gradient(tile, group * outputs_ + channel);
    const Pack<T>* const first_of_next = first_gradient(std::min(tile + 1, tiles_ - 1), group * outputs_ + channel);
    for (Index i = 0; i < M; ++i) {
      for (Index j = 0; j < M; ++j) {
        const Index offset = i * dy_.row_stride() + j;
        for (Index l = 0; l < channels; ++l) prefetch(first_of_next + offset + l * stride);
        Pack<T>(&pixel)[size] = turned[i][j];
        const bool inside = i < rows && j < columns;
        const Index read = inside ? channels : 0;
        for (Index l = 0; l < read; ++l) pixel[l] = first[offset + l * stride];
        std::fill_n(pixel + read, size - read, Pack<T>(T(0)));
        if (inside) transpose<Images>(pixel);
      }
    }
  }

  // Sets v of `count` tiles: the input channels of a share.
  void transform_pixels(const WinogradGradientShare& share, Index first, Index count, const WinogradLayout& layout,
                        const Pack<T>* zeros, Pack<T>* lines, Pack<T>* v) const {
    for (Index t = 0; t < count;) {
      const Index block = (first + t) / grid_.tiles(), in_block = (first + t) % grid_.tiles();
      const Index end = std::min(grid_.tiles(), in_block + count - t);
      winograd_transform<M>(grid_, x_, block, share.group * inputs_ + share.first_input, in_block, end, layout, zeros, lines, v,
                            static_cast<int>(t));
      t += end - in_block;
    }
  }

  // The sums of a share, written to those of its part.
  void compute(const WinogradGradientShare& share, Pack<T>* sums) const {
    // Positions stand odd numbers of packs apart, for at powers of two what is written in turn would fall into one set of the cache.
    const Index u_stride = (at_once * channels_of_pack() * share.packs) | 1;
    // A register tile may read channels that are not there; nothing that comes of them is kept.
    const Index v_stride = (at_once * std::max<Index>(share.inputs, product_.inputs)) | 1;
    const WinogradLayout layout{static_cast<int>(at_once), share.inputs, v_stride, at_once, 0};
    const Index line_packs = winograd_line_packs(grid_);
    Pack<T>* const zeros = scratch<T>(x_.width() + line_packs + positions * (u_stride + v_stride));
    Pack<T>* const lines = std::fill_n(zeros, x_.width(), Pack<T>(T(0)));
    Pack<T>* const u = lines + line_packs;
    Pack<T>* const v = u + positions * u_stride;
    for (Index tile = share.first_tile; tile < share.last_tile; tile += at_once) {
      const Index count = std::min(at_once, share.last_tile - tile);
      if (product_.images == 1) {
        transform_gradients<1>(share, tile, count, u, u_stride);
      } else {
        transform_gradients<most_repeated<T>>(share, tile, count, u, u_stride);
      }
      transform_pixels(share, tile, count, layout, zeros, lines, v);
      for (Index position = 0; position < positions; ++position) {
        Pack<T>* const sum = sums + sum_at(share.group, position, share.first_input, share.first_pack);
        multiply(share, u + position * u_stride, v + position * v_stride, count, sum, tile != share.first_tile);
      }
    }
  }

  // The products of `count` tiles at one position, in register tiles: the last ones overlap those before.
  void multiply(const WinogradGradientShare& share, const Pack<T>* u, const Pack<T>* v, Index count, Pack<T>* sum,
                bool adds) const {
    const Index sum_stride = positions * packs_;
    for (Index next_pack = 0; next_pack < share.packs; next_pack += product_.packs) {
      const Index pack = std::max<Index>(0, std::min(next_pack, share.packs - product_.packs));
      for (Index next_input = 0; next_input < share.inputs; next_input += product_.inputs) {
        const Index input = std::max<Index>(0, std::min(next_input, share.inputs - product_.inputs));
        product_.compute({u + pack, share.packs, v + input * at_once, count * channels_of_pack(), chain_,
                          sum + input * sum_stride + pack, sum_stride, static_cast<int>(next_pack - pack),
                          static_cast<int>(share.packs - pack), static_cast<int>(next_input - input),
                          static_cast<int>(share.inputs - input), adds});
      }
    }
  }

  // Adds the sums over all parts, of one input channel and a pack of output channels, to dweight.
  void add_sums(const Pack<T>* sums, Index group, Index input, Index pack, T* dweight) const {
    constexpr Index wide = Pack<double>::lanes;
    const Index size = channels_of_pack(), channels = std::min(size, outputs_ - pack * size);
    double gradients[lanes][9] = {};  // [output channel][tap]
    for (Index first = 0; first < lanes; first += wide) {
      std::array<Pack<double>, static_cast<std::size_t>(positions)> total;
      total.fill(Pack<double>(0.0));
      for (Index part = 0; part < parts_; ++part) {
        const Pack<T>* of_position = sums + part * sums_of_part();
        for (std::size_t i = 0; i < total.size(); ++i, of_position += packs_) {
          total[i] += widen(reinterpret_cast<const T*>(of_position) + first);
        }
      }
      const std::array<Pack<double>, 9> gradient = winograd_weight_gradient<M>(total);
      for (int lane = 0; lane < wide; ++lane) {
        for (std::size_t tap = 0; tap < 9; ++tap) gradients[(first + lane) / product_.images][tap] += gradient[tap][lane];
      }
    }
    for (Index c = 0; c < channels; ++c) {
      T* const weight = dweight + ((group * outputs_ + pack * size + c) * inputs_ + input) * 9;
      for (Index tap = 0; tap < 9; ++tap) weight[tap] += static_cast<T>(gradients[c][tap]);
    }
  }

  const Batch<T>& x_;
  const Batch<T>& dy_;
  WinogradGrid grid_;
  Index tiles_;                      // of the whole batch
  Index groups_, inputs_, outputs_;  // channels of a group
  WinogradGradientProduct<T> product_;
  Index packs_;  // of output channels of a group
  Index parts_ = 1, chain_ = 8;
  Index packs_at_once_ = 1, inputs_at_once_ = 1;  // of a share
};

/// Adds the gradient with respect to the weight to dweight, with tiles of the size that winograd_gradient_tile() says. Padding lanes
/// are zero in dy.
template <class T>
void conv_winograd_weight_gradient(const ConvGeometry& conv, const Batch<T>& x, const Batch<T>& dy, T* dweight) {
  with_winograd_tile(winograd_gradient_tile({dy.height(), dy.width()}),
                     [&](auto tile) { WinogradWeightGradient<tile(), T>(conv, x, dy).add_to(dweight); });
}

}  // namespace normnet::inline NORMNET_ABI::kernels
