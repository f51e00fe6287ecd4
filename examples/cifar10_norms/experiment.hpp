// Runs an experiment: one training for each normalization and seed.
#pragma once

#include "options.hpp"
#include "recipe.hpp"

#include <normnet/normnet.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

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

/// What came out for one normalization.
struct NormResult {
  Norm norm;
  std::int64_t parameters = 0;
  std::int64_t multiply_adds = 0;                     ///< of one image's forward pass
  std::vector<normnet::History> runs = {};            ///< one for each seed
  std::vector<normnet::Misclassified> mistakes = {};  ///< the first ten of the first seed's network
};

/// The network of the options' recipe.
inline normnet::Sequential<float> make_network(const Options& options, const Norm& norm, std::uint64_t seed) {
  return options.recipe->network(norm, seed);
}

/// A table of the network's layers. Throws UsageError when the normalization does not fit the network.
inline normnet::ModelSummary summarize(const Options& options, const Norm& norm) {
  try {
    auto net = make_network(options, norm, 0);
    return normnet::ModelSummary(net, {normnet::Cifar10::channels, normnet::Cifar10::height, normnet::Cifar10::width});
  } catch (const normnet::Error& error) {
    throw UsageError("--norm " + norm.name + ": " + error.what());
  }
}

/// Trains one network and adds its history, epoch by epoch, to the result. Calls after_epoch() after every epoch.
inline void train(const Options& options, const Data& data, std::uint64_t seed, NormResult& result,
                  const std::function<void()>& after_epoch) {
  using namespace normnet;
  const Recipe& recipe = *options.recipe;
  const Training& training = recipe.training_of(result.norm);
  const bool first_seed = result.runs.empty();
  const std::string seed_text = std::to_string(seed);
  result.runs.push_back({.labels = {{"recipe", recipe.name}, {"norm", result.norm.name}, {"seed", seed_text}}});

  auto net = make_network(options, result.norm, seed);
  SGD<float> optimizer(net.parameters(),
                       {.lr = options.learning_rate, .momentum = recipe.momentum, .l1_penalty = training.l1_penalty});
  const Index steps_per_epoch = (data.images.train.size() + options.batch_size - 1) / options.batch_size;
  const RunningSchedule schedule = start_schedule(training.schedule, optimizer, options.epochs * steps_per_epoch);
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  ProgressBar::Options progress;
  progress.title = left_aligned(result.norm.name, 4) + (options.seeds.size() > 1 ? "  seed " + seed_text : "");
  if (!options.progress) progress.terminal = false;
  trainer.fit(data.images.train, data.images.test,
              {.epochs = options.epochs,
               .batch_size = options.batch_size,
               .seed = seed,
               .normalize = recipe.normalize,
               .augment = recipe.augment,
               .scheduler = schedule.scheduler.get(),
               .scheduler_interval = schedule.interval,
               .on_epoch_end =
                   [&](const EpochRecord& epoch) {
                     result.runs.back().epochs.push_back(epoch);
                     after_epoch();
                     return true;
                   },
               .progress = progress});
  if (!first_seed) return;
  const Dataset& test = data.images.test;
  result.mistakes = misclassified(test.labels(), trainer.evaluate(test, {.normalize = recipe.normalize}).predictions, 10);
}

}  // namespace cifar10_norms
