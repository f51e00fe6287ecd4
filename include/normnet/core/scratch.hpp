// Working memory of a thread.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/core/tensor.hpp>

#include <cstddef>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// At least `packs` packs of anything, for the calling thread alone and until its next call. Kernels that need room for a block
/// take it here: asking the system for fresh pages every time would cost more than the kernel.
template <class T>
Pack<T>* scratch(Index packs) {
  thread_local std::vector<Pack<T>, AlignedAllocator<Pack<T>>> memory;
  if (memory.size() < static_cast<std::size_t>(packs)) memory.resize(static_cast<std::size_t>(packs));
  return memory.data();
}

}  // namespace normnet::inline NORMNET_ABI
