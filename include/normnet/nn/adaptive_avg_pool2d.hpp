// Average pooling to a given output size; global average pooling.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/nn/block_layer.hpp>
#include <normnet/nn/kernels/average_pool.hpp>

#include <memory>
#include <utility>

namespace normnet::inline NORMNET_ABI {

/// The averages over H' x W' windows that cover each channel, of sizes as equal as can be:
///
///     y[n, c, i, j] = mean of x[n, c, p, q] over floor(i H / H') <= p < ceil((i + 1) H / H') and the like for q
///
/// Shapes: N x C x H x W, for any H, W of at least 1, to N x C x H' x W'.
/// Throws Error when H' or W' is below 1.
template <class T>
class AdaptiveAvgPool2d : public BlockLayer<T> {
 public:
  explicit AdaptiveAvgPool2d(Pair output_size) : output_size_(output_size) {
    if (output_size.height < 1 || output_size.width < 1) {
      fail("AdaptiveAvgPool2d: expected an output_size of at least 1, got ", output_size);
    }
  }

  const Pair& output_size() const { return output_size_; }

  std::string type() const override { return "AdaptiveAvgPool2d"; }
  std::unique_ptr<Layer<T>> with_same_options() const override {
    return std::unique_ptr<Layer<T>>(new AdaptiveAvgPool2d(output_size_));
  }

  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"output_size", exact_text(output_size_)}};
  }

  Shape output_shape(const Shape& input) const override {
    if (input.rank() != 4) fail(this->label(), ": expected an input N x C x H x W, got ", input);
    if (input[2] < 1 || input[3] < 1) fail(this->label(), ": expected an input of at least one pixel, got ", input);
    return {input[0], input[1], output_size_.height, output_size_.width};
  }
  Keeps keeps_for_backward() const override { return Keeps::nothing; }

  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode&, BlockSchedule& schedule) override {
    auto work = [&, rows = windows(x.height(), output_size_.height), columns = windows(x.width(), output_size_.width)](
                    Index block, Index c) { normnet_impl::average_pool_forward(rows, columns, x, y, block, c); };
    schedule.each_channel(x.channels(), x.plane(), std::move(work));
  }

  /// dx[n, c, p, q] = sum, over the windows that cover the pixel, of dy over the window's size.
  void schedule_backward(const Batch<T>& x, const Batch<T>&, const Batch<T>& dy, Batch<T>* dx, BlockSchedule& schedule) override {
    auto work = [&, dx, rows = windows(x.height(), output_size_.height), columns = windows(x.width(), output_size_.width)](
                    Index block, Index c) { normnet_impl::average_pool_backward(rows, columns, dy, *dx, block, c); };
    schedule.each_channel(x.channels(), x.plane(), std::move(work));
  }

 private:
  static AlignedArray<PoolWindow> windows(Index extent, Index count) {
    AlignedArray<PoolWindow> result(count);
    for (Index i = 0; i < count; ++i) {
      const Index first = i * extent / count, end = ((i + 1) * extent + count - 1) / count;
      result[i] = {.first = first, .taps = end - first, .divisor = end - first};
    }
    return result;
  }

  Pair output_size_;
};

/// The average of each channel: N x C x H x W to N x C x 1 x 1. Lin et al., "Network in network" (2013,
/// https://arxiv.org/abs/1312.4400).
template <class T>
class GlobalAvgPool2d final : public AdaptiveAvgPool2d<T> {
 public:
  GlobalAvgPool2d() : AdaptiveAvgPool2d<T>(1) {}

  std::string type() const override { return "GlobalAvgPool2d"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new GlobalAvgPool2d()); }
};

}  // namespace normnet::inline NORMNET_ABI
