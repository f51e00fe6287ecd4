// Initial values of parameters: Kaiming and Xavier.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/random.hpp>
#include <normnet/core/tensor.hpp>

#include <cmath>

namespace normnet::normnet_impl {

/// The number of inputs that a unit of the layer reads, and of units that read an input: for a weight of shape
/// out x in / groups x KH x KW, the second and the first extent times KH * KW.
struct Fans {
  double in;
  double out;
};

/// The fans of a weight. Throws Error when its shape has fewer than two extents.
inline Fans fans(const Shape& weight) {
  if (weight.rank() < 2) fail("fans: expected a weight of at least two extents, got ", weight);
  double receptive_field = 1;
  for (Index i = 2; i < weight.rank(); ++i) receptive_field *= static_cast<double>(weight[i]);
  return {static_cast<double>(weight[1]) * receptive_field, static_cast<double>(weight[0]) * receptive_field};
}

}  // namespace normnet::normnet_impl

namespace normnet {

/// Uniform in [low, high).
template <class T>
void fill_uniform(Tensor<T>& tensor, double low, double high, const Random& random) {
  for (Index i = 0; i < tensor.size(); ++i) {
    tensor.data()[i] = static_cast<T>(random.uniform(static_cast<std::uint64_t>(i), low, high));
  }
}

/// Normal with the given mean and standard deviation.
template <class T>
void fill_normal(Tensor<T>& tensor, double mean, double std, const Random& random) {
  for (Index i = 0; i < tensor.size(); ++i) {
    tensor.data()[i] = static_cast<T>(mean + std * random.normal(static_cast<std::uint64_t>(i)));
  }
}

/// The gain sqrt(2 / (1 + a^2)) of a leaky ReLU of negative slope a: what keeps the variance of activations from layer to layer.
inline double leaky_relu_gain(double a) { return std::sqrt(2 / (1 + a * a)); }

/// Uniform in +-gain * sqrt(3 / fan_in): He et al., "Delving deep into rectifiers" (2015, https://arxiv.org/abs/1502.01852).
/// a = sqrt(5), the default of PyTorch's layers, gives +-1 / sqrt(fan_in).
template <class T>
void kaiming_uniform(Tensor<T>& weight, const Random& random, double a = std::sqrt(5.0)) {
  const double bound = leaky_relu_gain(a) * std::sqrt(3 / normnet_impl::fans(weight.shape()).in);
  fill_uniform(weight, -bound, bound, random);
}

/// Normal with standard deviation gain / sqrt(fan_in).
template <class T>
void kaiming_normal(Tensor<T>& weight, const Random& random, double a = 0) {
  fill_normal(weight, 0, leaky_relu_gain(a) / std::sqrt(normnet_impl::fans(weight.shape()).in), random);
}

/// Uniform in +-gain * sqrt(6 / (fan_in + fan_out)): Glorot and Bengio, "Understanding the difficulty of training deep
/// feedforward neural networks" (2010, https://proceedings.mlr.press/v9/glorot10a.html).
template <class T>
void xavier_uniform(Tensor<T>& weight, const Random& random, double gain = 1) {
  const auto [in, out] = normnet_impl::fans(weight.shape());
  const double bound = gain * std::sqrt(6 / (in + out));
  fill_uniform(weight, -bound, bound, random);
}

/// Normal with standard deviation gain * sqrt(2 / (fan_in + fan_out)).
template <class T>
void xavier_normal(Tensor<T>& weight, const Random& random, double gain = 1) {
  const auto [in, out] = normnet_impl::fans(weight.shape());
  fill_normal(weight, 0, gain * std::sqrt(2 / (in + out)), random);
}

}  // namespace normnet
