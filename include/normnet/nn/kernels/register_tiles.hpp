// Register tiles: how many channels go with how many pixels.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <type_traits>
#include <utility>

namespace normnet::inline NORMNET_ABI::kernels {

/// The channels that a register tile covers: the largest tile that wastes least, in units of a multiplication; each tile costs
/// about one more for its loads.
constexpr int channels_per_tile(Index channels) {
  constexpr int largest = simd_registers >= 32 ? 6 : 5;
  int best = 1;
  Index best_cost = 2 * channels;
  for (int tile = 2; tile <= std::min<Index>(largest, channels); ++tile) {
    const Index cost = (channels + tile - 1) / tile * (tile + 1);
    if (cost <= best_cost) {
      best = tile;
      best_cost = cost;
    }
  }
  return best;
}

/// The pixels that go with so many channels: sums, inputs and one weight must fit the registers.
template <int Channels>
constexpr int pixels_per_tile() {
  constexpr int with_32_registers[] = {8, 8, 7, 6, 5, 4};
  constexpr int with_16_registers[] = {8, 5, 3, 3, 2, 2};
  return simd_registers >= 32 ? with_32_registers[Channels - 1] : with_16_registers[Channels - 1];
}

/// The columns k that go with so many channels in the weight gradient.
template <int Channels>
constexpr int columns_per_tile() {
  constexpr int with_32_registers[] = {9, 9, 7, 6, 5, 4};
  constexpr int with_16_registers[] = {9, 5, 3, 3, 2, 2};
  return simd_registers >= 32 ? with_32_registers[Channels - 1] : with_16_registers[Channels - 1];
}

/// How many of `count` to take at a time, at most `most`, so that there are as few turns as can be, of about the same size.
constexpr Index equal_share(Index count, Index most) {
  const Index turns = (count + most - 1) / most;
  return (count + turns - 1) / turns;
}

/// Calls f with the value as a constant, std::integral_constant<int, value>; it must be one of the list's.
template <int... values, class F>
void with_one_of(std::integer_sequence<int, values...>, int value, F&& f) {
  static_cast<void>(((value == values && (f(std::integral_constant<int, values>()), true)) || ...));
}

/// The channels of all register tiles that there is code for.
using RegisterTiles = std::conditional_t<simd_registers >= 32, std::integer_sequence<int, 1, 2, 3, 4, 5, 6>,
                                         std::integer_sequence<int, 1, 2, 3, 4, 5>>;

/// Calls f with std::integral_constant<int, tile>.
template <class F>
void with_tile(int tile, F&& f) {
  with_one_of(RegisterTiles(), tile, f);
}

}  // namespace normnet::inline NORMNET_ABI::kernels
