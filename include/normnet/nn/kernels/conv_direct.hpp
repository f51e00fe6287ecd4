// Direct convolution in lane layout: forward pass and input gradient, as products of small register tiles.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/batch.hpp>
#include <normnet/core/scratch.hpp>
#include <normnet/nn/kernels/conv_direct_ahead.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/pointwise.hpp>
#include <normnet/nn/kernels/register_tiles.hpp>

#include <algorithm>
#include <limits>
#include <span>
#include <type_traits>
#include <utility>

// The passes are matrix products in which one factor is a list of offsets instead of a matrix. With k = (channel, tap), the
// pixel p of an image needs x at p + offset[k]; because the lanes hold whole images and a border of zeros surrounds each plane,
// that is one load, always in bounds:
//
//     forward           y[o](p)  = bias[o] + sum over k of weight[o][k] * x(p + offset[k])
//     input gradient    dx[c](q) =           sum over k of weight[k][c] * dy(q + offset[k])        k = (output channel, tap)
//
// A register tile computes a few channels times a few pixels at once, so that every load is used several times. What is left over
// at an edge is covered by a tile that overlaps the one before: it writes the same values again. Small planes, most of whose
// pixels are near an edge, are computed pixel by pixel, each with the taps that read no border.
namespace normnet::normnet_impl::inline NORMNET_ABI {

/// The pixels (i, j), 0 <= i < rows and 0 <= j < columns, of a plane that stand at origin + step * (i, j).
struct PixelGrid {
  Index rows;
  Index columns;
  Pair origin;
  Pair step;

  Index size() const { return rows * columns; }

  /// Where a pixel stands.
  Pair at(Index row, Index column) const { return {origin.height + row * step.height, origin.width + column * step.width}; }
};

/// The channels that register tiles of a single pixel may cover: enough for the latency of a multiplication in all but the last
/// ones, few enough to leave registers for the pixel and a weight.
using TallTiles = std::conditional_t<simd_registers >= 32, std::integer_sequence<int, 24, 20, 16, 12, 10, 8, 4, 2, 1>,
                                     std::integer_sequence<int, 12, 10, 8, 4, 2, 1>>;

/// A tap of a kernel: the pixel that it reads, from the one that it is for.
struct Tap {
  Pair at;
  Index offset;  // the same in packs
  Index index;   // among the taps of the correlation
  Index source;  // among those of the kernel
};

/// Those of a correlation, or of one of its pixels.
using Taps = std::span<const Tap>;

/// Where a correlation finds its weights: that of a tap of the kernel, of input channel c and output channel o within group g, is
/// at data + g * group_stride + o * output_stride + c * input_stride + tap.
template <class T>
struct CorrelationWeights {
  const T* data;
  Index group_stride, output_stride, input_stride;
};

/// y(p) = after(bias + sum over c and taps of weight[c][tap] * before(x[c](p + tap))), for the pixels of two grids of the same
/// size, in each group of channels. Only a correlation of a single tap that reads no border has a prologue.
template <class T>
class Correlation {
 public:
  /// bias: a value for each output channel, or null.
  Correlation(const PixelGrid& in, const PixelGrid& out, Index groups, Taps taps, const Batch<T>& x, const Batch<T>& y,
              const CorrelationWeights<T>& weights, const T* bias, Pointwise<T> after = {}, const Prologue<T>& before = {})
      : in_(in),
        out_(out),
        groups_(groups),
        inputs_(x.channels() / groups),
        outputs_(y.channels() / groups),
        taps_(taps),
        bias_(bias),
        after_(after),
        before_(before) {
    choose_tile({x.height(), x.width()});
    choose_inputs_at_once();
    tiles_ = (outputs_ + channels_ - 1) / channels_;
    for (const Tap& tap : taps_) last_offset_ = std::max(last_offset_, tap.offset);
    const Index tap_count = taps_.size();
    offsets_ = AlignedArray<Index>::for_overwrite(inputs_ * tap_count);
    if (!before_.empty()) read_offsets_ = AlignedArray<Index>::for_overwrite(inputs_);
    for (Index c = 0; c < inputs_; ++c) {
      for (Index tap = 0; tap < tap_count; ++tap) offsets_[c * tap_count + tap] = c * x.channel_stride() + taps_[tap].offset;
      if (!before_.empty()) read_offsets_[c] = c * pixels_at_once();
    }
    pack(weights);
  }

