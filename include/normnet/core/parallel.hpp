// Parallel loops over OpenMP; the same loops on one thread where it is missing.
#pragma once

#include <normnet/core/abi.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <atomic>
#include <exception>
#include <type_traits>
#include <vector>

#ifdef NORMNET_OPENMP_THREADS
#include <omp.h>
#endif

namespace normnet::normnet_impl {

inline std::atomic<int> requested_threads{0};  // 0: as many as OpenMP offers

}  // namespace normnet::normnet_impl

namespace normnet::inline NORMNET_ABI {

/// The threads that parallel loops use from now on; 0 returns to the default, all that OpenMP offers (OMP_NUM_THREADS).
/// No result depends on this number. Throws Error when it is negative.
inline void set_num_threads(int threads) {
  if (threads < 0) fail("set_num_threads: expected at least 0 threads, got ", threads);
  normnet_impl::requested_threads = threads;
}

/// The threads that parallel loops use; 1 without OpenMP.
inline int num_threads() {
#ifdef NORMNET_OPENMP_THREADS
  const int requested = normnet_impl::requested_threads;
  return requested > 0 ? requested : omp_get_max_threads();
#else
  return 1;
#endif
}

/// Below this many vector operations a loop costs less than waking threads for it.
inline constexpr Index parallel_threshold = 8192;

}  // namespace normnet::inline NORMNET_ABI

namespace normnet::normnet_impl::inline NORMNET_ABI {

// The body of a loop, whatever its type: the loop itself is compiled once, and so is each body, not once for one thread and again
// for several.
struct LoopBody {
  const void* body;
  Index inner;  // the extent of the inner loop, where there are two
  void (*call)(const void* body, Index inner, Index item);
};

template <class Body>
void call_body(const void* body, Index, Index item) {
  (**static_cast<Body* const*>(body))(item);
}

template <class Body>
void call_body_2d(const void* body, Index inner, Index item) {
  (**static_cast<Body* const*>(body))(item / inner, item % inner);
}

// What is left of a thread's part of a loop.
struct alignas(64) Share {
  std::atomic<Index> next;
  Index end;
};

inline void run_loop(Index count, Index cost, const LoopBody& f) {
#ifdef NORMNET_OPENMP_THREADS
  // Always all threads, if need be without a share: libgomp ends those that a smaller team leaves over, and the next large one
  // has to start them again, which takes longer than most loops.
  const int threads = num_threads();
  if (std::min<Index>(threads, count) > 1 && count * cost >= parallel_threshold && !omp_in_parallel()) {
    std::exception_ptr failure;
    Index failed = count;
    std::vector<Share> shares(static_cast<std::size_t>(threads));
    for (int t = 0; t < threads; ++t) {
      shares[static_cast<std::size_t>(t)].next = count * t / threads;
      shares[static_cast<std::size_t>(t)].end = count * (t + 1) / threads;
    }
#pragma omp parallel num_threads(threads)
    {
      const int self = omp_get_thread_num();
      for (int k = 0; k < threads; ++k) {
        Share& share = shares[static_cast<std::size_t>((self + k) % threads)];
        // Looked at before it is taken from: a look leaves it in the caches of the others.
        while (share.next < share.end) {
          const Index i = share.next++;
          if (i >= share.end) break;
          try {
            f.call(f.body, f.inner, i);
          } catch (...) {
#pragma omp critical(normnet_parallel_for)
            if (i < failed) {
              failed = i;
              failure = std::current_exception();
            }
          }
        }
      }
    }
    if (failure) std::rethrow_exception(failure);
    return;
  }
#endif
  (void)cost;
  for (Index i = 0; i < count; ++i) f.call(f.body, f.inner, i);
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI

namespace normnet::inline NORMNET_ABI {

/// Calls f(i) for every i in [0, count), on several threads when count * cost, in vector operations, is worth it.
/// Each thread begins with its own share of neighbouring i, so that successive loops over the blocks of a batch find them in its
/// cache; when it is done, it helps the others with theirs, for on a shared machine some are slower.
/// The calls must not depend on each other. An exception from f is rethrown here; of several, that of the smallest i.
template <class F>
void parallel_for(Index count, Index cost, F&& f) {
  auto* const body = &f;
  normnet_impl::run_loop(count, cost, {&body, 1, &normnet_impl::call_body<std::remove_reference_t<F>>});
}

/// Calls f(i, j) for every i in [0, outer) and j in [0, inner), as parallel_for does.
template <class F>
void parallel_for_2d(Index outer, Index inner, Index cost, F&& f) {
  auto* const body = &f;
  normnet_impl::run_loop(outer * inner, cost, {&body, inner, &normnet_impl::call_body_2d<std::remove_reference_t<F>>});
}

}  // namespace normnet::inline NORMNET_ABI
