// What a program says that was compiled without optimization.
#pragma once

#include <normnet/core/requirements.hpp>

#include <cstdio>

namespace normnet::normnet_impl {

/// Says once in a program, on standard error, that it is slow, if it is: call it with NORMNET_WARNS_UNOPTIMIZED where much is about to
/// be computed. The caller passes that value because the linker keeps one version of this function for all translation units.
inline void warn_if_unoptimized(bool unoptimized) {
  if (!unoptimized) return;
  [[maybe_unused]] static const int told = std::fputs(
      "normnet: this program is compiled without optimization and computes many times slower than it could. Compile with -O3 "
      "(CMake: "
      "-DCMAKE_BUILD_TYPE=Release), or link normnet::compiled; NORMNET_NO_OPTIMIZATION_WARNING silences this.\n",
      stderr);
}

}  // namespace normnet::normnet_impl
