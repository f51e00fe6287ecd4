// The random bits of dropout: which elements of which images stay.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/core/random.hpp>
#include <normnet/core/shape.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace normnet::inline NORMNET_ABI::kernels {

/// The elements of an image that draw_keep_bits() draws at a time.
inline constexpr Index dropout_chunk = 256;

/// Draws, for the elements [256 chunk, 256 (chunk + 1)) of `count` images, whether they stay: bit l of keep[e] is set when a
/// random number below 65536 is at least `threshold` for element 256 chunk + e of image first_image + l.
///
/// The numbers are the eight 16-bit halves of philox with the counter (32 chunk + e mod 32, image, 3, 0), half e / 32 for element
/// e: a function of the table, the image and the element alone, so that the width of a Pack and the number of threads do not
/// matter. Thirty-two counters go side by side through the rounds, which compilers turn into SIMD code.
inline void draw_keep_bits(const Random& random, std::uint32_t first_image, int count, std::uint32_t chunk,
                           std::uint32_t threshold, std::uint16_t* keep) {
  constexpr std::size_t counters = 32;
  constexpr std::uint32_t dropout_domain = 3;  // apart from what Random itself draws
  std::array<std::uint32_t, dropout_chunk> bits{};
  for (int lane = 0; lane < count; ++lane) {
    std::array<std::array<std::uint32_t, counters>, 4> words;
    for (std::size_t i = 0; i < counters; ++i) {
      words[0][i] = chunk * static_cast<std::uint32_t>(counters) + static_cast<std::uint32_t>(i);
      words[1][i] = first_image + static_cast<std::uint32_t>(lane);
      words[2][i] = dropout_domain;
      words[3][i] = 0;
    }
    std::uint32_t key0 = static_cast<std::uint32_t>(random.key()), key1 = static_cast<std::uint32_t>(random.key() >> 32);
    for (int round = 0; round < 10; ++round) {
      for (std::size_t i = 0; i < counters; ++i) {
        const std::uint64_t a = std::uint64_t{0xD2511F53} * words[0][i];
        const std::uint64_t b = std::uint64_t{0xCD9E8D57} * words[2][i];
        words[0][i] = static_cast<std::uint32_t>(b >> 32) ^ words[1][i] ^ key0;
        words[1][i] = static_cast<std::uint32_t>(b);
        words[2][i] = static_cast<std::uint32_t>(a >> 32) ^ words[3][i] ^ key1;
        words[3][i] = static_cast<std::uint32_t>(a);
      }
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    for (std::size_t half = 0; half < 8; ++half) {
      for (std::size_t i = 0; i < counters; ++i) {
        const std::uint32_t number = words[half / 2][i] >> (half % 2 * 16) & 0xFFFF;
        bits[half * counters + i] |= (number >= threshold ? 1u : 0u) << lane;
      }
    }
  }
  for (std::size_t e = 0; e < bits.size(); ++e) keep[e] = static_cast<std::uint16_t>(bits[e]);
}

/// The lanes of `a` whose bit is set; zero in the others.
template <class T>
NORMNET_INLINE Pack<T> keep_where(const Pack<T>& a, std::uint32_t bits) {
#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))
  Pack<T> result;
  for (int lane = 0; lane < Pack<T>::lanes; ++lane) result.set(lane, (bits >> lane & 1) != 0 ? a[lane] : T(0));
  return result;
#else
  using Lane = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  typedef Lane Lanes __attribute__((vector_size(NORMNET_PACK_BYTES)));
  Lanes lane_bit;
  for (int lane = 0; lane < Pack<T>::lanes; ++lane) lane_bit[lane] = Lane{1} << lane;
  const Lanes set = (static_cast<Lane>(bits) - Lanes{}) & lane_bit;
  return Pack<T>(set != 0 ? a.v : typename Pack<T>::Vector{});
#endif
}

}  // namespace normnet::inline NORMNET_ABI::kernels
