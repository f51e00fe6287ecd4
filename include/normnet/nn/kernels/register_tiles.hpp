// Register tiles: how many channels go with how many pixels.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <type_traits>

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

/// Calls f with std::integral_constant<int, tile>.
template <class F>
void with_tile(int tile, F&& f) {
  switch (tile) {
    case 1: return f(std::integral_constant<int, 1>());
    case 2: return f(std::integral_constant<int, 2>());
    case 3: return f(std::integral_constant<int, 3>());
    case 4: return f(std::integral_constant<int, 4>());
    case 5: return f(std::integral_constant<int, 5>());
    default:
      if constexpr (simd_registers >= 32) f(std::integral_constant<int, 6>());
  }
}

}  // namespace normnet::inline NORMNET_ABI::kernels
