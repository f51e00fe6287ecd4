// Parallel loops, and the passes that they are part of.
#pragma once

#include <normnet/core/abi.hpp>
#include <normnet/core/error.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/core/thread_pool.hpp>
#include <normnet/core/thread_team.hpp>

#include <algorithm>
#include <atomic>
#include <type_traits>

namespace normnet::normnet_impl {

inline std::atomic<int> requested_threads{0};  // 0: the default

}  // namespace normnet::normnet_impl

namespace normnet::inline NORMNET_ABI {

/// The threads that parallel loops use from now on, at most 1024; 0 returns to the default. No result depends on this number.
/// Throws Error when it is negative or too large.
inline void set_num_threads(int threads) {
  constexpr int most = normnet_impl::Team::max_threads;
  if (threads < 0) fail("set_num_threads: expected at least 0 threads, got ", threads);
  if (threads > most) fail("set_num_threads: expected at most ", most, " threads, got ", threads);
  normnet_impl::requested_threads = threads;
}

/// The threads that parallel loops use. By default as many as the process can run at once, by its affinity and by the quota of its
/// control group (a container's `--cpus`); or what OMP_NUM_THREADS or omp_set_num_threads() say.
inline int num_threads() {
  const int requested = normnet_impl::requested_threads.load(std::memory_order_relaxed);
  return requested > 0 ? requested : normnet_impl::ThreadBackEnd::default_threads();
}

/// Below this many vector operations a loop costs less than sharing it among threads.
inline constexpr Index parallel_threshold = 8192;

}  // namespace normnet::inline NORMNET_ABI

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// Below this many vector operations a whole pass costs less than calling other threads for it.
inline constexpr Index pass_threshold = 4 * parallel_threshold;

/// The threads that a loop would be shared among that begins here.
inline int loop_threads() {
  if (thread_state.serial) return 1;
  return thread_state.team != nullptr ? thread_state.team->threads() : num_threads();
}

inline void run_pass(Index cost, const PassBody& pass) {
  if (thread_state.serial || thread_state.team != nullptr) return pass();  // part of a pass already
  const int threads = num_threads();
  if (threads > 1 && cost >= pass_threshold && ThreadBackEnd::lead(threads, pass)) return;
  const ThreadStateScope scope({.team = nullptr, .serial = true});
  pass();
}

/// Runs a pass through several loops: their threads are called once, and wait between the loops. The cost, in vector operations, is
/// that of all loops. What the pass calls must not use OpenMP itself.
template <class F>
void in_pass(Index cost, const F& pass) {
  run_pass(cost, {&pass, [](const void* body) { (*static_cast<const F*>(body))(); }});
}

template <class Body>
void call_body(const void* body, Index, Index item) {
  (**static_cast<Body* const*>(body))(item);
}

template <class Body>
void call_body_2d(const void* body, Index inner, Index item) {
  (**static_cast<Body* const*>(body))(item / inner, item % inner);
}

inline void run_loop(Index count, Index cost, LoopBody body) {
  constexpr Index most = Index{1} << 30;  // a team counts in 32 bits
  for (; count > most; count -= most, body.first += most) run_loop(most, cost, body);
  if (count < 2 || count * cost < parallel_threshold || loop_threads() == 1) {
    for (Index i = 0; i < count; ++i) body(i);
  } else if (thread_state.team != nullptr) {
    thread_state.team->run(count, body);
  } else {
    in_pass(count * cost, [&] { run_loop(count, cost, body); });
  }
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI

namespace normnet::inline NORMNET_ABI {

/// Calls f(i) for every i in [0, count), on several threads when count * cost, in vector operations, is worth it.
/// The calls must not depend on each other. An exception from f is rethrown here; of several, that of the smallest i.
template <class F>
void parallel_for(Index count, Index cost, F&& f) {
  auto* const body = &f;
  normnet_impl::run_loop(count, cost, {&body, 0, 1, &normnet_impl::call_body<std::remove_reference_t<F>>});
}

/// Calls f(i, j) for every i in [0, outer) and j in [0, inner), as parallel_for does.
template <class F>
void parallel_for_2d(Index outer, Index inner, Index cost, F&& f) {
  auto* const body = &f;
  normnet_impl::run_loop(outer * inner, cost, {&body, 0, inner, &normnet_impl::call_body_2d<std::remove_reference_t<F>>});
}

}  // namespace normnet::inline NORMNET_ABI
