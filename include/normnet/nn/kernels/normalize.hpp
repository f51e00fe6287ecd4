// What the normalization layers share: mean and variance, and the two passes over the pixels.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/nn/kernels/lane_sum.hpp>
#include <normnet/nn/kernels/plane_rows.hpp>
#include <normnet/nn/kernels/relu.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// The part of an image over which one mean runs: channels [first_channel, last_channel) of rows [first_row, last_row).
struct Region {
  Index first_channel, last_channel;
  Index first_row, last_row;

  Index pixels(Index width) const { return (last_channel - first_channel) * (last_row - first_row) * width; }

  /// Calls f(channel, row) for every row of every channel.
  template <class F>
  NORMNET_INLINE void for_each_row(F f) const {
    for (Index c = first_channel; c < last_channel; ++c) {
      for (Index y = first_row; y < last_row; ++y) f(c, y);
    }
  }
};

/// Count, mean and biased variance of some values.
struct Statistics {
  double count = 0;
  double mean = 0;
  double variance = 0;

  /// Those of these values and others together, without the cancellation of sum(x^2) - mean^2 (Chan, Golub and LeVeque,
  /// "Algorithms for computing the sample variance", 1983).
  Statistics with(const Statistics& other) const {
    if (count == 0) return other;
    if (other.count == 0) return *this;
    const double both = count + other.count, share = other.count / both, distance = other.mean - mean;
    return {both, mean + share * distance,
            (1 - share) * variance + share * other.variance + share * (1 - share) * distance * distance};
  }
};

/// Mean and rstd = 1 / sqrt(variance + eps), one per lane. The mean rounded to T is not enough: one of 10,000 would be wrong by more
/// than a spread of 0.001. What rounding takes from it is kept times rstd, for a denormal's rest alone would be 0.
template <class T>
struct Moments {
  Pack<T> mean, rest, rstd;

  NORMNET_INLINE Pack<T> normalized(const Pack<T>& x) const { return (x - mean) * rstd - rest; }

  void set(int lane, const Statistics& statistics, double eps) {
    const T rounded = static_cast<T>(statistics.mean);
    const double exact_rstd = 1 / std::sqrt(statistics.variance + eps);
    mean.set(lane, rounded);
    rest.set(lane, static_cast<T>((statistics.mean - static_cast<double>(rounded)) * exact_rstd));
    rstd.set(lane, static_cast<T>(exact_rstd));
  }

  /// The same in every lane.
  static Moments broadcast(const Statistics& statistics, double eps) {
    Moments moments;
    moments.set(0, statistics, eps);
    return {Pack<T>(moments.mean[0]), Pack<T>(moments.rest[0]), Pack<T>(moments.rstd[0])};
  }
};

/// Sums over a region of the distances of x from `from`, and of their squares, per lane. In double, so that neither loses a digit
/// of floats; and squares of distances do not cancel as those of the values would.
template <class T>
struct DistanceSums {
  LaneSum<T> distances, squares;

  DistanceSums(const Batch<T>& x, Index block, const Region& region, const Pack<T>& from) {
    region.for_each_row([&](Index c, Index y) {
      const Pack<T>* row = x.row(block, c, y);
      for (Index i = 0; i < x.width(); ++i) distances.add_distance(row[i], from, squares);
    });
  }
};

/// The statistics of `count` values from the sums of their distances from `from` and of the squares. Is `from` one of the values, then
/// the squares are at most count + 1 times what is left of them, however far it is from the others (docs/derivations.md).
inline Statistics statistics_of(double from, double sum_of_distances, double sum_of_squares, double count) {
  const double distance = sum_of_distances / count;
  return {count, from + distance, std::max(0.0, sum_of_squares / count - distance * distance)};
}

/// Statistics of a region of each image of a block, one per lane.
template <class T>
std::array<Statistics, static_cast<std::size_t>(Pack<T>::lanes)> statistics_per_image(const Batch<T>& x, Index block,
                                                                                      const Region& region) {
  const double count = static_cast<double>(region.pixels(x.width()));
  const Pack<T> first = *x.row(block, region.first_channel, region.first_row);
  const DistanceSums<T> sums(x, block, region, first);
  std::array<Statistics, static_cast<std::size_t>(Pack<T>::lanes)> statistics;
  for (int lane = 0; lane < Pack<T>::lanes; ++lane) {
    statistics[static_cast<std::size_t>(lane)] =
        statistics_of(static_cast<double>(first[lane]), sums.distances[lane], sums.squares[lane], count);
  }
  return statistics;
}

