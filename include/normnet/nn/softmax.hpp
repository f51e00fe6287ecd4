// Softmax over the channels.
#pragma once

#include <normnet/nn/block_layer.hpp>
#include <normnet/nn/kernels/lane_sum.hpp>
#include <normnet/nn/kernels/math.hpp>

#include <memory>

namespace normnet::inline NORMNET_ABI {

/// Turns the channels of each pixel, or the features of each image, into probabilities (PyTorch's dim = 1):
///
///     y[n, c, i, j] = exp(x[n, c, i, j] - m) / sum over k of exp(x[n, k, i, j] - m),   m = max over k of x[n, k, i, j]
///
/// The maximum changes nothing but keeps the exponentials finite.
/// Shapes: N x C or N x C x H x W to the same. Works in place. For training, CrossEntropyLoss takes what would go in here.
template <class T>
class Softmax final : public BlockLayer<T> {
 public:
  std::string type() const override { return "Softmax"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new Softmax()); }
  Shape output_shape(const Shape& input) const override { return input; }
  Keeps keeps_for_backward() const override { return Keeps::output; }
  bool in_place() const override { return true; }

  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode&, BlockSchedule& schedule) override {
    schedule.each_block(x.height(), x.channels() * x.width() * 64, [&](Index block, Index row) {
      const Pack<T>* in = x.row(block, 0, row);
      Pack<T>* out = y.row(block, 0, row);
      for (Index i = 0; i < x.width(); ++i, ++in, ++out) {
        Pack<T> greatest = in[0];
        for (Index c = 1; c < x.channels(); ++c) greatest = max(greatest, in[c * x.channel_stride()]);
        const Pack<T> total = normnet_impl::accurate_sum<T>(
            x.channels(), [&](Index c) { return out[c * y.channel_stride()] = exp(in[c * x.channel_stride()] - greatest); });
        for (Index c = 0; c < x.channels(); ++c) out[c * y.channel_stride()] = out[c * y.channel_stride()] / total;
      }
    });
  }

  /// dx[c] = y[c] * (dy[c] - sum over k of dy[k] * y[k]) at every pixel.
  void schedule_backward(const Batch<T>&, const Batch<T>& y, const Batch<T>& dy, Batch<T>* dx, BlockSchedule& schedule) override {
    schedule.each_block(y.height(), y.channels() * y.width() * 2, [&, dx](Index block, Index row) {
      const Pack<T>*value = y.row(block, 0, row), *gradient = dy.row(block, 0, row);
      Pack<T>* out = dx->row(block, 0, row);
      for (Index i = 0; i < y.width(); ++i, ++value, ++gradient, ++out) {
        const Pack<T> mean = normnet_impl::accurate_sum<T>(
            y.channels(), [&](Index c) { return gradient[c * dy.channel_stride()] * value[c * y.channel_stride()]; });
        for (Index c = 0; c < y.channels(); ++c) {
          out[c * dx->channel_stride()] = value[c * y.channel_stride()] * (gradient[c * dy.channel_stride()] - mean);
        }
      }
    });
  }
};

}  // namespace normnet::inline NORMNET_ABI
