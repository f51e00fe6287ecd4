// Averages over windows of pixels, and their gradient: what all kinds of average pooling come down to.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/batch.hpp>
#include <normnet/nn/kernels/lane_sum.hpp>
#include <normnet/nn/kernels/pool_geometry.hpp>

#include <algorithm>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// Windows of up to so many pixels are summed in T alone.
inline constexpr Index few_pixels = 64;

/// The sum over rows x columns packs, divided by `divisor`: of eight packs in T, by pairs, and those sums in double, so that the
/// error of any number of them is three roundings of T.
template <class T>
Pack<T> average_of_many(const Pack<T>* first, Index rows, Index columns, Index row_stride, Index divisor) {
  LaneSum<T> total;
  for (Index p = 0; p < rows; ++p) {
    const Pack<T>* const from = first + p * row_stride;
    Index q = 0;
    for (; q + 8 <= columns; q += 8) {
      total.add(((from[q] + from[q + 1]) + (from[q + 2] + from[q + 3])) +
                ((from[q + 4] + from[q + 5]) + (from[q + 6] + from[q + 7])));
    }
    if (q < columns) total.add(row_sum<T>(columns - q, [&](Index rest) { return from[q + rest]; }));
  }
  return total.mean(static_cast<double>(divisor));
}

/// One channel of a block of y[n, c, i, j] = sum of x[n, c, p, q] over p in rows[i] and q in columns[j], divided by the product of
/// their divisors. A row of a small window is summed before it is added to the others.
template <class T>
void average_pool_forward(const AlignedArray<PoolWindow>& rows, const AlignedArray<PoolWindow>& columns, const Batch<T>& x,
                          Batch<T>& y, Index block, Index c) {
  for (Index i = 0; i < y.height(); ++i) {
    const PoolWindow& row = rows[i];
    const Pack<T>* in = x.row(block, c, row.first);
    Pack<T>* out = y.row(block, c, i);
    for (Index j = 0; j < y.width(); ++j) {
      const PoolWindow& column = columns[j];
      if (row.taps * column.taps > few_pixels) [[unlikely]] {
        out[j] = average_of_many(in + column.first, row.taps, column.taps, x.row_stride(), row.divisor * column.divisor);
        continue;
      }
      Pack<T> total(T(0));
      for (Index p = 0; p < row.taps; ++p) {
        const Pack<T>* from = in + p * x.row_stride() + column.first;
        total += row_sum<T>(column.taps, [&](Index q) { return from[q]; });
      }
      out[j] = total * Pack<T>(T(1) / static_cast<T>(row.divisor * column.divisor));
    }
  }
}

/// One channel of a block of dx[n, c, p, q] = sum over the windows (i, j) that cover the pixel of dy[n, c, i, j] divided by the
/// divisors of that window.
template <class T>
void average_pool_backward(const AlignedArray<PoolWindow>& rows, const AlignedArray<PoolWindow>& columns, const Batch<T>& dy,
                           Batch<T>& dx, Index block, Index c) {
  for (Index p = 0; p < dx.height(); ++p) std::fill_n(dx.row(block, c, p), dx.width(), Pack<T>(T(0)));
  for (Index i = 0; i < dy.height(); ++i) {
    const PoolWindow& row = rows[i];
    const Pack<T>* gradient = dy.row(block, c, i);
    for (Index j = 0; j < dy.width(); ++j) {
      const PoolWindow& column = columns[j];
      const Pack<T> share = gradient[j] * Pack<T>(T(1) / static_cast<T>(row.divisor * column.divisor));
      for (Index p = 0; p < row.taps; ++p) {
        Pack<T>* to = dx.row(block, c, row.first + p) + column.first;
        for (Index q = 0; q < column.taps; ++q) to[q] += share;
      }
    }
  }
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
