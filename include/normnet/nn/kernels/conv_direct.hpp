// Direct convolution in lane layout: the three passes as products of small register tiles, without columns in memory.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>

#include <algorithm>
#include <utility>
#include <vector>

// All three passes are matrix products in which one factor is a list of offsets instead of a matrix. With k = (channel, tap), the
// pixel p of an image needs x at p + offset[k]; because the lanes hold whole images and a border of zeros surrounds each plane,
// that is one load, always in bounds:
//
//     forward           y[o](p)  = bias[o] + sum over k of weight[o][k] * x(p + offset[k])
//     input gradient    dx[c](q) =           sum over k of weight[k][c] * dy(q + offset[k])        k = (output channel, tap)
//     weight gradient   dw[o][k] =           sum over p of dy[o](p)     * x(p + offset[k])
//
// A register tile computes a few channels times a few pixels (or a few channels times a few k) at once, so that every load is
// used several times. What is left over at an edge is covered by a tile that overlaps the one before: it writes the same values
// again.
namespace normnet::inline NORMNET_ABI::kernels {

/// The pixels (i, j), 0 <= i < rows and 0 <= j < columns, of a plane that stand at origin + step * (i, j).
struct PixelGrid {
  Index rows;
  Index columns;
  Pair origin;
  Pair step;

  Index size() const { return rows * columns; }
};

/// The channels that a register tile covers: the largest tile that wastes least, in units of a multiplication; each tile costs
/// about one more for its loads.
constexpr int channels_per_tile(Index channels) {
  constexpr int largest = simd_registers >= 32 ? 6 : 5;
  int best = 1;
  Index best_cost = 2 * channels;
  for (int tile = 2; tile <= std::min<Index>(largest, channels); ++tile) {
    const Index cost = (channels + tile - 1) / tile * (tile + 1);
    if (cost <= best_cost) {
      best = tile;
      best_cost = cost;
    }
  }
  return best;
}

/// The pixels that go with so many channels: sums, inputs and one weight must fit the registers.
template <int Channels>
constexpr int pixels_per_tile() {
  constexpr int with_32_registers[] = {8, 8, 7, 6, 5, 4};
  constexpr int with_16_registers[] = {8, 5, 3, 3, 2, 2};
  return simd_registers >= 32 ? with_32_registers[Channels - 1] : with_16_registers[Channels - 1];
}

/// The columns k that go with so many channels in the weight gradient.
template <int Channels>
constexpr int columns_per_tile() {
  constexpr int with_32_registers[] = {9, 9, 7, 6, 5, 4};
  constexpr int with_16_registers[] = {9, 5, 3, 3, 2, 2};
  return simd_registers >= 32 ? with_32_registers[Channels - 1] : with_16_registers[Channels - 1];
}

/// Calls f with std::integral_constant<int, tile>.
template <class F>
void with_tile(int tile, F&& f) {
  switch (tile) {
    case 1: return f(std::integral_constant<int, 1>());
    case 2: return f(std::integral_constant<int, 2>());
    case 3: return f(std::integral_constant<int, 3>());
    case 4: return f(std::integral_constant<int, 4>());
    case 5: return f(std::integral_constant<int, 5>());
    default:
      if constexpr (simd_registers >= 32) f(std::integral_constant<int, 6>());
  }
}

/// y(p) = bias + weight * x(p + offset), for the pixels of two grids of the same size, in each group of channels.
template <class T>
struct Correlation {
  PixelGrid in;
  PixelGrid out;
  Index groups;
  Index in_per_group;
  Index out_per_group;
  std::vector<Index> offset;  // of every k, in packs
  std::vector<T> weight;      // [group][tile][k][channel of the tile]
  const T* bias = nullptr;

  /// A block falls into independent parts, runs of pixels. 120 is divisible by most tiles, and makes a few thousand vector
  /// operations even in a small layer.
  static constexpr Index pixels_per_part = 120;
  Index parts() const { return (in.size() + pixels_per_part - 1) / pixels_per_part; }
  Index cost() const { return std::min(pixels_per_part, in.size()) * groups * out_per_group * taps(); }
  void run(const Batch<T>& x, Batch<T>& y, Index block, Index part) const;

  Index taps() const { return static_cast<Index>(offset.size()); }
  int tile() const { return channels_per_tile(out_per_group); }
  Index tiles() const { return (out_per_group + tile() - 1) / tile(); }

  /// The first channel, within its group, of a tile.
  Index tile_start(Index tile_index) const { return std::min(tile_index * tile(), out_per_group - tile()); }

