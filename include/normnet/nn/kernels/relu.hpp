// max(x, 0) and its gradient, for the layers that compute them with their own.
#pragma once

#include <normnet/core/pack.hpp>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// max(x, 0); what is not a number stays so.
template <class T>
NORMNET_INLINE Pack<T> relu(const Pack<T>& x) {
  return max(Pack<T>(T(0)), x);
}

/// The gradient with respect to x, given y = max(x, 0) and that with respect to y: nothing passes where y is 0.
template <class T>
NORMNET_INLINE Pack<T> relu_gradient(const Pack<T>& y, const Pack<T>& dy) {
  const Pack<T> zero(T(0));
  return select_equal(y, zero, zero, dy);
}

/// The ReLUs beside a layer whose backward passes it does together with its own.
struct Rectified {
  bool input = false;   // x is max(u, 0), and dx is to be the gradient with respect to u
  bool output = false;  // dy is the gradient with respect to max(y, 0)
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