/// The moments of a region of each image of a block, one per lane.
template <class T>
Moments<T> moments_per_image(const Batch<T>& x, Index block, const Region& region, double eps) {
  const auto statistics = statistics_per_image(x, block, region);
  Moments<T> moments;
  for (int lane = 0; lane < Pack<T>::lanes; ++lane) {
    // A blank image has no variance: with an eps of 0 its lane would not stay finite.
    const bool blank = lane >= x.images_in(block);
    moments.set(lane, blank ? Statistics{1, 0, 1} : statistics[static_cast<std::size_t>(lane)], eps);
  }
  return moments;
}

/// Statistics of a channel over the images and pixels of one block.
template <class T>
Statistics statistics_per_block(const Batch<T>& x, Index block, Index c) {
  const Region plane{c, c + 1, 0, x.height()};
  const int images = x.images_in(block);
  const double count = static_cast<double>(x.plane() * images);
  const Pack<T> first((*x.row(block, c, 0))[0]);
  const DistanceSums<T> sums(x, block, plane, first);
  return statistics_of(static_cast<double>(first[0]), sums.distances.total(images), sums.squares.total(images), count);
}

/// The straight line y = scale * (x - mean) + shift, which is weight * normalized(x) + bias.
template <class T>
struct NormalizingLine {
  Pack<T> mean, scale, shift;

  NormalizingLine() = default;
  NormalizingLine(const Moments<T>& moments, T weight, T bias)
      : mean(moments.mean), scale(moments.rstd * Pack<T>(weight)), shift(Pack<T>(bias) - moments.rest * Pack<T>(weight)) {}

  NORMNET_INLINE Pack<T> operator()(const Pack<T>& x) const { return (x - mean) * scale + shift; }
};

/// The gradient of y = line(x), given that of max(y, 0) if `rectified`, else its own. Computing y again spares reading it.
template <class T>
struct LineOutputGradient {
  NormalizingLine<T> line;
  bool rectified;

  NORMNET_INLINE Pack<T> operator()(const Pack<T>& x, const Pack<T>& dy) const {
    return rectified ? relu_gradient(relu(line(x)), dy) : dy;
  }
};

/// The two sums over dy that every backward pass of a normalization needs, one per lane.
template <class T>
struct GradientSums {
  LaneSum<T> dy;       // of dy
  LaneSum<T> dy_xhat;  // of dy * xhat
};

/// Those sums over a channel of a block, of of_output(x, dy) in place of dy.
template <class T>
GradientSums<T> gradient_sums(const Batch<T>& x, const Batch<T>& dy, Index block, Index c, const Moments<T>& moments,
                              const LineOutputGradient<T>& of_output) {
  // So many packs ahead: measured. Both come from memory, where maps are large.
  constexpr Index ahead = 6144 / static_cast<Index>(sizeof(Pack<T>));
  PixelSums<T, 2> sums;
  for (Index y = 0; y < x.height(); ++y) {
    const Pack<T>*pixel = x.row(block, c, y), *gradient = dy.row(block, c, y);
    sums.add_row(x.width(), [&](Index i, auto& sum) {
      prefetch_later(pixel + i + ahead);
      prefetch_later(gradient + i + ahead);
      const Pack<T> of_pixel = of_output(pixel[i], gradient[i]);
      sum[0] += of_pixel;
      sum[1] += of_pixel * (pixel[i] - moments.mean);
    });
  }
  const auto totals = sums.totals();
  return {totals[0], totals[1].scaled_difference(moments.rstd, moments.rest, totals[0])};
}

/// dx = rstd * (weight * dy - mean_g - xhat * mean_g_xhat), as a line through both: scale * dy + slope * (x - mean) + shift.
template <class T>
struct NormalizingGradient {
  Pack<T> mean, scale, slope, shift;

  NormalizingGradient(const Moments<T>& moments, T weight, const Pack<T>& mean_g, const Pack<T>& mean_g_xhat)
      : mean(moments.mean),
        scale(moments.rstd * Pack<T>(weight)),
        slope(Pack<T>(T(0)) - moments.rstd * (moments.rstd * mean_g_xhat)),
        shift(moments.rstd * (moments.rest * mean_g_xhat - mean_g)) {}

  /// dx of a channel of a block, from of_output(x, dy) in place of dy; with a ReLU before the layer if `rectified`.
  void apply(const Batch<T>& x, const Batch<T>& dy, Batch<T>& dx, Index block, Index c, const LineOutputGradient<T>& of_output,
             bool rectified) const {
    const auto [rows, width] = plane_rows(x, dy, dx);
    for (Index row = 0; row < rows; ++row) {
      const Pack<T>*pixel = x.row(block, c, row), *gradient = dy.row(block, c, row);
      Pack<T>* const target = dx.row(block, c, row);
      for (Index i = 0; i < width; ++i) {
        const Pack<T> result = scale * of_output(pixel[i], gradient[i]) + (slope * (pixel[i] - mean) + shift);
        target[i] = rectified ? relu_gradient(pixel[i], result) : result;
      }
    }
  }
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