  /// Fills `weight` from value(group, output channel within the group, k).
  template <class F>
  void pack_weights(F value) {
    weight.clear();
    weight.reserve(static_cast<std::size_t>(groups * tiles() * tile() * taps()));
    for (Index g = 0; g < groups; ++g) {
      for (Index t = 0; t < tiles(); ++t) {
        for (Index k = 0; k < taps(); ++k) {
          for (Index o = 0; o < tile(); ++o) weight.push_back(value(g, tile_start(t) + o, k));
        }
      }
    }
  }
};

/// One register tile of a correlation: sum[o][p] += weight[k][o] * pixel[p][offset[k]] over all k.
template <class T, int Channels, int Pixels>
NORMNET_INLINE void multiply_tile(const T* weight, const Index* offset, Index taps, const Pack<T>* const (&pixel)[Pixels],
                                  Pack<T> (&sum)[Channels][Pixels]) {
  for (Index k = 0; k < taps; ++k, weight += Channels) {
    Pack<T> x[Pixels];
#pragma GCC unroll 9
    for (int p = 0; p < Pixels; ++p) x[p] = load(pixel[p][offset[k]]);
#pragma GCC unroll 6
    for (int o = 0; o < Channels; ++o) {
      const Pack<T> w(weight[o]);
#pragma GCC unroll 9
      for (int p = 0; p < Pixels; ++p) sum[o][p] += w * x[p];
    }
  }
}

/// All output channels of `Pixels` successive pixels of one block, from pixel `first` on.
template <int Channels, int Pixels, class T>
void correlate_pixels(const Correlation<T>& job, const Batch<T>& x, Batch<T>& y, Index block, Index first) {
  const Pack<T>* source[Pixels];
  Pack<T>* target[Pixels];
  for (int p = 0; p < Pixels; ++p) {
    const Index i = (first + p) / job.in.columns, j = (first + p) % job.in.columns;
    source[p] = x.row(block, 0, job.in.origin.height + i * job.in.step.height) + job.in.origin.width + j * job.in.step.width;
    target[p] = y.row(block, 0, job.out.origin.height + i * job.out.step.height) + job.out.origin.width + j * job.out.step.width;
  }
  const T* weight = job.weight.data();
  for (Index g = 0; g < job.groups; ++g) {
    const Pack<T>* pixel[Pixels];
    for (int p = 0; p < Pixels; ++p) pixel[p] = source[p] + g * job.in_per_group * x.channel_stride();
    for (Index t = 0; t < job.tiles(); ++t, weight += Channels * job.taps()) {
      const Index channel = g * job.out_per_group + job.tile_start(t);
      Pack<T> sum[Channels][Pixels];
#pragma GCC unroll 6
      for (int o = 0; o < Channels; ++o) {
        const Pack<T> initial(job.bias == nullptr ? T(0) : job.bias[channel + o]);
#pragma GCC unroll 9
        for (int p = 0; p < Pixels; ++p) sum[o][p] = initial;
      }
      multiply_tile(weight, job.offset.data(), job.taps(), pixel, sum);
#pragma GCC unroll 6
      for (int o = 0; o < Channels; ++o) {
#pragma GCC unroll 9
        for (int p = 0; p < Pixels; ++p) target[p][(channel + o) * y.channel_stride()] = sum[o][p];
      }
    }
  }
}

template <class T>
void Correlation<T>::run(const Batch<T>& x, Batch<T>& y, Index block, Index part) const {
  const Index begin = part * pixels_per_part, end = std::min(begin + pixels_per_part, in.size());
  with_tile(tile(), [&](auto tile) {
    constexpr int channels = tile();
    constexpr int at_once = pixels_per_tile<channels>();
    if (end - begin < at_once) {
      for (Index p = begin; p < end; ++p) correlate_pixels<channels, 1>(*this, x, y, block, p);
    } else {
      for (Index p = begin; p < end; p += at_once)
        correlate_pixels<channels, at_once>(*this, x, y, block, std::min(p, end - at_once));
    }
  });
}

/// The offset of every k = (input channel of the group, tap) from the pixel (i S, j S) of the group's first channel.
inline std::vector<Index> column_offsets(const ConvGeometry& conv, Index channel_stride, Index row_stride) {
  std::vector<Index> offsets;
  for (Index c = 0; c < conv.in_per_group(); ++c) {
    for (Index u = 0; u < conv.kernel.height; ++u) {
      for (Index v = 0; v < conv.kernel.width; ++v) {
        offsets.push_back(c * channel_stride + (u * conv.dilation.height - conv.padding.height) * row_stride +
                          v * conv.dilation.width - conv.padding.width);
      }
    }
  }
  return offsets;
}

/// The border that conv_direct_input_gradient needs around dy.
inline Halo conv_gradient_halo(const ConvGeometry& conv) {
  const auto border = [](Index span, Index padding, Index stride) {
    return std::max<Index>(0, (span - 1 - padding + stride - 1) / stride);
  };
  return {border(conv.span().height, conv.padding.height, conv.stride.height),
          border(conv.span().width, conv.padding.width, conv.stride.width)};
}

/// y = conv(x, weight) + bias, for batches of these extents. weight: O x C/G x KH x KW; bias: O values or null. x needs a border
/// of the convolution's padding.
template <class T>
Correlation<T> conv_direct_forward(const ConvGeometry& conv, const Batch<T>& x, const T* weight, const T* bias,
                                   const Batch<T>& y) {
  const Index columns = conv.in_per_group() * conv.taps();
  Correlation<T> job{.in = {y.height(), y.width(), {0, 0}, conv.stride},
                     .out = {y.height(), y.width(), {0, 0}, {1, 1}},
                     .groups = conv.groups,
                     .in_per_group = conv.in_per_group(),
                     .out_per_group = conv.out_per_group(),
                     .offset = column_offsets(conv, x.channel_stride(), x.row_stride()),
                     .weight = {},
                     .bias = bias};
  job.pack_weights([&](Index g, Index o, Index k) { return weight[(g * conv.out_per_group() + o) * columns + k]; });
  return job;
}

/// dx = the gradient with respect to x, for batches of these extents: what these correlations of dy write one after the other. dy
/// needs a border of conv_gradient_halo().
///
/// Input pixel q meets output pixel (q + P - u D) / S through tap u wherever that division has no remainder. So the pixels with
/// the same remainder of q / S share their taps: S x S correlations, each over the dy of every pixel and the taps that fit.
template <class T>
std::vector<Correlation<T>> conv_direct_input_gradient(const ConvGeometry& conv, const Batch<T>& dy, const T* weight,
                                                       const Batch<T>& dx) {
  std::vector<Correlation<T>> phases;
  const Index taps = conv.taps(), columns = conv.in_per_group() * taps;
  for (Index phase_y = 0; phase_y < std::min(conv.stride.height, dx.height()); ++phase_y) {
    for (Index phase_x = 0; phase_x < std::min(conv.stride.width, dx.width()); ++phase_x) {
      const PixelGrid pixels{(dx.height() - phase_y + conv.stride.height - 1) / conv.stride.height,
                             (dx.width() - phase_x + conv.stride.width - 1) / conv.stride.width,
                             {phase_y, phase_x},
                             conv.stride};
      Correlation<T> job{.in = {pixels.rows, pixels.columns, {0, 0}, {1, 1}},
                         .out = pixels,
                         .groups = conv.groups,
                         .in_per_group = conv.out_per_group(),
                         .out_per_group = conv.in_per_group(),
                         .offset = {},
                         .weight = {}};
      std::vector<Index> source;  // of every k of the job: its output channel's first weight, plus its tap
      for (Index o = 0; o < conv.out_per_group(); ++o) {
        for (Index u = 0; u < conv.kernel.height; ++u) {
          for (Index v = 0; v < conv.kernel.width; ++v) {
            const Index y = phase_y + conv.padding.height - u * conv.dilation.height;
            const Index x = phase_x + conv.padding.width - v * conv.dilation.width;
            if (y % conv.stride.height != 0 || x % conv.stride.width != 0) continue;
            job.offset.push_back(o * dy.channel_stride() + y / conv.stride.height * dy.row_stride() + x / conv.stride.width);
            source.push_back(o * columns + u * conv.kernel.width + v);
          }
        }
      }
      job.pack_weights([&](Index g, Index c, Index k) {
        return weight[g * conv.out_per_group() * columns + source[static_cast<std::size_t>(k)] + c * taps];
      });
      phases.push_back(std::move(job));
    }
  }
  return phases;
}

/// Rows of some blocks of a batch: what one partial sum of a weight gradient runs over.
struct Strip {
  Index first_block, last_block;  // last is exclusive
  Index first_row, last_row;
};

/// Cuts a batch of planes into strips of about so many pixels: a few hundred are enough for the sum over the lanes at the end of
/// each not to count, and stay in the cache. They depend on the extents alone, never on the number of threads.
inline std::vector<Strip> strips(Index blocks, Index rows, Index columns, Index pixels = 448) {
  const Index blocks_at_once = std::max<Index>(1, pixels / std::max<Index>(1, rows * columns));
  const Index cuts = std::max<Index>(1, rows * columns / pixels);
  std::vector<Strip> all;
  for (Index block = 0; block < blocks; block += blocks_at_once) {
    for (Index cut = 0; cut < cuts; ++cut) {
      all.push_back({block, std::min(block + blocks_at_once, blocks), rows * cut / cuts, rows * (cut + 1) / cuts});
    }
  }
  return all;
}

/// Where a tile of the weight gradient stands, and which of its channels the tile before has written already.
struct WeightTile {
  Index in_channel, out_channel;  // the first of each
  Index skip;
};

/// One register tile of the weight gradient over one strip: result[o * result_stride + k] = sum over pixels and lanes of
/// dy[o] * x(p + offset[k]), for every channel o of the tile but the skipped ones: another thread may be writing those.
template <int Channels, int Columns, class T>
void weight_gradient_tile(const ConvGeometry& conv, const Strip& strip, const Batch<T>& x, const Batch<T>& dy,
                          const WeightTile& tile, const Index* offset, T* result, Index result_stride) {
  Pack<T> total[Channels][Columns];
#pragma GCC unroll 6
  for (int o = 0; o < Channels; ++o) {
#pragma GCC unroll 9
    for (int k = 0; k < Columns; ++k) total[o][k] = Pack<T>(T(0));
  }
  const Index step = conv.stride.width, width = dy.width();
  for (Index block = strip.first_block; block < strip.last_block; ++block) {
    for (Index row = strip.first_row; row < strip.last_row; ++row) {
      const Pack<T>* gradient[Channels];
      const Pack<T>* input[Columns];
      for (int o = 0; o < Channels; ++o) gradient[o] = dy.row(block, tile.out_channel + o, row);
      for (int k = 0; k < Columns; ++k) input[k] = x.row(block, tile.in_channel, row * conv.stride.height) + offset[k];
      for (Index j = 0; j < width; ++j) {
        Pack<T> g[Channels];
#pragma GCC unroll 6
        for (int o = 0; o < Channels; ++o) g[o] = load(gradient[o][j]);
#pragma GCC unroll 9
        for (int k = 0; k < Columns; ++k) {
          const Pack<T> value = load(input[k][j * step]);
#pragma GCC unroll 6
          for (int o = 0; o < Channels; ++o) total[o][k] += g[o] * value;
        }
      }
    }
  }
#pragma GCC unroll 6
  for (int o = 0; o < Channels; ++o) {
    if (o < tile.skip) continue;
#pragma GCC unroll 9
    for (int k = 0; k < Columns; ++k) result[o * result_stride + k] = sum(total[o][k]);
  }
}

/// Adds the gradient with respect to the weight to dweight. x needs a border of the convolution's padding; padding lanes are zero
/// in dy. Each strip has a partial sum of its own, and these are added in their order, so no bit depends on the number of
/// threads.
template <class T>
void conv_direct_weight_gradient(const ConvGeometry& conv, const Batch<T>& x, const Batch<T>& dy, T* dweight) {
  const std::vector<Index> offset = column_offsets(conv, x.channel_stride(), x.row_stride());
  const Index columns = static_cast<Index>(offset.size());
  const std::vector<Strip> parts = strips(dy.blocks(), dy.height(), dy.width());
  const Index weights = conv.out_channels * columns;
  std::vector<T> partial(parts.size() * static_cast<std::size_t>(weights));
  with_tile(channels_per_tile(conv.out_per_group()), [&](auto tile) {
    constexpr int channels = tile();
    constexpr int at_once = columns_per_tile<channels>();
    const Index tiles = (conv.out_per_group() + channels - 1) / channels;
    const Index cost = columns * channels * dy.plane() * dy.blocks() / std::max<Index>(1, static_cast<Index>(parts.size()));
    parallel_for_2d(static_cast<Index>(parts.size()), conv.groups * tiles, cost, [&](Index part, Index group_tile) {
      const Index g = group_tile / tiles, next = group_tile % tiles * channels;
      const Index start = std::min(next, conv.out_per_group() - channels);
      const WeightTile where{g * conv.in_per_group(), g * conv.out_per_group() + start, next - start};
      const Strip& strip = parts[static_cast<std::size_t>(part)];
      T* result = partial.data() + part * weights + where.out_channel * columns;
      if (columns < at_once) {
        for (Index k = 0; k < columns; ++k) {
          weight_gradient_tile<channels, 1>(conv, strip, x, dy, where, &offset[static_cast<std::size_t>(k)], result + k, columns);
        }
      } else {
        for (Index column = 0; column < columns; column += at_once) {
          const Index k = std::min(column, columns - at_once);
          weight_gradient_tile<channels, at_once>(conv, strip, x, dy, where, &offset[static_cast<std::size_t>(k)], result + k,
                                                  columns);
        }
      }
    });
  });
  parallel_for(weights, static_cast<Index>(parts.size()), [&](Index i) {
    double total = 0;
    for (std::size_t part = 0; part < parts.size(); ++part) {
      total += static_cast<double>(partial[part * static_cast<std::size_t>(weights) + static_cast<std::size_t>(i)]);
    }
    dweight[i] += static_cast<T>(total);
  });
}

}  // namespace normnet::inline NORMNET_ABI::kernels
