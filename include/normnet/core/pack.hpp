// The SIMD register as a value: Pack<T> holds one scalar of each image of a block.
#pragma once

#include <normnet/core/abi.hpp>

#include <cstdint>
#include <string_view>
#include <utility>

#if !defined(NORMNET_PLAIN_VECTOR) && (defined(__GNUC__) || defined(__clang__)) && defined(__SSE2__)
#include <immintrin.h>
#define NORMNET_X86_VECTOR
#endif

#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))
#include <normnet/core/plain_vector.hpp>
#define NORMNET_PACK_BYTES 16
#elif defined(__AVX512F__)
#define NORMNET_PACK_BYTES 64
#elif defined(__AVX__)
#define NORMNET_PACK_BYTES 32
#else
#define NORMNET_PACK_BYTES 16
#endif

#if defined(__AVX512F__)
#define NORMNET_SIMD_REGISTERS 32
#else
#define NORMNET_SIMD_REGISTERS 16
#endif

#if defined(__GNUC__) || defined(__clang__)
#define NORMNET_INLINE [[gnu::always_inline]] inline
#define NORMNET_NOINLINE [[gnu::noinline]]
#else
#define NORMNET_INLINE inline
#define NORMNET_NOINLINE
#endif

// A function whose loop needs all registers. Where there are 16 it stands alone: inlined, compilers would spill its values in every
// turn, for what is around it claims registers, too.
#if NORMNET_SIMD_REGISTERS < 32
#define NORMNET_OWN_REGISTERS NORMNET_NOINLINE
#else
#define NORMNET_OWN_REGISTERS NORMNET_INLINE
#endif

#define NORMNET_STRING_(text) #text
#define NORMNET_STRING(text) NORMNET_STRING_(text)

namespace normnet::inline NORMNET_ABI {

/// The instruction set of this translation unit: "avx512", "avx2", "avx", "sse2", "neon", "generic" or "plain".
inline constexpr std::string_view simd_name = NORMNET_STRING(NORMNET_SIMD);

}  // namespace normnet::inline NORMNET_ABI

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// The registers that kernels may fill before they spill.
inline constexpr int simd_registers = NORMNET_SIMD_REGISTERS;

#ifdef NORMNET_X86_VECTOR
// a > b ? a : b, which is one instruction. Compilers do not find it in a comparison and a selection of vectors.
template <class Vector>
NORMNET_INLINE Vector greater(const Vector& a, const Vector& b) {
  constexpr bool is_float = sizeof(a[0]) == 4;
#if defined(__AVX512F__)
  // Under a mask of all lanes, because g++ 12 warns within the intrinsic without one (GCC bug 105593); it costs nothing.
  if constexpr (is_float)
    return Vector(_mm512_maskz_max_ps(0xFFFF, a, b));
  else
    return Vector(_mm512_maskz_max_pd(0xFF, a, b));
#elif defined(__AVX__)
  if constexpr (is_float)
    return Vector(_mm256_max_ps(a, b));
  else
    return Vector(_mm256_max_pd(a, b));
#else
  if constexpr (is_float)
    return Vector(_mm_max_ps(a, b));
  else
    return Vector(_mm_max_pd(a, b));
#endif
}

#endif

}  // namespace normnet::normnet_impl::inline NORMNET_ABI

namespace normnet::inline NORMNET_ABI {

/// One vector register of the native width. In a Batch, lane l of a Pack belongs to image l of its block; arithmetic is lane by
/// lane. A wider type than the machine's register is lowered to memory traffic, so the width is never anything but native.
template <class T>
struct Pack {
  using Scalar = T;
  static constexpr int lanes = NORMNET_PACK_BYTES / static_cast<int>(sizeof(T));

#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))
  using Vector = normnet_impl::PlainVector<T, lanes>;
#else
  typedef T Vector __attribute__((vector_size(NORMNET_PACK_BYTES), may_alias));
#endif

  Vector v;

  Pack() = default;
  NORMNET_INLINE explicit Pack(const Vector& vector) : v(vector) {}