  /// A block falls into independent parts, runs of pixels. 120 is divisible by most tiles, and makes a few thousand vector
  /// operations even in a small layer.
  static constexpr Index pixels_per_part = 120;
  Index parts() const { return (in_.size() + pixels_per_part - 1) / pixels_per_part; }
  Index cost() const { return std::min(pixels_per_part, in_.size()) * groups_ * outputs_ * inputs_ * taps_.size(); }

  void run(const Batch<T>& x, Batch<T>& y, Index block, Index part) const {
    const Index begin = in_.size() * part / parts(), end = in_.size() * (part + 1) / parts();
    if (single_pixels_) {
      auto room = AlignedArray<Tap>::for_overwrite(taps_.size());
      return with_one_of(TallTiles(), channels_, [&](auto tile) {
        Pack<T>* const so_far = scratch<T>(tiles_ * tile() + read_packs(1));
        for (Index p = begin; p < end; ++p) {
          register_tiles<tile(), 1>(x, y, block, p, taps_inside({x.height(), x.width()}, p, room), so_far);
        }
      });
    }
    with_tile(channels_, [&](auto tile) {
      constexpr int at_once = pixels_per_tile(tile());
      Pack<T>* const so_far = scratch<T>(tiles_ * tile() * at_once + read_packs(at_once));
      for (Index p = begin; p < end; p += at_once) {
        register_tiles<tile(), at_once>(x, y, block, std::min(p, end - at_once), {}, so_far);
      }
    });
  }

 private:
  // Copies the weights in the order in which register tiles read them, in shares of about a thousand.
  void pack(const CorrelationWeights<T>& weights) {
    weight_ = AlignedArray<T>::for_overwrite(groups_ * tiles_ * tile_weights());
    const Index shares = std::clamp<Index>(tile_weights() / 1024, 1, inputs_);
    parallel_for_2d(groups_ * tiles_, shares, tile_weights() / shares, [&](Index tile, Index share) {
      const Index first = inputs_ * share / shares, last = inputs_ * (share + 1) / shares;
      const T* const of_tile =
          weights.data + tile / tiles_ * weights.group_stride + tile_start(tile % tiles_) * weights.output_stride;
      T* target = weight_.data() + tile * tile_weights() + first * taps_.size() * channels_;
      for (Index c = first; c < last; ++c) {
        for (const Tap& tap : taps_) {
          const T* const value = of_tile + c * weights.input_stride + tap.source;
          for (Index o = 0; o < channels_; ++o) *target++ = value[o * weights.output_stride];
        }
      }
    });
  }

  Index tile_weights() const { return inputs_ * taps_.size() * channels_; }

  // The pixels that a register tile covers.
  Index pixels_at_once() const { return single_pixels_ ? 1 : pixels_per_tile(channels_); }

  // The first channel, within its group, of a tile; the last tile overlaps the one before.
  Index tile_start(Index tile_index) const { return std::min(tile_index * channels_, outputs_ - channels_); }

  // The room for what a register tile reads through a prologue.
  Index read_packs(Index pixels) const { return before_.empty() ? 0 : inputs_ * pixels; }

  static bool within(Index i, Index extent) { return i >= 0 && i < extent; }

  // The taps of pixel p that read pixels of x, in `room`; the others read its border.
  Taps taps_inside(Pair x, Index p, AlignedArray<Tap>& room) const {
    const Pair at = in_.at(p / in_.columns, p % in_.columns);
    Index count = 0;
    for (const Tap& tap : taps_) {
      if (within(at.height + tap.at.height, x.height) && within(at.width + tap.at.width, x.width)) room[count++] = tap;
    }
    return room.span().first(static_cast<std::size_t>(count));
  }

