// What a published experiment is made of.
#pragma once

#include "norms.hpp"
#include "schedule.hpp"

#include <normnet/normnet.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cifar10_norms {

/// Accuracies in percent, as published.
struct Accuracies {
  std::optional<double> train = std::nullopt;
  double test = 0;
  Index epoch = 0;  ///< the one that they are from, counted from 1
};

/// What may differ between the normalizations of a recipe.
struct Training {
  Schedule schedule = Constant{};
  double l1_penalty = 0;
};

/// A published experiment: its network, its preprocessing, its way of training and the figures that it reports.
struct Recipe {
  std::string name;
  std::string description;

  /// Builds the network with a normalization, its parameters drawn from the seed. Throws Error when the two do not fit.
  std::function<normnet::Sequential<float>(const Norm&, std::uint64_t seed)> network;

  /// The names of the normalizations that it compares.
  std::vector<std::string> norms{"bn", "gn", "ln"};
  /// Those among them that no other recipe knows.
  std::vector<Norm> own_norms{};

  normnet::Normalize normalize;
  normnet::Augmentation augment;

  Index epochs = 20;
  Index batch_size = 128;
  double learning_rate = 0.01;
  double momentum = 0.9;
  Training training{};
  /// Of the normalizations that are trained otherwise, by name.
  std::map<std::string, Training> training_of_norm{};

  /// What its authors report, by the normalization's name.
  std::map<std::string, Accuracies> published{};

  const Training& training_of(const Norm& norm) const {
    const auto found = training_of_norm.find(norm.name);
    return found == training_of_norm.end() ? training : found->second;
  }

  /// What its authors report for a normalization; nullptr for nothing.
  const Accuracies* published_for(const Norm& norm) const {
    const auto found = published.find(norm.name);
    return found == published.end() ? nullptr : &found->second;
  }

  /// The normalization of that name, its own or a usual one; nothing for an unknown name.
  std::optional<Norm> find_norm(const std::string& norm_name) const {
    for (const Norm& norm : own_norms) {
      if (norm.name == norm_name) return norm;
    }
    return parse_norm(norm_name);
  }

  /// The names that find_norm() knows: for messages.
  std::string norm_names() const {
    std::string names;
    for (const Norm& norm : own_norms) names += norm.name + ", ";
    return names + usual_norm_names;
  }
};

}  // namespace cifar10_norms
