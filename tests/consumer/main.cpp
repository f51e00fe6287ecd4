// The first translation unit: computes the same step as the second and compares.
#include "one_step.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iostream>

StepResult other_step();

int main() {
#ifdef MIXED_FLAGS
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
    std::cout << "skipped: this processor has no AVX2\n";
    return 77;
  }
  const bool same_flags = false;
  const float tolerance = 1e-4f;  // fused and separate multiply-adds, sums over other numbers of lanes
#else
  const bool same_flags = true;
  const float tolerance = 0.0f;
#endif

  const StepResult here = one_step(), there = other_step();
  std::cout << here.simd << " and " << there.simd << ", " << here.values.size() << " values\n";
  if ((here.simd == there.simd) != same_flags) {
    std::cerr << "expected " << (same_flags ? "the same instruction set" : "different instruction sets") << "\n";
    return 1;
  }
  if (here.values.size() != there.values.size()) {
    std::cerr << "expected " << here.values.size() << " values, got " << there.values.size() << "\n";
    return 1;
  }
  for (std::size_t i = 0; i < here.values.size(); ++i) {
    const float scale = std::max(1.0f, std::abs(here.values[i]));
    if (!(std::abs(here.values[i] - there.values[i]) <= tolerance * scale)) {
      std::cerr << "value " << i << ": " << here.values[i] << " here, " << there.values[i] << " there\n";
      return 1;
    }
  }
  return 0;
}
