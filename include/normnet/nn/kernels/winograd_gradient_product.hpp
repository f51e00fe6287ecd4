// The products of Winograd's weight gradient: register tiles of output and input channels, summed over tiles and images.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/nn/kernels/register_tiles.hpp>

#include <algorithm>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// Tiles of a batch that are transformed and multiplied at a time: as many as leave few loads and stores of sums for each product,
/// and whose values at all positions fit the second-level cache.
inline constexpr Index winograd_gradient_tiles = 4;

/// What a register tile of a position reads and writes, in packs.
template <class T>
struct WinogradGradientFactors {
  const Pack<T>* u;  // of dy: u[k * u_stride + r], r: pack of output channels, k: tile and images
  Index u_stride;
  const Pack<T>* v;  // of x: v[c * winograd_gradient_tiles + tile], c: input channel
  Index count;       // of k
  Index chain;       // so many products are summed up before they are added to what is in memory
  Pack<T>* sum;      // sum[c * sum_stride + r]
  Index sum_stride;
  // What is to be written: the last register tiles overlap those before, or cover more channels than there are.
  int first_pack, last_pack, first_input, last_input;
  bool adds;  // to the sums that are there
};

/// One register tile: sum[c][r] = the sum over k of u[k][r] * v[c][k], or that added to it. A lane of u is an output channel of one
/// image, and `Images` images stand side by side; v has the value of all images in its lanes. A function of its own: it needs all
/// registers.
template <int Packs, int Inputs, int Images, class T>
NORMNET_NOINLINE void winograd_gradient_product(const WinogradGradientFactors<T>& f) {
  const Pack<T>* u = f.u;
  const T* v = reinterpret_cast<const T*>(f.v);
  bool adds = f.adds;
  for (Index first = 0; first < f.count; first += f.chain) {
    Pack<T> total[Packs * Inputs];
#pragma GCC unroll 32
    for (auto& value : total) value = Pack<T>(T(0));
    const Index last = std::min(f.count, first + f.chain);
    for (Index k = first; k < last; ++k, u += f.u_stride, v += Images) {
      add_outer_product<Packs, Inputs>([&](int r) { return u[r]; },
                                       [&](int c) { return repeat<Images>(v + c * winograd_gradient_tiles * Pack<T>::lanes); },
                                       total);
    }
#pragma GCC unroll 8
    for (int c = 0; c < Inputs; ++c) {
      if (c < f.first_input || c >= f.last_input) continue;
      Pack<T>* const sum = f.sum + c * f.sum_stride;
#pragma GCC unroll 5
      for (int r = 0; r < Packs; ++r) {
        if (r >= f.first_pack && r < f.last_pack) sum[r] = adds ? sum[r] + total[r * Inputs + c] : total[r * Inputs + c];
      }
    }
    adds = true;
  }
}

/// The packs of output channels and the input channels of a register tile.
template <int Packs, int Inputs>
struct WinogradGradientTile {
  static constexpr int packs = Packs, inputs = Inputs;
};

/// Calls f with every register tile that there is code for.
template <class F>
void for_winograd_gradient_tiles(F&& f) {
  f(WinogradGradientTile<1, 8>());
  if constexpr (simd_registers >= 32) {
    f(WinogradGradientTile<2, 8>());
    f(WinogradGradientTile<3, 5>());
    f(WinogradGradientTile<4, 5>());
    f(WinogradGradientTile<5, 5>());
  } else {
    f(WinogradGradientTile<2, 5>());
    f(WinogradGradientTile<3, 3>());
    f(WinogradGradientTile<4, 3>());
    f(WinogradGradientTile<5, 2>());
  }
}

/// The register tile that covers so many output and input channels with the least multiplications and loads.
template <class T>
struct WinogradGradientProduct {
  int images = 1;  // that stand side by side in a pack of output channels
  int packs = 0, inputs = 0;
  Index cost = 0;  // of all channels
  void (*compute)(const WinogradGradientFactors<T>&) = nullptr;

  Index channels_of_pack() const { return Pack<T>::lanes / images; }

  template <int Images>
  static WinogradGradientProduct best_of(Index outputs, Index inputs) {
    constexpr Index channels = Pack<T>::lanes / Images;
    const Index all_packs = (outputs + channels - 1) / channels;
    WinogradGradientProduct best;
    for_winograd_gradient_tiles([&](auto tile) {
      constexpr int p = tile.packs, c = tile.inputs;
      const Index of_tile = channels * ((all_packs + p - 1) / p) * ((inputs + c - 1) / c) * (4 * p * c + p + c);
      if (best.packs == 0 || of_tile < best.cost) best = {Images, p, c, of_tile, &winograd_gradient_product<p, c, Images, T>};
    });
    return best;
  }

  /// That with as many images as repeat() may take, if it costs a tenth less; otherwise with one, for sums of pairs take twice the
  /// memory.
  static WinogradGradientProduct best(Index outputs, Index inputs) {
    const auto one = best_of<1>(outputs, inputs), several = best_of<most_repeated<T>>(outputs, inputs);
    return 11 * several.cost <= 10 * one.cost ? several : one;
  }
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
