// Which algorithm computes a convolution.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/winograd_tiles.hpp>
#include <normnet/nn/kernels/winograd_transforms.hpp>

#include <algorithm>
#include <type_traits>
#include <utility>

namespace normnet::inline NORMNET_ABI {

/// How a convolution is computed; the results differ by rounding alone.
enum class ConvAlgorithm {
  automatic,  ///< for each pass and shape the one that was measured to be the fastest; direct for double
  direct,     ///< register tiles straight from the feature maps
  im2col,     ///< columns in memory, and Eigen's matrix product
  winograd    ///< a quarter to less than half of the multiplications; kernels of 3x3, stride 1, dilation 1
};

}  // namespace normnet::inline NORMNET_ABI

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// "automatic", ...: its name in this file.
inline const char* algorithm_name(ConvAlgorithm algorithm) {
  switch (algorithm) {
    case ConvAlgorithm::direct: return "direct";
    case ConvAlgorithm::im2col: return "im2col";
    case ConvAlgorithm::winograd: return "winograd";
    default: return "automatic";
  }
}

/// The passes of a convolution.
enum class ConvPass { forward, input_gradient, weight_gradient };

/// The multiplications of a 3x3 convolution of stride 1, for each pair of channels, that do not read the border.
inline Index multiplications_inside(const ConvGeometry& conv, Pair input) {
  const auto along = [](Index in, Index out, Index padding) {
    Index count = 0;
    for (Index tap = 0; tap < 3; ++tap) {
      count += std::max<Index>(0, std::min(out, in + padding - tap) - std::max<Index>(0, padding - tap));
    }
    return count;
  };
  const Pair output = conv.output(input);
  return along(input.height, output.height, conv.padding.height) * along(input.width, output.width, conv.padding.width);
}

/// What `automatic` is for batches of these extents: Winograd where it takes less time by this estimate, which was fitted to
///
///     bench_convolutions --algorithm direct|winograd --kernel 3 --threads 1
///
/// for planes of 3x3 to 32x32 and 3 to 128 channels, with 16 and with 32 registers. A multiplication costs Winograd 1.2 times what it
/// costs the direct algorithm, and the transforms of a channel take as long as multiplications with three others; in the gradient of the
/// weight, whose output channels are filled up to half packs, 1.3 times, and as long as with eight others. The direct algorithm leaves
/// out what would read the border, except in the gradient of the weight.
///
/// Few channels to many are bound by writing them to memory, which the direct algorithm does in a better order. In double it is
/// always taken, for its smaller rounding error. The matrix product of im2col is the fastest nowhere.
template <class T>
ConvAlgorithm fastest_algorithm(const ConvGeometry& conv, Pair input, ConvPass pass) {
  if (!std::is_same_v<T, float> || !winograd_applies(conv)) return ConvAlgorithm::direct;
  const bool weight_gradient = pass == ConvPass::weight_gradient, input_gradient = pass == ConvPass::input_gradient;
  const Index inputs = conv.in_per_group(), outputs = conv.out_per_group();
  const auto [read, written] = input_gradient ? std::pair(outputs, inputs) : std::pair(inputs, outputs);
  if (!weight_gradient && written > 8 * read) return ConvAlgorithm::direct;
  const Pair output = conv.output(input);
  const Index multiplications = weight_gradient ? 9 * output.height * output.width : multiplications_inside(conv, input);
  const double direct = static_cast<double>(multiplications * inputs * outputs);
  constexpr Index half_pack = Pack<T>::lanes / 2;
  const Index filled = weight_gradient ? (outputs + half_pack - 1) / half_pack * half_pack : outputs;
  const Index positions = weight_gradient ? winograd_multiplications(output, largest_winograd_gradient_tile(output))
                                          : winograd_multiplications(input_gradient ? input : output);
  const double winograd = (weight_gradient ? 1.3 : 1.2) *
                          static_cast<double>(positions * (inputs * filled + (weight_gradient ? 8 : 3) * (inputs + filled)));
  return winograd < direct ? ConvAlgorithm::winograd : ConvAlgorithm::direct;
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI

namespace normnet::inline NORMNET_ABI {}  // namespace normnet::inline NORMNET_ABI
