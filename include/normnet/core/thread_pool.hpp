// The back ends of parallel loops: OpenMP's threads, or a pool of std::thread.
#pragma once

#include <normnet/core/processors.hpp>
#include <normnet/core/thread_team.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#ifdef NORMNET_OPENMP_THREADS
#include <omp.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#define NORMNET_FORKS
#endif

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// A function without arguments, whatever its type, for as long as it lives.
struct PassBody {
  const void* body;
  void (*call)(const void* body);

  void operator()() const { call(body); }
};

#ifdef NORMNET_OPENMP_THREADS

/// Finds out whether other programs keep the processors busy. At the end of a region OpenMP waits for all of its threads, also for
/// those that have not been given a processor yet. Where that takes long, the next passes stay on one thread: one pass at first, twice
/// as many each time it takes long again, and half as many each time it does not.
class BusyProcessors {
 public:
  /// Whether the pass that comes is one of these.
  bool leave_alone() { return left_alone_ > 0 && left_alone_-- > 0; }

  void begin() { begin_ = Clock::now(); }
  void end() { end_ = Clock::now(); }
  void others_came() {
    const auto pass = end_ - begin_, waited = Clock::now() - end_;
    const bool long_wait = waited > pass / 16;
    next_ = long_wait ? std::min(2 * next_, 64) : std::max(next_ / 2, 1);
    left_alone_ = long_wait ? next_ / 2 : 0;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_, end_;
  int left_alone_ = 0;  // passes
  int next_ = 1;
};

/// OpenMP's threads, which the user's own regions share.
class ThreadBackEnd {
 public:
  /// How many threads there are by default.
  static int default_threads() {
    static const int offered_at_start = omp_get_max_threads(), available = available_processors();
    static const bool chosen = std::getenv("OMP_NUM_THREADS") != nullptr;
    const int offered = omp_get_max_threads();
    return std::min(chosen || offered != offered_at_start ? Team::max_threads : available, offered);
  }

  /// Runs a pass as the leader of a team, and returns true; or does nothing, where this thread cannot lead one.
  static bool lead(int threads, const PassBody& pass) {
    thread_local BusyProcessors busy;
    if (omp_in_parallel() || forked_ || busy.leave_alone()) return false;
    watch_forks();
    leads_ = true;
    thread_local Team team_of_thread;
    Team& team = team_of_thread;  // in the region, each thread would find its own under the other name
    team.set_threads(threads);
    std::exception_ptr failure;
    busy.begin();
    // Always a region of that many threads, whatever the loops need: libgomp ends those that a smaller one leaves over, and starting
    // them again takes longer than most loops.
#pragma omp parallel num_threads(threads)
    {
      if (const int self = omp_get_thread_num(); self != 0) {
        team.work(self);
      } else {
        try {
          const ThreadStateScope scope({.team = &team, .serial = false});
          pass();
        } catch (...) {
          failure = std::current_exception();
        }
        busy.end();
        team.close();
      }
    }
    busy.others_came();
    if (failure) std::rethrow_exception(failure);
    return true;
  }

 private:
  // libgomp's threads do not live on in a child process, but it waits for them. A child of a thread that had some runs its loops on
  // one thread.
  static void watch_forks() {
#ifdef NORMNET_FORKS
    static const int registered = pthread_atfork(nullptr, nullptr, [] { forked_ = leads_; });
    (void)registered;
#endif
  }

  static inline constinit thread_local bool leads_ = false;   // this thread has led a team
  static inline constinit thread_local bool forked_ = false;  // before it became the only one of a child process
};

#else

/// A pool of std::thread, which starts them when they are first needed and keeps them.
class ThreadBackEnd {
 public:
  static int default_threads() {
    static const int available = available_processors();
    static const int chosen = threads_of_environment();
    return chosen > 0 ? chosen : available;
  }

  /// Runs a pass as the leader of the team, and returns true; or does nothing, where another thread leads it.
  static bool lead(int threads, const PassBody& pass) {
    ThreadBackEnd& pool = instance();
    const std::unique_lock lock(pool.leading_, std::try_to_lock);
    if (!lock) return false;
    pool.start(threads);
    pool.team_.set_threads(threads);
    const ThreadStateScope scope({.team = &pool.team_, .serial = false});
    pass();
    return true;
  }

 private:
  // Never destroyed: at the end of the program the threads may still wait on it.
  static ThreadBackEnd& instance() {
#ifdef NORMNET_FORKS
    // A child process has none of the threads. It leaves the pool as the fork found it, and makes one of its own.
    static const int registered = pthread_atfork(nullptr, nullptr, [] { current() = new ThreadBackEnd(); });
    (void)registered;
#endif
    return *current();
  }
  static std::atomic<ThreadBackEnd*>& current() {
    static std::atomic<ThreadBackEnd*> pool = new ThreadBackEnd();
    return pool;
  }

  // OMP_NUM_THREADS holds for the pool, too; 0 where it is no number.
  static int threads_of_environment() {
    const char* const text = std::getenv("OMP_NUM_THREADS");
    const long threads = text == nullptr ? 0 : std::strtol(text, nullptr, 10);
    return static_cast<int>(std::clamp(threads, 0L, static_cast<long>(Team::max_threads)));
  }

  // Where the system has no more threads, the others do their work.
  void start(int threads) {
    while (started_ < threads) {
      try {
        std::thread([this, self = started_] { team_.work(self); }).detach();
      } catch (const std::system_error&) {
        return;
      }
      ++started_;
    }
  }

  std::mutex leading_;
  Team team_;
  int started_ = 1;  // the leader is thread 0
};

#endif

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
