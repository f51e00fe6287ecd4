// The recipe "eva6".
#pragma once

#include "era.hpp"
#include "recipe.hpp"

namespace cifar10_norms {

/// Group norm, layer norm, and batch norm with an L1 penalty ("bn+l1"). Its authors give neither their network nor their
/// preprocessing, so both are era's; nor final accuracies: they find that with the penalty the loss falls fast and the accuracy
/// ends lower.
inline Recipe eva6() {
  const normnet::StepLR<float>::Options steps{.step_size = 6, .gamma = 0.1};
  return {
      .name = "eva6",
      .description = "the network of era, learning rate in steps, batch norm with an L1 penalty",
      .network = era_network,
      .norms = {"gn", "ln", "bn+l1"},
      .own_norms = {{.kind = Norm::Kind::batch, .name = "bn+l1"}},
      .normalize = {.mean = {0.5}, .std = {0.5}},
      .augment = {},
      .training = {.schedule = steps},
      .training_of_norm = {{"ln", {.schedule = Constant{}}}, {"bn+l1", {.schedule = steps, .l1_penalty = 0.001}}},
  };
}

}  // namespace cifar10_norms
