// The logarithm of softmax over the channels.
#pragma once

#include <normnet/nn/block_layer.hpp>
#include <normnet/nn/kernels/lane_sum.hpp>
#include <normnet/nn/kernels/math.hpp>

#include <memory>

namespace normnet::inline NORMNET_ABI {

/// The logarithms of the probabilities that Softmax gives, for NLLLoss (PyTorch's dim = 1):
///
///     y[n, c, i, j] = x[n, c, i, j] - m - log(sum over k of exp(x[n, k, i, j] - m)),   m = max over k of x[n, k, i, j]
///
/// The maximum changes nothing but keeps the exponentials finite.
/// Shapes: N x C or N x C x H x W to the same. Works in place.
template <class T>
class LogSoftmax final : public BlockLayer<T> {
 public:
  std::string type() const override { return "LogSoftmax"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new LogSoftmax()); }
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
        const Pack<T> log_total =
            log(normnet_impl::accurate_sum<T>(x.channels(), [&](Index c) { return exp(in[c * x.channel_stride()] - greatest); }));
        for (Index c = 0; c < x.channels(); ++c) out[c * y.channel_stride()] = in[c * x.channel_stride()] - greatest - log_total;
      }
    });
  }

  /// dx[c] = dy[c] - exp(y[c]) * sum over k of dy[k] at every pixel.
  void schedule_backward(const Batch<T>&, const Batch<T>& y, const Batch<T>& dy, Batch<T>* dx, BlockSchedule& schedule) override {
    schedule.each_block(y.height(), y.channels() * y.width() * 64, [&, dx](Index block, Index row) {
      const Pack<T>*value = y.row(block, 0, row), *gradient = dy.row(block, 0, row);
      Pack<T>* out = dx->row(block, 0, row);
      for (Index i = 0; i < y.width(); ++i, ++value, ++gradient, ++out) {
        const Pack<T> total =
            normnet_impl::accurate_sum<T>(y.channels(), [&](Index c) { return gradient[c * dy.channel_stride()]; });
        for (Index c = 0; c < y.channels(); ++c) {
          out[c * dx->channel_stride()] = gradient[c * dy.channel_stride()] - exp(value[c * y.channel_stride()]) * total;
        }
      }
    });
  }
};

}  // namespace normnet::inline NORMNET_ABI
