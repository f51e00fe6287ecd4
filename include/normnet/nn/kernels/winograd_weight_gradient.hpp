// Winograd's convolution in lane layout: the gradient of the weight.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/core/parallel.hpp>
#include <normnet/core/scratch.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/winograd_gradient_product.hpp>
#include <normnet/nn/kernels/winograd_read_ahead.hpp>
#include <normnet/nn/kernels/winograd_steps.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <span>

// At each position, dg is a product, (output channels x tiles of all images) times (tiles of all images x input channels), and its
// sums run over the images, which stand in the lanes. So dy is turned around when it is read: its lanes become output channels, a
// pack for each image, or half as many output channels for a pair of images. The product then multiplies these packs by the values
// of x for that image or pair, repeated; its sums are packs of output channels, and at most pairs of lanes are left to add.
namespace normnet::normnet_impl::inline NORMNET_ABI {

/// What a thread computes at a time: the sums over tiles [first_tile, last_tile) of a batch, for some output channels, in packs,
/// and some input channels of a group.
struct WinogradGradientShare {
  Index first_tile, last_tile;
  Index group;
  Index first_pack, packs;
  Index first_input, inputs;
};

/// The gradient with respect to the weight, of outputs of before(x). Padding lanes are zero in dy.
template <class T>
class WinogradWeightGradient {
 public:
  WinogradWeightGradient(const ConvGeometry& conv, const Batch<T>& x, const Batch<T>& dy, const Prologue<T>& before = {})
      : x_(x),
        dy_(dy),
        before_(before),
        plane_(dy.height(), dy.width()),
        origin_(-conv.padding.height, -conv.padding.width),
        tiles_(plane_, largest_winograd_gradient_tile(plane_), dy.blocks()),
        positions_(tiles_.positions()),
        groups_(conv.groups),
        inputs_(conv.in_per_group()),
        outputs_(conv.out_per_group()),
        product_(WinogradGradientProduct<T>::best(outputs_, inputs_)),
        packs_((outputs_ + channels_of_pack() - 1) / channels_of_pack()) {
    for (std::size_t i = 0; i < positions_.size(); ++i) rank_[static_cast<std::size_t>(positions_[i])] = static_cast<Index>(i);
    // Each part of the batch has sums of its own: parts enough for threads to share, a power of two, so that most are of as many
    // tiles, unless they have few tiles or their sums fill the caches. The error of a sum stays that of a short one: at most about 128
    // tiles a part, and two to four parts of few tiles and many channels.
    const Index tiles = tiles_.count();
    const auto parts_in = [&](Index bytes, Index most) {
      return power_of_two_below(std::min({tiles, most, packs_in(bytes) / sums_of_part()}));
    };
    constexpr Index mib = 1024 * 1024;
    parts_ = std::max({(tiles + 127) / 128, parts_in(5 * mib, std::clamp<Index>(tiles / 4, 8, 16)),
                       parts_in(40 * mib, std::clamp<Index>(tiles / 8, 2, 4))});
    // The chains of additions, of products and then of what they come to, are about as long.
    const Index products = tiles / parts_ * channels_of_pack();
    chain_ = std::clamp<Index>(power_of_two_below(static_cast<Index>(std::sqrt(2 * static_cast<double>(products)))), 8, 64);
    // The sums of a share stay in the second-level cache while its tiles add to them. Where there are more threads, they share the
    // input channels, although each has to transform dy.
    const Index tiles_of_packs = (packs_ + product_.packs - 1) / product_.packs;
    packs_at_once_ = product_.packs * equal_share(tiles_of_packs, std::max<Index>(1, 64 / (product_.packs * channels_of_pack())));
    inputs_at_once_ = equal_share(inputs_, std::max<Index>(16, packs_in(640 * 1024) / (positions() * packs_at_once_)));
    while (parts_ * shares() < num_threads() && inputs_at_once_ > 8) inputs_at_once_ = (inputs_at_once_ + 1) / 2;
  }

