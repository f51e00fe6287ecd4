// Who looks on while a model runs.
#pragma once

#include <normnet/nn/layer.hpp>

namespace normnet::inline NORMNET_ABI {

/// Sees every batch that the layers of a model write, at the moment at which it is written: later layers may overwrite it. A model
/// that is watched (`Sequential::watch`) goes through its layers one at a time, to the same bits.
///
/// Layers within others come before those that hold them.
template <class T>
class LayerWatcher {
 public:
  virtual ~LayerWatcher() = default;

  /// A pass begins, with the model's input.
  virtual void before_forward(const Batch<T>& x) = 0;
  virtual void after_forward(Layer<T>& layer, const Batch<T>& y) = 0;

  /// A pass begins, with the gradient of the model's output.
  virtual void before_backward(const Batch<T>& dy) = 0;
  /// The layer has added the gradients of its parameters. dx is null where nobody asks for it.
  virtual void after_backward(Layer<T>& layer, const Batch<T>* dx) = 0;
};

}  // namespace normnet::inline NORMNET_ABI
