// A bit for each lane of a pack: what comparisons leave for later.
#pragma once

#include <normnet/core/pack.hpp>

#include <cstdint>
#include <type_traits>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// Bit l belongs to lane l of a pack, and so to image l of a block; as many bits as the widest pack has lanes.
using LaneBits = std::uint16_t;

/// The lanes in which a == b; those in which one is not a number are not among them.
template <class T>
NORMNET_INLINE LaneBits lanes_where_equal(const Pack<T>& a, const Pack<T>& b) {
#if defined(NORMNET_X86_VECTOR) && defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return static_cast<LaneBits>(_mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ));
  else
    return static_cast<LaneBits>(_mm512_cmp_pd_mask(a.v, b.v, _CMP_EQ_OQ));
#elif defined(NORMNET_X86_VECTOR) && defined(__AVX__)
  if constexpr (sizeof(T) == 4)
    return static_cast<LaneBits>(_mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)));
  else
    return static_cast<LaneBits>(_mm256_movemask_pd(_mm256_cmp_pd(a.v, b.v, _CMP_EQ_OQ)));
#elif defined(NORMNET_X86_VECTOR)
  if constexpr (sizeof(T) == 4)
    return static_cast<LaneBits>(_mm_movemask_ps(_mm_cmpeq_ps(a.v, b.v)));
  else
    return static_cast<LaneBits>(_mm_movemask_pd(_mm_cmpeq_pd(a.v, b.v)));
#else
  unsigned bits = 0;
  for (int lane = 0; lane < Pack<T>::lanes; ++lane) bits |= static_cast<unsigned>(a[lane] == b[lane]) << lane;
  return static_cast<LaneBits>(bits);
#endif
}

/// The lanes of `a` whose bit is set; zero in the others.
template <class T>
NORMNET_INLINE Pack<T> keep_where(const Pack<T>& a, LaneBits bits) {
#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))
  Pack<T> result;
  for (int lane = 0; lane < Pack<T>::lanes; ++lane) result.set(lane, (bits >> lane & 1) != 0 ? a[lane] : T(0));
  return result;
#elif defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    return Pack<T>(typename Pack<T>::Vector(_mm512_maskz_mov_ps(bits, a.v)));
  } else {
    return Pack<T>(typename Pack<T>::Vector(_mm512_maskz_mov_pd(static_cast<__mmask8>(bits), a.v)));
  }
#else
  using Lane = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  typedef Lane Lanes __attribute__((vector_size(NORMNET_PACK_BYTES)));
  Lanes lane_bit;
  for (int lane = 0; lane < Pack<T>::lanes; ++lane) lane_bit[lane] = Lane{1} << lane;
  const Lanes set = (static_cast<Lane>(bits) - Lanes{}) & lane_bit;
  return Pack<T>(set != 0 ? a.v : typename Pack<T>::Vector{});
#endif
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
