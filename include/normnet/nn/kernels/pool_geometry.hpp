// The windows of a pooling layer: how many there are, and which pixels each one covers.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/error.hpp>
#include <normnet/core/pair.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <string>

namespace normnet {

/// A window along one axis: the pixels first, first + step, ..., of which there are `taps`, all inside the input.
struct PoolWindow {
  Index first = 0;
  Index taps = 0;
  Index divisor = 1;  ///< what an average divides by along this axis
};

/// The windows of max and average pooling, as PyTorch places them.
struct PoolGeometry {
  Pair kernel = 1;
  Pair stride = 1;
  Pair padding = 0;
  Pair dilation = 1;
  bool ceil_mode = false;  ///< also a last window that only begins inside the input or the padding before it

  /// Throws Error, naming the layer, when a number makes no sense or the padding exceeds half of a kernel.
  void check(const std::string& layer) const {
    const auto at_least = [&](const char* name, const Pair& pair, Index least) {
      if (pair.height < least || pair.width < least) fail(layer, ": expected ", name, " of at least ", least, ", got ", pair);
    };
    at_least("kernel_size", kernel, 1);
    at_least("stride", stride, 1);
    at_least("padding", padding, 0);
    at_least("dilation", dilation, 1);
    if (2 * padding.height > span().height || 2 * padding.width > span().width) {
      fail(layer, ": expected a padding of at most half of the kernel, got padding ", padding, " and kernel ", span());
    }
  }

  /// The pixels that a kernel spans, its gaps included.
  Pair span() const { return {dilation.height * (kernel.height - 1) + 1, dilation.width * (kernel.width - 1) + 1}; }

  /// N x C x H' x W' for an input N x C x H x W. Throws Error, naming the layer, for another input, when a kernel does not fit
  /// the padded input, or when a window covers nothing but padding.
  Shape output_shape(const Shape& input, const std::string& layer) const {
    if (input.rank() != 4) fail(layer, ": expected an input N x C x H x W, got ", input);
    const Pair padded{input[2] + 2 * padding.height, input[3] + 2 * padding.width};
    if (padded.height < span().height || padded.width < span().width) {
      fail(layer, ": expected an input of at least ", span(), " pixels with its padding, got ", padded, " (input ", input,
           ", padding ", padding, ")");
    }
    const auto rows = row_windows(input[2]), columns = column_windows(input[3]);
    for (const auto* windows : {&rows, &columns}) {
      for (const PoolWindow& window : *windows) {
        if (window.taps < 1) {
          fail(layer, ": expected windows that reach the input, got one in the padding ", padding, " alone (input ", input, ")");
        }
      }
    }
    return {input[0], input[1], rows.size(), columns.size()};
  }

  /// The windows along the height and along the width of an input. Divisors count the padding, but not what lies beyond it.
  AlignedArray<PoolWindow> row_windows(Index height) const {
    return windows(height, kernel.height, stride.height, padding.height, dilation.height, ceil_mode);
  }
  AlignedArray<PoolWindow> column_windows(Index width) const {
    return windows(width, kernel.width, stride.width, padding.width, dilation.width, ceil_mode);
  }

 private:
  static AlignedArray<PoolWindow> windows(Index extent, Index kernel, Index stride, Index padding, Index dilation,
                                          bool ceil_mode) {
    const Index room = extent + 2 * padding - dilation * (kernel - 1) - 1;
    Index count = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
    if (ceil_mode && (count - 1) * stride >= extent + padding) --count;
    AlignedArray<PoolWindow> result(std::max<Index>(0, count));
    for (Index i = 0; i < count; ++i) {
      const Index start = i * stride - padding;
      const Index skipped = start < 0 ? (-start + dilation - 1) / dilation : 0;
      const Index first = start + skipped * dilation;
      const Index fitting = first < extent ? (extent - 1 - first) / dilation + 1 : 0;
      const Index end = std::min(start + kernel, extent + padding);
      result[i] = {.first = first, .taps = std::clamp<Index>(fitting, 0, kernel - skipped), .divisor = end - start};
    }
    return result;
  }
};

}  // namespace normnet
