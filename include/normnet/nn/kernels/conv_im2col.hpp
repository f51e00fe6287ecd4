// Convolution as a matrix product: im2col and Eigen's GEMM.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/batch.hpp>
#include <normnet/core/eigen.hpp>
#include <normnet/nn/kernels/conv_geometry.hpp>
#include <normnet/nn/kernels/strips.hpp>

#include <algorithm>
#include <utility>

// In lane layout the columns of a block are rows of packs, and a matrix of K x (pixels * lanes) holds those of many pixels of all
// images of the block at once. A product then costs one GEMM per group and run of rows:
//
//     forward           Y  = W  * columns(X)        O/G x (pixels * lanes)
//     input gradient    columns(dX) = W^T * dY      then added back to the pixels that they came from
//     weight gradient   dW = dY * columns(X)^T      which also sums over the lanes
//
// Chellapilla et al., "High performance convolutional neural networks for document processing" (2006).
namespace normnet::normnet_impl::inline NORMNET_ABI {

/// A row-major matrix in memory that it does not own.
template <class T>
struct MatrixView {
  T* data;
  Index rows, columns;
  Index stride;  // from row to row
};

/// target += left * right, or left * right^T, by Eigen's blocked product on the calling thread. It is called where Eigen's own
/// BLAS calls it: `target.noalias() += left * right` would bring Eigen's products of vectors and of tiny matrices along, which
/// take a compiler longer than all the rest of this file, and its threads, whose number the rounding would depend on.
template <bool transpose_right, class T>
void add_product(const MatrixView<T>& target, const MatrixView<const T>& left, const MatrixView<const T>& right) {
  constexpr int row_major = Eigen::RowMajor, right_order = transpose_right ? Eigen::ColMajor : row_major, any = Eigen::Dynamic;
  Eigen::internal::gemm_blocking_space<row_major, T, T, any, any, any> blocking(target.rows, target.columns, left.columns, 1,
                                                                                true);
  Eigen::internal::general_matrix_matrix_product<Index, T, row_major, false, T, right_order, false, row_major, 1>::run(
      target.rows, target.columns, left.columns, left.data, left.stride, right.data, right.stride, target.data, 1, target.stride,
      T(1), blocking);
}

/// Rows of the output that are unrolled at once, so that their columns stay in the second-level cache.
template <class T>
Index rows_at_once(const ConvGeometry& conv, Index out_width) {
  constexpr Index cache_bytes = 512 * 1024;
  const Index row_bytes = conv.in_per_group() * conv.taps() * out_width * static_cast<Index>(sizeof(Pack<T>));
  return std::max<Index>(1, cache_bytes / std::max<Index>(1, row_bytes));
}

/// A matrix of packs, and of scalars: each pack is `lanes` scalars of a row.
template <class T>
class PackMatrix {
 public:
  PackMatrix(Index rows, Index packs) : packs_(packs), memory_(rows * packs, Pack<T>(T(0))) {}

  Pack<T>* row(Index i) { return memory_.data() + i * packs_; }

  /// The first `rows` rows and `packs` packs of each.
  MatrixView<T> scalars(Index rows, Index packs) {
    return {reinterpret_cast<T*>(memory_.data()), rows, packs * Pack<T>::lanes, packs_ * Pack<T>::lanes};
  }
  MatrixView<const T> scalars(Index rows, Index packs) const {
    return {reinterpret_cast<const T*>(memory_.data()), rows, packs * Pack<T>::lanes, packs_ * Pack<T>::lanes};
  }

