// Layer normalization (Ba, Kiros and Hinton, 2016, https://arxiv.org/abs/1607.06450).
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/nn/kernels/normalize.hpp>
#include <normnet/nn/normalization_layer.hpp>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// Normalizes every image over its trailing extents:
///
///     y = weight * (x - mean) / sqrt(var + eps) + bias
///
/// Mean and biased variance run over the last extents of the input, which normalized_shape names: {C, H, W} for whole images,
/// {H, W} for each channel, {W} for each row, {F} for features. weight and bias have that shape, one value for each position.
///
/// Shapes: N x C x H x W or N x F to the same. Parameters, if elementwise_affine: weight (ones) and bias (zeros).
/// Throws Error when normalized_shape is no trailing part of the input's shape.
template <class T>
class LayerNorm final : public NormalizationLayer<T> {
 public:
  struct Options {
    Shape normalized_shape;
    double eps = 1e-5;
    bool elementwise_affine = true;
  };

  explicit LayerNorm(Options options) : options_(std::move(options)) {
    const Shape& shape = options_.normalized_shape;
    if (shape.rank() < 1 || shape.rank() > 3 || shape.elements() < 1) {
      fail("LayerNorm: expected a normalized_shape of one to three extents above 0, got ", shape);
    }
    if (!(options_.eps >= 0)) fail("LayerNorm: expected an eps of at least 0, got ", options_.eps);
    if (options_.elementwise_affine) {
      weight_ = Parameter<T>(shape, T(1));
      bias_ = Parameter<T>(shape);
    }
  }
  explicit LayerNorm(Shape normalized_shape) : LayerNorm(Options{.normalized_shape = std::move(normalized_shape)}) {}
  explicit LayerNorm(Index features) : LayerNorm(Shape{features}) {}

  const Options& options() const { return options_; }
  /// Of shape {0} without elementwise_affine, and likewise bias().
  Parameter<T>& weight() { return weight_; }
  Parameter<T>& bias() { return bias_; }