  /// The same value in every lane.
  NORMNET_INLINE explicit Pack(T value) {
#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))
    for (int lane = 0; lane < lanes; ++lane) v[lane] = value;
#else
    v = value - Vector{};  // x - 0 is x for every x, also for -0
#endif
  }

  NORMNET_INLINE T operator[](int lane) const { return v[lane]; }
  NORMNET_INLINE void set(int lane, T value) { v[lane] = value; }

  NORMNET_INLINE friend Pack operator+(const Pack& a, const Pack& b) { return Pack(a.v + b.v); }
  NORMNET_INLINE friend Pack operator-(const Pack& a, const Pack& b) { return Pack(a.v - b.v); }
  NORMNET_INLINE friend Pack operator*(const Pack& a, const Pack& b) { return Pack(a.v * b.v); }
  NORMNET_INLINE friend Pack operator/(const Pack& a, const Pack& b) { return Pack(a.v / b.v); }
  NORMNET_INLINE Pack& operator+=(const Pack& other) { return *this = *this + other; }
  NORMNET_INLINE Pack& operator*=(const Pack& other) { return *this = *this * other; }

  /// Lane by lane: a < b ? if_true : if_false, and likewise below.
  NORMNET_INLINE friend Pack select_less(const Pack& a, const Pack& b, const Pack& if_true, const Pack& if_false) {
    return select(a.v < b.v, if_true, if_false);
  }
  NORMNET_INLINE friend Pack select_greater(const Pack& a, const Pack& b, const Pack& if_true, const Pack& if_false) {
    return select(a.v > b.v, if_true, if_false);
  }
  NORMNET_INLINE friend Pack select_equal(const Pack& a, const Pack& b, const Pack& if_true, const Pack& if_false) {
    return select(a.v == b.v, if_true, if_false);
  }

  /// The greater value of each lane, a > b ? a : b; b where one is not a number.
  NORMNET_INLINE friend Pack max(const Pack& a, const Pack& b) {
#ifdef NORMNET_X86_VECTOR
    return Pack(normnet_impl::greater(a.v, b.v));
#else
    return select_greater(a, b, a, b);
#endif
  }
  /// The smaller value of each lane, a < b ? a : b; b where one is not a number.
  NORMNET_INLINE friend Pack min(const Pack& a, const Pack& b) { return select_less(a, b, a, b); }

  /// The sum of all lanes, always in the same order of additions.
  NORMNET_INLINE friend T sum(const Pack& a) {
    T partial[lanes];
    for (int lane = 0; lane < lanes; ++lane) partial[lane] = a[lane];
    for (int width = lanes / 2; width > 0; width /= 2) {
      for (int lane = 0; lane < width; ++lane) partial[lane] += partial[lane + width];
    }
    return partial[0];
  }

  /// f of each lane: for functions that have no vector form here, such as exp.
  template <class F>
  NORMNET_INLINE friend Pack map(const Pack& a, F f) {
    Pack result;
    for (int lane = 0; lane < lanes; ++lane) result.set(lane, f(a[lane]));
    return result;
  }

  /// The first `count` lanes; zero, whatever stood there, in the others.
  NORMNET_INLINE friend Pack keep_lanes(const Pack& a, int count) {
    Pack result(T(0));
    for (int lane = 0; lane < count; ++lane) result.set(lane, a[lane]);
    return result;
  }

