// Winograd's minimal filtering of 3x3 kernels: its transforms.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <type_traits>

// M neighbouring pixels of a correlation with 3 weights read the same M + 2 pixels d. Instead of 3 M multiplications, M + 2 do: 4
// instead of 6 for M = 2, 6 instead of 12 for M = 4. In two directions, with tiles of M x N pixels, (M + 2) (N + 2) positions have a
// multiplication each, for each pair of channels:
//
//     y  = A^T [ sum over c of (G g G^T) . (B^T d B) ] A                           . : element by element, at each position
//     dg = G^T [ sum over tiles of (A dy A^T) . (B^T d B) ] G
//
// The matrices evaluate polynomials at points and interpolate them: Lavin and Gray, "Fast algorithms for convolutional neural
// networks" (2015, https://arxiv.org/abs/1509.09308). M = 4 has the points 0, 3/4, -3/4, 3/2, -3/2 and infinity. The usual 0, 1, -1, 2,
// -2 round worse, for their powers are larger (Barabasz, Anderson, Soodhalter and Gregg, "Error analysis and improving the accuracy
// of Winograd convolution for deep neural networks", 2020, https://doi.org/10.1145/3412380); with these, the tests hold the error
// below four times that of the direct algorithm.
//
// M = 2 has four of these points, 0, 3/4, -3/4 and infinity, and so scaled that G has the same rows for them: at the edges of a
// plane, where two pixels or fewer are left, its tiles take what they need of the same transformed weights.
//
// In lane layout the transforms of pixels are a few operations on whole packs.
namespace normnet::normnet_impl::inline NORMNET_ABI {

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

/// The points of the transforms, in this order: 0, a, -a, b, -b and infinity.
struct WinogradPoints {
  static constexpr int count = 6;
  static constexpr double a = 0.75, b = 1.5;
  static constexpr double a2 = a * a, b2 = b * b, a3 = a2 * a, b3 = b2 * b;
  // What G has for 0, for a and -a, and for b and -b: one over the product of the differences to the other points.
  static constexpr double weight_0 = 1 / (a2 * b2), weight_a = 1 / (2 * a2 * (a2 - b2)), weight_b = 1 / (2 * b2 * (b2 - a2));
};

/// The number of the k-th point of tiles of `extent` pixels, 4 or 2.
constexpr Index winograd_point(Index extent, Index k) { return extent == 4 || k < 3 ? k : 5; }

/// The positions of a transformed tile of 4x4 pixels: 6 i + j is that of points i and j. Smaller tiles have some of them.
inline constexpr int winograd_positions = WinogradPoints::count * WinogradPoints::count;

/// That of points k and l of a tile of height x width pixels, and how far behind it the tile's next one is, 0 behind the last.
constexpr Index winograd_position(Index height, Index width, std::size_t k, std::size_t l) {
  return WinogradPoints::count * winograd_point(height, static_cast<Index>(k)) + winograd_point(width, static_cast<Index>(l));
}
constexpr Index winograd_step(Index height, Index width, std::size_t k, std::size_t l) {
  const bool ends_row = static_cast<Index>(l) == width + 1, is_last = ends_row && static_cast<Index>(k) == height + 1;
  const Index next = ends_row ? winograd_position(height, width, k + 1, 0) : winograd_position(height, width, k, l + 1);
  return is_last ? 0 : next - winograd_position(height, width, k, l);
}

/// The transforms of M pixels in a row or a column.
template <int M>
struct Winograd;

template <>
struct Winograd<2> : WinogradPoints {
  /// B^T d.
  template <class V>
  NORMNET_INLINE static std::array<V, 4> input(const std::array<V, 4>& d) {
    const auto number = winograd_constant<V>;
    const V even = number(a2 - b2) * d[2], odd = number(a * (a2 - b2)) * d[1];
    return {number(a2 * b2) * d[0] - number(b2) * d[2], even + odd, even - odd, d[3] - number(a2) * d[1]};
  }
  /// A^T m.
  template <class V>
  NORMNET_INLINE static std::array<V, 2> output(const std::array<V, 4>& m) {
    return {m[0] + (m[1] + m[2]), winograd_constant<V>(a) * (m[1] - m[2]) + m[3]};
  }
  /// A dy.
  template <class V>
  NORMNET_INLINE static std::array<V, 4> gradient(const std::array<V, 2>& dy) {
    const V odd = winograd_constant<V>(a) * dy[1];
    return {dy[0], dy[0] + odd, dy[0] - odd, dy[1]};
  }
};

template <>
struct Winograd<4> : WinogradPoints {
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
};

/// The transforms of 3 weights in a row or a column, and of their gradient: the same for all tiles.
struct WinogradWeights : WinogradPoints {
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
  NORMNET_INLINE static std::array<V, 3> gradient(const std::array<V, 6>& m) {
    const auto number = winograd_constant<V>;
    const V even_a = number(weight_a) * (m[1] + m[2]), even_b = number(weight_b) * (m[3] + m[4]);
    return {number(weight_0) * m[0] + even_a + even_b,
            number(weight_a * a) * (m[1] - m[2]) + number(weight_b * b) * (m[3] - m[4]),
            number(a2) * even_a + number(b2) * even_b + m[5]};
  }
};

/// G g G^T of 3x3 weights, position after position.
template <class V>
NORMNET_INLINE std::array<V, winograd_positions> winograd_weight(const std::array<V, 9>& g) {
  constexpr std::size_t n = WinogradPoints::count;
  std::array<std::array<V, 3>, n> half;  // G g
  for (std::size_t v = 0; v < 3; ++v) {
    const auto column = WinogradWeights::weight(std::array<V, 3>{g[v], g[3 + v], g[6 + v]});
    for (std::size_t i = 0; i < n; ++i) half[i][v] = column[i];
  }
  std::array<V, n * n> u;
  for (std::size_t i = 0; i < n; ++i) {
    const auto row = WinogradWeights::weight(half[i]);
    for (std::size_t j = 0; j < n; ++j) u[n * i + j] = row[j];
  }
  return u;
}

/// G^T m G: the gradient of 3x3 weights from that of the transformed ones.
template <class V>
NORMNET_INLINE std::array<V, 9> winograd_weight_gradient(const std::array<V, winograd_positions>& m) {
  constexpr std::size_t n = WinogradPoints::count;
  std::array<std::array<V, n>, 3> half;  // G^T m
  for (std::size_t j = 0; j < n; ++j) {
    std::array<V, n> column;
    for (std::size_t i = 0; i < n; ++i) column[i] = m[n * i + j];
    const auto result = WinogradWeights::gradient(column);
    for (std::size_t u = 0; u < 3; ++u) half[u][j] = result[u];
  }
  std::array<V, 9> dg;
  for (std::size_t u = 0; u < 3; ++u) {
    const auto row = WinogradWeights::gradient(half[u]);
    std::copy(row.begin(), row.end(), dg.begin() + static_cast<std::ptrdiff_t>(3 * u));
  }
  return dg;
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
