// What the tests of all rooms share: random tensors, differences, and the same bits at any number of threads.
#pragma once

#include "support/catch.hpp"

#include <normnet/core/batch.hpp>
#include <normnet/core/parallel.hpp>
#include <normnet/core/random.hpp>
#include <normnet/core/tensor.hpp>

#include <cmath>
#include <limits>
#include <vector>

namespace normnet::test {

/// Uniform in [low, high).
template <class T>
Tensor<T> random_tensor(const Shape& shape, std::uint64_t seed, double low = -1, double high = 1) {
  Tensor<T> tensor(shape);
  const Random random(seed);
  for (Index i = 0; i < tensor.size(); ++i) tensor[i] = static_cast<T>(random.uniform(static_cast<std::uint64_t>(i), low, high));
  return tensor;
}

template <class To, class From>
Tensor<To> cast(const Tensor<From>& from) {
  Tensor<To> to(from.shape());
  for (Index i = 0; i < from.size(); ++i) to[i] = static_cast<To>(from[i]);
  return to;
}

/// The greatest |a - b|; infinite where the shapes differ or a value is not a number.
template <class T>
double max_difference(const Tensor<T>& a, const Tensor<T>& b) {
  if (a.shape() != b.shape()) return std::numeric_limits<double>::infinity();
  double greatest = 0;
  for (Index i = 0; i < a.size(); ++i) {
    const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(difference <= greatest)) greatest = std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
  }
  return greatest;
}

/// The greatest |a - b| over the greatest |b|.
template <class T>
double max_relative_difference(const Tensor<T>& a, const Tensor<T>& b) {
  double scale = std::numeric_limits<double>::min();
  for (const T value : b.span()) scale = std::max(scale, std::abs(static_cast<double>(value)));
  return max_difference(a, b) / scale;
}

/// True when nothing was written to the border of the batch.
template <class T>
bool border_is_zero(const Batch<T>& batch) {
  const Index above = batch.halo().height, left = batch.halo().width;
  for (Index block = 0; block < batch.blocks(); ++block)
    for (Index c = 0; c < batch.channels(); ++c)
      for (Index y = -above; y < batch.height() + above; ++y)
        for (Index x = -left; x < batch.width() + left; ++x) {
          if (y >= 0 && y < batch.height() && x >= 0 && x < batch.width()) continue;
          for (int lane = 0; lane < Pack<T>::lanes; ++lane) {
            if (batch.row(block, c, y)[x][lane] != T(0)) return false;
          }
        }
  return true;
}

/// The numbers of threads that must all give the bits of one: fewer than the work has parts, more, and no divisor of them.
inline constexpr int thread_counts[] = {2, 3, 4, 7, 16};

/// Checks that compute(), which returns tensors, gives the same bits with 1 thread and with thread_counts.
template <class Compute>
void same_bits_at_any_thread_count(Compute compute) {
  set_num_threads(1);
  const auto expected = compute();
  for (const int threads : thread_counts) {
    INFO(threads << " threads");
    set_num_threads(threads);
    const auto actual = compute();
    CHECK(actual == expected);
  }
  set_num_threads(0);
}

}  // namespace normnet::test
