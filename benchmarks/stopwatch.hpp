// Time, and what is made of several times.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

namespace benchmarks {

/// Runs from its construction on.
class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

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

}  // namespace benchmarks
