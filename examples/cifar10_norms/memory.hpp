// How much memory the program needs.
#pragma once

#include <sys/resource.h>

#include <fstream>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace cifar10_norms {

/// The most memory that the program has held since the last reset_peak_memory(), or since its start where there is no such thing
/// as a reset, in MB of 2^20 bytes.
inline double peak_memory_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  constexpr double per_mb = 1024 * 1024;  // it counts in bytes
#else
  constexpr double per_mb = 1024;
#endif
  return static_cast<double>(usage.ru_maxrss) / per_mb;
}

/// Begins to measure anew, on Linux: gives freed memory back to the system, which would count otherwise, and forgets the peak
/// (`man 5 proc`, clear_refs).
inline void reset_peak_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  std::ofstream("/proc/self/clear_refs") << "5";
}

}  // namespace cifar10_norms