 private:
  template <class Mask>
  NORMNET_INLINE static Pack select(const Mask& mask, const Pack& if_true, const Pack& if_false) {
#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))
    Pack result;
    for (int lane = 0; lane < lanes; ++lane) result.set(lane, mask[lane] ? if_true[lane] : if_false[lane]);
    return result;
#else
    return Pack(mask ? if_true.v : if_false.v);
#endif
  }
};

}  // namespace normnet::inline NORMNET_ABI

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// A pack of doubles from as many successive values. Lane by lane, compilers make scalar code of it, which costs as much as adding
/// 64 packs; and of a vector of eight floats, g++ converts either half and puts them together.
template <class T>
NORMNET_INLINE Pack<double> widen(const T* values) {
#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))
  Pack<double> result;
  for (int lane = 0; lane < result.lanes; ++lane) result.set(lane, static_cast<double>(values[lane]));
  return result;
#else
#if defined(NORMNET_X86_VECTOR) && defined(__AVX512F__)
  // Under a mask of all lanes for the same reason as in greater().
  if constexpr (sizeof(T) == 4)
    return Pack<double>(typename Pack<double>::Vector(_mm512_maskz_cvtps_pd(0xFF, _mm256_loadu_ps(values))));
#endif
  typedef T Values __attribute__((vector_size(sizeof(T) * Pack<double>::lanes), may_alias, aligned(alignof(T))));
  return Pack<double>(__builtin_convertvector(*reinterpret_cast<const Values*>(values), typename Pack<double>::Vector));
#endif
}

/// Writes the lanes of a pack of doubles to successive values.
template <class T>
NORMNET_INLINE void narrow(const Pack<double>& pack, T* values) {
#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))
  for (int lane = 0; lane < pack.lanes; ++lane) values[lane] = static_cast<T>(pack[lane]);
#else
  typedef T Values __attribute__((vector_size(sizeof(T) * Pack<double>::lanes), may_alias, aligned(alignof(T))));
  *reinterpret_cast<Values*>(values) = __builtin_convertvector(pack.v, Values);
#endif
}

/// Loads a pack into a register, once. Compilers like to read a value that several products share from memory again for each of
/// them, because the instruction can; then loads, not products, bound a register tile.
template <class T>
NORMNET_INLINE Pack<T> load(const Pack<T>& memory) {
  Pack<T> value = memory;
#if (defined(__GNUC__) || defined(__clang__)) && !defined(NORMNET_PLAIN_VECTOR) && (defined(__x86_64__) || defined(__i386__))
#ifdef __AVX512F__
  asm("" : "+v"(value.v));
#else
  asm("" : "+x"(value.v));
#endif
#endif
  return value;
}

/// Asks for the memory at an address that will be read or written a few thousand cycles later; `later`, when what is read meanwhile
/// needs the first-level cache, so that the second level keeps it. Any address will do, one that does not exist too.
NORMNET_INLINE void prefetch([[maybe_unused]] const void* address) {
#if defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(address);
#endif
}
NORMNET_INLINE void prefetch_later([[maybe_unused]] const void* address) {
#if defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(address, 0, 2);
#endif
}
NORMNET_INLINE void prefetch_for_write([[maybe_unused]] const void* address) {
#if defined(__GNUC__) || defined(__clang__)
  __builtin_prefetch(address, 1);
#endif
}

#if !(defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__)))
/// Both packs hold runs of 2 * Half partial sums. Adds the halves of each run: the runs of a come first, then those of b.
template <int Half, class T, int... Lane>
NORMNET_INLINE Pack<T> add_halves(const Pack<T>& a, const Pack<T>& b, std::integer_sequence<int, Lane...>) {
  return Pack<T>(__builtin_shufflevector(a.v, b.v, (Lane / Half * 2 * Half + Lane % Half)...) +
                 __builtin_shufflevector(a.v, b.v, (Lane / Half * 2 * Half + Half + Lane % Half)...));
}

/// a[0] = the sums of the packs a[0] ... a[2 * Half - 1], one per lane; the other packs are overwritten.
template <int Half, class T>
NORMNET_INLINE void add_all_halves(Pack<T>* a) {
  for (int i = 0; i < Half; ++i) {
    a[i] = add_halves<Half>(a[2 * i], a[2 * i + 1], std::make_integer_sequence<int, Pack<T>::lanes>());
  }
  if constexpr (Half > 1) add_all_halves<Half / 2>(a);
}

