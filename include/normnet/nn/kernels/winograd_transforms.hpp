// Winograd's minimal filtering of 3x3 kernels: its transforms in one dimension, and the tiles of a plane.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>

// M x M neighbouring pixels of a 3x3 correlation read the same (M + 2) x (M + 2) pixels d. Instead of 9 M^2 multiplications for
// each pair of channels, (M + 2)^2 do: 16 instead of 36 for M = 2, 36 instead of 144 for M = 4.
//
//     y  = A^T [ sum over c of (G g G^T) . (B^T d B) ] A                           . : element by element, at each position
//     dg = G^T [ sum over tiles of (A dy A^T) . (B^T d B) ] G
//
// The matrices evaluate polynomials at points and interpolate them: Lavin and Gray, "Fast algorithms for convolutional neural
// networks" (2015, https://arxiv.org/abs/1509.09308). M = 2 has the points 0, 1, -1 and infinity; M = 4 has 0, 3/4, -3/4, 3/2,
// -3/2 and infinity. The usual 0, 1, -1, 2, -2 round worse, for their powers are larger (Barabasz, Anderson, Soodhalter and Gregg,
// "Error analysis and improving the accuracy of Winograd convolution for deep neural networks", 2020,
// https://doi.org/10.1145/3412380); with these, the tests hold the error below four times that of the direct algorithm.
//
// In lane layout the transforms of pixels are a few operations on whole packs.
namespace normnet::inline NORMNET_ABI::kernels {

/// Whether Winograd's algorithm computes this convolution.
inline bool winograd_applies(const ConvGeometry& conv) {
  return conv.kernel == Pair(3) && conv.stride == Pair(1) && conv.dilation == Pair(1);
}

/// The same number as a scalar or in every lane of a pack.
template <class V>
NORMNET_INLINE V winograd_constant(double value) {
  if constexpr (std::is_arithmetic_v<V>) {
    return static_cast<V>(value);
  } else {
    return V(static_cast<typename V::Scalar>(value));
  }
}

/// The transforms of one row or column of a tile of M pixels.
template <int M>
struct Winograd;

template <>
struct Winograd<2> {
  /// B^T d.
  template <class V>
  NORMNET_INLINE static std::array<V, 4> input(const std::array<V, 4>& d) {
    return {d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]};
  }
  /// A^T m.
  template <class V>
  NORMNET_INLINE static std::array<V, 2> output(const std::array<V, 4>& m) {
    return {m[0] + (m[1] + m[2]), (m[1] - m[2]) - m[3]};
  }
  /// A dy.
  template <class V>
  NORMNET_INLINE static std::array<V, 4> gradient(const std::array<V, 2>& dy) {
    return {dy[0], dy[0] + dy[1], dy[0] - dy[1], winograd_constant<V>(0) - dy[1]};
  }
  /// G g.
  template <class V>
  NORMNET_INLINE static std::array<V, 4> weight(const std::array<V, 3>& g) {
    const V half = winograd_constant<V>(0.5);
    return {g[0], half * (g[0] + g[1] + g[2]), half * (g[0] - g[1] + g[2]), g[2]};
  }
  /// G^T m.
  template <class V>
  NORMNET_INLINE static std::array<V, 3> weight_gradient(const std::array<V, 4>& m) {
    const V half = winograd_constant<V>(0.5);
    return {m[0] + half * (m[1] + m[2]), half * (m[1] - m[2]), half * (m[1] + m[2]) + m[3]};
  }
};

template <>
struct Winograd<4> {
  static constexpr double a = 0.75, b = 1.5;  // the points
  static constexpr double a2 = a * a, b2 = b * b, a3 = a2 * a, b3 = b2 * b;
  static constexpr double weight_0 = 1 / (a2 * b2), weight_a = 1 / (2 * a2 * (a2 - b2)), weight_b = 1 / (2 * b2 * (b2 - a2));

  /// B^T d.
  template <class V>
  NORMNET_INLINE static std::array<V, 6> input(const std::array<V, 6>& d) {
    const auto number = winograd_constant<V>;
    const V even_a = d[4] - number(b2) * d[2], odd_a = number(a) * (d[3] - number(b2) * d[1]);
    const V even_b = d[4] - number(a2) * d[2], odd_b = number(b) * (d[3] - number(a2) * d[1]);
    return {
        number(a2 * b2) * d[0] - number(a2 + b2) * d[2] + d[4], even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b,
        number(a2 * b2) * d[1] - number(a2 + b2) * d[3] + d[5]};
  }
  /// A^T m.
  template <class V>
  NORMNET_INLINE static std::array<V, 4> output(const std::array<V, 6>& m) {
    const auto number = winograd_constant<V>;
    const V even_a = m[1] + m[2], odd_a = m[1] - m[2], even_b = m[3] + m[4], odd_b = m[3] - m[4];
    return {m[0] + (even_a + even_b), number(a) * odd_a + number(b) * odd_b, number(a2) * even_a + number(b2) * even_b,
            number(a3) * odd_a + number(b3) * odd_b + m[5]};
  }
  /// A dy.
  template <class V>
  NORMNET_INLINE static std::array<V, 6> gradient(const std::array<V, 4>& dy) {
    const auto number = winograd_constant<V>;
    const V even_a = dy[0] + number(a2) * dy[2], odd_a = number(a) * dy[1] + number(a3) * dy[3];
    const V even_b = dy[0] + number(b2) * dy[2], odd_b = number(b) * dy[1] + number(b3) * dy[3];
    return {dy[0], even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, dy[3]};
  }
  /// G g.
  template <class V>
  NORMNET_INLINE static std::array<V, 6> weight(const std::array<V, 3>& g) {
    const auto number = winograd_constant<V>;
    const V even_a = number(weight_a) * (g[0] + number(a2) * g[2]), odd_a = number(weight_a * a) * g[1];
    const V even_b = number(weight_b) * (g[0] + number(b2) * g[2]), odd_b = number(weight_b * b) * g[1];
    return {number(weight_0) * g[0], even_a + odd_a, even_a - odd_a, even_b + odd_b, even_b - odd_b, g[2]};
  }
  /// G^T m.
  template <class V>
  NORMNET_INLINE static std::array<V, 3> weight_gradient(const std::array<V, 6>& m) {
    const auto number = winograd_constant<V>;
    const V even_a = number(weight_a) * (m[1] + m[2]), even_b = number(weight_b) * (m[3] + m[4]);
    return {number(weight_0) * m[0] + even_a + even_b,
            number(weight_a * a) * (m[1] - m[2]) + number(weight_b * b) * (m[3] - m[4]),
            number(a2) * even_a + number(b2) * even_b + m[5]};
  }
};