  // How many pairs of a pixel and a tap read pixels of x.
  Index count_taps_inside(Pair x) const {
    Index count = 0;
    for (const Tap& tap : taps_) {
      Index rows = 0, columns = 0;
      for (Index i = 0; i < in_.rows; ++i) rows += within(in_.origin.height + i * in_.step.height + tap.at.height, x.height);
      for (Index j = 0; j < in_.columns; ++j) columns += within(in_.origin.width + j * in_.step.width + tap.at.width, x.width);
      count += rows * columns;
    }
    return count;
  }

  // Sets what a register tile covers: a few channels of a few pixels, or many channels of one pixel, whichever takes fewer
  // cycles. A tile of one pixel leaves out the taps that read the border, of which small planes have many, but must find them,
  // and loads every weight for a single multiplication: with two multiplications a cycle that takes half as long again, with one
  // a twelfth, so count a quarter.
  void choose_tile(Pair x) {
    const Index taps = taps_.size();
    const auto register_tiles = [&](Index channels) { return (outputs_ + channels - 1) / channels; };
    channels_ = channels_per_tile(outputs_);
    const Index pixels = pixels_per_tile(channels_);
    const Index products = groups_ * inputs_;  // with each weight of a register tile
    Index least = std::numeric_limits<Index>::max();
    if (in_.size() >= pixels) {
      least = (in_.size() + pixels - 1) / pixels * taps * products * register_tiles(channels_) * (channels_ * pixels + 1);
    }
    const Index inside = count_taps_inside(x);
    const auto consider = [&](int tile) {
      if (tile > outputs_) return;
      const Index cost = inside * products * register_tiles(tile) * std::max(tile + tile / 4 + 2, 6) + 4 * in_.size() * taps;
      if (cost >= least) return;
      least = cost;
      channels_ = tile;
      single_pixels_ = true;
    };
    [&]<int... tiles>(std::integer_sequence<int, tiles...>) { (consider(tiles), ...); }
    (TallTiles());
  }

  // The input channels whose pixels, as a register tile reads them, stay in the first-level cache while all register tiles of the
  // same pixels read them. The sums over them wait in memory while the next ones do.
  void choose_inputs_at_once() {
    constexpr Index cache_packs = 24 * 1024 / static_cast<Index>(sizeof(Pack<T>));
    const Index fit = std::max<Index>(8, cache_packs / std::max<Index>(1, pixels_at_once() * taps_.size()));
    inputs_at_once_ = equal_share(inputs_, fit);
  }

  // Reads the pixels of input channels [first, last) of group g through the prologue, once for all register tiles that read them:
  // read[c * count + p].
  NORMNET_NOINLINE void read_through_prologue(const Pack<T>* const* pixels, Index count, Index g, Index first, Index last,
                                              Pack<T>* read) const {
    const Pack<T> least = before_.least();
    for (Index c = first; c < last; ++c) {
      const NormalizingLine<T> line = before_.lines[g * inputs_ + c];
      const Index offset = offsets_[c];
      for (Index p = 0; p < count; ++p) read[c * count + p] = max(least, line(pixels[p][offset]));
    }
  }

