// Elementary functions of a Pack, by Eigen's vectorized versions where it has one.
#pragma once

#include <normnet/core/pack.hpp>

#include <Eigen/Core>

#include <cmath>
#include <cstring>

namespace normnet::inline NORMNET_ABI {

namespace kernels {

/// f of the lanes as an Eigen array.
template <class T, class F>
NORMNET_INLINE Pack<T> by_eigen(const Pack<T>& a, F f) {
  Eigen::Array<T, Pack<T>::lanes, 1> lanes;
  std::memcpy(lanes.data(), &a, sizeof(a));
  lanes = f(lanes).eval();
  Pack<T> result;
  std::memcpy(static_cast<void*>(&result), lanes.data(), sizeof(a));
  return result;
}

}  // namespace kernels

/// The function of that name, lane by lane; accurate to a few units in the last place.
template <class T>
NORMNET_INLINE Pack<T> exp(const Pack<T>& a) {
  return kernels::by_eigen(a, [](const auto& lanes) { return lanes.exp(); });
}
template <class T>
NORMNET_INLINE Pack<T> expm1(const Pack<T>& a) {
  return kernels::by_eigen(a, [](const auto& lanes) { return lanes.expm1(); });
}
template <class T>
NORMNET_INLINE Pack<T> log(const Pack<T>& a) {
  return kernels::by_eigen(a, [](const auto& lanes) { return lanes.log(); });
}
template <class T>
NORMNET_INLINE Pack<T> log1p(const Pack<T>& a) {
  return kernels::by_eigen(a, [](const auto& lanes) { return lanes.log1p(); });
}
template <class T>
NORMNET_INLINE Pack<T> tanh(const Pack<T>& a) {
  return kernels::by_eigen(a, [](const auto& lanes) { return lanes.tanh(); });
}
template <class T>
NORMNET_INLINE Pack<T> erf(const Pack<T>& a) {
  return map(a, [](T value) { return std::erf(value); });
}

/// 1 / (1 + exp(-a)).
template <class T>
NORMNET_INLINE Pack<T> sigmoid(const Pack<T>& a) {
  const Pack<T> one(T(1));
  return one / (one + exp(Pack<T>(T(0)) - a));
}

}  // namespace normnet::inline NORMNET_ABI
