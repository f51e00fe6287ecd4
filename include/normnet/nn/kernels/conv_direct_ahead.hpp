// Asking for what the next register tiles of a direct convolution touch while the products of the present one are computed.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/core/shape.hpp>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// Pixels that the next register tiles read and outputs that they write, a few at each turn of the products: of a burst, a core drops
/// most, and then products wait for memory.
template <int Channels, int Pixels, class T>
class DirectAhead {
 public:
  /// Whether turns are long enough to ask in. With 16 registers or a single channel this costs what it gains, and bursts between the
  /// products are better.
  static constexpr bool pays = simd_registers >= 32 && Channels > 1 && Pixels > 1;

  /// `count` neighbouring pixels of a channel for each turn, the first at `pixel` in the channel of the first turn.
  void read(const Pack<T>* pixel, Index count, Index channel_stride) {
    pixel_ = pixel;
    pixels_ = count;
    channel_stride_ = channel_stride;
  }

  /// The outputs of a register tile: the first, and the steps from it to the next pixel and to the next channel.
  void write(const Pack<T>* output, Index step, Index channel_stride) {
    output_ = output;
    step_ = step;
    to_next_channel_ = channel_stride - Pixels * step;
    outputs_ = Channels * Pixels;
  }

  /// To be called when the present pixels of a channel are read.
  NORMNET_INLINE void turn() {
    for (Index i = 0; i < pixels_; ++i) prefetch_later(pixel_ + i);
    pixel_ += channel_stride_;
    if (outputs_ > 0) ask_for_output();
  }

  /// Asks for the outputs that no turn was left for.
  NORMNET_INLINE void finish() {
    while (outputs_ > 0) ask_for_output();
  }

 private:
  NORMNET_INLINE void ask_for_output() {
    prefetch_for_write(output_);
    output_ += step_;
    --outputs_;
    if (++column_ < Pixels) return;
    column_ = 0;
    output_ += to_next_channel_;
  }

  const Pack<T>* pixel_ = nullptr;
  Index pixels_ = 0, channel_stride_ = 0;
  const Pack<T>* output_ = nullptr;
  Index step_ = 0, to_next_channel_ = 0;
  int outputs_ = 0;  // left
  int column_ = 0;
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
