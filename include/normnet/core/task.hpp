// Work to be done later.
#pragma once

#include <normnet/core/requirements.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace normnet {

/// A function of these arguments, whatever its type, for a later call: std::function, but moved and never copied. What it holds need
/// not be copyable, and no compiler has to compile how it would be copied, which for the steps of a model took long.
template <class... Args>
class Task {
 public:
  /// Nothing to do; it compares equal to nullptr and must not be called.
  Task(std::nullptr_t) : held_(nullptr, nullptr) {}

  template <class Function>
  Task(Function function) : held_(new Function(std::move(function)), &destroy<Function>), call_(&call<Function>) {}

  void operator()(Args... args) const { call_(held_.get(), args...); }

  friend bool operator==(const Task& task, std::nullptr_t) { return task.held_ == nullptr; }

 private:
  template <class Function>
  static void destroy(void* held) {
    delete static_cast<Function*>(held);
  }

  template <class Function>
  static void call(void* held, Args... args) {
    (*static_cast<Function*>(held))(args...);
  }

  std::unique_ptr<void, void (*)(void*)> held_;
  void (*call_)(void*, Args...) = nullptr;
};

}  // namespace normnet
