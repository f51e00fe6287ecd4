// Convolution as a matrix product: im2col and Eigen's GEMM.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/core/eigen.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/strips.hpp>

#include <algorithm>
#include <utility>
#include <vector>

// In lane layout the columns of a block are rows of packs, and a matrix of K x (pixels * lanes) holds those of many pixels of all
// images of the block at once. A product then costs one GEMM per group and run of rows:
//
//     forward           Y  = W  * columns(X)        O/G x (pixels * lanes)
//     input gradient    columns(dX) = W^T * dY      then added back to the pixels that they came from
//     weight gradient   dW = dY * columns(X)^T      which also sums over the lanes
//
// Chellapilla et al., "High performance convolutional neural networks for document processing" (2006).
namespace normnet::inline NORMNET_ABI::kernels {

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Every product has operands of these two types, because to compile a product of others takes g++ most of a second.
template <class T>
using View = Eigen::Map<RowMajor<T>, Eigen::Unaligned, Eigen::OuterStride<>>;
template <class T>
using ConstView = Eigen::Map<const RowMajor<T>, Eigen::Unaligned, Eigen::OuterStride<>>;

/// A matrix without gaps between its rows.
template <class T>
ConstView<T> dense_view(const T* data, Index rows, Index columns) {
  return {data, rows, columns, Eigen::OuterStride<>(columns)};
}
template <class T>
View<T> dense_view(T* data, Index rows, Index columns) {
  return {data, rows, columns, Eigen::OuterStride<>(columns)};
}

/// Keeps Eigen on one thread while it lives: a product that Eigen spreads over threads is blocked, and so rounded, by their
/// number. The setting is the whole program's: code that calls Eigen's products from other threads meanwhile runs on one thread,
/// too.
class SingleThreadedEigen {
 public:
  SingleThreadedEigen() : threads_(Eigen::nbThreads()) { Eigen::setNbThreads(1); }
  SingleThreadedEigen(const SingleThreadedEigen&) = delete;
  SingleThreadedEigen& operator=(const SingleThreadedEigen&) = delete;
  ~SingleThreadedEigen() { Eigen::setNbThreads(threads_); }

 private:
  int threads_;
};

/// Rows of the output that are unrolled at once, so that their columns stay in the second-level cache.
template <class T>
Index rows_at_once(const ConvGeometry& conv, Index out_width) {
  constexpr Index cache_bytes = 512 * 1024;
  const Index row_bytes = conv.in_per_group() * conv.taps() * out_width * static_cast<Index>(sizeof(Pack<T>));
  return std::max<Index>(1, cache_bytes / std::max<Index>(1, row_bytes));
}

/// A matrix of packs, as Eigen sees it: each pack is `lanes` scalars of a row.
template <class T>
class PackMatrix {
 public:
  PackMatrix(Index rows, Index packs) : packs_(packs), memory_(static_cast<std::size_t>(rows * packs)) {}

  Pack<T>* row(Index i) { return memory_.data() + i * packs_; }

  /// The first `rows` rows and `packs` packs of each.
  View<T> scalars(Index rows, Index packs) {
    return {reinterpret_cast<T*>(memory_.data()), rows, packs * Pack<T>::lanes, Eigen::OuterStride<>(packs_ * Pack<T>::lanes)};
  }
  ConstView<T> scalars(Index rows, Index packs) const {
    return {reinterpret_cast<const T*>(memory_.data()), rows, packs * Pack<T>::lanes,
            Eigen::OuterStride<>(packs_ * Pack<T>::lanes)};
  }

