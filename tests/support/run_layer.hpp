// Runs one layer on tensors, outside of a model.
#pragma once

#include "support/compare.hpp"

#include <normnet/nn/layer.hpp>

#include <string>
#include <utility>
#include <vector>

namespace normnet::test {

/// The layer's output.
template <class T>
Tensor<T> forward(Layer<T>& layer, const Tensor<T>& x, const Mode& mode = {}) {
  Batch<T> y(layer.output_shape(x.shape()));
  layer.forward(Batch<T>::from(x, layer.input_halo()), y, mode);
  return y.to_tensor();
}

/// The gradient with respect to x.
template <class T>
Tensor<T> backward(Layer<T>& layer, const Tensor<T>& x, const Tensor<T>& dy, const Mode& mode = {}) {
  const auto input = Batch<T>::from(x, layer.input_halo());
  Batch<T> y(dy.shape()), dx(x.shape());
  layer.forward(input, y, mode);
  layer.backward(input, y, Batch<T>::from(dy, layer.gradient_halo()), dx);
  return dx.to_tensor();
}

/// Checks that a training pass and its gradient are the same bits at any number of threads. Choose a shape large enough for
/// parallel_for to wake them.
template <class T>
void same_layer_at_any_thread_count(Layer<T>& layer, const Shape& shape) {
  const auto x = random_tensor<T>(shape, 1), dy = random_tensor<T>(layer.output_shape(shape), 2);
  const Mode mode{.training = true, .random = Random(3)};
  same_bits_at_any_thread_count([&] { return std::vector<Tensor<T>>{forward(layer, x, mode), backward(layer, x, dy, mode)}; });
}

/// Checks that f() throws an Error with this message.
template <class F>
void expect_error(const std::string& message, F f) {
  std::string thrown = "no error";
  try {
    f();
  } catch (const Error& error) {
    thrown = error.what();
  }
  CHECK(thrown == message);
}

}  // namespace normnet::test
