// Functions of single values that a layer applies as it writes them.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/nn/kernels/normalize.hpp>

#include <cstddef>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI::kernels {

/// What the layers behind a convolution do to each value alone, so that the convolution does it before the value leaves the
/// registers: max(x, 0), then a straight line for each channel, then max(x, 0), each if it was appended.
template <class T>
class Pointwise {
 public:
  bool empty() const { return !relu_ && lines_.empty() && !relu_of_line_; }

  /// Appends max(x, 0).
  void append_relu() { (lines_.empty() ? relu_ : relu_of_line_) = true; }

  /// Appends a line for each channel; returns false, and changes nothing, when there is one already.
  bool append_lines(std::vector<NormalizingLine<T>> lines) {
    if (!lines_.empty()) return false;
    lines_ = std::move(lines);
    return true;
  }

  /// The function of one channel.
  struct OfChannel {
    bool relu, has_line, relu_of_line;
    NormalizingLine<T> line;

    NORMNET_INLINE Pack<T> operator()(Pack<T> x) const {
      const Pack<T> zero(T(0));
      if (relu) x = max(zero, x);
      if (has_line) x = line(x);
      if (relu_of_line) x = max(zero, x);
      return x;
    }
  };

  NORMNET_INLINE OfChannel of_channel(Index channel) const {
    const bool has_line = !lines_.empty();
    return {relu_, has_line, relu_of_line_, has_line ? lines_[static_cast<std::size_t>(channel)] : NormalizingLine<T>()};
  }

 private:
  bool relu_ = false, relu_of_line_ = false;
  std::vector<NormalizingLine<T>> lines_;
};

}  // namespace normnet::inline NORMNET_ABI::kernels
