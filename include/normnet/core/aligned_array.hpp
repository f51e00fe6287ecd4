// Arrays of values: feature maps, tensors, the tables of kernels.
#pragma once

#include <normnet/core/out_of_memory.hpp>
#include <normnet/core/shape.hpp>

#include <cstddef>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

#ifdef __linux__
#include <sys/mman.h>
#endif

namespace normnet {

namespace normnet_impl {

/// Memory at a 64-byte boundary: a cache line, and the widest SIMD register. What is as large as a huge page asks the system for
/// such pages.
class AlignedMemory {
 public:
  AlignedMemory() = default;
  explicit AlignedMemory(std::size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    data_ = with_memory_for({"an array"}, static_cast<double>(bytes), [&] { return ::operator new(bytes, alignment()); });
#ifdef __linux__
    // A wish, not a need: large feature maps are read and written faster where fewer pages have to be looked up.
    if (bytes >= huge_page) madvise(data_, bytes, MADV_HUGEPAGE);
#endif
  }
  AlignedMemory(const AlignedMemory& other) : AlignedMemory(other.bytes_) {
    if (bytes_ != 0) std::memcpy(data_, other.data_, bytes_);
  }
  AlignedMemory(AlignedMemory&& other) noexcept { swap(other); }
  AlignedMemory& operator=(const AlignedMemory& other) {
    AlignedMemory copy(other);
    swap(copy);
    return *this;
  }
  AlignedMemory& operator=(AlignedMemory&& other) noexcept {
    AlignedMemory taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~AlignedMemory() {
    if (data_ != nullptr) ::operator delete(data_, alignment());
  }

  void* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  static constexpr std::size_t huge_page = std::size_t{1} << 21;
  std::align_val_t alignment() const { return std::align_val_t{bytes_ >= huge_page ? huge_page : 64}; }

  void swap(AlignedMemory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace normnet_impl

/// A number of values that only reset() and assignment change; copied deeply. In place of std::vector where nothing is to grow: it
/// begins at a 64-byte boundary, is indexed by Index, and takes compilers a fraction of the time.
template <class T>
class AlignedArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T> && alignof(T) <= 64);

 public:
  AlignedArray() = default;

  /// Throws std::bad_array_new_length when the size is negative, or so many do not fit any memory, and OutOfMemory where they do not
  /// fit this one.
  explicit AlignedArray(Index size, T value = T()) : memory_(bytes_of(size)) {
    T* const values = data();
    for (Index i = 0; i < size; ++i) new (values + i) T(value);
  }

  explicit AlignedArray(std::span<const T> values) : memory_(values.size_bytes()) {
    if (!values.empty()) std::memcpy(memory_.data(), values.data(), values.size_bytes());
  }

  /// Of values that are to be written before they are read.
  static AlignedArray for_overwrite(Index size) {
    AlignedArray array;
    array.memory_ = normnet_impl::AlignedMemory(bytes_of(size));
    return array;
  }

  /// Takes another size, and all values are T() then; does nothing where it has that size.
  void reset(Index size) {
    if (size != this->size()) *this = AlignedArray(size);
  }

  Index size() const { return static_cast<Index>(memory_.bytes() / sizeof(T)); }
  bool empty() const { return memory_.bytes() == 0; }

  T* data() { return static_cast<T*>(memory_.data()); }
  const T* data() const { return static_cast<const T*>(memory_.data()); }

  T& operator[](Index i) { return data()[i]; }
  const T& operator[](Index i) const { return data()[i]; }

  const T& front() const { return *data(); }

  std::span<T> span() { return {data(), static_cast<std::size_t>(size())}; }
  std::span<const T> span() const { return {data(), static_cast<std::size_t>(size())}; }

  T* begin() { return data(); }
  T* end() { return data() + size(); }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size(); }

 private:
  static std::size_t bytes_of(Index size) {
    if (size < 0 || size > std::numeric_limits<Index>::max() / static_cast<Index>(sizeof(T))) throw std::bad_array_new_length();
    return static_cast<std::size_t>(size) * sizeof(T);
  }

  normnet_impl::AlignedMemory memory_;
};

}  // namespace normnet