  /// Adds the gradient to dweight.
  void add_to(T* dweight) const {
    if (tiles_.count() == 0) return;
    Pack<T>* const sums = shared_scratch<T>(parts_ * sums_of_part());
    const Index cost = tiles_.count() / parts_ * positions() * inputs_at_once_ * packs_at_once_ * channels_of_pack();
    parallel_for_2d(parts_, shares(), cost, [&](Index part, Index index) {
      const Index input = index % input_shares() * inputs_at_once_,
                  pack = index / input_shares() % output_shares() * packs_at_once_;
      compute(
          {tiles_.first_of_part(part, parts_), tiles_.first_of_part(part + 1, parts_), index / input_shares() / output_shares(),
           pack, std::min(packs_at_once_, packs_ - pack), input, std::min(inputs_at_once_, inputs_ - input)},
          sums + part * sums_of_part());
    });
    parallel_for_2d(groups_ * inputs_, packs_, parts_ * positions(), [&](Index input, Index pack) {
      add_sums(sums + input * positions() * packs_ + pack, input / inputs_, input % inputs_, pack, dweight);
    });
  }

 private:
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

  Index positions() const { return std::ssize(positions_); }

  // The sums of a part of the batch: [group][input channel][position that tiles have][pack of output channels].
  Index sums_of_part() const { return groups_ * positions() * inputs_ * packs_; }
  Index sum_at(Index group, Index rank, Index input, Index pack) const {
    return ((group * inputs_ + input) * positions() + rank) * packs_ + pack;
  }

  // Tiles that are computed together, with the extents of the largest.
  struct Run {
    std::array<WinogradTile, static_cast<std::size_t>(at_once)> tiles;
    std::array<Index, static_cast<std::size_t>(at_once)> blocks;
    Index first;  // of the batch's tiles
    std::size_t count;
  };
  Run run(Index first, Index last) const {
    Run run{.tiles = {}, .blocks = {}, .first = first, .count = static_cast<std::size_t>(last - first)};
    for (std::size_t t = 0; t < run.count; ++t) {
      const auto place = tiles_[first + static_cast<Index>(t)];
      run.tiles[t] = place.tile;
      run.blocks[t] = place.block;
    }
    group_winograd_tiles(std::span(run.tiles).first(run.count));
    return run;
  }

  // Sets u of a run's tiles, the packs of output channels of a share: u[position * u_stride + (tile, images) * share.packs + pack].
  template <int Images>
  void transform_gradients(const WinogradGradientShare& share, const Run& run, Pack<T>* u, Index u_stride) const {
    constexpr Index size = lanes / Images;
    for (std::size_t t = 0; t < run.count; ++t) {
      for (Index r = 0; r < share.packs; ++r) {
        Pack<T> turned[4][4][lanes];  // [row][column][images], packs of channels; as many images as channels
        turn_gradients<Images>(share.group, share.first_pack + r, run, t, turned);
        Pack<T>* const target = u + static_cast<Index>(t) * size * share.packs + r;
        with_winograd_extent(run.tiles[t].height, [&](auto height) {
          with_winograd_extent(run.tiles[t].width, [&](auto width) {
            transform_gradients<height(), width()>(&turned[0][0][0], size, target, share.packs, u_stride);
          });
        });
      }
    }
  }

  // A dy A^T of a tile of M x N pixels for each of `count` images, or pairs of them: of pixel (i, j), dy[(4 i + j) lanes + image].
  template <int M, int N>
  NORMNET_NOINLINE static void transform_gradients(const Pack<T>* dy, Index count, Pack<T>* u, Index image_stride,
                                                   Index position_stride) {
    constexpr std::size_t points = M + 2, m = M, n = N;
    for (Index image = 0; image < count; ++image, ++dy, u += image_stride) {
      std::array<std::array<Pack<T>, n>, points> half;
#pragma GCC unroll 4
      for (std::size_t j = 0; j < n; ++j) {
        std::array<Pack<T>, m> column;
#pragma GCC unroll 4
        for (std::size_t i = 0; i < m; ++i) column[i] = dy[static_cast<Index>(4 * i + j) * lanes];
        const auto result = Winograd<M>::gradient(column);
#pragma GCC unroll 6
        for (std::size_t i = 0; i < points; ++i) half[i][j] = result[i];
      }
      Pack<T>* target = u;
#pragma GCC unroll 6
      for (std::size_t i = 0; i < points; ++i) {
        const auto result = Winograd<N>::gradient(half[i]);
#pragma GCC unroll 6
        for (std::size_t j = 0; j < n + 2; ++j) {
          *target = result[j];
          target += position_stride * winograd_step(M, N, i, j);
        }
      }
    }
  }

