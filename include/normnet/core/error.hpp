// The one exception type of the library, and the helper that builds its messages.
#pragma once

#include <normnet/core/requirements.hpp>

#include <initializer_list>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace normnet {

/// Thrown on every wrong use and on every damaged or unwritable file. what() says what was expected, what was given and where,
/// as in `Conv2d "conv4": expected 10 input channels, got 20 (input 128x20x14x14)`.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace normnet_impl {

/// A value of any type with `<<`, for as long as it lives: functions of a list of these are compiled once, not once for every
/// combination of types.
class Printable {
 public:
  template <class V>
  Printable(const V& value) : value_(&value), print_(&print<V>) {}
  Printable(const char* text) : value_(text), print_(&print_text) {}

  friend std::ostream& operator<<(std::ostream& out, const Printable& p) {
    p.print_(out, p.value_);
    return out;
  }

 private:
  template <class V>
  static void print(std::ostream& out, const void* value) {
    out << *static_cast<const V*>(value);
  }
  static void print_text(std::ostream& out, const void* text) { out << static_cast<const char*>(text); }

  const void* value_;
  void (*print_)(std::ostream&, const void*);
};

inline std::string print_all(std::initializer_list<Printable> values) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  for (const Printable& value : values) out << value;
  return out.str();
}

[[noreturn]] inline void throw_error(std::initializer_list<Printable> values) { throw Error(print_all(values)); }

}  // namespace normnet_impl

/// The arguments printed one after the other, as with `<<`, the same in every locale.
template <class... Args>
std::string concat(const Args&... args) {
  return normnet_impl::print_all({args...});
}

/// Throws Error with the concatenated arguments as its message.
template <class... Args>
[[noreturn]] void fail(const Args&... args) {
  normnet_impl::throw_error({args...});
}

}  // namespace normnet
