// All recipes, by name.
#pragma once

#include "dw.hpp"
#include "era.hpp"
#include "eva6.hpp"
#include "onecycle.hpp"
#include "recipe.hpp"
#include "tsai8.hpp"

#include <map>
#include <string>
#include <vector>

namespace cifar10_norms {

inline const std::vector<Recipe>& recipes() {
  static const std::vector<Recipe> all{era(), tsai8(), tsai8_head(), eva6(), dw(), dw_residual(), onecycle()};
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
  std::map<std::string, std::string> recipes_of;
  for (const Recipe& recipe : recipes()) {
    for (const Norm& norm : recipe.own_norms) {
      std::string& names = recipes_of[norm.name];
      names += (names.empty() ? "" : " and ") + recipe.name;
    }
  }
  std::string text = usual_norm_names;
  for (const auto& [norm, names] : recipes_of) text += "; " + norm + " of " + names;
  return text;
}

/// The recipe of that name; nullptr for an unknown one.
inline const Recipe* find_recipe(const std::string& name) {
  for (const Recipe& recipe : recipes()) {
    if (recipe.name == name) return &recipe;
  }
  return nullptr;
}

}  // namespace cifar10_norms
