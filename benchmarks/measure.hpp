// What the benchmarks share: random batches, and the median time of what is done several times.
#pragma once

#include <normnet/normnet.hpp>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace benchmarks {

using normnet::Stopwatch;

/// The seconds that f() takes.
template <class F>
double seconds_of(F&& f) {
  const Stopwatch stopwatch;
  f();
  return stopwatch.seconds();
}

/// The middle one; of an even number, the upper of the two. There must be at least one.
inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The median of what measure() returns, over a while and at least three calls; the first is not counted.
template <class F>
double median_over(double seconds, F&& measure) {
  std::vector<double> values;
  measure();
  for (const Stopwatch stopwatch; values.size() < 3 || stopwatch.seconds() < seconds;) values.push_back(measure());
  return median(values);
}

/// Uniform in [-1, 1).
inline normnet::Batch<float> random_batch(const normnet::Shape& shape, const normnet::Halo& halo, std::uint64_t seed) {
  normnet::Tensor<float> values(shape);
  normnet::fill_uniform(values, -1, 1, normnet::Random(seed));
  return normnet::Batch<float>::from(values, halo);
}

}  // namespace benchmarks
