// From feature maps to features.
#pragma once

#include <normnet/nn/block_layer.hpp>

#include <memory>

namespace normnet::inline NORMNET_ABI {

/// y[n, (c H + i) W + j] = x[n, c, i, j]: every image as one row of features, in PyTorch's order.
///
/// Shapes: N x C x H x W to N x CHW; N x F to itself.
template <class T>
class Flatten final : public BlockLayer<T> {
 public:
  std::string type() const override { return "Flatten"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new Flatten()); }

  Shape output_shape(const Shape& input) const override {
    if (input.rank() != 4 && input.rank() != 2) fail(this->label(), ": expected an input N x C x H x W or N x F, got ", input);
    Index features = 1;
    for (Index i = 1; i < input.rank(); ++i) features *= input[i];
    return {input[0], features};
  }
  Keeps keeps_for_backward() const override { return Keeps::nothing; }

  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode&, BlockSchedule& schedule) override {
    schedule.each_block(x.channels(), x.plane(), [&](Index block, Index c) {
      for (Index row = 0; row < x.height(); ++row) {
        const Pack<T>* in = x.row(block, c, row);
        Pack<T>* out = y.row(block, (c * x.height() + row) * x.width(), 0);
        for (Index i = 0; i < x.width(); ++i) out[i * y.channel_stride()] = in[i];
      }
    });
  }

  /// dx[n, c, i, j] = dy[n, (c H + i) W + j].
  void schedule_backward(const Batch<T>&, const Batch<T>&, const Batch<T>& dy, Batch<T>* dx, BlockSchedule& schedule) override {
    schedule.each_block(dx->channels(), dx->plane(), [&, dx](Index block, Index c) {
      for (Index row = 0; row < dx->height(); ++row) {
        const Pack<T>* gradient = dy.row(block, (c * dx->height() + row) * dx->width(), 0);
        Pack<T>* out = dx->row(block, c, row);
        for (Index i = 0; i < dx->width(); ++i) out[i] = gradient[i * dy.channel_stride()];
      }
    });
  }
};

}  // namespace normnet::inline NORMNET_ABI
