// The learning rate falls by a factor at given epochs.
#pragma once

#include <normnet/optim/scheduler.hpp>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// lr = base_lr * gamma^(the number of milestones <= epoch), as torch.optim.lr_scheduler.MultiStepLR. A milestone given twice
/// counts twice.
template <class T>
class MultiStepLR final : public Scheduler<T> {
 public:
  struct Options {
    std::vector<Index> milestones = {};  ///< in any order
    double gamma = 0.1;
  };

  /// Throws Error when a milestone is negative, or gamma is negative or not finite.
  MultiStepLR(Optimizer<T>& optimizer, Options options) : Scheduler<T>(optimizer), options_(std::move(options)) {
    for (const Index milestone : options_.milestones) {
      if (milestone < 0) fail("MultiStepLR: expected milestones of at least 0, got ", milestone);
    }
    if (!(options_.gamma >= 0) || std::isinf(options_.gamma)) {
      fail("MultiStepLR: expected a finite gamma of at least 0, got ", options_.gamma);
    }
    this->start();
  }

  std::string type() const override { return "MultiStepLR"; }
  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"milestones", exact_text(options_.milestones)}, {"gamma", exact_text(options_.gamma)}};
  }

  double lr_at(Index epoch) const override {
    const auto& milestones = options_.milestones;
    const auto passed = std::count_if(milestones.begin(), milestones.end(), [&](Index milestone) { return milestone <= epoch; });
    return this->base_lr() * std::pow(options_.gamma, static_cast<double>(passed));
  }

 private:
  Options options_;
};

}  // namespace normnet::inline NORMNET_ABI
