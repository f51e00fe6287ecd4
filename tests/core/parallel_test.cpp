// Loops on several threads: every item once, the right exception, and what a program around them may do.
#include "support/catch.hpp"
#include "support/files.hpp"

#include <normnet/core/block_schedule.hpp>
#include <normnet/core/parallel.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <limits>
#include <mutex>
#include <numeric>
#include <set>
#include <string>
#include <thread>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define NORMNET_THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NORMNET_THREAD_SANITIZER
#endif
#endif

using namespace normnet;

namespace {

constexpr Index much = 1000000;  // vector operations: worth several threads

/// Sets a number of threads for a scope.
struct Threads {
  explicit Threads(int threads) { set_num_threads(threads); }
  ~Threads() { set_num_threads(0); }
};

/// Calls f in a child process, which must end by itself within the time. True if f returns true there.
template <class F>
bool in_child(const F& f, unsigned seconds = 20) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(seconds);
    _exit(f() ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// Whether a loop of dependent passes gives the right sum.
bool loops_work() {
  std::vector<Index> values(64, 0);
  normnet_impl::in_pass(much, [&] {
    for (Index round = 0; round < 20; ++round) {
      parallel_for(64, much, [&](Index i) { values[static_cast<std::size_t>(i)] += round; });
    }
  });
  return std::all_of(values.begin(), values.end(), [](Index value) { return value == 190; });
}

void write(const std::filesystem::path& path, const std::string& text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

}  // namespace

TEST_CASE("loops of a pass depend on each other and call every item once", "[core][threads]") {
  for (const int threads : {1, 2, 3, 5, 16}) {
    INFO(threads << " threads");
    const Threads scope(threads);
    std::vector<std::atomic<int>> calls(257);
    int round = 0;
    std::atomic<bool> in_order = true;
    normnet_impl::in_pass(much, [&] {
      // Counts from below to far above the threads, so that late threads meet loops of other sizes.
      for (; round < 3000; ++round) {
        const Index count = 1 + round * 7919 % 257;
        parallel_for(count, much, [&](Index i) {
          if (++calls[static_cast<std::size_t>(i)] < 1) in_order = false;
        });
        for (Index i = 0; i < 257; ++i) {
          if (calls[static_cast<std::size_t>(i)].exchange(0) != (i < count ? 1 : 0)) in_order = false;
        }
      }
    });
    CHECK(in_order);
  }
}

TEST_CASE("of several exceptions, that of the smallest item is rethrown", "[core][threads]") {
  for (const int threads : {1, 2, 4, 7}) {
    const Threads scope(threads);
    for (int round = 0; round < 20; ++round) {
      // Where several threads are at work, the smallest one throws last.
      std::atomic<int> thrown = 0;
      CHECK_THROWS_WITH(parallel_for(40, much,
                                     [&](Index i) {
                                       if (i != 3 && (i < 8 || i % 3 != 0)) return;
                                       const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(2);
                                       while (i == 3 && thrown < 3 && std::chrono::steady_clock::now() < end) {
                                         std::this_thread::yield();
                                       }
                                       ++thrown;
                                       fail("item ", i);
                                     }),
                        "item 3");
      CHECK(loops_work());  // and the next loops find nothing left of it
    }
  }
}

TEST_CASE("an exception ends a pass, not the threads", "[core][threads]") {
  const Threads scope(3);
  CHECK_THROWS_WITH(normnet_impl::in_pass(much,
                                          [] {
                                            parallel_for(10, much, [](Index) {});
                                            fail("between two loops");
                                          }),
                    "between two loops");
  CHECK(loops_work());
}

TEST_CASE("what is too little for several threads stays on the calling one", "[core][threads]") {
  const Threads scope(4);
  const auto threads_of = [](Index pass_cost, Index loop_cost) {
    std::mutex mutex;
    std::set<std::thread::id> ids;
    normnet_impl::in_pass(pass_cost, [&] {
      parallel_for(64, loop_cost, [&](Index) {
        const std::lock_guard lock(mutex);
        ids.insert(std::this_thread::get_id());
      });
    });
    return ids;
  };
  const std::set<std::thread::id> alone{std::this_thread::get_id()};
  CHECK(threads_of(much, parallel_threshold / 64 - 1) == alone);
  CHECK(threads_of(normnet_impl::pass_threshold - 1, much) == alone);
}

TEST_CASE("several threads take part in a loop", "[core][threads]") {
  const Threads scope(4);
  // Each item waits until another thread has one, too. Where other programs keep the processors busy, that takes some tries.
  std::atomic<bool> shared = false;
  for (int attempt = 0; attempt < 200 && !shared; ++attempt) {
    std::atomic<int> inside = 0;
    parallel_for(4, much, [&](Index) {
      ++inside;
      const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
      while (inside < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
      if (inside >= 2) shared = true;
    });
  }
  CHECK(shared);
}

TEST_CASE("threads of a program lead passes of their own at once", "[core][threads]") {
  const Threads scope(3);
  std::atomic<int> right = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) right += loops_work() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 200);
}

#ifdef _OPENMP
TEST_CASE("in a program's own parallel region loops stay on their thread", "[core][threads]") {
  const Threads scope(3);
  std::atomic<int> right = 0;
  // Catch2's assertions are not for several threads, so the region only counts.
#pragma omp parallel num_threads(3)
  right += loops_work() ? 1 : 0;
  CHECK(right == 3);
}

TEST_CASE("what a schedule does outside has OpenMP's threads for itself", "[core][threads]") {
  const Threads scope(3);
  int threads = 0;
  bool in_parallel = true;
  std::vector<int> order;
  BlockSchedule schedule(8);
  schedule.each_block(1, much, [](Index, Index) {});
  schedule.then([&] { order.push_back(1); });
  schedule.outside([&] {
    order.push_back(2);
    in_parallel = omp_in_parallel() != 0;
#pragma omp parallel num_threads(2)
    {
#pragma omp single
      threads = omp_get_num_threads();
    }
  });
  schedule.each_block(1, much, [](Index, Index) {});
  schedule.then([&] { order.push_back(3); });
  schedule.run();
  CHECK(order == std::vector<int>{1, 2, 3});
  CHECK_FALSE(in_parallel);
  CHECK(threads == 2);
}
#endif

#ifndef NORMNET_THREAD_SANITIZER  // it knows no threads in a child process
TEST_CASE("loops go on in a child process", "[core][threads]") {
  const Threads scope(3);
  CHECK(loops_work());
  CHECK(in_child([] { return loops_work() && in_child(loops_work, 10); }));
  CHECK(loops_work());
}
#endif

TEST_CASE("the default number of threads works", "[core][threads]") { CHECK(loops_work()); }

TEST_CASE("the number of threads has bounds", "[core][threads]") {
  CHECK_THROWS_WITH(set_num_threads(-1), "set_num_threads: expected at least 0 threads, got -1");
  CHECK_THROWS_WITH(set_num_threads(100000), "set_num_threads: expected at most 1024 threads, got 100000");
  CHECK(num_threads() >= 1);
  CHECK(num_threads() <= 1024);
  CHECK(normnet_impl::available_processors() >= 1);
}

TEST_CASE("quotas of control groups bound the processors", "[core][threads]") {
  const auto quota = [](const std::vector<std::pair<std::string, std::string>>& files) {
    const test::TemporaryFolder folder;
    for (const auto& [name, text] : files) write(folder / name, text);
    return normnet_impl::cgroup_quota(folder.path().string());
  };
  constexpr double none = std::numeric_limits<double>::infinity();
  const std::string v2 = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
  const std::string v1 = "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:15 - cgroup cgroup rw,cpu,cpuacct\n";
  const std::string mounts = "proc/self/mountinfo", groups = "proc/self/cgroup";

  CHECK(quota({}) == none);
  CHECK(quota({{mounts, v2}, {groups, "0::/a/b\n"}}) == none);
  CHECK(quota({{mounts, v2}, {groups, "0::/a/b\n"}, {"sys/fs/cgroup/a/b/cpu.max", "max 100000\n"}}) == none);
  CHECK(quota({{mounts, v2}, {groups, "0::/a/b\n"}, {"sys/fs/cgroup/a/b/cpu.max", "150000 100000\n"}}) == 1.5);
  // The least of all groups around it, and of the root of a container's own name space.
  CHECK(quota({{mounts, v2},
               {groups, "0::/a/b\n"},
               {"sys/fs/cgroup/a/b/cpu.max", "300000 100000\n"},
               {"sys/fs/cgroup/a/cpu.max", "50000 100000\n"}}) == 0.5);
  CHECK(quota({{mounts, v2}, {groups, "0::/\n"}, {"sys/fs/cgroup/cpu.max", "50000 100000\n"}}) == 0.5);
  // Version 1, with its controller among others, in a container that sees the group of its host in the path.
  CHECK(quota({{mounts, v1},
               {groups, "4:cpu,cpuacct:/a\n1:name=systemd:/\n"},
               {"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "250000\n"},
               {"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"}}) == 2.5);
  CHECK(quota({{mounts, v1},
               {groups, "4:cpu,cpuacct:/a\n"},
               {"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "-1\n"},
               {"sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000\n"}}) == none);
  CHECK(quota({{mounts, "33 25 0:29 /docker/7 /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n"},
               {groups, "4:cpu:/docker/7\n"},
               {"sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n"},
               {"sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n"}}) == 0.5);

  const test::TemporaryFolder half;
  write(half / mounts, v2);
  write(half / "sys/fs/cgroup/cpu.max", "50000 100000\n");
  CHECK(normnet_impl::available_processors(half.path().string()) == 1);
}