  // Adds weight * x to the sums [channel][pixel] of a register tile, for every k = (input channel, tap) in [first, last). That of
  // pixel p is pixels[p][offsets[k]]. One loop: with one tap, a loop in a loop has as many instructions beside the products as in
  // them. With 32 registers, of whose packs each is a line of the cache, the next channel is prefetched as well.
  template <int Channels, int Pixels>
  NORMNET_OWN_REGISTERS void multiply(const T* weight, const Index* offsets, Index first, Index last, Index channel_stride,
                                      DirectAhead<Channels, Pixels, T> ahead, const Pack<T>* const (&pixels)[Pixels],
                                      Pack<T> (&sums)[Channels][Pixels]) const {
    Pack<T> sum[Channels][Pixels];
    copy_sums(sums, sum);
    const Pack<T>* pixel[Pixels];
#pragma GCC unroll 9
    for (int p = 0; p < Pixels; ++p) pixel[p] = pixels[p];
    for (Index k = first; k < last; ++k) {
      const Index offset = offsets[k];
      Pack<T> x[Pixels];
#pragma GCC unroll 9
      for (int p = 0; p < Pixels; ++p) {
        x[p] = load(pixel[p][offset]);
        if constexpr (simd_registers >= 32) prefetch(pixel[p] + offset + channel_stride);
      }
      if constexpr (ahead.pays) ahead.turn();
      multiply(weight + k * Channels, x, sum);
    }
    if constexpr (ahead.pays) ahead.finish();
    copy_sums(sum, sums);
  }

  // The same for a single pixel, over input channels [first, last) and the taps that read no border. Taps are few, and fewer near an
  // edge: the inner loop is over the channels.
  template <int Channels>
  NORMNET_OWN_REGISTERS void multiply(const T* weight, Index first, Index last, Index channel_stride, Taps taps,
                                      const Pack<T>* pixel, Pack<T> (&sums)[Channels][1]) const {
    Pack<T> sum[Channels][1];
    copy_sums(sums, sum);
    const Index channel_weights = taps_.size() * Channels;
    for (const Tap& tap : taps) {
      const T* of_tap = weight + first * channel_weights + tap.index * Channels;
      const Pack<T>* at = pixel + first * channel_stride + tap.offset;
      for (Index c = first; c < last; ++c, of_tap += channel_weights, at += channel_stride) {
        const Pack<T> x[1] = {load(*at)};
        if constexpr (simd_registers >= 32) prefetch(at + channel_stride);
        multiply(of_tap, x, sum);
      }
    }
    copy_sums(sum, sums);
  }

  template <int Channels, int Pixels>
  NORMNET_INLINE static void multiply(const T* weight, const Pack<T> (&x)[Pixels], Pack<T> (&sum)[Channels][Pixels]) {
#pragma GCC unroll 24
    for (int o = 0; o < Channels; ++o) {
      const Pack<T> factor(weight[o]);
#pragma GCC unroll 9
      for (int p = 0; p < Pixels; ++p) sum[o][p] += factor * x[p];
    }
  }

