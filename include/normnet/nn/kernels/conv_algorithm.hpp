// Which algorithm computes a convolution.
#pragma once

#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/winograd_transforms.hpp>

#include <algorithm>
#include <type_traits>

namespace normnet::inline NORMNET_ABI {

/// How a convolution is computed; the results differ by rounding alone.
enum class ConvAlgorithm {
  automatic,  ///< for each pass and shape the one that was measured to be the fastest; direct for double
  direct,     ///< register tiles straight from the feature maps
  im2col,     ///< columns in memory, and Eigen's matrix product
  winograd    ///< a quarter to less than half of the multiplications; kernels of 3x3, stride 1, dilation 1
};

namespace kernels {

/// The passes of a convolution.
enum class ConvPass { forward, input_gradient, weight_gradient };

/// What `automatic` is for batches of these extents. Measured with
///
///     bench_convolutions --algorithm direct|im2col|winograd
///
/// * Winograd wins with eight channels and more on either side; with fewer, its transforms cost what they save. Planes must hold
///   a few tiles, those of the weight's gradient some more: it sums over the lanes once for each of 16 or 36 positions, not 9.
/// * Outputs of a few pixels leave the direct algorithm's register tiles half empty, and its input gradient multiplies with the
///   border around them most of the time: there the matrix product wins.
/// * The direct algorithm wins everywhere else. In double it is always taken, for its smaller rounding error.
template <class T>
ConvAlgorithm fastest_algorithm(const ConvGeometry& conv, Pair input, ConvPass pass) {
  if constexpr (!std::is_same_v<T, float>) return ConvAlgorithm::direct;
  const Pair output = conv.output(input);
  const Index channels = std::min(conv.in_per_group(), conv.out_per_group());
  const Pair written = pass == ConvPass::input_gradient ? input : output;
  const Index side = std::min(written.height, written.width), least_side = pass == ConvPass::forward          ? 3
                                                                           : pass == ConvPass::input_gradient ? 5
                                                                                                              : 8;
  if (winograd_applies(conv) && channels >= 8 && side >= least_side) return ConvAlgorithm::winograd;
  const Index few_pixels = pass == ConvPass::input_gradient ? 9 : pass == ConvPass::forward ? 4 : 1;
  if (conv.groups == 1 && conv.taps() > 1 && output.height * output.width <= few_pixels) return ConvAlgorithm::im2col;
  return ConvAlgorithm::direct;
}

}  // namespace kernels

}  // namespace normnet::inline NORMNET_ABI
