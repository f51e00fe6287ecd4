// The learning rate falls along half a cosine.
#pragma once

#include <normnet/optim/scheduler.hpp>

#include <cmath>
#include <numbers>

namespace normnet::inline NORMNET_ABI {

/// lr = eta_min + (base_lr - eta_min) * (1 + cos(pi * epoch / t_max)) / 2, as torch.optim.lr_scheduler.CosineAnnealingLR: without
/// restarts, so after t_max epochs the rate rises again. Loshchilov and Hutter, 2017, https://arxiv.org/abs/1608.03983.
template <class T>
class CosineAnnealingLR final : public Scheduler<T> {
 public:
  struct Options {
    Index t_max = 0;  ///< epochs from base_lr to eta_min
    double eta_min = 0;
  };

  /// Throws Error when t_max is below 1, or eta_min is negative or not finite.
  CosineAnnealingLR(Optimizer<T>& optimizer, const Options& options) : Scheduler<T>(optimizer), options_(options) {
    if (options.t_max < 1) fail("CosineAnnealingLR: expected t_max of at least 1, got ", options.t_max);
    if (!(options.eta_min >= 0) || std::isinf(options.eta_min)) {
      fail("CosineAnnealingLR: expected a finite eta_min of at least 0, got ", options.eta_min);
    }
    this->start();
  }

  std::string type() const override { return "CosineAnnealingLR"; }
  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"t_max", exact_text(options_.t_max)}, {"eta_min", exact_text(options_.eta_min)}};
  }

  double lr_at(Index epoch) const override {
    const double angle = std::numbers::pi * static_cast<double>(epoch) / static_cast<double>(options_.t_max);
    return options_.eta_min + (this->base_lr() - options_.eta_min) * (1 + std::cos(angle)) / 2;
  }

 private:
  Options options_;
};

}  // namespace normnet::inline NORMNET_ABI