  // Where the gradients of a tile have their corner in a channel's plane.
  const Pack<T>* first_gradient(Index tile, Index channel) const {
    const auto place = tiles_[tile];
    return dy_.row(place.block, channel, place.tile.row) + place.tile.column;
  }

  // Turns the gradients of a tile around, for a pack of output channels; what is no pixel or channel is zero. Those of the next tile
  // are asked for.
  template <int Images>
  void turn_gradients(Index group, Index pack, const Run& run, std::size_t tile, Pack<T> (&turned)[4][4][lanes]) const {
    constexpr Index size = lanes / Images;
    const WinogradTile& extents = run.tiles[tile];
    const Index rows = plane_.height - extents.row, columns = plane_.width - extents.column;
    const Index channel = pack * size, channels = std::min(size, outputs_ - channel), stride = dy_.channel_stride();
    const Index of_batch = run.first + static_cast<Index>(tile);
    const Pack<T>* const first = first_gradient(of_batch, group * outputs_ + channel);
    const Pack<T>* const first_of_next = first_gradient(std::min(of_batch + 1, tiles_.count() - 1), group * outputs_ + channel);
    for (Index i = 0; i < extents.height; ++i) {
      for (Index j = 0; j < extents.width; ++j) {
        const Index offset = i * dy_.row_stride() + j;
        for (Index l = 0; l < channels; ++l) prefetch(first_of_next + offset + l * stride);
        Pack<T>* const pixel = turned[i][j];
        const bool inside = i < rows && j < columns;
        const Index read = inside ? channels : 0;
        for (Index l = 0; l < read; ++l) pixel[l] = first[offset + l * stride];
        std::fill_n(pixel + read, size - read, Pack<T>(T(0)));
        if (inside) transpose<Images>(pixel);
      }
    }
  }

  // The channel of x that is the first of a share.
  Index first_channel(const WinogradGradientShare& share) const { return share.group * inputs_ + share.first_input; }

  // Sets v of a run's tiles: the input channels of a share.
  void transform_pixels(const WinogradGradientShare& share, const Run& run, const WinogradLayout& layout, const Pack<T>* zeros,
                        Pack<T>* lines, Pack<T>* v) const {
    for (std::size_t t = 0; t < run.count;) {
      std::size_t end = t + 1;
      while (end < run.count && run.blocks[end] == run.blocks[t]) ++end;
      winograd_transform(std::span(run.tiles).subspan(t, end - t), origin_, x_, run.blocks[t], first_channel(share), layout,
                         zeros, lines, v, before_, static_cast<int>(t));
      t = end;
    }
  }