  // All output channels of `Pixels` successive pixels of a block. taps: those that a single pixel does not leave out, none of
  // several pixels; so_far: room for the sums of all register tiles, and behind them for what is read through a prologue.
  template <int Channels, int Pixels>
  void register_tiles(const Batch<T>& x, Batch<T>& y, Index block, Index first, Taps taps, Pack<T>* so_far) const {
    const Pack<T>* source[Pixels];
    Pack<T>* target[Pixels];
    Index row = first / in_.columns, column = first % in_.columns;  // of both grids, which are of the same size
    for (int p = 0; p < Pixels; ++p) {
      const Pair from = in_.at(row, column), to = out_.at(row, column);
      source[p] = x.row(block, 0, from.height) + from.width;
      target[p] = y.row(block, 0, to.height) + to.width;
      if (++column == in_.columns) {
        column = 0;
        ++row;
      }
    }
    // How far ahead are what the next register tiles will be the first to read of each channel, and to write.
    const Index next_source = Pixels * in_.step.width, next_target = Pixels * out_.step.width;
    const Index channel_stride = x.channel_stride(), tap_count = taps_.size();
    // Where there is a single tap, register tiles ask for a share of those pixels each, during their products; else the first does
    // before them, for those that its last tap is going to read.
    constexpr bool asks_ahead = DirectAhead<Channels, Pixels, T>::pays;
    const bool shares_pixels = asks_ahead && tap_count == 1;
    const Index share = shares_pixels ? (next_source + tiles_ - 1) / tiles_ : 0;
    Pack<T>* const read = so_far + tiles_ * Channels * Pixels;
    const Index operand_stride = before_.empty() ? channel_stride : Pixels;
    const Index* const offsets = before_.empty() ? offsets_.data() : read_offsets_.data();
    for (Index g = 0; g < groups_; ++g) {
      const Pack<T>* pixel[Pixels];
      for (int p = 0; p < Pixels; ++p) pixel[p] = source[p] + g * inputs_ * channel_stride;
      for (Index c = 0; c < inputs_; c += inputs_at_once_) {
        const Index last = std::min(c + inputs_at_once_, inputs_);
        if (!shares_pixels) {
          for (Index i = c; i < last; ++i) {
            for (int p = 0; p < Pixels; ++p) prefetch(pixel[p] + i * channel_stride + next_source + last_offset_);
          }
        }
        const Pack<T>* operand[Pixels];
        for (int p = 0; p < Pixels; ++p) operand[p] = before_.empty() ? pixel[p] : read + p;
        if (!before_.empty()) read_through_prologue(pixel, Pixels, g, c, last, read);
        for (Index t = 0; t < tiles_; ++t) {
          const T* weight = weight_.data() + (g * tiles_ + t) * tile_weights();
          const Index channel = g * outputs_ + tile_start(t);
          Pack<T>* const of_tile = so_far + t * Channels * Pixels;
          Pack<T> sum[Channels][Pixels];
#pragma GCC unroll 24
          for (int o = 0; o < Channels; ++o) {
            const Pack<T> bias(bias_ == nullptr ? T(0) : bias_[channel + o]);
#pragma GCC unroll 9
            for (int p = 0; p < Pixels; ++p) sum[o][p] = c == 0 ? bias : of_tile[o * Pixels + p];
          }
          if constexpr (Pixels == 1) {
            multiply(weight, c, last, operand_stride, taps, operand[0], sum);
          } else {
            DirectAhead<Channels, Pixels, T> ahead;
            if constexpr (asks_ahead) {
              if (shares_pixels) {
                const Index begin = std::min(t * share, next_source);
                ahead.read(pixel[0] + offsets_[c] + next_source + begin, std::min(share, next_source - begin), channel_stride);
              }
              if (last == inputs_) {
                ahead.write(target[0] + channel * y.channel_stride() + next_target, out_.step.width, y.channel_stride());
              }
            }
            multiply(weight, offsets, c * tap_count, last * tap_count, operand_stride, ahead, operand, sum);
          }
          if (last < inputs_) {
#pragma GCC unroll 24
            for (int o = 0; o < Channels; ++o) {
#pragma GCC unroll 9
              for (int p = 0; p < Pixels; ++p) of_tile[o * Pixels + p] = sum[o][p];
            }
            continue;
          }
#pragma GCC unroll 24
          for (int o = 0; o < Channels; ++o) {
            after_.of_channel(channel + o).apply(sum[o]);
#pragma GCC unroll 9
            for (int p = 0; p < Pixels; ++p) {
              Pack<T>* const y_pixel = target[p] + (channel + o) * y.channel_stride();
              *y_pixel = sum[o][p];
              if constexpr (!asks_ahead) prefetch_for_write(y_pixel + next_target);
            }
          }
        }
      }
    }
  }

