// One cycle of the learning rate: a warm-up to a high rate, then a long way down.
#pragma once

#include <normnet/optim/scheduler.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// The 1cycle policy (Smith and Topin, 2018, https://arxiv.org/abs/1708.07120), as torch.optim.lr_scheduler.OneCycleLR. Its
/// epochs are the optimizer's steps: step() after every batch. Over total_steps = T steps, with initial = max_lr / div_factor,
///
///     steps 0 to pct_start * T - 1:   lr from initial to max_lr,                     momentum from max_momentum to base_momentum
///     then to T - 1:                  lr from max_lr to initial / final_div_factor,  momentum from base_momentum to max_momentum
///
/// or with three_phase
///
///     steps 0 to pct_start * T - 1:   lr from initial to max_lr,                     momentum from max_momentum to base_momentum
///     then to 2 * pct_start * T - 2:  lr from max_lr to initial,                     momentum from base_momentum to max_momentum
///     then to T - 1:                  lr from initial to initial / final_div_factor, momentum at max_momentum
///
/// along half a cosine or a straight line. The optimizer's own rate, and its momentum with cycle_momentum, are overwritten. The
/// step() after the last batch is allowed and leaves the last rate (PyTorch goes on beyond it there); one more throws Error, as
/// PyTorch does.
template <class T>
class OneCycleLR final : public Scheduler<T> {
 public:
  enum class Anneal { cos, linear };

  struct Options {
    double max_lr = 0;
    Index total_steps = 0;   ///< epochs times batches
    double pct_start = 0.3;  ///< the share of the steps in which the rate rises
    Anneal anneal_strategy = Anneal::cos;
    bool cycle_momentum = true;
    double base_momentum = 0.85;
    double max_momentum = 0.95;
    double div_factor = 25;
    double final_div_factor = 1e4;
    bool three_phase = false;
  };

  /// Throws Error when max_lr, div_factor or final_div_factor is not above 0, total_steps is below 1, pct_start is outside
  /// [0, 1], or cycle_momentum is on and the optimizer knows no momentum.
  OneCycleLR(Optimizer<T>& optimizer, const Options& options) : Scheduler<T>(optimizer), options_(options) {
    check_positive("max_lr", options.max_lr);
    check_positive("div_factor", options.div_factor);
    check_positive("final_div_factor", options.final_div_factor);
    if (options.total_steps < 1) fail("OneCycleLR: expected total_steps of at least 1, got ", options.total_steps);
    if (!(options.pct_start >= 0 && options.pct_start <= 1)) {
      fail("OneCycleLR: expected pct_start in [0, 1], got ", options.pct_start);
    }

    const double steps = static_cast<double>(options.total_steps), rising = options.pct_start * steps;
    const double initial_lr = options.max_lr / options.div_factor, last_lr = initial_lr / options.final_div_factor;
    const double low = options.base_momentum, high = options.max_momentum;
    phases_.push_back({rising - 1, {initial_lr, options.max_lr}, {high, low}});
    if (options.three_phase) {
      phases_.push_back({2 * rising - 2, {options.max_lr, initial_lr}, {low, high}});
      phases_.push_back({steps - 1, {initial_lr, last_lr}, {high, high}});
    } else {
      phases_.push_back({steps - 1, {options.max_lr, last_lr}, {low, high}});
    }
    this->start();
  }

  std::string type() const override { return "OneCycleLR"; }
  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"max_lr", exact_text(options_.max_lr)},
            {"total_steps", exact_text(options_.total_steps)},
            {"pct_start", exact_text(options_.pct_start)},
            {"anneal_strategy", options_.anneal_strategy == Anneal::cos ? "cos" : "linear"},
            {"cycle_momentum", exact_text(options_.cycle_momentum)},
            {"base_momentum", exact_text(options_.base_momentum)},
            {"max_momentum", exact_text(options_.max_momentum)},
            {"div_factor", exact_text(options_.div_factor)},
            {"final_div_factor", exact_text(options_.final_div_factor)},
            {"three_phase", exact_text(options_.three_phase)}};
  }

  Index last_possible_epoch() const override { return options_.total_steps; }

  /// Throws Error beyond total_steps, and so does momentum_at().
  double lr_at(Index step) const override {
    const auto [phase, progress] = find(step);
    return anneal(phase->lr, progress);
  }

  double momentum_at(Index step) const {
    const auto [phase, progress] = find(step);
    return anneal(phase->momentum, progress);
  }

 protected:
  void apply(Index step) override {
    Scheduler<T>::apply(step);
    if (options_.cycle_momentum) this->optimizer().set_momentum(momentum_at(step));
  }

 private:
  struct Range {
    double first, last;
  };
  struct Phase {
    double last_step;  // need not be whole
    Range lr, momentum;
  };
  struct Position {
    const Phase* phase;
    double progress;  // in the phase, from 0 to 1
  };

  static void check_positive(const char* option, double value) {
    if (!(value > 0) || std::isinf(value)) fail("OneCycleLR: expected a finite ", option, " above 0, got ", value);
  }

  Position find(Index step) const {
    if (step > options_.total_steps) fail("OneCycleLR: expected at most ", options_.total_steps, " steps, got step ", step);
    const double position = static_cast<double>(step);
    double first_step = 0;
    const Phase* phase = &phases_.front();
    while (position > phase->last_step && phase != &phases_.back()) first_step = (phase++)->last_step;
    const double length = phase->last_step - first_step;
    return {phase, length > 0 ? std::min(1.0, (position - first_step) / length) : 1.0};
  }

  double anneal(const Range& range, double progress) const {
    if (options_.anneal_strategy == Anneal::linear) return range.first + (range.last - range.first) * progress;
    return range.last + (range.first - range.last) / 2 * (1 + std::cos(std::numbers::pi * progress));
  }

  Options options_;
  std::vector<Phase> phases_;
};

}  // namespace normnet::inline NORMNET_ABI
