// Register tiles: how many channels go with how many pixels, and their products.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <type_traits>
#include <utility>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// The most channels of a register tile, or packs of channels.
inline constexpr int most_tile_channels = simd_registers >= 32 ? 6 : 5;

/// The channels that a register tile covers: the largest tile that wastes least, in units of a multiplication; each tile costs
/// about one more for its loads.
constexpr int channels_per_tile(Index channels) {
  int best = 1;
  Index best_cost = 2 * channels;
  for (int tile = 2; tile <= std::min<Index>(most_tile_channels, channels); ++tile) {
    const Index cost = (channels + tile - 1) / tile * (tile + 1);
    if (cost <= best_cost) {
      best = tile;
      best_cost = cost;
    }
  }
  return best;
}

/// The pixels that go with so many channels: sums, inputs and one weight must fit the registers.
constexpr int pixels_per_tile(int channels) {
  constexpr int with_32_registers[] = {8, 8, 7, 6, 5, 4};
  constexpr int with_16_registers[] = {8, 5, 3, 3, 2, 2};
  return simd_registers >= 32 ? with_32_registers[channels - 1] : with_16_registers[channels - 1];
}

/// The columns k that go with so many channels in the weight gradient.
constexpr int columns_per_tile(int channels) {
  constexpr int with_32_registers[] = {9, 9, 7, 6, 5, 4};
  constexpr int with_16_registers[] = {9, 5, 3, 3, 2, 2};
  return simd_registers >= 32 ? with_32_registers[channels - 1] : with_16_registers[channels - 1];
}

/// sum(i, j) += kept(i) * streamed(j), for all pairs of two lists of packs. Each is loaded once; those of the first list stay in
/// registers meanwhile.
template <int Kept, int Streamed, class T, class First, class Second, class Sum>
NORMNET_INLINE void add_products(First kept, Second streamed, Sum sum) {
  Pack<T> values[Kept];
#pragma GCC unroll 10
  for (int i = 0; i < Kept; ++i) values[i] = load(kept(i));
#pragma GCC unroll 10
  for (int j = 0; j < Streamed; ++j) {
    const Pack<T> value = load(streamed(j));
#pragma GCC unroll 10
    for (int i = 0; i < Kept; ++i) sum(i, j) += values[i] * value;
  }
}

/// total[o * Columns + k] += row(o) * column(k), the outer product of two lists of packs. Those of the shorter list stay in
/// registers: with 16 of them, sums and the longer one of 4 x 3 would not fit.
template <int Rows, int Columns, class T, class Row, class Column>
NORMNET_INLINE void add_outer_product(Row row, Column column, Pack<T> (&total)[Rows * Columns]) {
  if constexpr (Rows <= Columns) {
    add_products<Rows, Columns, T>(row, column, [&](int o, int k) -> Pack<T>& { return total[o * Columns + k]; });
  } else {
    add_products<Columns, Rows, T>(column, row, [&](int k, int o) -> Pack<T>& { return total[o * Columns + k]; });
  }
}

/// Copies the sums of a register tile, [channel][pixel]: between memory and registers, when a function keeps them in its own.
template <int Channels, int Pixels, class T>
NORMNET_INLINE void copy_sums(const Pack<T> (&from)[Channels][Pixels], Pack<T> (&to)[Channels][Pixels]) {
#pragma GCC unroll 24
  for (int o = 0; o < Channels; ++o) {
#pragma GCC unroll 9
    for (int p = 0; p < Pixels; ++p) to[o][p] = from[o][p];
  }
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

/// Calls f with std::integral_constant<int, tile>: there is code for tiles of 1 to most_tile_channels.
template <class F>
void with_tile(int tile, F&& f) {
  [&]<int... less_one>(std::integer_sequence<int, less_one...>) {
    with_one_of(std::integer_sequence<int, (less_one + 1)...>(), tile, f);
  }
  (std::make_integer_sequence<int, most_tile_channels>());
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