  // The sums of a share, written to those of its part.
  void compute(const WinogradGradientShare& share, Pack<T>* sums) const {
    // Positions stand odd numbers of packs apart, for at powers of two what is written in turn would fall into one set of the cache.
    const Index u_stride = (at_once * channels_of_pack() * share.packs) | 1;
    // A register tile may read channels that are not there; nothing that comes of them is kept.
    const Index v_stride = (at_once * std::max<Index>(share.inputs, product_.inputs)) | 1;
    const WinogradLayout layout{static_cast<int>(at_once), share.inputs, v_stride, at_once, 0};
    const Index line_packs = winograd_line_packs(plane_);
    Pack<T>* const zeros = scratch<T>(x_.width() + line_packs + winograd_positions * (u_stride + v_stride));
    Pack<T>* const lines = std::fill_n(zeros, x_.width(), Pack<T>(T(0)));
    Pack<T>* const u = lines + line_packs;
    Pack<T>* const v = u + winograd_positions * u_stride;
    std::array<bool, winograd_positions> has_sum{};
    WinogradReadAhead<T> ahead(x_, first_channel(share), share.inputs, origin_, at_once);  // of the next tiles
    for (Index tile = share.first_tile; tile < share.last_tile; tile += at_once) {
      const Run tiles = run(tile, std::min(tile + at_once, share.last_tile));
      if (product_.images == 1) {
        transform_gradients<1>(share, tiles, u, u_stride);
      } else {
        transform_gradients<most_repeated<T>>(share, tiles, u, u_stride);
      }
      transform_pixels(share, tiles, layout, zeros, lines, v);
      ahead.clear();
      for (Index next = tile + at_once; next < std::min(tile + 2 * at_once, share.last_tile); ++next) {
        const auto place = tiles_[next];
        ahead.add(place.tile, place.block);
      }
      ahead.begin(products(share) * std::ssize(tiles.tiles.front().positions()));
      for (const int position : tiles.tiles.front().positions()) {
        const Index rank = rank_[static_cast<std::size_t>(position)];
        Pack<T>* const sum = sums + sum_at(share.group, rank, share.first_input, share.first_pack);
        bool& adds = has_sum[static_cast<std::size_t>(rank)];
        multiply(share, u + position * u_stride, v + position * v_stride, static_cast<Index>(tiles.count), sum, adds, ahead);
        adds = true;
      }
    }
    for (Index rank = 0; rank < positions(); ++rank) {
      if (has_sum[static_cast<std::size_t>(rank)]) continue;
      Pack<T>* sum = sums + sum_at(share.group, rank, share.first_input, share.first_pack);
      for (Index c = 0; c < share.inputs; ++c, sum += positions() * packs_) std::fill_n(sum, share.packs, Pack<T>(T(0)));
    }
  }

  // The register tiles at a position.
  Index products(const WinogradGradientShare& share) const {
    return ((share.packs + product_.packs - 1) / product_.packs) * ((share.inputs + product_.inputs - 1) / product_.inputs);
  }

  // The products of `count` tiles at one position, in register tiles: the last ones overlap those before.
  void multiply(const WinogradGradientShare& share, const Pack<T>* u, const Pack<T>* v, Index count, Pack<T>* sum, bool adds,
                WinogradReadAhead<T>& ahead) const {
    const Index sum_stride = positions() * packs_;
    for (Index next_pack = 0; next_pack < share.packs; next_pack += product_.packs) {
      const Index pack = std::max<Index>(0, std::min(next_pack, share.packs - product_.packs));
      for (Index next_input = 0; next_input < share.inputs; next_input += product_.inputs) {
        const Index input = std::max<Index>(0, std::min(next_input, share.inputs - product_.inputs));
        ahead.turn();
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
      std::array<Pack<double>, winograd_positions> total;
      total.fill(Pack<double>(0.0));
      for (Index part = 0; part < parts_; ++part) {
        const Pack<T>* of_position = sums + part * sums_of_part();
        for (const int position : positions_) {
          total[static_cast<std::size_t>(position)] += widen(reinterpret_cast<const T*>(of_position) + first);
          of_position += packs_;
        }
      }
      const std::array<Pack<double>, 9> gradient = winograd_weight_gradient(total);
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
  Prologue<T> before_;
  Pair plane_, origin_;
  WinogradTilesOfBatch tiles_;
  std::span<const int> positions_;                // that tiles have
  std::array<Index, winograd_positions> rank_{};  // of a position among these
  Index groups_, inputs_, outputs_;               // channels of a group
  WinogradGradientProduct<T> product_;
  Index packs_;  // of output channels of a group
  Index parts_ = 1, chain_ = 8;
  Index packs_at_once_ = 1, inputs_at_once_ = 1;  // of a share
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
