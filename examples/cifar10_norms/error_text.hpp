// What an error says to people.
#pragma once

#include <normnet/core/out_of_memory.hpp>

#include <exception>
#include <new>
#include <string>

namespace cifar10_norms {

/// The message of an error, one line. That of memory that is not there is clear even where nobody knows what needed it.
inline std::string error_text(const std::exception& error) {
  const bool nameless =
      dynamic_cast<const std::bad_alloc*>(&error) != nullptr && dynamic_cast<const normnet::OutOfMemory*>(&error) == nullptr;
  return nameless ? "out of memory" : error.what();
}

}  // namespace cifar10_norms
