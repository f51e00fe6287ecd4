// Threads that share out loops, and how they wait for each other.
#pragma once

#include <normnet/core/abi.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <utility>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// The body of a loop, whatever its type. A loop is compiled once, and each body once.
struct LoopBody {
  const void* body;
  Index first;  // the index of the loop's first item
  Index inner;  // the extent of the inner loop, where there are two
  void (*call)(const void* body, Index inner, Index item);

  void operator()(Index item) const { call(body, inner, first + item); }
};

class Team;

/// What a thread does at the moment.
struct ThreadState {
  Team* team = nullptr;  // that it leads: its loops are posted to this team
  bool serial =
      false;  // its loops run on itself alone: it works on an item of a loop, or its pass is too small for several threads
};
inline constinit thread_local ThreadState thread_state{};

/// Gives this thread another state for the time of a scope.
class ThreadStateScope {
 public:
  explicit ThreadStateScope(ThreadState state) : before_(thread_state) { thread_state = state; }
  ~ThreadStateScope() { thread_state = before_; }
  ThreadStateScope(const ThreadStateScope&) = delete;
  ThreadStateScope& operator=(const ThreadStateScope&) = delete;

 private:
  ThreadState before_;
};

inline void pause_processor() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  asm volatile("yield");
#endif
}

/// Waits until `value` is no longer `old`: awake at first, for a loop ends or begins within microseconds where all threads have a
/// processor; then asleep, for where they have none, waiting awake takes it from the thread that is waited for.
inline void wait_for_change(std::atomic<int>& value, int old) {
  constexpr int pauses = 2000;
  for (int i = 0; i < pauses; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    pause_processor();
  }
  value.wait(old, std::memory_order_acquire);
}

/// Threads that do the items of loops together. One thread leads the team and posts loop after loop; the others take items of the
/// current loop whenever they come.
///
/// **Nobody waits for a thread that holds no item.** A loop is done when its items are. A thread that the system wakes late finds the
/// loop done, and takes part in the current one. This is safe because an item is claimed by one atomic operation, which also says
/// whether there was one. Whoever has claimed an item of a loop knows that the loop cannot end before it has reported the item as
/// finished, so it may read the loop's description then, and not before.
class Team {
 public:
  static constexpr int max_threads = 1024;

  Team() : shares_(static_cast<Share*>(::operator new (sizeof(Share) * max_threads, std::align_val_t{alignof(Share)}))) {}
  ~Team() { ::operator delete (shares_, std::align_val_t{alignof(Share)}); }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  /// For how many threads the next loops have shares, at most max_threads. To be called by the leader between loops.
  void set_threads(int threads) {
    for (; made_ < threads; ++made_) new (shares_ + made_) Share;
    threads_.store(threads, std::memory_order_release);
    closed_.store(false, std::memory_order_relaxed);
  }
  int threads() const { return threads_.load(std::memory_order_acquire); }

  /// Runs a loop of fewer than 2^31 items; to be called by the leader, as thread 0. Of several exceptions, rethrows that of the
  /// smallest item.
  void run(Index count, const LoopBody& body) {
    const Index threads = this->threads();
    body_ = body;
    count_ = static_cast<int>(count);
    failed_ = count;
    finished_.store(0, std::memory_order_relaxed);
    for (Index t = 0; t < threads; ++t) {
      shares_[t].items.store(packed(count * t / threads, count * (t + 1) / threads), std::memory_order_release);
    }
    announce();
    take_part(0);
    for (int done; (done = finished_.load(std::memory_order_acquire)) != count_;) wait_for_change(finished_, done);
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  /// Takes part in loop after loop until close(), as thread `self` of the team.
  void work(int self) {
    const ThreadStateScope scope({.team = nullptr, .serial = true});
    while (true) {
      const int seen = loops_.load(std::memory_order_acquire);
      if (closed_.load(std::memory_order_acquire)) return;
      if (self < threads()) take_part(self);
      wait_for_change(loops_, seen);
    }
  }

  /// Lets the others leave.
  void close() {
    closed_.store(true, std::memory_order_release);
    announce();
  }

 private:
  // What is left of a thread's part of a loop: the next item in the lower half, the end in the upper one.
  struct alignas(64) Share {
    std::atomic<std::uint64_t> items{0};
  };
  static std::uint64_t packed(Index next, Index end) {
    return static_cast<std::uint64_t>(end) << 32 | static_cast<std::uint64_t>(next);
  }
  static Index next_in(std::uint64_t items) { return static_cast<Index>(items & 0xFFFFFFFF); }
  static bool is_left(std::uint64_t items) { return (items & 0xFFFFFFFF) < items >> 32; }

  void announce() {
    loops_.fetch_add(1, std::memory_order_seq_cst);
    loops_.notify_all();
  }

  // Begins with this thread's own share of neighbouring items, so that successive loops over the blocks of a batch find them in its
  // cache. Then it helps the others with theirs, for on a shared machine some are slower.
  void take_part(int self) {
    const ThreadStateScope scope({.team = nullptr, .serial = true});
    const int threads = this->threads();
    for (int k = 0; k < threads; ++k) {
      std::atomic<std::uint64_t>& items = shares_[(self + k) % threads].items;
      int finished = 0;
      // Looked at before it is taken from: a look leaves it in the caches of the others.
      while (is_left(items.load(std::memory_order_relaxed))) {
        const std::uint64_t claimed = items.fetch_add(1, std::memory_order_acquire);
        if (!is_left(claimed)) break;
        do_item(next_in(claimed));
        ++finished;
      }
      if (finished > 0) report(finished);
    }
  }

  void do_item(Index item) {
    try {
      body_(item);
    } catch (...) {
      const std::lock_guard lock(failure_mutex_);
      if (item < failed_) {
        failed_ = item;
        failure_ = std::current_exception();
      }
    }
  }

  // After this, the loop may end.
  void report(int finished) {
    const int count = count_;
    if (finished_.fetch_add(finished, std::memory_order_acq_rel) + finished == count) finished_.notify_one();
  }

  Share* shares_;
  int made_ = 0;  // shares that are constructed
  std::atomic<int> threads_{0};

  // The current loop.
  LoopBody body_{};
  int count_ = 0;
  alignas(64) std::atomic<int> finished_{0};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
  Index failed_ = 0;  // the item that threw it

  alignas(64) std::atomic<int> loops_{0};  // that were announced
  std::atomic<bool> closed_{false};
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
