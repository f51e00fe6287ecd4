// The numbers that describe a convolution, and which input each tap of its kernel reads.
#pragma once

#include <normnet/core/pair.hpp>
#include <normnet/core/shape.hpp>

#include <cstdint>

namespace normnet {

/// A two-dimensional convolution (cross-correlation, as in every deep-learning library):
///
///     y[n, o, i, j] = bias[o] + sum over c, u, v of weight[o, c, u, v] * x[n, g C/G + c, i S + u D - P, j S + v D - P]
///
/// with o in group g = o / (O/G), c in [0, C/G), zeros outside of x, and S, D, P the stride, dilation and padding of that
/// direction.
struct ConvGeometry {
  Index in_channels = 0;
  Index out_channels = 0;
  Pair kernel = 1;
  Pair stride = 1;
  Pair padding = 0;
  Pair dilation = 1;
  Index groups = 1;

  Index in_per_group() const { return in_channels / groups; }
  Index out_per_group() const { return out_channels / groups; }
  Index taps() const { return kernel.height * kernel.width; }

  /// The pixels that a kernel spans, its gaps included.
  Pair span() const { return {dilation.height * (kernel.height - 1) + 1, dilation.width * (kernel.width - 1) + 1}; }

  /// The extents of the output for an input of the given extents; zero or less where the kernel does not fit.
  Pair output(Pair input) const {
    const auto extent = [](Index in, Index pad, Index kernel_span, Index step) {
      const Index room = in + 2 * pad - kernel_span;
      return room < 0 ? 0 : room / step + 1;
    };
    return {extent(input.height, padding.height, span().height, stride.height),
            extent(input.width, padding.width, span().width, stride.width)};
  }

  /// Multiplications with an addition for one image with an output of the given extents.
  std::int64_t multiply_adds(Pair output) const {
    return std::int64_t{output.height} * output.width * out_channels * in_per_group() * taps();
  }
};

}  // namespace normnet
