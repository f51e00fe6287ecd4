// Max pooling.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/nn/block_layer.hpp>
#include <normnet/nn/kernels/lane_bits.hpp>
#include <normnet/nn/kernels/pool_geometry.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

namespace normnet::inline NORMNET_ABI {

/// The greatest value in a window of each channel:
///
///     y[n, c, i, j] = max over u < KH, v < KW of x[n, c, i S + u D - P, j S + v D - P]
///
/// with kernel K, stride S (the kernel's size by default), padding P, which never wins, and dilation D. What is not a number
/// wins.
///
/// Shapes: N x C x H x W to N x C x H' x W', H' = floor((H + 2P - D (KH - 1) - 1) / S) + 1, rounded up with ceil_mode, and W'
/// likewise.
/// Throws Error on sizes that make no sense, on padding of more than half the kernel, on an input smaller than the kernel, and
/// where a window would cover nothing but padding.
template <class T>
class MaxPool2d final : public BlockLayer<T> {
 public:
  struct Options {
    Pair kernel_size = 0;
    Pair stride = kernel_size;
    Pair padding = 0;
    Pair dilation = 1;
    bool ceil_mode = false;
  };

  explicit MaxPool2d(const Options& options)
      : options_(options),
        geometry_{.kernel = options.kernel_size,
                  .stride = options.stride,
                  .padding = options.padding,
                  .dilation = options.dilation,
                  .ceil_mode = options.ceil_mode} {
    geometry_.check(type());
  }
  explicit MaxPool2d(Pair kernel_size) : MaxPool2d(Options{.kernel_size = kernel_size}) {}

  const Options& options() const { return options_; }

