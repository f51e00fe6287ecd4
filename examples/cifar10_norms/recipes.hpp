// All recipes, by name.
#pragma once

#include "dw.hpp"
#include "era.hpp"
#include "eva6.hpp"
#include "onecycle.hpp"
#include "recipe.hpp"
#include "tsai8.hpp"

#include <string>
#include <vector>

namespace cifar10_norms {

inline const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> all{era(), tsai8(), tsai8_head(), eva6(), dw(), onecycle()};
  return all;
}

/// "era, ...": for messages.
inline std::string recipe_names() {
  std::string names;
  for (const Recipe& recipe : recipes()) names += (names.empty() ? "" : ", ") + recipe.name;
  return names;
}

/// The usual normalizations, and those of single recipes: for help.
inline std::string all_norm_names() {
  std::string names = usual_norm_names;
  for (const Recipe& recipe : recipes()) {
    for (const Norm& norm : recipe.own_norms) names += "; " + norm.name + " of " + recipe.name;
  }
  return names;
}

/// The recipe of that name; nullptr for an unknown one.
inline const Recipe* find_recipe(const std::string& name) {
  for (const Recipe& recipe : recipes()) {
    if (recipe.name == name) return &recipe;
  }
  return nullptr;
}

}  // namespace cifar10_norms
