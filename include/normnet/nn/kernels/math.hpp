// Elementary functions of a Pack.
#pragma once

#include <normnet/core/pack.hpp>

#include <cmath>

namespace normnet::inline NORMNET_ABI {

/// The function of that name, lane by lane, by the C library: right to the last bit or two, and for infinities and what is not a
/// number (which Eigen's vectorized versions lose on AVX-512).
template <class T>
Pack<T> exp(const Pack<T>& a) {
  return map(a, [](T value) { return std::exp(value); });
}
template <class T>
Pack<T> log(const Pack<T>& a) {
  return map(a, [](T value) { return std::log(value); });
}
template <class T>
Pack<T> log1p(const Pack<T>& a) {
  return map(a, [](T value) { return std::log1p(value); });
}
template <class T>
Pack<T> tanh(const Pack<T>& a) {
  return map(a, [](T value) { return std::tanh(value); });
}
template <class T>
Pack<T> erf(const Pack<T>& a) {
  return map(a, [](T value) { return std::erf(value); });
}

/// 1 / (1 + exp(-a)).
template <class T>
Pack<T> sigmoid(const Pack<T>& a) {
  const Pack<T> one(T(1));
  return one / (one + exp(Pack<T>(T(0)) - a));
}

}  // namespace normnet::inline NORMNET_ABI
