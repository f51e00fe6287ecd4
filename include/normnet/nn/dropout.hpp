// Dropout.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/nn/block_layer.hpp>
#include <normnet/nn/kernels/dropout.hpp>
#include <normnet/nn/kernels/plane_rows.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>

namespace normnet::inline NORMNET_ABI {

/// In training, sets each element to zero with probability p and scales the others, so that the expected value stays:
///
///     y = x / (1 - p) with probability 1 - p, else 0
///
/// In evaluation, y = x. Srivastava et al. (2014, https://jmlr.org/papers/v15/srivastava14a.html).
/// What is dropped depends on Mode::random, the number of the image in the batch and the element alone. p is rounded to a
/// multiple of 2^-16 for drawing, not for scaling.
///
/// Shapes: any to the same. Works in place. Throws Error when p is outside of [0, 1].
template <class T>
class Dropout final : public BlockLayer<T> {
 public:
  explicit Dropout(double p = 0.5) : p_(p) {
    if (!(p >= 0 && p <= 1)) fail("Dropout: expected p in [0, 1], got ", p);
  }

  double p() const { return p_; }

  std::string type() const override { return "Dropout"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new Dropout(p_)); }

  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"p", exact_text(p_)}};
  }
  Shape output_shape(const Shape& input) const override { return input; }
  Keeps keeps_for_backward() const override { return Keeps::nothing; }
  bool in_place() const override { return true; }
  std::size_t activation_bytes() const override { return keep_.span().size_bytes(); }

  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode& mode, BlockSchedule& schedule) override {
    dropping_ = mode.training && p_ > 0;
    if (dropping_) schedule_draw(x, mode.random, schedule);
    schedule_apply(x, y, schedule);
  }

  bool append_to(normnet_impl::Pointwise<T>&, const Mode& mode) override {
    if (mode.training && p_ > 0) return false;
    dropping_ = false;
    return true;
  }

  /// dx = dy / (1 - p) where the forward pass kept the element, else 0.
  void schedule_backward(const Batch<T>&, const Batch<T>&, const Batch<T>& dy, Batch<T>* dx, BlockSchedule& schedule) override {
    schedule_apply(dy, *dx, schedule);
  }

 private:
  // By channels where they are worth it, so that a block, or a channel, that was just computed goes on at once.
  void schedule_draw(const Batch<T>& x, const Random& random, BlockSchedule& schedule) {
    const Index channels = x.channels(), elements = channels * x.plane(), parts = x.plane() >= 16 ? channels : 1;
    keep_.reset(x.blocks() * elements);
    const auto threshold = static_cast<std::uint32_t>(std::lround(p_ * 65536));
    schedule.each_share(channels, parts, elements / std::max<Index>(1, parts) * 2,
                        [&, random, threshold, elements, parts](Index block, Index part) {
                          const Index first = part * elements / parts, last = (part + 1) * elements / parts;
                          normnet_impl::draw_keep_bits(random, static_cast<std::uint32_t>(block * Batch<T>::lanes), first, last,
                                                       threshold, keep_.data() + block * elements + first);
                        });
  }

  void schedule_apply(const Batch<T>& from, Batch<T>& to, BlockSchedule& schedule) const {
    if (!dropping_ && &from == &to) return;
    schedule.each_channel(from.channels(), from.plane(), [&](Index block, Index c) {
      if (!dropping_) return to.copy_channel_from(from, block, c);
      const Pack<T> scale(p_ < 1 ? static_cast<T>(1 / (1 - p_)) : T(0));
      const auto* keep = keep_.data() + (block * from.channels() + c) * from.plane();
      const auto [rows, width] = normnet_impl::plane_rows(from, to);
      for (Index row = 0; row < rows; ++row, keep += width) {
        const Pack<T>* in = from.row(block, c, row);
        Pack<T>* out = to.row(block, c, row);
        for (Index i = 0; i < width; ++i) out[i] = normnet_impl::keep_where(in[i] * scale, keep[i]);
      }
    });
  }

  double p_;
  bool dropping_ = false;
  AlignedArray<normnet_impl::KeepBits> keep_;  // of each block, channel and pixel
};

}  // namespace normnet::inline NORMNET_ABI
