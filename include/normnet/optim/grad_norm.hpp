// The norm of gradients, and gradients kept below one.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/nn/layer.hpp>

#include <cmath>
#include <vector>

namespace normnet::normnet_impl::inline NORMNET_ABI {

template <class T>
double sum_of_squares(const Parameter<T>& parameter) {
  double sum = 0;
  for (const T value : parameter.grad.span()) sum += static_cast<double>(value) * static_cast<double>(value);
  return sum;
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI

namespace normnet::inline NORMNET_ABI {

/// The L2 norm of a parameter's gradient, computed in double.
template <class T>
double grad_norm(const Parameter<T>& parameter) {
  return std::sqrt(normnet_impl::sum_of_squares(parameter));
}

/// The L2 norm of the gradients of all parameters, as if they were one vector; computed in double, 0 without parameters.
template <class T>
double grad_norm(const std::vector<NamedParameter<T>>& parameters) {
  double sum = 0;
  for (const auto& [name, parameter] : parameters) sum += normnet_impl::sum_of_squares(*parameter);
  return std::sqrt(sum);
}

/// Scales all gradients together so that their norm is at most max_norm, as torch.nn.utils.clip_grad_norm_ with
/// error_if_nonfinite (Pascanu et al., 2013, https://proceedings.mlr.press/v28/pascanu13.html):
///
///     grad = grad * min(1, max_norm / (norm + 1e-6))
///
/// Returns the norm before, grad_norm(parameters). Belongs between the backward pass and the optimizer's step; a max_norm of
/// infinity measures alone. Throws Error when max_norm is negative or not a number, and when the norm is not finite; the gradients
/// are then as they were.
template <class T>
double clip_grad_norm(const std::vector<NamedParameter<T>>& parameters, double max_norm) {
  if (!(max_norm >= 0)) fail("clip_grad_norm: expected a max_norm of at least 0, got ", max_norm);
  const double norm = grad_norm(parameters);
  if (!std::isfinite(norm)) {
    for (const auto& [name, parameter] : parameters) {
      if (!std::isfinite(grad_norm(*parameter))) fail("clip_grad_norm: the gradient of \"", name, "\" is not finite");
    }
    fail("clip_grad_norm: the norm of the gradients is not finite");
  }
  const double scale = max_norm / (norm + 1e-6);
  if (scale >= 1) return norm;
  for (const auto& [name, parameter] : parameters) {
    for (T& value : parameter->grad.span()) value *= static_cast<T>(scale);
  }
  return norm;
}

}  // namespace normnet::inline NORMNET_ABI
