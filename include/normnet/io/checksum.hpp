// A checksum that finds damage.
#pragma once

#include <normnet/core/requirements.hpp>

#include <cstdint>
#include <string_view>

namespace normnet {

/// FNV-1a with 64 bits (Fowler, Noll and Vo, https://www.rfc-editor.org/rfc/rfc9923): for each byte,
///
///     value = (value xor byte) * 0x100000001b3   modulo 2^64
///
/// It finds damage, not forgery: anybody can make bytes for a given value.
class Fnv1a {
 public:
  /// Adds a byte to what was summed so far.
  void add(std::uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001b3; }

  /// Adds all bytes of the text, in their order.
  void add(std::string_view bytes) {
    for (const char byte : bytes) add(static_cast<std::uint8_t>(byte));
  }

  /// The checksum of all bytes so far; 0xcbf29ce484222325 of none.
  std::uint64_t value() const { return value_; }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace normnet