  PixelGrid in_, out_;
  Index groups_, inputs_, outputs_;  // channels of a group
  AlignedArray<Tap> taps_;
  AlignedArray<Index> offsets_;       // of every k = (input channel, tap) from the pixel that they are for
  AlignedArray<Index> read_offsets_;  // the same in what is read through a prologue
  const T* bias_;
  Pointwise<T> after_;
  Prologue<T> before_;
  Index last_offset_ = 0;  // the greatest of a tap, at least 0
  Index inputs_at_once_ = 0;
  Index tiles_ = 0;             // that cover the channels of a group
  int channels_ = 1;            // of a register tile
  bool single_pixels_ = false;  // a register tile covers one pixel, with the taps that read no border
  AlignedArray<T> weight_;      // [group][tile][input channel][tap][channel of the tile]
};

/// The border that conv_direct_input_gradient needs around dy.
inline Halo conv_gradient_halo(const ConvGeometry& conv) {
  const auto border_of = [](Index span, Index padding, Index stride) {
    return std::max<Index>(0, (span - 1 - padding + stride - 1) / stride);
  };
  return {border_of(conv.span().height, conv.padding.height, conv.stride.height),
          border_of(conv.span().width, conv.padding.width, conv.stride.width)};
}

/// y = after(conv(before(x), weight) + bias), for batches of these extents. weight: O x C/G x KH x KW; bias: O values or null. x
/// needs a border of the convolution's padding.
template <class T>
Correlation<T> conv_direct_forward(const ConvGeometry& conv, const Batch<T>& x, const T* weight, const T* bias, const Batch<T>& y,
                                   Pointwise<T> after = {}, const Prologue<T>& before = {}) {
  auto taps = AlignedArray<Tap>::for_overwrite(conv.taps());
  for (Index i = 0; i < taps.size(); ++i) {
    const Index u = i / conv.kernel.width, v = i % conv.kernel.width;
    const Pair at{u * conv.dilation.height - conv.padding.height, v * conv.dilation.width - conv.padding.width};
    taps[i] = {at, at.height * x.row_stride() + at.width, i, i};
  }
  const Index outputs = conv.out_per_group(), inputs = conv.in_per_group(), count = conv.taps();
  return Correlation<T>({y.height(), y.width(), {0, 0}, conv.stride}, {y.height(), y.width(), {0, 0}, {1, 1}}, conv.groups,
                        taps.span(), x, y, {weight, outputs * inputs * count, inputs * count, count}, bias, after, before);
}

/// dx = the gradient with respect to x, for batches of these extents: what the correlations of dy that add() is called with write
/// one after the other. dy needs a border of conv_gradient_halo().
///
/// Input pixel q meets output pixel (q + P - u D) / S through tap u wherever that division has no remainder. So the pixels with
/// the same remainder of q / S share their taps: S x S correlations, each over the dy of every pixel and the taps that fit.
template <class T, class F>
void conv_direct_input_gradient(const ConvGeometry& conv, const Batch<T>& dy, const T* weight, const Batch<T>& dx, F add) {
  const Index outputs = conv.out_per_group(), inputs = conv.in_per_group(), count = conv.taps();
  for (Index phase_y = 0; phase_y < std::min(conv.stride.height, dx.height()); ++phase_y) {
    for (Index phase_x = 0; phase_x < std::min(conv.stride.width, dx.width()); ++phase_x) {
      auto taps = AlignedArray<Tap>::for_overwrite(count);  // those that fit come first
      Index fitting = 0;
      for (Index i = 0; i < count; ++i) {
        const Index y = phase_y + conv.padding.height - i / conv.kernel.width * conv.dilation.height;
        const Index x = phase_x + conv.padding.width - i % conv.kernel.width * conv.dilation.width;
        if (y % conv.stride.height != 0 || x % conv.stride.width != 0) continue;
        const Pair at{y / conv.stride.height, x / conv.stride.width};
        taps[fitting] = {at, at.height * dy.row_stride() + at.width, fitting, i};
        ++fitting;
      }
      const PixelGrid pixels{(dx.height() - phase_y + conv.stride.height - 1) / conv.stride.height,
                             (dx.width() - phase_x + conv.stride.width - 1) / conv.stride.width,
                             {phase_y, phase_x},
                             conv.stride};
      const PixelGrid read{pixels.rows, pixels.columns, {0, 0}, {1, 1}};
      add(Correlation<T>(read, pixels, conv.groups, taps.span().first(static_cast<std::size_t>(fitting)), dy, dx,
                         {weight, outputs * inputs * count, count, inputs * count}, nullptr));
    }
  }
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