  std::string type() const override { return "MaxPool2d"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new MaxPool2d(options_)); }

  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"kernel_size", exact_text(options_.kernel_size)},
            {"stride", exact_text(options_.stride)},
            {"padding", exact_text(options_.padding)},
            {"dilation", exact_text(options_.dilation)},
            {"ceil_mode", exact_text(options_.ceil_mode)}};
  }
  Shape output_shape(const Shape& input) const override { return geometry_.output_shape(input, this->label()); }
  Keeps keeps_for_backward() const override { return by_two() ? Keeps::nothing : Keeps::both; }
  std::size_t activation_bytes() const override { return places_.span().size_bytes(); }

  bool takes_prologue(const Shape&) const override { return by_two(); }

  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode& mode, BlockSchedule& schedule) override {
    if (by_two()) return schedule_forward_by_two(x, y, mode, schedule);
    auto work = [&, rows = geometry_.row_windows(x.height()), columns = geometry_.column_windows(x.width())](Index block,
                                                                                                             Index c) {
      for (Index i = 0; i < y.height(); ++i) {
        const PoolWindow& row = rows[i];
        const Pack<T>* in = x.row(block, c, row.first);
        Pack<T>* out = y.row(block, c, i);
        for (Index j = 0; j < y.width(); ++j) out[j] = greatest(in, row, columns[j], x.row_stride());
      }
    };
    schedule.each_channel(x.channels(), x.plane(), std::move(work));
  }

  /// dx is the sum of dy over the windows in which the pixel is the first, row by row, to hold the greatest value: PyTorch's
  /// choice. It is found again by comparing x with y; windows of 2x2 side by side, the common case, keep it as two bits.
  void schedule_backward(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy, Batch<T>* dx,
                         BlockSchedule& schedule) override {
    if (by_two()) {
      schedule.each_channel(x.channels(), x.plane(), [&, dx](Index block, Index c) { backward_by_two(dy, *dx, block, c); });
      return;
    }
    auto work = [&, dx, rows = geometry_.row_windows(x.height()), columns = geometry_.column_windows(x.width())](Index block,
                                                                                                                 Index c) {
      for (Index p = 0; p < dx->height(); ++p) std::fill_n(dx->row(block, c, p), dx->width(), Pack<T>(T(0)));
      for (Index i = 0; i < y.height(); ++i) {
        const PoolWindow& row = rows[i];
        const Pack<T>*value = y.row(block, c, i), *gradient = dy.row(block, c, i);
        for (Index j = 0; j < y.width(); ++j) {
          const PoolWindow& column = columns[j];
          Pack<T> left = gradient[j];
          for (Index u = 0; u < row.taps; ++u) {
            const Index p = row.first + u * geometry_.dilation.height;
            const Pack<T>* in = x.row(block, c, p) + column.first;
            Pack<T>* out = dx->row(block, c, p) + column.first;
            for (Index v = 0; v < column.taps * geometry_.dilation.width; v += geometry_.dilation.width) {
              out[v] += take_where_equal(in[v], value[j], left);
            }
          }
        }
      }
    };
    schedule.each_channel(x.channels(), 2 * x.plane(), std::move(work));
  }

 private:
  // Where a window of 2x2 has its greatest value, in each lane: in the lower row, in the right column.
  struct Place {
    normnet_impl::LaneBits below, right;
  };

  // Windows of 2x2 side by side, all of them whole.
  bool by_two() const {
    return geometry_.kernel == Pair(2) && geometry_.stride == Pair(2) && geometry_.padding == Pair(0) &&
           geometry_.dilation == Pair(1) && !geometry_.ceil_mode;
  }

  void schedule_forward_by_two(const Batch<T>& x, Batch<T>& y, const Mode& mode, BlockSchedule& schedule) {
    if (mode.gradient) places_.reset(y.blocks() * y.channels() * y.plane());
    schedule.each_channel(x.channels(), x.plane(), [&, keeps = mode.gradient](Index block, Index c) {
      const bool through = !this->prologue().empty();
      const normnet_impl::NormalizingLine<T> line = through ? this->prologue().lines[c] : normnet_impl::NormalizingLine<T>();
      const Pack<T> least = this->prologue().least();
      for (Index i = 0; i < y.height(); ++i) {
        const Pack<T>*in = x.row(block, c, 2 * i), *in_below = in + x.row_stride();
        Pack<T>* const out = y.row(block, c, i);
        Place* const place = keeps ? places_.data() + first_window(y, block, c, i) : nullptr;
        for (Index j = 0; j < y.width(); ++j) {
          Pack<T> window[4] = {in[2 * j], in[2 * j + 1], in_below[2 * j], in_below[2 * j + 1]};
          if (through) {
#pragma GCC unroll 4
            for (Pack<T>& value : window) value = max(least, line(value));
          }
          const Pack<T> top = greater(window[0], window[1]), bottom = greater(window[2], window[3]);
          out[j] = greater(top, bottom);
          if (place == nullptr) continue;
          const unsigned below = other_is_greater(top, out[j]), right_of_top = other_is_greater(window[0], top),
                         right_of_bottom = other_is_greater(window[2], bottom);
          place[j] = {static_cast<normnet_impl::LaneBits>(below),
                      static_cast<normnet_impl::LaneBits>((below & right_of_bottom) | (~below & right_of_top))};
        }
      }
    });
  }

  void backward_by_two(const Batch<T>& dy, Batch<T>& dx, Index block, Index c) const {
    const Pack<T> zero(T(0));
    for (Index i = 0; i < dy.height(); ++i) {
      const Pack<T>* const gradient = dy.row(block, c, i);
      const Place* const place = places_.data() + first_window(dy, block, c, i);
      Pack<T>*out = dx.row(block, c, 2 * i), *out_below = out + dx.row_stride();
      for (Index j = 0; j < dy.width(); ++j) {
        const unsigned below = place[j].below, right = place[j].right;
        const auto where = [&](unsigned bits) {
          return normnet_impl::keep_where(gradient[j], static_cast<normnet_impl::LaneBits>(bits));
        };
        out[2 * j] = where(~below & ~right);
        out[2 * j + 1] = where(~below & right);
        out_below[2 * j] = where(below & ~right);
        out_below[2 * j + 1] = where(below & right);
      }
      for (Index q = 2 * dy.width(); q < dx.width(); ++q) out[q] = out_below[q] = zero;
    }
    for (Index p = 2 * dy.height(); p < dx.height(); ++p) std::fill_n(dx.row(block, c, p), dx.width(), zero);
  }

  // The first window of a row of the output, among all of a batch.
  static Index first_window(const Batch<T>& y, Index block, Index c, Index row) {
    return ((block * y.channels() + c) * y.height() + row) * y.width();
  }

  // The lanes in which greater(first, other) is the other.
  NORMNET_INLINE static unsigned other_is_greater(const Pack<T>& first, const Pack<T>& result) {
    return normnet_impl::lanes_where_equal(first, first) & ~unsigned{normnet_impl::lanes_where_equal(first, result)};
  }

  NORMNET_INLINE Pack<T> greatest(const Pack<T>* in, const PoolWindow& row, const PoolWindow& column, Index row_stride) const {
    Pack<T> best = in[column.first];
    for (Index u = 0; u < row.taps; ++u) {
      const Pack<T>* from = in + u * geometry_.dilation.height * row_stride + column.first;
      for (Index v = 0; v < column.taps; ++v) best = greater(best, from[v * geometry_.dilation.width]);
    }
    return best;
  }

  // The greater of each lane, or the one that is not a number.
  NORMNET_INLINE static Pack<T> greater(const Pack<T>& a, const Pack<T>& b) { return select_equal(a, a, max(a, b), a); }

  // The lanes of `left` where the value is the greatest of its window; those are gone from `left` afterwards. What is not a number
  // is the greatest if that is none either, which is so in every window that has such a value.
  NORMNET_INLINE static Pack<T> take_where_equal(const Pack<T>& value, const Pack<T>& greatest, Pack<T>& left) {
    const Pack<T> zero(T(0));
    const Pack<T> taken = select_equal(value, value, select_equal(value, greatest, left, zero), left);
    left = select_equal(value, value, select_equal(value, greatest, zero, left), zero);
    return taken;
  }

  Options options_;
  PoolGeometry geometry_;
  AlignedArray<Place> places_;  // of each window, by_two() alone
};

}  // namespace normnet::inline NORMNET_ABI
