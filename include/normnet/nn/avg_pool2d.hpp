// Average pooling.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/nn/block_layer.hpp>
#include <normnet/nn/kernels/average_pool.hpp>

#include <memory>
#include <utility>

namespace normnet::inline NORMNET_ABI {

/// The average over a window of each channel:
///
///     y[n, c, i, j] = 1 / D * sum over u < KH, v < KW of x[n, c, i S + u - P, j S + v - P]
///
/// with kernel K, stride S (the kernel's size by default) and padding P by zeros, which the divisor D counts unless
/// count_include_pad is false. With ceil_mode, windows may reach beyond the padding; what lies there never counts.
///
/// Shapes: N x C x H x W to N x C x H' x W', H' = floor((H + 2P - KH) / S) + 1, rounded up with ceil_mode, and W' likewise.
/// Throws Error on sizes that make no sense, on padding of more than half the kernel, and on an input smaller than the kernel.
template <class T>
class AvgPool2d final : public BlockLayer<T> {
 public:
  struct Options {
    Pair kernel_size = 0;
    Pair stride = kernel_size;
    Pair padding = 0;
    bool ceil_mode = false;
    bool count_include_pad = true;
  };

  explicit AvgPool2d(const Options& options)
      : options_(options),
        geometry_{
            .kernel = options.kernel_size, .stride = options.stride, .padding = options.padding, .ceil_mode = options.ceil_mode} {
    geometry_.check(type());
  }
  explicit AvgPool2d(Pair kernel_size) : AvgPool2d(Options{.kernel_size = kernel_size}) {}

  const Options& options() const { return options_; }

  std::string type() const override { return "AvgPool2d"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new AvgPool2d(options_)); }

  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"kernel_size", exact_text(options_.kernel_size)},
            {"stride", exact_text(options_.stride)},
            {"padding", exact_text(options_.padding)},
            {"ceil_mode", exact_text(options_.ceil_mode)},
            {"count_include_pad", exact_text(options_.count_include_pad)}};
  }
  Shape output_shape(const Shape& input) const override { return geometry_.output_shape(input, this->label()); }
  Keeps keeps_for_backward() const override { return Keeps::nothing; }

  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode&, BlockSchedule& schedule) override {
    auto work = [&, rows = counted(geometry_.row_windows(x.height())), columns = counted(geometry_.column_windows(x.width()))](
                    Index block, Index c) { normnet_impl::average_pool_forward(rows, columns, x, y, block, c); };
    schedule.each_channel(x.channels(), x.plane(), std::move(work));
  }

  /// dx[n, c, p, q] = sum of dy / D over the windows that cover the pixel.
  void schedule_backward(const Batch<T>& x, const Batch<T>&, const Batch<T>& dy, Batch<T>* dx, BlockSchedule& schedule) override {
    auto work = [&, dx, rows = counted(geometry_.row_windows(x.height())),
                 columns = counted(geometry_.column_windows(x.width()))](Index block, Index c) {
      normnet_impl::average_pool_backward(rows, columns, dy, *dx, block, c);
    };
    schedule.each_channel(x.channels(), x.plane(), std::move(work));
  }

 private:
  AlignedArray<PoolWindow> counted(AlignedArray<PoolWindow> windows) const {
    if (!options_.count_include_pad) {
      for (PoolWindow& window : windows) window.divisor = window.taps;
    }
    return windows;
  }

  Options options_;
  PoolGeometry geometry_;
};

}  // namespace normnet::inline NORMNET_ABI
