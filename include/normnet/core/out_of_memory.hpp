// Memory that is not there: what needed how much.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/format.hpp>

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <new>
#include <stdexcept>
#include <string>

namespace normnet {

/// Thrown where there is no memory for data. what() says for which, and how much they need: `out of memory: a batch of
/// 128x64x512x512 needs 8,590 MB`.
class OutOfMemory : public std::bad_alloc {
 public:
  OutOfMemory(const std::string& data, double bytes)
      : message_("out of memory: " + data + " needs " + with_commas(std::llround(std::ceil(bytes / 1e6))) + " MB") {}

  const char* what() const noexcept override { return message_.what(); }

 private:
  std::runtime_error message_;  // unlike a string, it can be copied without memory
};

namespace normnet_impl {

/// What make() returns, which takes so many bytes for these data; throws OutOfMemory where they are not there.
template <class Make>
auto with_memory_for(std::initializer_list<Printable> data, double bytes, const Make& make) {
  try {
    return make();
  } catch (const std::bad_alloc&) {
    throw OutOfMemory(print_all(data), bytes);
  }
}

}  // namespace normnet_impl
}  // namespace normnet
