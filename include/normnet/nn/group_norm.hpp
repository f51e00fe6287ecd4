// Group normalization (Wu and He, 2018, https://arxiv.org/abs/1803.08494).
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/nn/kernels/normalize.hpp>
#include <normnet/nn/normalization_layer.hpp>

#include <memory>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// Normalizes every image over groups of channels:
///
///     y = weight[c] * (x - mean[g]) / sqrt(var[g] + eps) + bias[c]
///
/// Mean and biased variance run over the C/G channels and H x W pixels of group g in that image alone, so the result does not
/// depend on the batch. One group is layer norm over C x H x W; C groups are instance norm.
///
/// Shapes: N x C x H x W (or N x C) to the same. Parameters, if affine: weight [C] (ones), bias [C] (zeros).
/// Throws Error when groups do not divide the channels, or the input has other channels.
template <class T>
class GroupNorm final : public NormalizationLayer<T> {
 public:
  struct Options {
    Index groups = 0;
    Index channels = 0;
    double eps = 1e-5;
    bool affine = true;
  };

  explicit GroupNorm(const Options& options) : options_(options) {
    if (options.channels < 1) fail("GroupNorm: expected channels of at least 1, got ", options.channels);
    if (options.groups < 1 || options.channels % options.groups != 0) {
      fail("GroupNorm: expected groups that divide ", options.channels, " channels, got ", options.groups);
    }
    if (!(options.eps >= 0)) fail("GroupNorm: expected an eps of at least 0, got ", options.eps);
    weight_ = Parameter<T>(Shape{options.channels}, T(1));
    bias_ = Parameter<T>(Shape{options.channels});
  }
  GroupNorm(Index groups, Index channels) : GroupNorm(Options{.groups = groups, .channels = channels}) {}

  const Options& options() const { return options_; }
  Parameter<T>& weight() { return weight_; }
  Parameter<T>& bias() { return bias_; }

  std::string type() const override { return "GroupNorm"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::unique_ptr<Layer<T>>(new GroupNorm(options_)); }

  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"groups", exact_text(options_.groups)},
            {"channels", exact_text(options_.channels)},
            {"eps", exact_text(options_.eps)},
            {"affine", exact_text(options_.affine)}};
  }

  Shape output_shape(const Shape& input) const override {
    if (input.rank() != 4 && input.rank() != 2) fail(this->label(), ": expected an input N x C x H x W or N x C, got ", input);
    if (input[1] != options_.channels) {
      fail(this->label(), ": expected ", options_.channels, " input channels, got ", input[1], " (input ", input, ")");
    }
    return input;
  }

  void schedule_forward_then(const Batch<T>& x, Batch<T>& y, const Mode&, BlockSchedule& schedule,
                             normnet_impl::Pointwise<T> after) override {
    moments_.reset(x.blocks() * options_.groups);
    schedule.each_share(options_.channels, options_.groups, 3 * region(0, x).pixels(x.width()),
                        [&, after](Index block, Index group) {
                          const normnet_impl::Region channels = region(group, x);
                          moments_of(block, group) = normnet_impl::moments_per_image(x, block, channels, options_.eps);
                          for (Index c = channels.first_channel; c < channels.last_channel; ++c) {
                            after.of_channel(c).apply_behind(line_of(block, group, c), x, y, block, c);
                          }
                        });
  }

  /// With xhat = (x - mean) * rstd, g = weight * dy, and means over the group of one image:
  ///
  ///     dx      = rstd * (g - mean(g) - xhat * mean(g * xhat))
  ///     dweight = sum of dy * xhat,   dbias = sum of dy          over images and pixels
  ///
  /// Derivation: docs/derivations.md.
  void schedule_backward_rectified(const Batch<T>& x, const Batch<T>&, const Batch<T>& dy, Batch<T>* dx, BlockSchedule& schedule,
                                   normnet_impl::Rectified rectified) override {
    sums_.reset(x.blocks() * options_.channels);
    schedule.each_share(
        options_.channels, options_.groups, 4 * region(0, x).pixels(x.width()), [&, dx, rectified](Index block, Index group) {
          const normnet_impl::Region channels = region(group, x);
          const normnet_impl::Moments<T> moments = moments_of(block, group);
          const auto of_output = [&](Index c) {
            return normnet_impl::LineOutputGradient<T>{line_of(block, group, c), rectified.output};
          };
          normnet_impl::GradientSums<T> of_group;
          for (Index c = channels.first_channel; c < channels.last_channel; ++c) {
            const auto sums = normnet_impl::gradient_sums(x, dy, block, c, moments, of_output(c));
            const double weight = static_cast<double>(weight_.value.data()[c]);
            of_group.dy.add(sums.dy, weight);
            of_group.dy_xhat.add(sums.dy_xhat, weight);
            sums_of(block, c) = {sums.dy.total(x.images_in(block)), sums.dy_xhat.total(x.images_in(block))};
          }
          if (dx == nullptr) return;
          const double count = static_cast<double>(channels.pixels(x.width()));
          const Pack<T> mean_g = of_group.dy.mean(count), mean_g_xhat = of_group.dy_xhat.mean(count);
          for (Index c = channels.first_channel; c < channels.last_channel; ++c) {
            const normnet_impl::NormalizingGradient<T> line(moments, weight_.value.data()[c], mean_g, mean_g_xhat);
            line.apply(x, dy, *dx, block, c, of_output(c), rectified.input);
          }
        });
    if (!options_.affine) return;
    schedule.at_end([&] {
      for (Index c = 0; c < options_.channels; ++c) {
        Sums total;
        for (Index block = 0; block < x.blocks(); ++block) {
          total.dy += sums_of(block, c).dy;
          total.dy_xhat += sums_of(block, c).dy_xhat;
        }
        bias_.grad.data()[c] += static_cast<T>(total.dy);
        weight_.grad.data()[c] += static_cast<T>(total.dy_xhat);
      }
    });
  }

  bool centers_gradient() const override { return options_.groups == options_.channels; }

  std::vector<NamedParameter<T>> parameters() override {
    if (!options_.affine) return {};
    return {{"weight", &weight_}, {"bias", &bias_}};
  }

  void reset_parameters(const Random&) override {
    weight_.value.fill(T(1));
    bias_.value.fill(T(0));
  }

 private:
  // Sums over a channel of a block.
  struct Sums {
    double dy = 0, dy_xhat = 0;
  };

  normnet_impl::Region region(Index group, const Batch<T>& x) const {
    const Index size = options_.channels / options_.groups;
    return {group * size, (group + 1) * size, 0, x.height()};
  }
  normnet_impl::Moments<T>& moments_of(Index block, Index group) { return moments_[block * options_.groups + group]; }
  normnet_impl::NormalizingLine<T> line_of(Index block, Index group, Index c) {
    return {moments_of(block, group), weight_.value.data()[c], bias_.value.data()[c]};
  }
  Sums& sums_of(Index block, Index c) { return sums_[block * options_.channels + c]; }

  Options options_;
  Parameter<T> weight_, bias_;
  AlignedArray<normnet_impl::Moments<T>> moments_;  // of each block and group
  AlignedArray<Sums> sums_;                         // of each block and channel
};

}  // namespace normnet::inline NORMNET_ABI
