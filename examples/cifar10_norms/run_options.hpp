// What decides the bits of a run, so that one that goes on is the one that was begun.
#pragma once

#include "data.hpp"
#include "options.hpp"

#include <normnet/normnet.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace cifar10_norms {

/// Names and values, as {"--epochs", "20"}.
using RunOptions = std::vector<std::pair<std::string, std::string>>;

/// The images and labels in one number.
inline std::uint64_t checksum(const normnet::Dataset& data) {
  normnet::Fnv1a sum;
  for (Index i = 0; i < data.size(); ++i) {
    for (const std::uint8_t byte : data.image(i)) sum.add(byte);
    sum.add(static_cast<std::uint8_t>(data.label(i)));
  }
  return sum.value();
}

/// "bn,gn:5", of anything that has a text.
template <class Values, class ToText>
std::string with_commas_between(const Values& values, ToText to_text) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "" : ",") + to_text(value);
  return text;
}

/// All that is in a recipe besides the network and what the command line can change.
inline std::string training_text(const Recipe& recipe, const Norm& norm) {
  const Training& training = recipe.training_of(norm);
  const auto exact = [](double value) { return normnet::to_exact(value); };
  return normnet::concat("momentum ", exact(recipe.momentum), ", L1 penalty ", exact(training.l1_penalty), ", schedule ",
                         exactly(training.schedule), ", mean ", with_commas_between(recipe.normalize.mean, exact), ", std ",
                         with_commas_between(recipe.normalize.std, exact));
}

/// The options that decide the run's results, the images, and what its recipes are made of; not the threads, nor where the images
/// were found.
inline RunOptions run_options(const Options& options, const Data& data) {
  const auto decimal = [](auto value) { return std::to_string(value); };
  const bool study = options.command == Command::batch_size_study;
  RunOptions run{{"the command", study ? "batch-size-study" : "to train"}};
  run.emplace_back("--recipe", with_commas_between(options.plans, [](const Plan& plan) { return plan.recipe->name; }));
  run.emplace_back("--seed", with_commas_between(options.seeds, decimal));
  if (study) run.emplace_back("--batch-sizes", with_commas_between(options.batch_sizes, decimal));
  for (const Plan& plan : options.plans) {
    const std::string of = options.plans.size() > 1 ? " of " + plan.recipe->name : "";
    run.emplace_back("--norm" + of, with_commas_between(plan.norms, [](const Norm& norm) { return norm.name; }));
    run.emplace_back("--epochs" + of, decimal(plan.epochs));
    run.emplace_back("--batch-size" + of, decimal(plan.batch_size));
    run.emplace_back("--lr" + of, normnet::to_exact(plan.learning_rate));
    run.emplace_back("--flip" + of, normnet::to_exact(plan.augment.flip_probability));
    run.emplace_back("--crop-padding" + of, decimal(plan.augment.crop_padding));
  }
  run.emplace_back("--limit", options.limit ? decimal(*options.limit) : "all");
  const auto images = [](const normnet::Dataset& set) { return normnet::concat(set.size(), " (checksum ", checksum(set), ")"); };
  run.emplace_back("images:", normnet::concat(data.synthetic() ? "synthetic, " : "CIFAR-10, ", images(data.images.train),
                                              " to train and ", images(data.images.test), " to test"));
  for (const Plan& plan : options.plans) {
    for (const Norm& norm : plan.norms) {
      run.emplace_back(normnet::concat("recipe ", plan.recipe->name, " with ", norm.name, ":"),
                       training_text(*plan.recipe, norm));
    }
  }
  return run;
}

}  // namespace cifar10_norms
