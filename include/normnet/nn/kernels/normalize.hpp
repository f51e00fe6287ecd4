// What the normalization layers share: mean and variance, and the two passes over the pixels.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/nn/kernels/lane_sum.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace normnet::inline NORMNET_ABI::kernels {

/// The part of an image over which one mean runs: channels [first_channel, last_channel) of rows [first_row, last_row).
struct Region {
  Index first_channel, last_channel;
  Index first_row, last_row;

  Index pixels(Index width) const { return (last_channel - first_channel) * (last_row - first_row) * width; }

  /// Calls f(channel, row) for every row of every channel.
  template <class F>
  void for_each_row(F f) const {
    for (Index c = first_channel; c < last_channel; ++c) {
      for (Index y = first_row; y < last_row; ++y) f(c, y);
    }
  }
};

/// Mean and biased variance of some values.
struct Statistics {
  double mean;
  double variance;
};

/// Mean and 1 / sqrt(variance + eps), one per lane. The mean is kept in two parts: rounded to T alone, a mean of 10,000 would be
/// wrong by more than a spread of 0.001.
template <class T>
struct Moments {
  Pack<T> mean, mean_rest, rstd;

  NORMNET_INLINE Pack<T> distance(const Pack<T>& x) const { return (x - mean) - mean_rest; }
  NORMNET_INLINE Pack<T> normalized(const Pack<T>& x) const { return distance(x) * rstd; }

  void set(int lane, const Statistics& statistics, double eps) {
    const T rounded = static_cast<T>(statistics.mean);
    mean.set(lane, rounded);
    mean_rest.set(lane, static_cast<T>(statistics.mean - static_cast<double>(rounded)));
    rstd.set(lane, static_cast<T>(1 / std::sqrt(statistics.variance + eps)));
  }

  /// The same in every lane.
  static Moments broadcast(const Statistics& statistics, double eps) {
    Moments moments;
    for (int lane = 0; lane < Pack<T>::lanes; ++lane) moments.set(lane, statistics, eps);
    return moments;
  }
};

/// Sum of a row: x[0] + ... + x[width - 1], per lane.
template <class T>
NORMNET_INLINE Pack<T> sum_of(const Pack<T>* x, Index width) {
  return row_sum<T>(width, [&](Index i) { return x[i]; });
}

/// Sums of the distances of pixels from an estimate of their mean, and of the squares: the second of two passes. The first pass
/// sums floats as large as the mean; the small distances say exactly how far off it was, and the variance does not cancel as
/// sum(x^2) - mean^2 would (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983).
template <class T>
struct SpreadSums {
  LaneSum<T> distance, square;

  NORMNET_INLINE void add_row(const Pack<T>* x, Index width, const Moments<T>& around) {
    distance.add(row_sum<T>(width, [&](Index i) { return around.distance(x[i]); }));
    square.add(row_sum<T>(width, [&](Index i) {
      const Pack<T> distance_from_mean = around.distance(x[i]);
      return distance_from_mean * distance_from_mean;
    }));
  }
};

/// The statistics of `count` values from the sums of both passes.
inline Statistics corrected(double estimate, double sum_of_distances, double sum_of_squares, double count) {
  const double correction = sum_of_distances / count;
  return {estimate + correction, std::max(0.0, sum_of_squares / count - correction * correction)};
}

/// Statistics of a region of each image of a block, one per lane.
template <class T>
std::array<Statistics, static_cast<std::size_t>(Pack<T>::lanes)> statistics_per_image(const Batch<T>& x, Index block,
                                                                                      const Region& region) {
  const double count = static_cast<double>(region.pixels(x.width()));
  LaneSum<T> sum;
  region.for_each_row([&](Index c, Index y) { sum.add(sum_of(x.row(block, c, y), x.width())); });
  Moments<T> estimate;
  for (int lane = 0; lane < Pack<T>::lanes; ++lane) estimate.set(lane, {sum[lane] / count, 0}, 1);
  SpreadSums<T> spread;
  region.for_each_row([&](Index c, Index y) { spread.add_row(x.row(block, c, y), x.width(), estimate); });
  std::array<Statistics, static_cast<std::size_t>(Pack<T>::lanes)> statistics;
  for (int lane = 0; lane < Pack<T>::lanes; ++lane) {
    statistics[static_cast<std::size_t>(lane)] = corrected(sum[lane] / count, spread.distance[lane], spread.square[lane], count);
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
    moments.set(lane, blank ? Statistics{0, 1} : statistics[static_cast<std::size_t>(lane)], eps);
  }
  return moments;
}

/// Statistics of a channel over all images and pixels.
template <class T>
Statistics statistics_per_channel(const Batch<T>& x, Index c) {
  const double count = static_cast<double>(x.images() * x.plane());
  double sum = 0;
  for (Index block = 0; block < x.blocks(); ++block) {
    LaneSum<T> of_block;
    for (Index y = 0; y < x.height(); ++y) of_block.add(sum_of(x.row(block, c, y), x.width()));
    sum += of_block.total(x.images_in(block));
  }
  const auto estimate = Moments<T>::broadcast({sum / count, 0}, 1);
  double distances = 0, squares = 0;
  for (Index block = 0; block < x.blocks(); ++block) {
    SpreadSums<T> of_block;
    for (Index y = 0; y < x.height(); ++y) of_block.add_row(x.row(block, c, y), x.width(), estimate);
    distances += of_block.distance.total(x.images_in(block));
    squares += of_block.square.total(x.images_in(block));
  }
  return corrected(sum / count, distances, squares, count);
}

/// One row of y = weight * normalized(x) + bias.
template <class T>
NORMNET_INLINE void normalize_row(const Pack<T>* x, Pack<T>* y, Index width, const Moments<T>& moments, T weight, T bias) {
  const Pack<T> scale(weight), shift(bias);
  for (Index i = 0; i < width; ++i) y[i] = moments.normalized(x[i]) * scale + shift;
}

/// The two sums over dy that every backward pass of a normalization needs, one per lane.
template <class T>
struct GradientSums {
  LaneSum<T> dy;       // of dy
  LaneSum<T> dy_xhat;  // of dy * xhat

  NORMNET_INLINE void add_row(const Pack<T>* x, const Pack<T>* gradient, Index width, const Moments<T>& moments) {
    dy.add(sum_of(gradient, width));
    dy_xhat.add(row_sum<T>(width, [&](Index i) { return gradient[i] * moments.normalized(x[i]); }));
  }
};

/// One row of dx = rstd * (weight * dy - mean_g - xhat * mean_g_xhat).
template <class T>
NORMNET_INLINE void normalize_row_backward(const Pack<T>* x, const Pack<T>* dy, Pack<T>* dx, Index width,
                                           const Moments<T>& moments, T weight, const Pack<T>& mean_g,
                                           const Pack<T>& mean_g_xhat) {
  const Pack<T> scale(weight);
  for (Index i = 0; i < width; ++i) {
    dx[i] = moments.rstd * ((scale * dy[i] - mean_g) - moments.normalized(x[i]) * mean_g_xhat);
  }
}

}  // namespace normnet::inline NORMNET_ABI::kernels
