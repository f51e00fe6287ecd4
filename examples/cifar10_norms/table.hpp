// The tables that the program prints.
#pragma once

#include "experiment.hpp"
#include "recipes.hpp"
#include "results.hpp"

#include <normnet/normnet.hpp>

#include <optional>
#include <string>
#include <vector>

namespace cifar10_norms {

/// "80.47 / 72.66": training and test accuracy; a single one where the other is unknown.
inline std::string train_and_test(const std::optional<std::string>& train, const std::string& test) {
  return train ? *train + " / " + test : test;
}

inline std::string to_text(const Accuracies& published) {
  return train_and_test(published.train ? std::optional(normnet::to_fixed(*published.train, 2)) : std::nullopt,
                        normnet::to_fixed(published.test, 2));
}

/// One line for each normalization: what was reached in the end, and what was published beside what was reached at that epoch.
/// Accuracies on synthetic images are compared with nothing.
inline std::string result_table(const std::vector<ExperimentResult>& experiments, bool synthetic) {
  using normnet::EpochRecord, normnet::to_fixed;
  std::vector<std::vector<std::string>> rows{{"recipe", "norm", "parameters", "train %", "test %", "epoch", "published %",
                                              "here at that epoch", "s/epoch", "activations MB"}};
  for (const ExperimentResult& experiment : experiments) {
    for (const NormResult& result : experiment.norms) {
      std::string epoch = "-", published_then = "-", here_then = "-";
      const Accuracies* const published = experiment.plan.recipe->published_for(result.norm);
      if (published != nullptr && !synthetic) {
        epoch = std::to_string(published->epoch);
        published_then = to_text(*published);
        const auto train = at_epoch(result, published->epoch, &EpochRecord::train_accuracy);
        const auto test = at_epoch(result, published->epoch, &EpochRecord::test_accuracy);
        if (test) {
          here_then = train_and_test(published->train ? std::optional(train->to_string(2)) : std::nullopt, test->to_string(2));
        }
      }
      rows.push_back({experiment.plan.recipe->name, result.norm.name, normnet::with_commas(result.parameters),
                      at_end(result, &EpochRecord::train_accuracy).to_string(2),
                      at_end(result, &EpochRecord::test_accuracy).to_string(2), epoch, published_then, here_then,
                      to_fixed(over_epochs(result, &EpochRecord::train_seconds).mean, 1),
                      to_fixed(megabytes(result.activation_bytes), 1)});
    }
  }
  std::string text;
  for (const std::string& line : normnet::aligned_table(rows, 2)) text += line + "\n";
  return text;
}

/// All recipes: their normalizations, exact numbers of parameters, epochs and published figures, and what each is.
inline std::string recipe_table() {
  std::vector<std::vector<std::string>> rows{{"recipe", "norm", "parameters", "epochs", "published train / test %", "at epoch"}};
  std::vector<std::vector<std::string>> descriptions;
  for (const Recipe& recipe : recipes()) {
    for (const std::string& name : recipe.norms) {
      const Norm norm = *recipe.find_norm(name);
      const Accuracies* const published = recipe.published_for(norm);
      rows.push_back({recipe.name, name, normnet::with_commas(summarize(recipe, norm).parameters()),
                      std::to_string(recipe.epochs), published != nullptr ? to_text(*published) : "-",
                      published != nullptr ? std::to_string(published->epoch) : "-"});
    }
    descriptions.push_back({recipe.name, recipe.description});
  }
  std::string text;
  for (const std::string& line : normnet::aligned_table(rows, 2)) text += line + "\n";
  text += "\n";
  for (const auto& description : descriptions) text += normnet::left_aligned(description[0], 13) + description[1] + "\n";
  return text;
}

}  // namespace cifar10_norms
