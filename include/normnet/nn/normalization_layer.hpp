// The base of batch, group and layer norm.
#pragma once

#include <normnet/nn/block_layer.hpp>

namespace normnet::inline NORMNET_ABI {

/// A layer that keeps its input, works in place, and does the work of ReLUs beside it. What derives from it has
/// schedule_forward_then() and schedule_backward_rectified(); without such neighbours these are its passes.
template <class T>
class NormalizationLayer : public BlockLayer<T> {
 public:
  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode& mode, BlockSchedule& schedule) final {
    this->schedule_forward_then(x, y, mode, schedule, {});
  }
  void schedule_backward(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy, Batch<T>* dx, BlockSchedule& schedule) final {
    this->schedule_backward_rectified(x, y, dy, dx, schedule, {});
  }

  bool applies_pointwise(const Batch<T>&) const final { return true; }
  normnet_impl::Rectified takes_rectified() const override { return {.input = true, .output = true}; }

  Keeps keeps_for_backward() const final { return Keeps::input; }
  bool in_place() const final { return true; }
};

}  // namespace normnet::inline NORMNET_ABI
