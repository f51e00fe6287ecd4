// Layers that work block by block, so that a block may go through several of them while it is in the cache.
#pragma once

#include <normnet/core/block_schedule.hpp>
#include <normnet/nn/kernels/pointwise.hpp>
#include <normnet/nn/layer.hpp>

#include <utility>

namespace normnet::inline NORMNET_ABI {

/// A layer that says what it does to each block instead of doing it: in place of forward() and backward() it adds steps to a
/// schedule, which the model runs when all layers have added theirs. Called alone, it runs a schedule of its own.
///
/// This is for speed alone. A layer of your own is as well off with Layer<T>; between layers of this kind, the model calls it when
/// all blocks are through the layers before.
template <class T>
class BlockLayer : public Layer<T> {
 public:
  /// Adds the steps of forward(x, y, mode). They run after this call, while x and y live, so they may refer to both. Throws Error
  /// where forward() would.
  virtual void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode& mode, BlockSchedule& schedule) = 0;

  /// Whether this layer can apply a function of single values to its output as it writes it: those of the layers that follow.
  virtual bool applies_pointwise(const Batch<T>&) const { return false; }

  /// schedule_forward() for such a layer, with y = after(output).
  virtual void schedule_forward_then(const Batch<T>& x, Batch<T>& y, const Mode& mode, BlockSchedule& schedule,
                                     normnet_impl::Pointwise<T>) {
    schedule_forward(x, y, mode, schedule);
  }

  /// For a layer that works in place: if in this mode it computes each value from that value alone, by a function that can still
  /// be appended, appends it, leaves everything else as schedule_forward() would, and returns true. The layer before it does its
  /// work then.
  virtual bool append_to(normnet_impl::Pointwise<T>&, const Mode&) { return false; }

  /// Whether this layer computes each value from that value alone, by a straight line that it finds from all of x. Its backward
  /// pass does not read y then, and does that of a ReLU behind it.
  virtual bool has_prologue() const { return false; }

  /// For such a layer: adds the steps that find the lines, leaves everything but y as schedule_forward() would, and returns the
  /// lines. They live until this layer's next pass.
  virtual normnet_impl::Prologue<T> schedule_prologue(const Batch<T>&, const Mode&, BlockSchedule&) { return {}; }

  /// Whether this layer can apply such a function to inputs of that shape as it reads them, in the forward and the backward pass.
  virtual bool takes_prologue(const Shape&) const { return false; }

  /// For such a layer: what it reads its input through in the passes that follow, until the next call.
  void set_prologue(const normnet_impl::Prologue<T>& prologue) { prologue_ = prologue; }

  /// Adds the steps of backward(x, y, dy, dx). dx is null where nobody asks for it; this is so only for layers with parameters.
  /// Later steps of the same run may overwrite dx, which may be dy; they leave x, y and any other dy as they are.
  /// Work that is added with BlockSchedule::at_end() may read neither dx nor dy: the gradients of other layers take their memory.
  virtual void schedule_backward(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy, Batch<T>* dx,
                                 BlockSchedule& schedule) = 0;

  /// Whether this layer is y = max(x, 0). A layer beside it may do its backward pass.
  virtual bool is_relu() const { return false; }

  /// The ReLUs beside this layer whose backward passes it can do together with its own.
  virtual normnet_impl::Rectified takes_rectified() const { return {}; }

  /// schedule_backward() together with those of these ReLUs, some of takes_rectified(). y then holds the output of one behind.
  virtual void schedule_backward_rectified(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy, Batch<T>* dx,
                                           BlockSchedule& schedule, normnet_impl::Rectified) {
    schedule_backward(x, y, dy, dx, schedule);
  }

  /// Whether the dx of this layer's last pass sums up to zero in every channel, over images and pixels. So it does if the layer
  /// subtracts the mean of that: what a bias before it adds is taken away again, and its gradient is zero.
  virtual bool centers_gradient() const { return false; }

  /// schedule_backward() for such a dy.
  virtual void schedule_backward_centered(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy, Batch<T>* dx,
                                          BlockSchedule& schedule) {
    schedule_backward(x, y, dy, dx, schedule);
  }

  /// Whether the forward pass of an input of that shape reads the input's border, if input_halo() asks for one. A model does not
  /// clear a border that nobody reads.
  virtual bool reads_input_border(const Shape&) const { return true; }

  /// Whether the backward pass of an input of that shape reads the border of dy, if gradient_halo() asks for one; `with_dx` says
  /// whether the pass computes dx.
  virtual bool reads_gradient_border(const Shape&, bool /*with_dx*/) const { return true; }

  BlockLayer<T>* as_block_layer() final { return this; }

  void forward(const Batch<T>& x, Batch<T>& y, const Mode& mode) final {
    set_prologue({});
    BlockSchedule schedule(x.blocks());
    schedule_forward(x, y, mode, schedule);
    schedule.run();
  }

  void backward(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy, Batch<T>& dx) final {
    BlockSchedule schedule(x.blocks());
    schedule_backward(x, y, dy, &dx, schedule);
    schedule.run();
  }

  void backward_parameters(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy) final {
    if (this->parameters().empty()) return;
    BlockSchedule schedule(x.blocks());
    schedule_backward(x, y, dy, nullptr, schedule);
    schedule.run();
  }

 protected:
  const normnet_impl::Prologue<T>& prologue() const { return prologue_; }

 private:
  normnet_impl::Prologue<T> prologue_;
};

}  // namespace normnet::inline NORMNET_ABI
