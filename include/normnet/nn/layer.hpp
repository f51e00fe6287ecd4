// What every layer is: shapes, a forward pass, a backward pass written by hand, parameters.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/core/error.hpp>
#include <normnet/core/named_options.hpp>
#include <normnet/core/random.hpp>
#include <normnet/core/tensor.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// A learnable tensor and the gradient of the loss with respect to it, of the same shape. Backward passes add to the gradient;
/// an optimizer's zero_grad() clears it.
template <class T>
struct Parameter {
  Tensor<T> value;
  Tensor<T> grad;

  Parameter() = default;
  explicit Parameter(const Shape& shape, T initial = T(0)) : value(shape, initial), grad(shape) {}
};

/// A parameter under its dotted name in the model, such as "conv1.weight".
template <class T>
struct NamedParameter {
  std::string name;
  Parameter<T>* parameter;
};

/// A tensor that is part of the model's state but not learned, such as a running mean, under its dotted name.
template <class T>
struct NamedBuffer {
  std::string name;
  Tensor<T>* tensor;
};

/// How a forward pass is meant.
struct Mode {
  /// True in training: batch norm uses the batch's statistics, dropout drops.
  bool training = false;
  /// The random numbers of this layer in this pass.
  Random random{};
  /// False when no backward pass will follow: a model then keeps nothing for one.
  bool gradient = true;
};

/// What a layer's backward pass reads again of its forward pass. The model keeps that and may overwrite the rest.
enum class Keeps { nothing = 0, input = 1, output = 2, both = 3 };

constexpr bool keeps_input(Keeps keeps) { return (static_cast<int>(keeps) & 1) != 0; }
constexpr bool keeps_output(Keeps keeps) { return (static_cast<int>(keeps) & 2) != 0; }

template <class T>
class LayerWatcher;  // nn/layer_watcher.hpp
template <class T>
class BlockLayer;  // nn/block_layer.hpp
template <class T>
class Sequential;  // nn/sequential.hpp
template <class T>
class Residual;  // nn/residual.hpp

/// The base of every layer. A layer of your own derives from it and needs type(), output_shape(), forward() and backward(), and
/// parameters() if it has any; `gradient_check` (normnet/testing/gradient_check.hpp) proves the backward pass.
///
/// A layer owns its parameters and the few statistics that its own backward pass needs; feature maps belong to the model, which
/// passes them in. It may keep a pointer to neither. It serves one thread at a time, and may use several in a pass.
template <class T>
class Layer {
 public:
  using Scalar = T;

  Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;
  Layer(Layer&&) noexcept = default;
  Layer& operator=(Layer&&) noexcept = default;
  virtual ~Layer() = default;

  /// The class, as it appears in summaries and errors: "Conv2d".
  virtual std::string type() const = 0;

  /// All options that decide what it computes: a checkpoint of a layer with others is refused. Of layers that hold others, those of
  /// all of them, under their names.
  virtual NamedOptions named_options() const { return {}; }

  /// The shape of the output for an input of the given shape. Throws Error when the layer cannot take such an input.
  virtual Shape output_shape(const Shape& input) const = 0;

  /// Writes every pixel of y, which has output_shape(x.shape()), and nothing of its border. Lanes past the last image may hold
  /// anything finite.
  virtual void forward(const Batch<T>& x, Batch<T>& y, const Mode& mode) = 0;

  /// The gradients of the loss, given dy, that with respect to the output of the last forward pass: writes every pixel of dx, and
  /// adds to the gradients of the parameters. x and y are the input and output of that pass, valid as far as keeps_for_backward()
  /// asks. Lanes past the last image are zero in dy and must be zero in dx.
  virtual void backward(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy, Batch<T>& dx) = 0;

  /// backward() where nobody asks for dx, as in the first layer of a model; worth overriding where dx is expensive.
  virtual void backward_parameters(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy) {
    Batch<T> unused(x.shape());
    backward(x, y, dy, unused);
  }

  /// What backward() reads of x and y.
  virtual Keeps keeps_for_backward() const { return Keeps::both; }

  /// True when forward() may be called with y being x, and backward() with dx being dy. Such a layer needs no borders.
  virtual bool in_place() const { return false; }

  /// The border of zeros that forward() and backward() need around x, and that backward() needs around dy.
  virtual Halo input_halo() const { return {}; }
  virtual Halo gradient_halo() const { return {}; }

  /// The learnable parameters and the buffers, in PyTorch's order and by PyTorch's names; empty for most layers.
  virtual std::vector<NamedParameter<T>> parameters() { return {}; }
  virtual std::vector<NamedBuffer<T>> buffers() { return {}; }

  /// Draws the initial parameters anew, the same for the same random table.
  virtual void reset_parameters(const Random& random) { (void)random; }

  /// Multiplications with an addition that forward() does for an input of this shape; what a summary counts.
  virtual std::int64_t multiply_adds(const Shape& input) const {
    (void)input;
    return 0;
  }

  /// The memory, in bytes, of what the layer itself holds from pass to pass in proportion to the batch: feature maps and gradients
  /// between layers inside of it, masks. Its input and output are the model's.
  virtual std::size_t activation_bytes() const { return 0; }

  /// A new layer of this class with the same options. clone() calls it and copies parameters and buffers, so that a layer of your
  /// own has one line of it:
  ///
  ///     std::unique_ptr<Layer<T>> with_same_options() const override { return std::make_unique<Square>(options_); }
  ///
  /// Throws Error where a layer has none.
  virtual std::unique_ptr<Layer> with_same_options() const {
    fail(label(), ": cannot be cloned, for it does not override with_same_options()");
  }

  /// A layer that equals this one and shares nothing with it: options, name, parameters with their gradients, and buffers. It has
  /// seen no pass. Throws Error when this layer, or one within, has no with_same_options(), or one that makes another layer.
  std::unique_ptr<Layer> clone() {
    std::unique_ptr<Layer> copy = with_same_options();
    const auto parameters_from = parameters(), parameters_to = copy->parameters();
    const auto buffers_from = buffers(), buffers_to = copy->buffers();
    if (parameters_to.size() != parameters_from.size() || buffers_to.size() != buffers_from.size()) {
      fail(label(), ": expected with_same_options() to make a layer of ", parameters_from.size(), " parameters and ",
           buffers_from.size(), " buffers, got ", parameters_to.size(), " and ", buffers_to.size());
    }
    for (std::size_t i = 0; i < parameters_from.size(); ++i) *parameters_to[i].parameter = *parameters_from[i].parameter;
    for (std::size_t i = 0; i < buffers_from.size(); ++i) *buffers_to[i].tensor = *buffers_from[i].tensor;
    copy->set_name(name());
    return copy;
  }

  /// The name under which it stands in its model, "" outside of one; set by the model.
  const std::string& name() const { return name_; }
  virtual void set_name(std::string name) { name_ = std::move(name); }

  /// For layers that hold models: passes them a watcher, or null, which ends it.
  virtual void watch(LayerWatcher<T>* watcher) { (void)watcher; }

  /// This layer as what it is, null if it is not: the library needs no dynamic_cast, which -fno-rtti forbids.
  virtual BlockLayer<T>* as_block_layer() { return nullptr; }
  virtual Sequential<T>* as_sequential() { return nullptr; }
  virtual Residual<T>* as_residual() { return nullptr; }

  /// For errors: `Conv2d "conv4"`, or `Conv2d` for a layer without a name.
  std::string label() const { return name_.empty() ? type() : type() + " \"" + name_ + "\""; }

 private:
  std::string name_;
};

}  // namespace normnet::inline NORMNET_ABI
