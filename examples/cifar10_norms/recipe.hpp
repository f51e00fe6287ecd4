// What a published experiment is made of.
#pragma once

#include "norms.hpp"

#include <normnet/normnet.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace cifar10_norms {

/// Accuracies in percent.
struct Accuracies {
  double train = 0;
  double test = 0;
};

/// A published experiment: its network, its preprocessing, its way of training and the figures that it reports.
struct Recipe {
  std::string name;
  std::string description;

  /// Builds the network with a normalization, its parameters drawn from the seed. Throws Error when the two do not fit.
  std::function<normnet::Sequential<float>(const Norm&, std::uint64_t seed)> network;

  normnet::Normalize normalize;
  normnet::Augmentation augment;

  Index epochs = 20;
  Index batch_size = 128;
  double learning_rate = 0.01;
  double momentum = 0.9;

  /// What its authors report, by the normalization's name.
  std::map<std::string, Accuracies> published;
};

}  // namespace cifar10_norms