/// Swaps, in squares of 2 * Width rows and runs of lanes, the upper right quarter for the lower left one.
template <int Width, int Run, class T, int... Lane>
NORMNET_INLINE void swap_quarters(Pack<T>* rows, std::integer_sequence<int, Lane...>) {
  constexpr int lanes = Pack<T>::lanes, width = Width * Run;
#pragma GCC unroll 16
  for (int i = 0; i < lanes / Run; ++i) {
    if ((i & Width) != 0) continue;
    const Pack<T> upper = rows[i], lower = rows[i + Width];
    rows[i] = Pack<T>(__builtin_shufflevector(upper.v, lower.v, ((Lane & width) == 0 ? Lane : Lane - width + lanes)...));
    rows[i + Width] = Pack<T>(__builtin_shufflevector(upper.v, lower.v, ((Lane & width) == 0 ? Lane + width : Lane + lanes)...));
  }
}

template <int Width, int Run, class T>
NORMNET_INLINE void transpose_squares(Pack<T>* rows) {
  if constexpr (Width > 0) {
    swap_quarters<Width, Run>(rows, std::make_integer_sequence<int, Pack<T>::lanes>());
    transpose_squares<Width / 2, Run>(rows);
  }
}

#endif

/// Lane l of row r becomes lane r of row l, for as many rows as lanes; or, in runs of several lanes, run l of row r becomes run r of
/// row l, for as many rows as runs.
template <int Run = 1, class T>
NORMNET_INLINE void transpose(Pack<T>* rows) {
  constexpr int size = Pack<T>::lanes / Run;
#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))
  for (int r = 0; r < size; ++r) {
    for (int lane = 0; lane < r * Run; ++lane) {
      const int row = lane / Run, other = r * Run + lane % Run;
      const T below = rows[r][lane];
      rows[r].set(lane, rows[row][other]);
      rows[row].set(other, below);
    }
  }
#else
  Pack<T> values[size];
#pragma GCC unroll 16
  for (int r = 0; r < size; ++r) values[r] = rows[r];
  transpose_squares<size / 2, Run>(values);
#pragma GCC unroll 16
  for (int r = 0; r < size; ++r) rows[r] = values[r];
#endif
}

/// The values that repeat() may take: one, or eight bytes together.
template <class T>
inline constexpr int most_repeated = 8 / static_cast<int>(sizeof(T));

/// Count successive values, over and over: one, or most_repeated<T>.
template <int Count, class T>
NORMNET_INLINE Pack<T> repeat(const T* values) {
  static_assert(Count == 1 || Count == most_repeated<T>);
  if constexpr (Count == 1) {
    return Pack<T>(*values);
  } else {
#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))
    Pack<T> result;
    for (int lane = 0; lane < result.lanes; ++lane) result.set(lane, values[lane % Count]);
    return result;
#else
    // As integers, which any bits pass through unchanged, and which an instruction repeats as it loads them.
    typedef std::int64_t Together __attribute__((may_alias, aligned(4)));
    typedef std::int64_t Vector __attribute__((vector_size(NORMNET_PACK_BYTES)));
    return Pack<T>(reinterpret_cast<typename Pack<T>::Vector>(*reinterpret_cast<const Together*>(values) - Vector{}));
#endif
  }
}

/// result[i] = sum(a[i]) for i < Count: the same bits at a third of the cost.
template <int Count, class T>
NORMNET_INLINE void sums(const Pack<T> (&a)[Count], T (&result)[Count]) {
#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))
  for (int i = 0; i < Count; ++i) result[i] = sum(a[i]);
#else
  constexpr int lanes = Pack<T>::lanes;
#pragma GCC unroll 8
  for (int first = 0; first < Count; first += lanes) {
    const int count = Count - first < lanes ? Count - first : lanes;
    Pack<T> group[lanes];
#pragma GCC unroll 16
    for (int i = 0; i < lanes; ++i) group[i] = i < count ? a[first + i] : Pack<T>(T(0));
    add_all_halves<lanes / 2>(group);
    for (int i = 0; i < count; ++i) result[first + i] = group[0][i];
  }
#endif
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