/// The positions of a transformed tile.
template <int M>
inline constexpr Index winograd_positions = (M + 2) * (M + 2);

/// G g G^T of 3x3 weights, position after position.
template <int M, class V>
NORMNET_INLINE std::array<V, static_cast<std::size_t>(winograd_positions<M>)> winograd_weight(const std::array<V, 9>& g) {
  constexpr std::size_t n = M + 2;
  std::array<std::array<V, 3>, n> half;  // G g
  for (std::size_t v = 0; v < 3; ++v) {
    const auto column = Winograd<M>::weight(std::array<V, 3>{g[v], g[3 + v], g[6 + v]});
    for (std::size_t i = 0; i < n; ++i) half[i][v] = column[i];
  }
  std::array<V, n * n> u;
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = Winograd<M>::weight(half[i]);
    for (std::size_t j = 0; j < n; ++j) u[n * i + j] = row[j];
  }
  return u;
}

/// G^T m G: the gradient of 3x3 weights from that of the transformed ones.
template <int M, class V>
NORMNET_INLINE std::array<V, 9> winograd_weight_gradient(
    const std::array<V, static_cast<std::size_t>(winograd_positions<M>)>& m) {
  constexpr std::size_t n = M + 2;
  std::array<std::array<V, n>, 3> half;  // G^T m
  for (std::size_t j = 0; j < n; ++j) {
    std::array<V, n> column;
    for (std::size_t i = 0; i < n; ++i) column[i] = m[n * i + j];
    const auto result = Winograd<M>::weight_gradient(column);
    for (std::size_t u = 0; u < 3; ++u) half[u][j] = result[u];
  }
  std::array<V, 9> dg;
  for (std::size_t u = 0; u < 3; ++u) {
    const auto row = Winograd<M>::weight_gradient(half[u]);
    std::copy(row.begin(), row.end(), dg.begin() + static_cast<std::ptrdiff_t>(3 * u));
  }
  return dg;
}

/// An output plane cut into tiles of M x M pixels; those of the last row and column may hang over.
struct WinogradGrid {
  int size;             // M
  Index height, width;  // of the output plane
  Pair origin;          // the input pixel that tap (0, 0) of output pixel (0, 0) reads

  Index rows() const { return (height + size - 1) / size; }
  Index columns() const { return (width + size - 1) / size; }
  Index tiles() const { return rows() * columns(); }
};

/// Tiles of 4x4 are for planes that hold one: smaller ones gain nothing for the greater rounding error.
inline bool winograd_tile_fits(int size, Pair plane) { return size == 2 || std::min(plane.height, plane.width) >= size; }

/// The multiplications for each pair of channels, with tiles of that size or of the better one.
inline Index winograd_multiplications(int size, Pair output) {
  return WinogradGrid{size, output.height, output.width, 0}.tiles() * (size + 2) * (size + 2);
}
inline Index winograd_multiplications(Pair output) {
  const Index small = winograd_multiplications(2, output);
  return winograd_tile_fits(4, output) ? std::min(small, winograd_multiplications(4, output)) : small;
}

/// The size of tiles that multiplies less.
inline int fastest_winograd_tile(Pair output) {
  return winograd_multiplications(output) < winograd_multiplications(2, output) ? 4 : 2;
}

/// The size of tiles in the gradient of the weight. Where one tile of 4x4 covers the plane, sums are so short, and the direct
/// algorithm rounds so little, that its error would not stay below four times that of the direct one.
inline int winograd_gradient_tile(Pair output) {
  return std::max(output.height, output.width) <= 4 ? 2 : fastest_winograd_tile(output);
}

/// Calls f with std::integral_constant<int, M>.
template <class F>
void with_winograd_tile(int size, F&& f) {
  if (size == 4) return f(std::integral_constant<int, 4>());
  f(std::integral_constant<int, 2>());
}

}  // namespace normnet::inline NORMNET_ABI::kernels
