// Functions of single values that a layer applies as it reads or writes them.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/nn/kernels/normalize.hpp>
#include <normnet/nn/kernels/relu.hpp>

#include <limits>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// What the layers behind another do to each value alone, so that it is done before the value leaves the registers: max(x, 0), then
/// a straight line for each channel, then max(x, 0), each if it was appended.
template <class T>
class Pointwise {
 public:
  bool empty() const { return !relu_ && lines_ == nullptr && !relu_of_line_; }

  /// Appends max(x, 0).
  void append_relu() { (lines_ == nullptr ? relu_ : relu_of_line_) = true; }

  /// Appends a line for each channel, which must outlive this; returns false, and changes nothing, when there is one already.
  bool append_lines(const NormalizingLine<T>* lines) {
    if (lines_ != nullptr) return false;
    lines_ = lines;
    return true;
  }

  /// The function of one channel.
  struct OfChannel {
    bool relu, relu_of_line;
    const NormalizingLine<T>* line;  // null if there is none

    NORMNET_INLINE Pack<T> operator()(Pack<T> x) const {
      if (relu) x = normnet_impl::relu(x);
      if (line != nullptr) x = (*line)(x);
      if (relu_of_line) x = normnet_impl::relu(x);
      return x;
    }

    /// Replaces each of these values: with one test for all of them, where there is no other work to hide it behind.
    template <int N>
    NORMNET_INLINE void apply(Pack<T> (&values)[N]) const {
      const auto replace_each = [&](auto f) {
#pragma GCC unroll 9
        for (Pack<T>& value : values) value = f(value);
      };
      const auto rectify = [](const Pack<T>& x) { return normnet_impl::relu(x); };
      if (relu) replace_each(rectify);
      if (line != nullptr) replace_each(*line);
      if (relu_of_line) replace_each(rectify);
    }

    /// y = f(line(x)) in a channel of a block, where f is this function. A line of its own: as one in memory, it might be what is
    /// written, and would be read again for every pixel.
    void apply_behind(NormalizingLine<T> first, const Batch<T>& x, Batch<T>& y, Index block, Index c) const {
      const auto [rows, width] = plane_rows(x, y);
      for (Index row = 0; row < rows; ++row) {
        const Pack<T>* const source = x.row(block, c, row);
        Pack<T>* const target = y.row(block, c, row);
        for (Index i = 0; i < width; ++i) target[i] = (*this)(first(source[i]));
      }
    }
  };

  NORMNET_INLINE OfChannel of_channel(Index channel) const {
    return {relu_, relu_of_line_, lines_ == nullptr ? nullptr : lines_ + channel};
  }

 private:
  bool relu_ = false, relu_of_line_ = false;
  const NormalizingLine<T>* lines_ = nullptr;
};

/// What a layer does to each value as it reads it, in place of a normalization before it, whose output nobody writes then: the
/// straight line of the value's channel, and then max(x, 0) if `relu`.
template <class T>
struct Prologue {
  const NormalizingLine<T>* lines = nullptr;  // of each channel, once steps run; null for none: values are read as they are
  bool relu = false;

  bool empty() const { return lines == nullptr; }

  /// That of the channels from `channel` on.
  Prologue from_channel(Index channel) const { return {empty() ? nullptr : lines + channel, relu}; }

  /// The least value that comes out.
  Pack<T> least() const { return Pack<T>(relu ? T(0) : -std::numeric_limits<T>::infinity()); }
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
