// The algorithms of convolution by name, and a network set to one of them.
#pragma once

#include <normnet/normnet.hpp>

#include <map>
#include <string>

namespace benchmarks {

/// The values of an option --algorithm.
inline const std::map<std::string, normnet::ConvAlgorithm> conv_algorithms{
    {"automatic", normnet::ConvAlgorithm::automatic},
    {"direct", normnet::ConvAlgorithm::direct},
    {"im2col", normnet::ConvAlgorithm::im2col},
    {"winograd", normnet::ConvAlgorithm::winograd},
};

/// Sets every convolution of a network, those in its Sequentials and Residuals too.
inline void set_algorithm(normnet::Sequential<float>& net, normnet::ConvAlgorithm algorithm) {
  for (normnet::Index i = 0; i < net.size(); ++i) {
    if (auto* conv = dynamic_cast<normnet::Conv2d<float>*>(&net[i])) conv->set_algorithm(algorithm);
    if (auto* chain = dynamic_cast<normnet::Sequential<float>*>(&net[i])) set_algorithm(*chain, algorithm);
    if (auto* residual = dynamic_cast<normnet::Residual<float>*>(&net[i])) {
      set_algorithm(residual->body(), algorithm);
      if (residual->projection() != nullptr) set_algorithm(*residual->projection(), algorithm);
    }
  }
}

}  // namespace benchmarks
