// Trains one network of an experiment.
#pragma once

#include "data.hpp"
#include "memory.hpp"
#include "options.hpp"
#include "recipe.hpp"
#include "saved_training.hpp"

#include <normnet/normnet.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

namespace cifar10_norms {

/// A table of the network's layers. Throws UsageError when the normalization does not fit the network.
inline normnet::ModelSummary summarize(const Recipe& recipe, const Norm& norm) {
  try {
    auto net = recipe.network(norm, 0);
    return normnet::ModelSummary(net, {normnet::Cifar10::channels, normnet::Cifar10::height, normnet::Cifar10::width});
  } catch (const normnet::Error& error) {
    throw UsageError(normnet::concat("--norm ", norm.name, ": recipe ", recipe.name, ": ", error.what()));
  }
}

/// The layer that cannot be trained on a batch of one image: batch norm on maps of 1x1, where each channel has a single value
/// then. Nothing where a network has none.
inline std::optional<std::string> layer_for_two_images(const normnet::ModelSummary& network) {
  for (const normnet::ModelSummary::Row& row : network.rows()) {
    if (row.type == "BatchNorm2d" && row.output[1] * row.output[2] == 1) return row.name;
  }
  return std::nullopt;
}

/// Whether the last batch of an epoch has to be left out, for it would be a single image, which the network cannot be trained on;
/// PyTorch fails in its place. Throws UsageError when all batches would be such.
inline bool leaves_out_last_batch(const normnet::ModelSummary& network, Index train_images, Index batch_size) {
  const std::optional<std::string> layer = layer_for_two_images(network);
  if (!layer) return false;
  if (batch_size == 1 || train_images == 1) {
    throw UsageError(
        normnet::concat("batch norm \"", *layer, "\" has maps of 1x1: expected batches of at least 2 images, got 1"));
  }
  return train_images % batch_size == 1;
}

/// One training: a network, and how to train it.
struct Job {
  const Recipe& recipe;
  const Norm& norm;
  std::uint64_t seed = 0;
  Index epochs = 0;
  Index batch_size = 0;
  double learning_rate = 0;
  normnet::Augmentation augment = {};
  bool drop_last = false;  ///< leaves out a last batch that is not full
  normnet::ProgressBar::Options progress = {};
  /// Also called once for all the epochs that it finds done.
  std::function<void(const TrainingProgress&)> after_epoch = {};
  /// Called in the end with what the network says to each test image, if anybody asks.
  std::function<void(const normnet::EvaluationResult<float>&)> after_training = {};
  std::optional<CheckpointPlace> checkpoints = std::nullopt;
  const std::atomic<bool>* stop = nullptr;  ///< once true, the training ends after the batch, or the tests, that it is at

  bool stopped() const { return stop != nullptr && *stop; }
};

/// The training of a plan's network with a normalization and a seed.
inline Job job_of(const Plan& plan, const Norm& norm, std::uint64_t seed) {
  return {.recipe = *plan.recipe,
          .norm = norm,
          .seed = seed,
          .epochs = plan.epochs,
          .batch_size = plan.batch_size,
          .learning_rate = plan.learning_rate,
          .augment = plan.augment};
}

/// Trains the network, from where its checkpoints stopped if it shall. Returns false when it was stopped.
inline bool train(const Job& job, const Data& data) {
  using namespace normnet;
  const Training& training = job.recipe.training_of(job.norm);
  auto net = job.recipe.network(job.norm, job.seed);
  SGD<float> optimizer(net.parameters(),
                       {.lr = job.learning_rate, .momentum = job.recipe.momentum, .l1_penalty = training.l1_penalty});
  const Index images = data.images.train.size();
  const Index steps_per_epoch = job.drop_last ? images / job.batch_size : (images + job.batch_size - 1) / job.batch_size;
  const RunningSchedule schedule = start_schedule(training.schedule, optimizer, job.epochs * steps_per_epoch);
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  SavedTraining saved(job.checkpoints, {net, optimizer, schedule.scheduler.get()}, job.seed);
  const TrainingPosition begin = saved.position();
  TrainingProgress progress = saved.progress();
  if (saved.resumed() && job.progress.out != nullptr) {
    const bool ended = begin.epoch > job.epochs;
    *job.progress.out << job.progress.title << "  "
                      << (ended ? "is trained"
                                : concat("goes on in epoch ", begin.epoch, " after ", begin.done.batches, " batches"))
                      << std::endl;
  }
  if (!progress.epochs.empty()) job.after_epoch(progress);
  trainer.fit(data.images.train, data.images.test,
              {.epochs = job.epochs + 1 - begin.epoch,
               .first_epoch = begin.epoch,
               .first_epoch_done = begin.done,
               .batch_size = job.batch_size,
               .seed = job.seed,
               .drop_last = job.drop_last,
               .normalize = job.recipe.normalize,
               .augment = job.augment,
               .scheduler = schedule.scheduler.get(),
               .scheduler_interval = schedule.interval,
               .on_batch_end =
                   [&](const BatchReport&) {
                     if (saved.due()) saved.save(trainer.position(), progress);
                   },
               .on_epoch_end =
                   [&](const EpochRecord& epoch) {
                     progress.epochs.push_back(epoch);
                     progress.activation_bytes = net.activation_bytes();
                     progress.peak_mb = std::max(progress.peak_mb, peak_memory_mb());
                     job.after_epoch(progress);
                     saved.save(trainer.position(), progress);
                     return true;
                   },
               .stop = job.stop,
               .progress = job.progress});
  if (job.stopped()) {
    saved.save(trainer.position(), progress);
    return false;
  }
  saved.keep_last();
  if (job.after_training) job.after_training(trainer.evaluate(data.images.test, {.normalize = job.recipe.normalize}));
  return true;
}

/// How the program tells of a training's progress.
inline normnet::ProgressBar::Options progress_options(const Options& options, std::string title) {
  normnet::ProgressBar::Options progress;
  progress.title = std::move(title);
  if (!options.progress) progress.terminal = false;
  return progress;
}

}  // namespace cifar10_norms
