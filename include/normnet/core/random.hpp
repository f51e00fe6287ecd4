// Random numbers from a counter: the same (seed, stream, index) gives the same number on any thread, in any order.
#pragma once

#include <normnet/core/error.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>
#include <utility>

namespace normnet {

/// Four random words from a 128-bit counter and a 64-bit key: Philox4x32-10 of Salmon et al., "Parallel random numbers: as easy
/// as 1, 2, 3" (2011, https://doi.org/10.1145/2063384.2063405). They found that 7 rounds pass all tests of BigCrush; 10 leave a
/// margin.
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key,
                                              int rounds = 10) {
  for (int round = 0; round < rounds; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

namespace normnet_impl {

/// Standard normal, of two random words, by the method of Box and Muller; finite for all of them.
inline double box_muller(std::uint32_t distance, std::uint32_t direction) {
  const double u = (distance + 1.0) * 0x1p-32;  // (0, 1]: the logarithm of zero is never asked for
  const double angle = 2 * std::numbers::pi * (direction * 0x1p-32);
  return std::sqrt(-2 * std::log(u)) * std::cos(angle);
}

}  // namespace normnet_impl

/// An endless table of random numbers, read by index. It has no state that moves: whoever draws chooses the index, and whoever
/// needs a table of its own forks one. Copies are the same table. Any number of threads may read one.
class Random {
 public:
  explicit constexpr Random(std::uint64_t seed = 0) : key_(seed) {}

  /// An independent table for the given stream: a layer, an epoch, a step.
  constexpr Random fork(std::uint64_t stream) const {
    const auto words = block(stream, fork_domain);
    return Random(words[0] | std::uint64_t{words[1]} << 32);
  }

  constexpr std::uint64_t key() const { return key_; }

  /// 64 random bits.
  constexpr std::uint64_t bits(std::uint64_t index) const {
    const auto words = block(index, 0);
    return words[0] | std::uint64_t{words[1]} << 32;
  }

  /// Uniform in [0, 1), with 53 random bits.
  constexpr double uniform(std::uint64_t index) const { return static_cast<double>(bits(index) >> 11) * 0x1p-53; }

  /// Uniform in [low, high).
  constexpr double uniform(std::uint64_t index, double low, double high) const { return low + (high - low) * uniform(index); }

  /// Standard normal.
  double normal(std::uint64_t index) const {
    const auto words = block(index, normal_domain);
    return normnet_impl::box_muller(words[0], words[1]);
  }

  /// Uniform in {0, ..., bound - 1}; the bias of at most bound / 2^64 is far below what any run can see. Throws Error when the
  /// bound is 0.
  constexpr std::uint64_t below(std::uint64_t index, std::uint64_t bound) const {
    if (bound == 0) fail("Random::below: expected a bound of at least 1, got 0");
    const std::uint64_t word = bits(index);
    const std::uint64_t low = (word & 0xFFFFFFFF) * (bound & 0xFFFFFFFF);
    const std::uint64_t cross1 = (word >> 32) * (bound & 0xFFFFFFFF) + (low >> 32);
    const std::uint64_t cross2 = (word & 0xFFFFFFFF) * (bound >> 32) + (cross1 & 0xFFFFFFFF);
    return (word >> 32) * (bound >> 32) + (cross1 >> 32) + (cross2 >> 32);
  }

  /// Permutes the items uniformly (Fisher and Yates).
  template <class T>
  void shuffle(std::span<T> items) const {
    for (std::size_t last = items.size(); last > 1; --last) {
      std::swap(items[last - 1], items[static_cast<std::size_t>(below(last, last))]);
    }
  }

 private:
  static constexpr std::uint32_t fork_domain = 1;
  static constexpr std::uint32_t normal_domain = 2;

  constexpr std::array<std::uint32_t, 4> block(std::uint64_t index, std::uint32_t domain) const {
    return philox({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), domain, 0},
                  {static_cast<std::uint32_t>(key_), static_cast<std::uint32_t>(key_ >> 32)});
  }

  std::uint64_t key_;
};

}  // namespace normnet
