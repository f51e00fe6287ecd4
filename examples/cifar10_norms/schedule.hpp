// How the learning rate of a run changes.
#pragma once

#include <normnet/normnet.hpp>

#include <memory>
#include <string>
#include <variant>

namespace cifar10_norms {

using normnet::Index;

/// The learning rate that a run begins with stays.
struct Constant {};

/// The schedule of a recipe, with the library's own options. Of one cycle, the run's learning rate is the maximum and its number
/// of steps the length: both fill in what the options leave out.
using Schedule = std::variant<Constant, normnet::StepLR<float>::Options, normnet::OneCycleLR<float>::Options>;

/// In words, without the rate itself: "constant", "one cycle".
inline std::string describe(const Schedule& schedule) {
  if (const auto* step = std::get_if<normnet::StepLR<float>::Options>(&schedule)) {
    return normnet::concat("times ", step->gamma, " every ", step->step_size, " epochs");
  }
  return std::holds_alternative<Constant>(schedule) ? "constant" : "one cycle";
}

/// With all its options: for a comparison, rather than for people.
inline std::string exactly(const Schedule& schedule) {
  using normnet::concat, normnet::to_exact, normnet::OneCycleLR;
  if (const auto* step = std::get_if<normnet::StepLR<float>::Options>(&schedule)) {
    return concat("StepLR ", step->step_size, " ", to_exact(step->gamma));
  }
  if (const auto* cycle = std::get_if<OneCycleLR<float>::Options>(&schedule)) {
    return concat("OneCycleLR ", to_exact(cycle->pct_start), " ",
                  cycle->anneal_strategy == OneCycleLR<float>::Anneal::cos ? "cos" : "linear", " ", cycle->cycle_momentum, " ",
                  to_exact(cycle->base_momentum), " ", to_exact(cycle->max_momentum), " ", to_exact(cycle->div_factor), " ",
                  to_exact(cycle->final_div_factor), " ", cycle->three_phase);
  }
  return "constant";
}

/// A scheduler at work; null for a constant rate.
struct RunningSchedule {
  std::unique_ptr<normnet::Scheduler<float>> scheduler = nullptr;
  normnet::SchedulerInterval interval = normnet::SchedulerInterval::epoch;
};

/// Starts a schedule on an optimizer with the run's learning rate, for a run of so many steps of the optimizer.
inline RunningSchedule start_schedule(const Schedule& schedule, normnet::Optimizer<float>& optimizer, Index steps) {
  using normnet::OneCycleLR, normnet::SchedulerInterval, normnet::StepLR;
  if (const auto* step = std::get_if<StepLR<float>::Options>(&schedule)) {
    return {std::make_unique<StepLR<float>>(optimizer, *step), SchedulerInterval::epoch};
  }
  if (const auto* cycle = std::get_if<OneCycleLR<float>::Options>(&schedule)) {
    OneCycleLR<float>::Options options = *cycle;
    options.max_lr = optimizer.lr();
    options.total_steps = steps;
    return {std::make_unique<OneCycleLR<float>>(optimizer, options), SchedulerInterval::step};
  }
  return {};
}

}  // namespace cifar10_norms
