// The checkpoints of one training.
#pragma once

#include <normnet/normnet.hpp>
#include <normnet/train/checkpoint_folder.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace cifar10_norms {

using normnet::Index;

/// What a training has shown so far.
struct TrainingProgress {
  std::vector<normnet::EpochRecord> epochs = {};
  std::size_t activation_bytes = 0;  ///< all feature maps and their gradients, in training and testing
  double peak_mb = 0;                ///< of the whole program's memory
};

/// Where a training has its checkpoints.
struct CheckpointPlace {
  std::filesystem::path folder;
  Index keep = 0;       ///< at least 1
  bool resume = false;  ///< goes on from the last one, if there is any
  /// Checkpoints of a run with others are refused.
  std::map<std::string, std::string> options = {};
};

/// A training that can go on where it stopped; without a place it cannot, and nothing is written.
class SavedTraining {
 public:
  /// Puts the state, which is made as for the beginning, back to the last checkpoint, if there is one to go on from; tells on
  /// standard error of those that are damaged. Throws Error when it belongs to another run, or another program is at it.
  SavedTraining(const std::optional<CheckpointPlace>& place, const normnet::TrainingState<float>& state, std::uint64_t seed)
      : place_(place), state_(state), checkpoint_{.seed = seed} {
    if (!place) return;
    checkpoint_.options = place->options;
    if (place->resume) {
      checkpoint_ = normnet::load_newest_checkpoint(place->folder, state, place->options, &std::cerr).value_or(checkpoint_);
    }
    folder_.emplace(place->folder, normnet::CheckpointFolder::Options{.keep = place->keep});
  }

  /// Where the training begins, or goes on.
  const normnet::TrainingPosition& position() const { return checkpoint_.position; }

  /// Whether some of it is done already.
  bool resumed() const { return position().epoch > 1 || position().done.batches > 0; }

  /// What it had shown by then.
  TrainingProgress progress() const {
    TrainingProgress progress{.epochs = checkpoint_.history.epochs};
    for (const auto& [name, value] : checkpoint_.history.labels) {
      if (name == activations_label) progress.activation_bytes = nlohmann::json::parse(value).get<std::size_t>();
      if (name == peak_label) progress.peak_mb = nlohmann::json::parse(value).get<double>();  // in every locale
    }
    return progress;
  }

  /// Whether the last checkpoint is a minute old: long epochs need some within.
  bool due() const { return folder_ && since_last_.seconds() > 60; }

  /// Writes a checkpoint. Throws Error when it cannot be written.
  void save(const normnet::TrainingPosition& position, const TrainingProgress& progress) {
    if (!folder_) return;
    checkpoint_.position = position;
    checkpoint_.history = {.labels = {{activations_label, std::to_string(progress.activation_bytes)},
                                      {peak_label, normnet::to_exact(progress.peak_mb)}},
                           .epochs = progress.epochs};
    folder_->save(state_, checkpoint_);
    since_last_ = normnet::Stopwatch();
  }

  /// The training has ended: only the last checkpoint is needed any more.
  void keep_last() {
    if (!folder_) return;
    folder_.emplace(place_->folder, normnet::CheckpointFolder::Options{.keep = 1});
    folder_->save(state_, checkpoint_);
  }

 private:
  static constexpr const char* activations_label = "activation_bytes";
  static constexpr const char* peak_label = "peak_mb";

  std::optional<CheckpointPlace> place_;
  normnet::TrainingState<float> state_;
  normnet::Checkpoint checkpoint_;
  std::optional<normnet::CheckpointFolder> folder_;
  normnet::Stopwatch since_last_;
};

}  // namespace cifar10_norms
