// The random bits of dropout: which elements of which images stay.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/core/random.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/nn/kernels/lane_bits.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// The rounds of philox that dropout draws with. It needs no more than that what is dropped shows no pattern.
inline constexpr int dropout_rounds = 7;

/// Whether an element stays, in each image of a block.
using KeepBits = LaneBits;

/// Those of the eight elements that one philox counter serves.
using EightKeepBits = std::array<KeepBits, 8>;

#if defined(NORMNET_PLAIN_VECTOR) || !(defined(__GNUC__) || defined(__clang__))

/// Draws as draw_keep_bits() says, counter after counter: one image after the other.
class KeepBitsDraw {
 public:
  KeepBitsDraw(const Random& random, std::uint32_t first_image, std::uint32_t threshold)
      : key_(random.key()), first_image_(first_image), threshold_(threshold) {}

  EightKeepBits operator()(std::uint32_t counter) const {
    EightKeepBits keep{};
    for (int lane = 0; lane < Pack<float>::lanes; ++lane) {
      const auto words = philox({counter, first_image_ + static_cast<std::uint32_t>(lane), 3, 0},
                                {static_cast<std::uint32_t>(key_), static_cast<std::uint32_t>(key_ >> 32)}, dropout_rounds);
      for (std::size_t e = 0; e < keep.size(); ++e) {
        const std::uint32_t number = words[e / 2] >> (e % 2 * 16) & 0xFFFF;
        keep[e] = static_cast<KeepBits>(keep[e] | (number >= threshold_ ? 1 << lane : 0));
      }
    }
    return keep;
  }

 private:
  std::uint64_t key_;
  std::uint32_t first_image_, threshold_;
};

#else

/// Draws as draw_keep_bits() says, counter after counter: all images side by side. A word of philox is the lower half of a 64-bit
/// lane, where its products need no shuffling; what a product leaves in the upper half, nothing reads. Two vectors hold the images
/// of a block, the even ones and the odd ones.
class KeepBitsDraw {
 public:
  NORMNET_INLINE KeepBitsDraw(const Random& random, std::uint32_t first_image, std::uint32_t threshold) : threshold_(threshold) {
    auto key0 = static_cast<std::uint32_t>(random.key()), key1 = static_cast<std::uint32_t>(random.key() >> 32);
    for (auto& key : keys_) {
      key = {key0, key1};
      key0 += 0x9E3779B9;
      key1 += 0xBB67AE85;
    }
    for (int lane = 0; lane < Pack<float>::lanes; ++lane) {
      images_[lane % 2][lane / 2] = first_image + static_cast<std::uint32_t>(lane);
    }
  }

  NORMNET_INLINE EightKeepBits operator()(std::uint32_t counter) const {
    return compare(philox_of(counter, images_[0]), philox_of(counter, images_[1]));
  }

 private:
  typedef std::uint64_t Words __attribute__((vector_size(NORMNET_PACK_BYTES)));
  using FourWords = std::array<Words, 4>;

  NORMNET_INLINE FourWords philox_of(std::uint32_t counter, const Words& images) const {
    Words w0 = std::uint64_t{counter} - Words{}, w1 = images, w2 = std::uint64_t{3} - Words{}, w3{};
#pragma GCC unroll 8
    for (const auto& key : keys_) {
      const Words a = product(w0, 0xD2511F53), b = product(w2, 0xCD9E8D57);
      w0 = (b >> 32) ^ w1 ^ key[0];
      w1 = b;
      w2 = (a >> 32) ^ w3 ^ key[1];
      w3 = a;
    }
    return {w0, w1, w2, w3};
  }

  // The product of the lower half of each lane with b.
  NORMNET_INLINE static Words product(const Words& a, std::uint32_t b) {
#if defined(__AVX512F__)
    // Under a mask of all lanes, because g++ 12 warns within the intrinsic without one (GCC bug 105593); it costs nothing.
    return reinterpret_cast<Words>(_mm512_maskz_mul_epu32(0xFF, reinterpret_cast<__m512i>(a), _mm512_set1_epi64(b)));
#elif defined(__AVX2__)
    return reinterpret_cast<Words>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), _mm256_set1_epi64x(b)));
