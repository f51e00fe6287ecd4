// Sums over rows of packs that stay accurate over a whole batch.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/batch.hpp>
#include <normnet/core/block_schedule.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// f(0) + ... + f(count - 1), for packs; four partial sums, so that an addition does not wait for the one before.
template <class T, class F>
NORMNET_INLINE Pack<T> row_sum(Index count, F f) {
  Pack<T> a(T(0)), b(T(0)), c(T(0)), d(T(0));
  Index i = 0;
  for (; i + 4 <= count; i += 4) {
    a += f(i);
    b += f(i + 1);
    c += f(i + 2);
    d += f(i + 3);
  }
  for (; i < count; ++i) a += f(i);
  return (a + b) + (c + d);
}

/// One sum per lane, in double whatever the scalar.
template <class T>
class LaneSum {
 public:
  static constexpr int lanes = Pack<T>::lanes;

  LaneSum() { sum_.fill(Pack<double>(0.0)); }

  NORMNET_INLINE void add(const Pack<T>& pack) {
    for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += widened(pack, i);
  }
  void add(const LaneSum& other, double factor) {
    for (std::size_t i = 0; i < sum_.size(); ++i) sum_[i] += Pack<double>(factor) * other.sum_[i];
  }
  /// Adds the distance a - b, and its square to `squares`.
  NORMNET_INLINE void add_distance(const Pack<T>& a, const Pack<T>& b, LaneSum& squares) {
    for (std::size_t i = 0; i < sum_.size(); ++i) {
      const Pack<double> distance = widened(a, i) - widened(b, i);
      sum_[i] += distance;
      squares.sum_[i] += distance * distance;
    }
  }

  /// a * this - b * other, lane by lane.
  LaneSum scaled_difference(const Pack<T>& a, const Pack<T>& b, const LaneSum& other) const {
    LaneSum result;
    for (std::size_t i = 0; i < sum_.size(); ++i) result.sum_[i] = widened(a, i) * sum_[i] - widened(b, i) * other.sum_[i];
    return result;
  }

  double operator[](int lane) const { return sum_[static_cast<std::size_t>(lane / wide_lanes)][lane % wide_lanes]; }

  /// The sum of each lane over `count`.
  Pack<T> mean(double count) const {
    Pack<T> mean;
    for (int lane = 0; lane < lanes; ++lane) mean.set(lane, static_cast<T>((*this)[lane] / count));
    return mean;
  }

  /// The sum over the first `count` lanes: those that hold an image.
  double total(int count) const {
    double total = 0;
    for (int lane = 0; lane < count; ++lane) total += (*this)[lane];
    return total;
  }

 private:
  static constexpr int wide_lanes = Pack<double>::lanes;

  // Part i of a pack in double.
  NORMNET_INLINE static Pack<double> widened(const Pack<T>& pack, std::size_t i) {
    return widen(reinterpret_cast<const T*>(&pack) + i * static_cast<std::size_t>(wide_lanes));
  }

  std::array<Pack<double>, static_cast<std::size_t>(lanes / wide_lanes)> sum_;
};

/// f(0) + ... + f(count - 1), for packs, in their order: in T over up to 32, and those sums in double, so that the error of a sum of
/// thousands stays that of a short one.
template <class T, class F>
NORMNET_INLINE Pack<T> accurate_sum(Index count, F f) {
  constexpr Index at_once = 32;
  LaneSum<T> total;
  for (Index first = 0; first < count; first += at_once) {
    const Index last = std::min(first + at_once, count);
    Pack<T> partial(T(0));
    for (Index i = first; i < last; ++i) partial += f(i);
    if (count <= at_once) return partial;
    total.add(partial);
  }
  return total.mean(1);
}

/// Sums `Count` quantities over the pixels of many rows, per lane: in T over up to 64 pixels, and those sums in double, so
/// that the error of a sum over any number of pixels stays that of a short one.
template <class T, std::size_t Count>
class PixelSums {
 public:
  /// Calls add(i, partial) for every pixel i of a row; it adds the quantities of that pixel to partial[0], partial[1], ...
  template <class F>
  NORMNET_INLINE void add_row(Index width, F add) {
    for (Index begin = 0; begin < width; begin += at_once) {
      const Index end = std::min(begin + at_once, width);
      if (pending_ + end - begin > at_once) flush();
      pending_ += end - begin;
      Index i = begin;
      for (; i + 4 <= end; i += 4) {  // four of each, so that an addition does not wait for the one before
        add(i, partial_[0]);
        add(i + 1, partial_[1]);
        add(i + 2, partial_[2]);
        add(i + 3, partial_[3]);
      }
      for (; i < end; ++i) add(i, partial_[0]);
    }
  }

  /// The sum of each quantity over all rows.
  NORMNET_INLINE std::array<LaneSum<T>, Count> totals() {
    flush();
    return total_;
  }

 private:
  static constexpr Index at_once = 64;

  NORMNET_INLINE void flush() {
    if (pending_ == 0) return;
    for (std::size_t k = 0; k < Count; ++k) {
      total_[k].add((partial_[0][k] + partial_[1][k]) + (partial_[2][k] + partial_[3][k]));
      for (auto& partial : partial_) partial[k] = Pack<T>(T(0));
    }
    pending_ = 0;
  }

  static std::array<Pack<T>, Count> zeros() {
    std::array<Pack<T>, Count> all;
    all.fill(Pack<T>(T(0)));
    return all;
  }

  std::array<LaneSum<T>, Count> total_{};
  std::array<Pack<T>, Count> partial_[4] = {zeros(), zeros(), zeros(), zeros()};
  Index pending_ = 0;
};

/// The sum of every channel over images and pixels, without the padding lanes: the gradient of a bias. It is gathered block by
/// block, while a block is in the cache, and added in the order of the blocks.
template <class T>
class ChannelSums {
 public:
  /// Adds the step that gathers the sums of a batch.
  void schedule(const Batch<T>& batch, BlockSchedule& schedule) {
    channels_ = batch.channels();
    of_block_.reset(batch.blocks() * channels_);
    schedule.each_channel(channels_, batch.plane(), [this, &batch](Index block, Index c) { gather(batch, block, c); });
  }

  /// Adds each channel's sum to total[channel].
  void add_to(T* total) const {
    for (Index c = 0; c < channels_; ++c) {
      double of_channel = 0;
      for (Index i = c; i < of_block_.size(); i += channels_) of_channel += of_block_[i];
      total[c] += static_cast<T>(of_channel);
    }
  }

 private:
  void gather(const Batch<T>& batch, Index block, Index c) {
    PixelSums<T, 1> sums;
    for (Index y = 0; y < batch.height(); ++y) {
      const Pack<T>* row = batch.row(block, c, y);
      sums.add_row(batch.width(), [&](Index x, auto& sum) { sum[0] += row[x]; });
    }
    of_block_[block * channels_ + c] = sums.totals()[0].total(batch.images_in(block));
  }

  Index channels_ = 0;
  AlignedArray<double> of_block_;
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
