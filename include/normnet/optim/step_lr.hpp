// The learning rate falls by a factor at regular epochs.
#pragma once

#include <normnet/optim/scheduler.hpp>

#include <cmath>

namespace normnet::inline NORMNET_ABI {

/// lr = base_lr * gamma^floor(epoch / step_size), as torch.optim.lr_scheduler.StepLR.
template <class T>
class StepLR final : public Scheduler<T> {
 public:
  struct Options {
    Index step_size = 0;  ///< epochs at the same rate
    double gamma = 0.1;
  };

  /// Throws Error when step_size is below 1, or gamma is negative or not finite.
  StepLR(Optimizer<T>& optimizer, const Options& options) : Scheduler<T>(optimizer), options_(options) {
    if (options.step_size < 1) fail("StepLR: expected step_size of at least 1, got ", options.step_size);
    if (!(options.gamma >= 0) || std::isinf(options.gamma)) {
      fail("StepLR: expected a finite gamma of at least 0, got ", options.gamma);
    }
    this->start();
  }

  std::string type() const override { return "StepLR"; }
  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"step_size", exact_text(options_.step_size)}, {"gamma", exact_text(options_.gamma)}};
  }

  double lr_at(Index epoch) const override {
    const Index falls = epoch / options_.step_size;
    return this->base_lr() * std::pow(options_.gamma, static_cast<double>(falls));
  }

 private:
  Options options_;
};

}  // namespace normnet::inline NORMNET_ABI
