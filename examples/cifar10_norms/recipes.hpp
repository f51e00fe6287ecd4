// All recipes, by name.
#pragma once

#include "era.hpp"
#include "recipe.hpp"

#include <string>
#include <vector>

namespace cifar10_norms {

inline const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> all{era()};
  return all;
}

/// "era, ...": for messages.
inline std::string recipe_names() {
  std::string names;
  for (const Recipe& recipe : recipes()) names += (names.empty() ? "" : ", ") + recipe.name;
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