  std::string type() const override { return "LayerNorm"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new LayerNorm(options_)); }

  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"normalized_shape", exact_text(options_.normalized_shape)},
            {"eps", exact_text(options_.eps)},
            {"elementwise_affine", exact_text(options_.elementwise_affine)}};
  }

  Shape output_shape(const Shape& input) const override {
    const Shape& normalized = options_.normalized_shape;
    bool matches = (input.rank() == 2 || input.rank() == 4) && normalized.rank() < input.rank();
    for (Index i = 1; matches && i <= normalized.rank(); ++i) matches = normalized[-i] == input[-i];
    if (!matches) fail(this->label(), ": expected an input that ends in ", normalized, ", got ", input);
    return input;
  }

  void schedule_forward_then(const Batch<T>& x, Batch<T>& y, const Mode&, BlockSchedule& schedule,
                             normnet_impl::Pointwise<T> pointwise) override {
    moments_.reset(x.blocks() * regions_in(x));
    const Index cost = 3 * region(0, x).pixels(x.width());
    schedule.each_share(x.channels(), regions_in(x), cost, [&, pointwise = std::move(pointwise)](Index block, Index r) {
      const normnet_impl::Region rows = region(r, x);
      const auto moments = moments_of(x, block, r) = normnet_impl::moments_per_image(x, block, rows, options_.eps);
      rows.for_each_row([&](Index c, Index row) {
        const Pack<T>* source = x.row(block, c, row);
        Pack<T>* target = y.row(block, c, row);
        const auto after = pointwise.of_channel(c);
        if (!options_.elementwise_affine) {
          for (Index i = 0; i < x.width(); ++i) target[i] = after(moments.normalized(source[i]));
          return;
        }
        const Index first = affine_offset(x, rows, c, row);
        const T* weight = weight_.value.data() + first;
        const T* bias = bias_.value.data() + first;
        for (Index i = 0; i < x.width(); ++i) {
          target[i] = after(moments.normalized(source[i]) * Pack<T>(weight[i]) + Pack<T>(bias[i]));
        }
      });
    });
  }

  /// With xhat = (x - mean) * rstd, g = weight * dy, and means over the normalized extents of one image:
  ///
  ///     dx      = rstd * (g - mean(g) - xhat * mean(g * xhat))
  ///     dweight = sum of dy * xhat,   dbias = sum of dy          over everything but the normalized extents
  ///
  /// Derivation: docs/derivations.md.
  normnet_impl::Rectified takes_rectified() const override { return {.input = true}; }

  void schedule_backward_rectified(const Batch<T>& x, const Batch<T>&, const Batch<T>& dy, Batch<T>* dx, BlockSchedule& schedule,
                                   normnet_impl::Rectified rectified) override {
    if (options_.elementwise_affine) schedule_parameter_gradients(x, dy, schedule);
    if (dx == nullptr) return;
    const Index cost = 6 * region(0, x).pixels(x.width());
    schedule.each_share(x.channels(), regions_in(x), cost, [&, dx, rectified](Index block, Index r) {
      const normnet_impl::Region rows = region(r, x);
      const normnet_impl::Moments<T> moments = moments_of(x, block, r);
      const auto gradient_of_row = [&](Index c, Index row) {
        const T* weight = options_.elementwise_affine ? weight_.value.data() + affine_offset(x, rows, c, row) : nullptr;
        return [weight, gradient = dy.row(block, c, row)](Index i) {
          return weight == nullptr ? gradient[i] : gradient[i] * Pack<T>(weight[i]);
        };
      };
      normnet_impl::PixelSums<T, 2> sums;
      rows.for_each_row([&](Index c, Index row) {
        const Pack<T>* source = x.row(block, c, row);
        const auto g = gradient_of_row(c, row);
        sums.add_row(x.width(), [&](Index i, auto& sum) {
          const Pack<T> of_pixel = g(i);
          sum[0] += of_pixel;
          sum[1] += of_pixel * moments.normalized(source[i]);
        });
      });
      const auto totals = sums.totals();
      const double count = static_cast<double>(rows.pixels(x.width()));
      const Pack<T> mean_g = totals[0].mean(count), mean_g_xhat = totals[1].mean(count);
      rows.for_each_row([&](Index c, Index row) {
        const Pack<T>* source = x.row(block, c, row);
        Pack<T>* target = dx->row(block, c, row);
        const auto g = gradient_of_row(c, row);
        for (Index i = 0; i < x.width(); ++i) {
          const Pack<T> result = moments.rstd * ((g(i) - mean_g) - moments.normalized(source[i]) * mean_g_xhat);
          target[i] = rectified.input ? normnet_impl::relu_gradient(source[i], result) : result;
        }
      });
    });
  }

  std::vector<NamedParameter<T>> parameters() override {
    if (!options_.elementwise_affine) return {};
    return {{"weight", &weight_}, {"bias", &bias_}};
  }

  void reset_parameters(const Random&) override {
    weight_.value.fill(T(1));
    bias_.value.fill(T(0));
  }

 private:
  // Sums over the images and regions of a block.
  struct Sums {
    T dy, dy_xhat;
  };

  // Features are channels of one pixel, so a normalized shape of one extent spans all channels there, and one row of an image.
  bool spans_channels(const Batch<T>& x) const { return x.shape().rank() == 2 || options_.normalized_shape.rank() == 3; }
  bool spans_rows(const Batch<T>& x) const { return x.shape().rank() == 2 || options_.normalized_shape.rank() >= 2; }

  Index regions_in(const Batch<T>& x) const { return (spans_channels(x) ? 1 : x.channels()) * (spans_rows(x) ? 1 : x.height()); }

  normnet_impl::Region region(Index r, const Batch<T>& x) const {
    if (spans_channels(x)) return {0, x.channels(), 0, x.height()};
    if (spans_rows(x)) return {r, r + 1, 0, x.height()};
    return {r / x.height(), r / x.height() + 1, r % x.height(), r % x.height() + 1};
  }

  // Where the weights of a row of the region begin.
  Index affine_offset(const Batch<T>& x, const normnet_impl::Region& rows, Index c, Index row) const {
    return ((c - rows.first_channel) * (rows.last_row - rows.first_row) + row - rows.first_row) * x.width();
  }

  static constexpr Index few_regions = 64;  // that are summed in T alone

  // Each block has its own sum for each weight, over its regions and then its lanes; those of many regions, and of the blocks,
  // are added in double, in their order.
  void schedule_parameter_gradients(const Batch<T>& x, const Batch<T>& dy, BlockSchedule& schedule) {
    const normnet_impl::Region first = region(0, x);
    const Index channels = first.last_channel - first.first_channel;
    sums_.reset(x.blocks() * weight_.value.size());
    schedule.each_share(x.channels(), channels, 4 * x.channels() / channels * x.plane(), [&](Index block, Index c) {
      const Index regions = regions_in(x), rows = region(0, x).last_row - region(0, x).first_row;
      Sums* sums = sums_.data() + block * weight_.value.size() + c * rows * x.width();
      if (regions > few_regions) return sum_many_regions(x, dy, block, c, sums);
      for (Index row = 0; row < rows; ++row) {
        for (Index i = 0; i < x.width(); ++i, ++sums) {
          Pack<T> of_dy(T(0)), of_dy_xhat(T(0));
          for (Index r = 0; r < regions; ++r) {
            const normnet_impl::Region of_r = region(r, x);
            const Pack<T> gradient = dy.row(block, of_r.first_channel + c, of_r.first_row + row)[i];
            of_dy += gradient;
            of_dy_xhat +=
                gradient * moments_of(x, block, r).normalized(x.row(block, of_r.first_channel + c, of_r.first_row + row)[i]);
          }
          *sums = {sum(of_dy), sum(of_dy_xhat)};
        }
      }
    });
    schedule.at_end([&] {
      parallel_for(weight_.value.size(), 2 * x.blocks(), [&](Index i) {
        double dweight = 0, dbias = 0;
        for (Index block = 0; block < x.blocks(); ++block) {
          const Sums& of_block = sums_[block * weight_.value.size() + i];
          dweight += static_cast<double>(of_block.dy_xhat);
          dbias += static_cast<double>(of_block.dy);
        }
        bias_.grad.data()[i] += static_cast<T>(dbias);
        weight_.grad.data()[i] += static_cast<T>(dweight);
      });
    });
  }

  // The sums of channel c of the regions in a block, in double over runs of a few regions.
  void sum_many_regions(const Batch<T>& x, const Batch<T>& dy, Index block, Index c, Sums* sums) {
    const Index regions = regions_in(x), rows = region(0, x).last_row - region(0, x).first_row;
    for (Index row = 0; row < rows; ++row) {
      for (Index i = 0; i < x.width(); ++i, ++sums) {
        normnet_impl::LaneSum<T> of_dy, of_dy_xhat;
        for (Index begin = 0; begin < regions; begin += few_regions) {
          Pack<T> dy_run(T(0)), dy_xhat_run(T(0));
          for (Index r = begin; r < std::min(begin + few_regions, regions); ++r) {
            const normnet_impl::Region of_r = region(r, x);
            const Index channel = of_r.first_channel + c, of_row = of_r.first_row + row;
            const Pack<T> gradient = dy.row(block, channel, of_row)[i];
            dy_run += gradient;
            dy_xhat_run += gradient * moments_of(x, block, r).normalized(x.row(block, channel, of_row)[i]);
          }
          of_dy.add(dy_run);
          of_dy_xhat.add(dy_xhat_run);
        }
        *sums = {static_cast<T>(of_dy.total(Pack<T>::lanes)), static_cast<T>(of_dy_xhat.total(Pack<T>::lanes))};
      }
    }
  }

  normnet_impl::Moments<T>& moments_of(const Batch<T>& x, Index block, Index r) { return moments_[block * regions_in(x) + r]; }

  Options options_;
  Parameter<T> weight_, bias_;
  AlignedArray<normnet_impl::Moments<T>> moments_;  // of each block and region
  AlignedArray<Sums> sums_;                         // of each block and weight
};

}  // namespace normnet::inline NORMNET_ABI
