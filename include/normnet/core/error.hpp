// The one exception type of the library, and the helper that builds its messages.
#pragma once

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

/// The arguments printed one after the other, as with `<<`.
template <class... Args>
std::string concat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

/// Throws Error with the concatenated arguments as its message.
template <class... Args>
[[noreturn]] void fail(const Args&... args) {
  throw Error(concat(args...));
}

}  // namespace normnet
