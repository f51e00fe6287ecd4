// Direct convolution in lane layout for groups of one or two channels, depthwise ones above all: forward pass and input gradient.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/batch.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/pointwise.hpp>
#include <normnet/nn/kernels/register_tiles.hpp>

#include <algorithm>

// A register tile of many channels uses each pixel that it loads for all of them. With one or two there is little to share, and loads
// are what takes the time. But neighbouring outputs of a row read the same pixels at different taps:
//
//     y(i, j) = sum over u, v of weight[u][v] * x(i + u, j + v)
//
// so with three weights in a row, a pixel that is in a register goes into three outputs.
namespace normnet::normnet_impl::inline NORMNET_ABI {

/// The weights of a row.
inline constexpr int row_weights = 3;

/// Whether RowCorrelation computes the forward pass and the input gradient: groups are of few channels, for many would be read from as
/// many places in memory at a time (64->1 at 32x32 lost a quarter).
inline bool row_correlation_applies(const ConvGeometry& conv) {
  return std::max(conv.in_per_group(), conv.out_per_group()) <= 2 && conv.kernel.width == row_weights && conv.stride == Pair(1) &&
         conv.dilation == Pair(1);
}

/// y = after(bias + weight * x), a correlation of stride 1 with kernels of KH x 3 in each group of channels. x has a border wherever
/// taps read one.
template <class T>
class RowCorrelation {
 public:
  /// `origin`: the pixel of x that tap (0, 0) of output pixel (0, 0) reads; value(group, output channel within the group, input
  /// channel within the group, row, column) are the weights; bias: a value for each output channel, or null.
  template <class F>
  RowCorrelation(Pair plane, Pair origin, Index kernel_height, Index groups, Index inputs, Index outputs, const T* bias, F value,
                 Pointwise<T> after = {})
      : plane_(plane),
        origin_(origin),
        rows_(kernel_height),
        groups_(groups),
        inputs_(inputs),
        outputs_(outputs),
        runs_(std::clamp<Index>(cost_of_group() / 8192, 1, plane.height)),
        bias_(bias),
        after_(after),
        weight_(AlignedArray<T>::for_overwrite(groups * inputs * kernel_height * outputs * row_weights)) {
    T* next = weight_.data();
    for (Index g = 0; g < groups; ++g) {
      for (Index c = 0; c < inputs; ++c) {
        for (Index u = 0; u < rows_; ++u) {
          for (Index o = 0; o < outputs; ++o) {
            for (Index v = 0; v < row_weights; ++v) *next++ = value(g, o, c, u, v);
          }
        }
      }
    }
  }

  /// A block falls into its groups of channels, and these into runs of rows, of a few thousand vector operations each.
  Index parts() const { return groups_ * runs_; }
  Index cost() const { return cost_of_group() / runs_; }

  void run(const Batch<T>& x, Batch<T>& y, Index block, Index part) const {
    if (outputs_ == 1) {
      run_groups<1>(x, y, block, part);
    } else {
      run_groups<2>(x, y, block, part);
    }
  }

 private:
  Index cost_of_group() const { return plane_.height * plane_.width * outputs_ * inputs_ * rows_ * row_weights; }

  template <int Outputs>
  void run_groups(const Batch<T>& x, Batch<T>& y, Index block, Index part) const {
    // The pixels of a register tile: sums, weights of a row and a pixel must fit the registers.
    constexpr int most_pixels = simd_registers >= 32 || Outputs == 1 ? 8 : 4;
    const Index group = part / runs_, run = part % runs_;
    if (plane_.width >= most_pixels) return run_rows<Outputs, most_pixels>(x, y, block, group, run);
    if (plane_.width >= 4) return run_rows<Outputs, 4>(x, y, block, group, run);
    run_rows<Outputs, 1>(x, y, block, group, run);
  }

  // A run of rows of a group, in register tiles of some pixels of a row; the last one overlaps the one before.
  template <int Outputs, int Pixels>
  void run_rows(const Batch<T>& x, Batch<T>& y, Index block, Index group, Index run) const {
    const Index last = plane_.height * (run + 1) / runs_;
    for (Index i = plane_.height * run / runs_; i < last; ++i) {
      const Pack<T>* const source = x.row(block, group * inputs_, i + origin_.height) + origin_.width;
      Pack<T>* const target = y.row(block, group * Outputs, i);
      for (Index next = 0; next < plane_.width; next += Pixels) {
        const Index j = std::min(next, plane_.width - Pixels);
        compute_tile<Outputs, Pixels>(x, source + j, y, target + j, group);
      }
    }
  }

