// The time that something takes.
#pragma once

#include <normnet/core/requirements.hpp>

#include <chrono>

namespace normnet {

/// Runs from its construction on.
class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace normnet
