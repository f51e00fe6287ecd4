// Whether two threads of this file's back end take part in a loop.
#pragma once

#include <normnet/core/parallel.hpp>

#include <atomic>
#include <chrono>
#include <thread>

namespace {

bool shares_loops() {
  normnet::set_num_threads(2);
  std::atomic<bool> shared = false;
  // Where other programs keep the processors busy, it takes some tries until both come.
  for (int attempt = 0; attempt < 500 && !shared; ++attempt) {
    std::atomic<int> inside = 0;
    normnet::parallel_for(2, 1000000, [&](normnet::Index) {
      ++inside;
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
      while (inside < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
      if (inside >= 2) shared = true;
    });
  }
  return shared;
}

}  // namespace