  // Pixels of all channels of a group: tap (0, 0) of the first one reads `source` in the group's first channel of x, and the first
  // one is written to `target` in that of y.
  template <int Outputs, int Pixels>
  NORMNET_OWN_REGISTERS void compute_tile(const Batch<T>& x, const Pack<T>* source, const Batch<T>& y, Pack<T>* target,
                                          Index group) const {
    const Index channel = group * Outputs;
    Pack<T> sum[Outputs][Pixels];
#pragma GCC unroll 2
    for (int o = 0; o < Outputs; ++o) {
      const Pack<T> bias(bias_ == nullptr ? T(0) : bias_[channel + o]);
#pragma GCC unroll 8
      for (int p = 0; p < Pixels; ++p) sum[o][p] = bias;
    }
    const T* weight = weight_.data() + group * inputs_ * rows_ * Outputs * row_weights;
    for (Index c = 0; c < inputs_; ++c, source += x.channel_stride()) {
      const Pack<T>* row = source;
      for (Index u = 0; u < rows_; ++u, row += x.row_stride(), weight += Outputs * row_weights) {
        Pack<T> w[Outputs][row_weights];
#pragma GCC unroll 2
        for (int o = 0; o < Outputs; ++o) {
#pragma GCC unroll 3
          for (int v = 0; v < row_weights; ++v) w[o][v] = Pack<T>(weight[o * row_weights + v]);
        }
#pragma GCC unroll 10
        for (int q = 0; q < Pixels + row_weights - 1; ++q) {
          const Pack<T> pixel = load(row[q]);
#pragma GCC unroll 2
          for (int o = 0; o < Outputs; ++o) {
#pragma GCC unroll 3
            for (int v = 0; v < row_weights; ++v) {
              if (q >= v && q - v < Pixels) sum[o][q - v] += w[o][v] * pixel;
            }
          }
        }
      }
    }
#pragma GCC unroll 2
    for (int o = 0; o < Outputs; ++o) {
      after_.of_channel(channel + o).apply(sum[o]);
#pragma GCC unroll 8
      for (int p = 0; p < Pixels; ++p) target[o * y.channel_stride() + p] = sum[o][p];
    }
  }

  Pair plane_, origin_;
  Index rows_;                       // of a kernel
  Index groups_, inputs_, outputs_;  // channels of a group
  Index runs_;                       // of rows of a group
  const T* bias_;
  Pointwise<T> after_;
  AlignedArray<T> weight_;  // [group][input channel][row][output channel][column]
};

/// y = after(conv(x, weight) + bias) for outputs of the given extents. weight: O x C/G x KH x 3; bias: O values or null. x needs a border of
/// the convolution's padding.
template <class T>
RowCorrelation<T> conv_rows_forward(const ConvGeometry& conv, Pair output, const T* weight, const T* bias,
                                    Pointwise<T> after = {}) {
  const Index inputs = conv.in_per_group(), outputs = conv.out_per_group(), height = conv.kernel.height;
  return {output,
          {-conv.padding.height, -conv.padding.width},
          height,
          conv.groups,
          inputs,
          outputs,
          bias,
          [=](Index g, Index o, Index c, Index u, Index v) {
            return weight[(((g * outputs + o) * inputs + c) * height + u) * row_weights + v];
          },
          after};
}

/// dx from dy, for inputs of the given extents: the kernels are turned by 180 degrees. dy needs a border of conv_gradient_halo().
template <class T>
RowCorrelation<T> conv_rows_input_gradient(const ConvGeometry& conv, Pair input, const T* weight) {
  const Index inputs = conv.in_per_group(), outputs = conv.out_per_group(), height = conv.kernel.height;
  return {input,
          {conv.padding.height - height + 1, conv.padding.width - row_weights + 1},
          height,
          conv.groups,
          outputs,
          inputs,
          nullptr,
          [=](Index g, Index c, Index o, Index u, Index v) {
            return weight[(((g * outputs + o) * inputs + c) * height + height - 1 - u) * row_weights + row_weights - 1 - v];
          }};
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
