// What the tests of this folder share: the files of make_vectors.py.
#pragma once

#include "support/catch.hpp"

#include <normnet/core/tensor.hpp>

#include <nlohmann/json.hpp>

#include <fstream>
#include <span>
#include <string>
#include <vector>

namespace normnet::test {

/// The cases of vectors/NAME.json.
inline nlohmann::json vectors(const std::string& name) {
  const std::string path = NORMNET_TESTS_DIR "/parity/vectors/" + name + ".json";
  std::ifstream file(path);
  INFO("reading " << path);
  REQUIRE(file.good());
  const auto cases = nlohmann::json::parse(file);
  REQUIRE(!cases.empty());
  return cases;
}

inline Tensor<double> tensor(const nlohmann::json& json) {
  return Tensor<double>(Shape(json.at("shape").get<std::vector<Index>>()),
                        std::span<const double>(json.at("data").get<std::vector<double>>()));
}

}  // namespace normnet::test
