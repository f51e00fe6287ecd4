// Finds out when two threads use one object at once.
#pragma once

#include <normnet/core/error.hpp>

#include <atomic>

namespace normnet::normnet_impl {

/// A flag in an object that serves one thread at a time: it is set while a thread is at work in the object. A copy of the object,
/// and one that it is moved to, has a flag of its own, which is not set.
class InUse {
 public:
  InUse() = default;
  InUse(const InUse&) noexcept {}
  InUse& operator=(const InUse&) noexcept { return *this; }

  /// Throws Error when the flag is set. `label` returns what errors call the object, `kind` is what each thread should have of
  /// its own.
  template <class Label>
  void check(const Label& label, const char* kind) const {
    if (set_.load(std::memory_order_acquire)) refuse(label, kind);
  }

  /// Sets the flag for as long as it lives.
  class Scope {
   public:
    /// Throws Error as check() does.
    template <class Label>
    Scope(InUse& flag, const Label& label, const char* kind) : flag_(&flag) {
      if (flag.set_.exchange(true, std::memory_order_acquire)) refuse(label, kind);
    }
    ~Scope() { flag_->set_.store(false, std::memory_order_release); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    InUse* flag_;
  };

 private:
  template <class Label>
  [[noreturn]] static void refuse(const Label& label, const char* kind) {
    fail(label(), ": is used by two threads at once, or from within its own work; give each thread a ", kind);
  }

  std::atomic<bool> set_{false};
};

}  // namespace normnet::normnet_impl
