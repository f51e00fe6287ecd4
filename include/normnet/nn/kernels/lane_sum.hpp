// Sums over rows of packs that stay accurate over a whole batch.
#pragma once

#include <normnet/core/batch.hpp>

#include <array>

namespace normnet::inline NORMNET_ABI::kernels {

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

/// One sum per lane, in double whatever the scalar: a row is summed in T, rows are summed here, so that the error of a sum over a
/// batch of a hundred thousand floats stays that of one row.
template <class T>
class LaneSum {
 public:
  static constexpr int lanes = Pack<T>::lanes;

  NORMNET_INLINE void add(const Pack<T>& row) {
    for (int lane = 0; lane < lanes; ++lane) sum_[static_cast<std::size_t>(lane)] += static_cast<double>(row[lane]);
  }
  void add(const LaneSum& other, double factor) {
    for (std::size_t lane = 0; lane < sum_.size(); ++lane) sum_[lane] += factor * other.sum_[lane];
  }

  double operator[](int lane) const { return sum_[static_cast<std::size_t>(lane)]; }

  /// The sum of each lane over `count`.
  Pack<T> mean(double count) const {
    Pack<T> mean;
    for (int lane = 0; lane < lanes; ++lane) mean.set(lane, static_cast<T>((*this)[lane] / count));
    return mean;
  }

  /// The sum over the first `count` lanes: those that hold an image.
  double total(int count) const {
    double total = 0;
    for (int lane = 0; lane < count; ++lane) total += sum_[static_cast<std::size_t>(lane)];
    return total;
  }

 private:
  std::array<double, static_cast<std::size_t>(lanes)> sum_{};
};

/// Adds, for every channel, the sum over images and pixels to total[channel]: the gradient of a bias. Padding lanes must be zero
/// or are left out all the same.
template <class T>
void add_channel_sums(const Batch<T>& batch, T* total) {
  parallel_for(batch.channels(), batch.blocks() * batch.plane(), [&](Index c) {
    double of_channel = 0;
    for (Index block = 0; block < batch.blocks(); ++block) {
      LaneSum<T> of_block;
      for (Index y = 0; y < batch.height(); ++y) {
        const Pack<T>* row = batch.row(block, c, y);
        of_block.add(row_sum<T>(batch.width(), [&](Index x) { return row[x]; }));
      }
      of_channel += of_block.total(batch.images_in(block));
    }
    total[c] += static_cast<T>(of_channel);
  });
}

}  // namespace normnet::inline NORMNET_ABI::kernels