 private:
  Index packs_;
  std::vector<Pack<T>, AlignedAllocator<Pack<T>>> memory_;
};

/// Writes the columns of group g for output rows [first, last) of a block: row k = (channel, tap), then (output row, output
/// column).
template <class T>
void im2col(const ConvGeometry& conv, const Batch<T>& x, Index block, Index g, Index first, Index last, Index out_width,
            PackMatrix<T>& columns) {
  Index k = 0;
  for (Index c = 0; c < conv.in_per_group(); ++c) {
    for (Index u = 0; u < conv.kernel.height; ++u) {
      for (Index v = 0; v < conv.kernel.width; ++v, ++k) {
        Pack<T>* column = columns.row(k);
        for (Index i = first; i < last; ++i) {
          const Index y = i * conv.stride.height + u * conv.dilation.height - conv.padding.height;
          const Pack<T>* row = x.row(block, g * conv.in_per_group() + c, y) + v * conv.dilation.width - conv.padding.width;
          for (Index j = 0; j < out_width; ++j) *column++ = row[j * conv.stride.width];
        }
      }
    }
  }
}

/// Adds columns back to the pixels that im2col read; what it read from the border is dropped.
template <class T>
void col2im(const ConvGeometry& conv, PackMatrix<T>& columns, Index block, Index g, Index first, Index last, Index out_width,
            Batch<T>& dx) {
  Index k = 0;
  for (Index c = 0; c < conv.in_per_group(); ++c) {
    for (Index u = 0; u < conv.kernel.height; ++u) {
      for (Index v = 0; v < conv.kernel.width; ++v, ++k) {
        const Pack<T>* column = columns.row(k);
        for (Index i = first; i < last; ++i, column += out_width) {
          const Index y = i * conv.stride.height + u * conv.dilation.height - conv.padding.height;
          if (y < 0 || y >= dx.height()) continue;
          Pack<T>* row = dx.row(block, g * conv.in_per_group() + c, y);
          for (Index j = 0; j < out_width; ++j) {
            const Index x = j * conv.stride.width + v * conv.dilation.width - conv.padding.width;
            if (x >= 0 && x < dx.width()) row[x] += column[j];
          }
        }
      }
    }
  }
}

/// Copies rows [first, last) of some channels of a block to a matrix of one row a channel.
template <class T>
void gather_rows(const Batch<T>& batch, Index block, Index first_channel, Index channels, Index first, Index last,
                 PackMatrix<T>& matrix) {
  for (Index c = 0; c < channels; ++c) {
    Pack<T>* target = matrix.row(c);
    for (Index i = first; i < last; ++i, target += batch.width()) {
      std::copy_n(batch.row(block, first_channel + c, i), batch.width(), target);
    }
  }
}

/// y = conv(x, weight) + bias. weight: O x C/G x KH x KW; bias: O values or null. x needs a border of the convolution's padding.
template <class T>
void conv_im2col_forward(const ConvGeometry& conv, const Batch<T>& x, const T* weight, const T* bias, Batch<T>& y) {
  const SingleThreadedEigen serial;
  const Index out = conv.out_per_group(), k = conv.in_per_group() * conv.taps();
  const Index at_once = std::min(rows_at_once<T>(conv, y.width()), y.height());
  const Index runs = (y.height() + at_once - 1) / at_once;
  parallel_for_2d(x.blocks(), runs, at_once * y.width() * conv.out_channels * k, [&](Index block, Index run) {
    const Index first = run * at_once, last = std::min(first + at_once, y.height()), pixels = (last - first) * y.width();
    PackMatrix<T> columns(k, pixels), product(out, pixels);
    for (Index g = 0; g < conv.groups; ++g) {
      im2col(conv, x, block, g, first, last, y.width(), columns);
      product.scalars(out, pixels).noalias() =
          dense_view(weight + g * out * k, out, k) * std::as_const(columns).scalars(k, pixels);
      for (Index o = 0; o < out; ++o) {
        const Pack<T> shift(bias == nullptr ? T(0) : bias[g * out + o]);
        const Pack<T>* source = product.row(o);
        for (Index i = first; i < last; ++i) {
          Pack<T>* row = y.row(block, g * out + o, i);
          for (Index j = 0; j < y.width(); ++j) row[j] = *source++ + shift;
        }
      }
    }
  });
}

/// dx = the gradient with respect to x.
template <class T>
void conv_im2col_input_gradient(const ConvGeometry& conv, const Batch<T>& dy, const T* weight, Batch<T>& dx) {
  const SingleThreadedEigen serial;
  const Index out = conv.out_per_group(), k = conv.in_per_group() * conv.taps();
  const Index at_once = std::min(rows_at_once<T>(conv, dy.width()), dy.height());
  RowMajor<T> transposed(conv.groups * k, out);  // the weights; a transposed operand would be another type
  for (Index g = 0; g < conv.groups; ++g) {
    transposed.middleRows(g * k, k) = dense_view(weight + g * out * k, out, k).transpose();
  }
  parallel_for(dy.blocks(), dy.plane() * conv.out_channels * k, [&](Index block) {
    for (Index c = 0; c < dx.channels(); ++c) {
      for (Index i = 0; i < dx.height(); ++i) std::fill_n(dx.row(block, c, i), dx.width(), Pack<T>(T(0)));
    }
    PackMatrix<T> columns(k, at_once * dy.width()), gradient(out, at_once * dy.width());
    for (Index g = 0; g < conv.groups; ++g) {
      for (Index first = 0; first < dy.height(); first += at_once) {
        const Index last = std::min(first + at_once, dy.height()), pixels = (last - first) * dy.width();
        gather_rows(dy, block, g * out, out, first, last, gradient);
        columns.scalars(k, pixels).noalias() =
            dense_view(std::as_const(transposed).data() + g * k * out, k, out) * std::as_const(gradient).scalars(out, pixels);
        col2im(conv, columns, block, g, first, last, dy.width(), dx);
      }
    }
  });
}

/// Adds the gradient with respect to the weight to dweight, from partial sums over fixed strips. x needs a border of the
/// convolution's padding; padding lanes are zero in dy.
template <class T>
void conv_im2col_weight_gradient(const ConvGeometry& conv, const Batch<T>& x, const Batch<T>& dy, T* dweight) {
  const SingleThreadedEigen serial;
  const Index out = conv.out_per_group(), k = conv.in_per_group() * conv.taps(), weights = conv.out_channels * k;
  const Index at_once = std::min(rows_at_once<T>(conv, dy.width()), dy.height());
  const std::vector<Strip> parts = strips(dy.blocks(), dy.height(), dy.width());
  std::vector<RowMajor<T>> partial(parts.size());
  const Index cost = weights * dy.plane() * dy.blocks() / std::max<Index>(1, static_cast<Index>(parts.size()));
  parallel_for(static_cast<Index>(parts.size()), cost, [&](Index part) {
    const Strip& strip = parts[static_cast<std::size_t>(part)];
    RowMajor<T>& sum = partial[static_cast<std::size_t>(part)];
    sum = RowMajor<T>::Zero(conv.out_channels, k);
    PackMatrix<T> columns(k, at_once * dy.width()), gradient(out, at_once * dy.width());
    for (Index block = strip.first_block; block < strip.last_block; ++block) {
      for (Index first = strip.first_row; first < strip.last_row; first += at_once) {
        const Index last = std::min(first + at_once, strip.last_row), pixels = (last - first) * dy.width();
        for (Index g = 0; g < conv.groups; ++g) {
          gather_rows(dy, block, g * out, out, first, last, gradient);
          im2col(conv, x, block, g, first, last, dy.width(), columns);
          dense_view(sum.data() + g * out * k, out, k).noalias() +=
              std::as_const(gradient).scalars(out, pixels) * std::as_const(columns).scalars(k, pixels).transpose();
        }
      }
    }
  });
  Eigen::Map<RowMajor<T>> total(dweight, conv.out_channels, k);
  for (const auto& sum : partial) total += sum;
}

}  // namespace normnet::inline NORMNET_ABI::kernels
