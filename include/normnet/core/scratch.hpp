// Working memory of a thread.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/pack.hpp>
#include <normnet/core/shape.hpp>

namespace normnet::normnet_impl::inline NORMNET_ABI {

template <class T, bool shared>
Pack<T>* kept_memory(Index packs) {
  thread_local AlignedArray<Pack<T>> memory;
  if (memory.size() < packs) {
    memory = {};  // or there would be both at a time
    memory = AlignedArray<Pack<T>>(packs, Pack<T>(T(0)));
  }
  return memory.data();
}

/// At least `packs` packs of anything, for the calling thread alone and until its next call. Kernels that need room for a block
/// take it here: asking the system for fresh pages every time would cost more than the kernel. A thread keeps the most that it ever
/// took until it ends.
template <class T>
Pack<T>* scratch(Index packs) {
  return kept_memory<T, false>(packs);
}

/// The same for what a kernel shares among threads: the calling thread keeps it until its next call of this function, whatever it
/// takes from scratch() meanwhile.
template <class T>
Pack<T>* shared_scratch(Index packs) {
  return kept_memory<T, true>(packs);
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
