// What the tests of this folder share: the files of make_vectors.py, and numbers that it makes, too.
#pragma once

#include "support/catch.hpp"

#include <normnet/core/tensor.hpp>

#include <nlohmann/json.hpp>

#include <cstdint>
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

/// The same numbers as those of shared.py, which says more.
class Integers {
 public:
  explicit Integers(std::uint32_t seed) : state_(seed) {}

  std::uint32_t next() {
    state_ = state_ * 1664525U + 1013904223U;
    return state_ >> 16;
  }

  std::vector<int> labels(Index count, std::uint32_t classes = 10) {
    std::vector<int> labels;
    for (Index i = 0; i < count; ++i) labels.push_back(static_cast<int>(next() % classes));
    return labels;
  }

  /// A tensor of multiples of 2^-15 from -1 to 1.
  template <class T>
  Tensor<T> fractions(const Shape& shape) {
    Tensor<T> tensor(shape);
    for (T& value : tensor.span()) value = static_cast<T>(next()) / T(1 << 15) - T(1);
    return tensor;
  }

 private:
  std::uint32_t state_;
};

}  // namespace normnet::test
