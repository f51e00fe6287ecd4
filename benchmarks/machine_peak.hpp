// What this machine can do at best: multiplications with additions in registers, and bytes copied in memory.
#pragma once

#include "measure.hpp"

#include <normnet/normnet.hpp>

#include <algorithm>
#include <cstring>
#include <vector>

namespace benchmarks {

/// Keeps the compiler from leaving out what makes a value.
template <class T>
void use(const T& value) {
#if defined(__GNUC__) || defined(__clang__)
  asm volatile("" : : "g"(&value) : "memory");
#else
  static volatile const void* sink;
  sink = &value;
#endif
}

/// Calls f(thread) on all threads of normnet::num_threads() at once.
template <class F>
void on_all_threads(F&& f) {
  normnet::parallel_for(normnet::num_threads(), normnet::parallel_threshold, f);
}

/// GFLOP/s of multiply-adds of Pack<float> that never leave the registers: twelve independent chains, more than any processor's
/// latency times its units ask for, and with their two factors not more than 16 registers. All threads run at once, and the best
/// speed that each of them has for a fraction of a millisecond adds up, so that a busy machine's other programs hardly count.
inline double fma_peak_gflops(double seconds = 0.05) {
  using Pack = normnet::Pack<float>;
  constexpr int chains = 12;
  constexpr normnet::Index steps = 50'000;
  std::vector<double> best(static_cast<std::size_t>(normnet::num_threads()), 1e9);
  on_all_threads([&](normnet::Index thread) {
    float a = 0.999F, b = 0.001F;  // the chains tend to 1
    use(a);
    use(b);
    const Pack factor(a), term(b);
    Pack chain[chains];
    for (int i = 0; i < chains; ++i) chain[i] = Pack(static_cast<float>(i));
    double& least = best[static_cast<std::size_t>(thread)];
    for (const Stopwatch stopwatch; stopwatch.seconds() < seconds;) {
      least = std::min(least, seconds_of([&] {
                         for (normnet::Index step = 0; step < steps; ++step) {
                           for (int i = 0; i < chains; ++i) chain[i].v = chain[i].v * factor.v + term.v;
                         }
                         use(chain);
                       }));
    }
  });
  double gflops = 0;
  for (const double least : best) gflops += 2e-9 * chains * steps * Pack::lanes / least;
  return gflops;
}

/// GB/s of copying memory that no cache holds, all threads together, reading and writing both counted.
inline double copy_gb_per_second(double seconds = 0.2) {
  constexpr std::size_t bytes = std::size_t{64} << 20;  // of each thread
  struct Buffers {
    std::vector<char> from, to;
  };
  std::vector<Buffers> buffers(static_cast<std::size_t>(normnet::num_threads()));
  on_all_threads([&](normnet::Index thread) {  // each touches its own first
    auto& [from, to] = buffers[static_cast<std::size_t>(thread)];
    from.resize(bytes, 1);
    to.resize(bytes);
  });
  double best = 0;
  for (const Stopwatch stopwatch; stopwatch.seconds() < seconds;) {
    const double copied = seconds_of([&] {
      on_all_threads([&](normnet::Index thread) {
        auto& [from, to] = buffers[static_cast<std::size_t>(thread)];
        std::memcpy(to.data(), from.data(), bytes);
        use(to);
      });
    });
    best = std::max(best, 2e-9 * static_cast<double>(bytes * buffers.size()) / copied);
  }
  return best;
}

}  // namespace benchmarks