#elif defined(__SSE2__) && !defined(__AVX__)
    return reinterpret_cast<Words>(_mm_mul_epu32(reinterpret_cast<__m128i>(a), _mm_set1_epi64x(b)));
#else
    return (a & 0xFFFFFFFF) * std::uint64_t{b};
#endif
  }

#if defined(__AVX512F__)
  NORMNET_INLINE EightKeepBits compare(const FourWords& even, const FourWords& odd) const {
    if (threshold_ > 0xFFFF) return {};
    const __m512i threshold = _mm512_set1_epi32(static_cast<int>(threshold_ << 16));
    EightKeepBits keep;
#pragma GCC unroll 4
    for (std::size_t k = 0; k < 4; ++k) {
      const auto upper = reinterpret_cast<__m512i>(odd[k] << 32), lower = reinterpret_cast<__m512i>(even[k]);
      const __m512i words = _mm512_mask_blend_epi32(0xAAAA, lower, upper);
      keep[2 * k] = _mm512_cmpge_epu32_mask(_mm512_maskz_slli_epi32(0xFFFF, words, 16), threshold);
      keep[2 * k + 1] = _mm512_cmpge_epu32_mask(words, threshold);  // the lower half of a word decides nothing
    }
    return keep;
  }
#else
  NORMNET_INLINE EightKeepBits compare(const FourWords& even, const FourWords& odd) const {
    EightKeepBits keep;
    constexpr int vector_lanes = Pack<float>::lanes / 2;
    Words bit;  // of the even image of each lane, in each quarter of it
    for (int lane = 0; lane < vector_lanes; ++lane) bit[lane] = std::uint64_t{0x0001'0001'0001'0001} << (2 * lane);
    const std::uint64_t complement = 0x10000 - threshold_;  // number + complement has bit 16 where number >= threshold
    const Words zero{};
#pragma GCC unroll 2
    for (std::size_t half = 0; half < 2; ++half) {
      Words all{};
#pragma GCC unroll 4
      for (std::size_t k = 0; k < 4; ++k) {
        const std::uint64_t quarter = std::uint64_t{0xFFFF} << (16 * k);
        const auto kept = [&](const FourWords& words) {
          return zero - ((((words[2 * half + k / 2] >> (k % 2 * 16)) & 0xFFFF) + complement) >> 16);
        };
        all |= (kept(even) & (bit & quarter)) | (kept(odd) & ((bit << 1) & quarter));
      }
      std::uint64_t four = 0;
      for (int lane = 0; lane < vector_lanes; ++lane) four |= all[lane];
      for (std::size_t k = 0; k < 4; ++k) keep[4 * half + k] = static_cast<KeepBits>(four >> (16 * k));
    }
    return keep;
  }
#endif

  std::array<std::array<std::uint64_t, 2>, dropout_rounds> keys_;
  Words images_[2];
  std::uint32_t threshold_;
};

#endif

/// Draws, for the elements [first, last) of the images of a block, whether they stay: bit l of keep[e - first] is set when a
/// random number below 65536 is at least `threshold` for element e of image first_image + l.
///
/// The numbers are the eight 16-bit halves of philox, of 7 rounds, with the counter (e / 8, image, 3, 0), half e mod 8 for element
/// e: a function of the table, the image and the element alone, so that the width of a Pack and the number of threads do not
/// matter. (The 3 keeps them apart from what Random itself draws.)
inline void draw_keep_bits(const Random& random, std::uint32_t first_image, Index first, Index last, std::uint32_t threshold,
                           KeepBits* keep) {
  const KeepBitsDraw draw(random, first_image, threshold);
  for (Index counter = first / 8; counter * 8 < last; ++counter) {
    const EightKeepBits eight = draw(static_cast<std::uint32_t>(counter));
    const Index begin = counter * 8, end = begin + 8;
    if (first <= begin && end <= last) {
      std::copy_n(eight.data(), 8, keep + (begin - first));
    } else {
      for (Index e = std::max(first, begin); e < std::min(last, end); ++e) {
        keep[e - first] = eight[static_cast<std::size_t>(e - begin)];
      }
    }
  }
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
