// Ctrl-C, or a session that is closed, as a wish to stop, rather than an end.
#pragma once

#include <normnet/core/requirements.hpp>

#include <array>
#include <atomic>
#include <csignal>
#include <cstddef>

namespace normnet {

/// As long as it lives, Ctrl-C (SIGINT), SIGTERM and, where there is one, SIGHUP (the terminal or the ssh session is closed) raise a
/// flag instead of ending the program. The second of a kind ends it as usual. One at a time; signals that were ignored before, as
/// under nohup, stay ignored.
///
///     const StopOnSignal interrupted;
///     trainer.fit(train, test, {.stop = interrupted.flag()});
///     if (interrupted) save_checkpoint(...);
class StopOnSignal {
 public:
  StopOnSignal() {
    raised = false;
    for (std::size_t i = 0; i < caught.size(); ++i) {
      before_[i] = std::signal(caught[i], &handle);
      if (before_[i] == SIG_IGN) std::signal(caught[i], SIG_IGN);
    }
  }
  ~StopOnSignal() {
    for (std::size_t i = 0; i < caught.size(); ++i) std::signal(caught[i], before_[i]);
  }
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

  /// For Trainer::FitOptions::stop.
  const std::atomic<bool>* flag() const { return &raised; }

  explicit operator bool() const { return raised; }

 private:
  static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler may not wait for a lock");
#ifdef SIGHUP
  static constexpr std::array caught{SIGINT, SIGTERM, SIGHUP};
#else
  static constexpr std::array caught{SIGINT, SIGTERM};
#endif

  static void handle(int signal) {
    raised = true;
    std::signal(signal, SIG_DFL);
  }

  static inline std::atomic<bool> raised = false;
  std::array<void (*)(int), caught.size()> before_{};
};

}  // namespace normnet