 private:
  Index packs_;
  AlignedArray<Pack<T>> memory_;
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
  const Index out = conv.out_per_group(), k = conv.in_per_group() * conv.taps();
  const Index at_once = std::min(rows_at_once<T>(conv, y.width()), y.height());
  const Index runs = (y.height() + at_once - 1) / at_once;
  parallel_for_2d(x.blocks(), runs, at_once * y.width() * conv.out_channels * k, [&](Index block, Index run) {
    const Index first = run * at_once, last = std::min(first + at_once, y.height()), pixels = (last - first) * y.width();
    PackMatrix<T> columns(k, pixels), product(out, pixels);
    for (Index g = 0; g < conv.groups; ++g) {
      im2col(conv, x, block, g, first, last, y.width(), columns);
      for (Index o = 0; o < out; ++o) {
        std::fill_n(product.row(o), pixels, Pack<T>(bias == nullptr ? T(0) : bias[g * out + o]));
      }
      add_product<false, T>(product.scalars(out, pixels), {weight + g * out * k, out, k, k},
                            std::as_const(columns).scalars(k, pixels));
      for (Index o = 0; o < out; ++o) {
        for (Index i = first; i < last; ++i) {
          std::copy_n(product.row(o) + (i - first) * y.width(), y.width(), y.row(block, g * out + o, i));
        }
      }
    }
  });
}

/// dx = the gradient with respect to x.
template <class T>
void conv_im2col_input_gradient(const ConvGeometry& conv, const Batch<T>& dy, const T* weight, Batch<T>& dx) {
  const Index out = conv.out_per_group(), k = conv.in_per_group() * conv.taps();
  const Index at_once = std::min(rows_at_once<T>(conv, dy.width()), dy.height());
  // The weights of each group.
  auto transposed = AlignedArray<T>::for_overwrite(conv.out_channels * k);
  for (Index g = 0; g < conv.groups; ++g) {
    for (Index o = 0; o < out; ++o) {
      for (Index i = 0; i < k; ++i) transposed[(g * k + i) * out + o] = weight[(g * out + o) * k + i];
    }
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
        for (Index row = 0; row < k; ++row) std::fill_n(columns.row(row), pixels, Pack<T>(T(0)));
        add_product<false, T>(columns.scalars(k, pixels), {transposed.data() + g * k * out, k, out, out},
                              std::as_const(gradient).scalars(out, pixels));
        col2im(conv, columns, block, g, first, last, dy.width(), dx);
      }
    }
  });
}

/// Adds the gradient with respect to the weight to dweight, from partial sums over fixed strips. x needs a border of the
/// convolution's padding; padding lanes are zero in dy.
template <class T>
void conv_im2col_weight_gradient(const ConvGeometry& conv, const Batch<T>& x, const Batch<T>& dy, T* dweight) {
  const Index out = conv.out_per_group(), k = conv.in_per_group() * conv.taps(), weights = conv.out_channels * k;
  const Index at_once = std::min(rows_at_once<T>(conv, dy.width()), dy.height());
  constexpr Index most_pixels = 448;  // enough for the addition of the partial sums not to count
  const Strips parts(dy.blocks(), dy.height(), dy.width(), most_pixels);
  AlignedArray<T> partial(parts.count() * weights);
  const Index cost = weights * dy.plane() * dy.blocks() / std::max<Index>(1, parts.count());
  parallel_for(parts.count(), cost, [&](Index part) {
    const Strip strip = parts[part];
    PackMatrix<T> columns(k, at_once * dy.width()), gradient(out, at_once * dy.width());
    for (Index block = strip.first_block; block < strip.last_block; ++block) {
      for (Index first = strip.first_row; first < strip.last_row; first += at_once) {
        const Index last = std::min(first + at_once, strip.last_row), pixels = (last - first) * dy.width();
        for (Index g = 0; g < conv.groups; ++g) {
          gather_rows(dy, block, g * out, out, first, last, gradient);
          im2col(conv, x, block, g, first, last, dy.width(), columns);
          add_product<true, T>({partial.data() + part * weights + g * out * k, out, k, k},
                               std::as_const(gradient).scalars(out, pixels), std::as_const(columns).scalars(k, pixels));
        }
      }
    }
  });
  for (Index part = 0; part < parts.count(); ++part) {
    const T* const sum = partial.data() + part * weights;
    for (Index i = 0; i < weights; ++i) dweight[i] += sum[i];
  }
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
