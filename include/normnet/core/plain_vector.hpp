// A SIMD vector for compilers without vector extensions: an array that adds, multiplies and compares lane by lane.
#pragma once

#include <normnet/core/requirements.hpp>

#include <array>
#include <cstddef>

namespace normnet::normnet_impl {

/// N lanes of T with the operators of a GCC vector: arithmetic lane by lane, comparisons that yield -1 (true) or 0 per lane.
/// Compilers unroll and often vectorize the loops; the results are those of a machine with N lanes.
template <class T, int N>
struct PlainVector {
  std::array<T, static_cast<std::size_t>(N)> lane{};

  T& operator[](int i) { return lane[static_cast<std::size_t>(i)]; }
  const T& operator[](int i) const { return lane[static_cast<std::size_t>(i)]; }

  friend PlainVector operator+(const PlainVector& a, const PlainVector& b) {
    return map(a, b, [](T x, T y) { return x + y; });
  }
  friend PlainVector operator-(const PlainVector& a, const PlainVector& b) {
    return map(a, b, [](T x, T y) { return x - y; });
  }
  friend PlainVector operator*(const PlainVector& a, const PlainVector& b) {
    return map(a, b, [](T x, T y) { return x * y; });
  }
  friend PlainVector operator/(const PlainVector& a, const PlainVector& b) {
    return map(a, b, [](T x, T y) { return x / y; });
  }

  using Mask = PlainVector<int, N>;
  friend Mask operator<(const PlainVector& a, const PlainVector& b) {
    return compare(a, b, [](T x, T y) { return x < y; });
  }
  friend Mask operator>(const PlainVector& a, const PlainVector& b) {
    return compare(a, b, [](T x, T y) { return x > y; });
  }
  friend Mask operator==(const PlainVector& a, const PlainVector& b) {
    return compare(a, b, [](T x, T y) { return x == y; });
  }

 private:
  template <class F>
  static PlainVector map(const PlainVector& a, const PlainVector& b, F f) {
    PlainVector result;
    for (int i = 0; i < N; ++i) result[i] = f(a[i], b[i]);
    return result;
  }

  template <class F>
  static Mask compare(const PlainVector& a, const PlainVector& b, F f) {
    Mask result;
    for (int i = 0; i < N; ++i) result[i] = f(a[i], b[i]) ? -1 : 0;
    return result;
  }
};

}  // namespace normnet::normnet_impl
