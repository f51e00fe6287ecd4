// The images that the experiments train on.
#pragma once

#include "options.hpp"

#include <normnet/normnet.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

namespace cifar10_norms {

/// The images of an experiment, and where they come from.
struct Data {
  normnet::Cifar10 images;
  std::string source;

  bool synthetic() const { return images.train.synthetic(); }
};

/// Loads what the options ask for: a folder, or synthetic images; else the folder in the environment variable NORMNET_DATA, else
/// data/cifar-10-batches-bin. Throws Error when there is none, or it cannot be read.
inline Data load_data(const Options& options) {
  using namespace normnet;
  if (options.synthetic) {
    SyntheticOptions sizes;
    if (options.limit) sizes = {.train = std::min(sizes.train, *options.limit), .test = std::min(sizes.test, *options.limit)};
    return {synthetic_cifar10(sizes), "synthetic textures"};
  }
  std::filesystem::path folder = "data/cifar-10-batches-bin";
  const char* const variable = std::getenv("NORMNET_DATA");
  if (options.data) {
    folder = *options.data;
  } else if (variable != nullptr && *variable != '\0') {
    folder = variable;
  } else if (!std::filesystem::exists(folder)) {
    fail("no CIFAR-10 here: get it with scripts/download_cifar10.sh, name its folder with --data, or try --synthetic");
  }
  Cifar10 images = Cifar10::load(folder);
  if (options.limit) {
    images = {.train = images.train.first(std::min(images.train.size(), *options.limit)),
              .test = images.test.first(std::min(images.test.size(), *options.limit))};
  }
  return {std::move(images), "CIFAR-10 from \"" + folder.string() + "\""};
}

}  // namespace cifar10_norms
