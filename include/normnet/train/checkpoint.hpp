// A training run in a file, from which it goes on with the same bits; weights alone, for others.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/named_options.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/core/tensor.hpp>
#include <normnet/io/safetensors.hpp>
#include <normnet/nn/sequential.hpp>
#include <normnet/optim/optimizer.hpp>
#include <normnet/optim/scheduler.hpp>
#include <normnet/train/checkpoint_fields.hpp>
#include <normnet/train/history.hpp>
#include <normnet/train/trainer.hpp>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>

namespace normnet::inline NORMNET_ABI {

/// The parts of a run whose state a checkpoint takes, and puts back.
template <class T>
struct TrainingState {
  Sequential<T>& net;
  Optimizer<T>& optimizer;
  Scheduler<T>* scheduler = nullptr;
};

/// What else a run needs to go on.
struct Checkpoint {
  TrainingPosition position{};  ///< Trainer::position()
  std::uint64_t seed = 0;       ///< of fit(): the order of the images and their augmentation
  History history{};            ///< the epochs that are finished
  /// Whatever else the run was told and must be told again, such as which images it trains on: a run with others is refused.
  NamedOptions options{};
};

}  // namespace normnet::inline NORMNET_ABI

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// The types and options of what a run is made of.
template <class T>
NamedOptions part_options(const TrainingState<T>& state) {
  NamedOptions all = named_part("model", state.net.type(), state.net.named_options());
  all.merge(named_part("optimizer", state.optimizer.type(), state.optimizer.named_options()));
  if (state.scheduler != nullptr) {
    all.merge(named_part("scheduler", state.scheduler->type(), state.scheduler->named_options()));
    all.emplace("scheduler.base_lr", exact_text(state.scheduler->base_lr()));
  }
  return all;
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI

namespace normnet::inline NORMNET_ABI {

/// The run as safetensors: the tensors model.NAME (parameters and buffers) and optimizer.NAME (its state) in the run's precision;
/// the rest in F64 tensors and in the metadata.
template <class T>
SafeTensors to_safetensors(const TrainingState<T>& state, const Checkpoint& checkpoint) {
  SafeTensors file;
  for (const auto& [name, parameter] : state.net.parameters()) file.add(normnet_impl::model_prefix + name, parameter->value);
  for (const auto& [name, buffer] : state.net.buffers()) file.add(normnet_impl::model_prefix + name, *buffer);
  for (const auto& [name, buffer] : state.optimizer.state()) file.add(normnet_impl::optimizer_prefix + name, *buffer);

  const PartialEpoch& done = checkpoint.position.done;
  const RunningMetrics::Counts& counts = done.metrics.counts();
  normnet_impl::CheckpointWriter fields(file);
  fields.integer("model.seed", state.net.seed());
  fields.integer("model.passes", state.net.passes());
  fields.real("optimizer.lr", state.optimizer.lr());
  fields.real("optimizer.momentum", state.optimizer.momentum());
  if (state.scheduler != nullptr) {
    fields.integer("scheduler.last_epoch", state.scheduler->last_epoch());
  }
  fields.integer("seed", checkpoint.seed);
  fields.integer("epoch", checkpoint.position.epoch);
  fields.integer("epoch.batches", done.batches);
  fields.integer("epoch.images", counts.images);
  fields.integer("epoch.right", counts.right);
  fields.real("epoch.loss_sum", counts.loss.sum);
  fields.real("epoch.loss_weight", counts.loss.weight);
  fields.real("epoch.learning_rate", done.learning_rate);
  fields.real("epoch.seconds", done.seconds);
  fields.history(checkpoint.history);
  fields.options(normnet_impl::part_prefix, normnet_impl::part_options(state));
  fields.options(normnet_impl::fit_prefix, done.options);
  fields.options(normnet_impl::option_prefix, checkpoint.options);
  return file;
}

/// The reverse: puts the tensors, the passes, the rate, the momentum and the scheduler's epoch back into objects that were made
/// as for the run's beginning, the optimizer with its initial rate, and returns the rest. All is checked before anything
/// changes. Throws Error when the file is no checkpoint, or is one of another run: one with another layer, optimizer, scheduler
/// or precision, with another option of one of them (see named_options()), with another seed, or with other `options`. The error
/// names the first that differs. A class of your own is told apart by what its type() and named_options() say. The options
/// of fit() return in position.done, where fit() compares them.
template <class T>
Checkpoint from_safetensors(const SafeTensors& file, const TrainingState<T>& state, const NamedOptions& options = {}) {
  constexpr auto most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max() / 2);  // epochs can be counted on
  const normnet_impl::CheckpointReader fields(file);
  normnet_impl::check_same_options("the option ", fields.options(normnet_impl::option_prefix), options);
  const bool scheduled = state.scheduler != nullptr;
  if (scheduled != fields.has_integer("scheduler.last_epoch")) {
    fail("expected a run ", scheduled ? "without" : "with", " a scheduler, got one ", scheduled ? "with" : "without");
  }
  normnet_impl::check_same_options("", fields.options(normnet_impl::part_prefix), normnet_impl::part_options(state));

  normnet_impl::TensorLoader<T> tensors(file);
  for (const auto& [name, parameter] : state.net.parameters())
    tensors.expect(normnet_impl::model_prefix + name, parameter->value);
  for (const auto& [name, buffer] : state.net.buffers()) tensors.expect(normnet_impl::model_prefix + name, *buffer);
  for (const auto& [name, buffer] : state.optimizer.state()) tensors.expect(normnet_impl::optimizer_prefix + name, *buffer);
  tensors.expect_no_other(normnet_impl::model_prefix);
  tensors.expect_no_other(normnet_impl::optimizer_prefix);

  const std::uint64_t seed = fields.integer("model.seed");
  if (seed != state.net.seed()) fail("expected a network of seed ", seed, ", got one of seed ", state.net.seed());
  const std::uint64_t passes = fields.integer("model.passes");
  const double lr = fields.real("optimizer.lr"), momentum = fields.real("optimizer.momentum");
  for (const double value : {lr, momentum}) {
    if (!(value >= 0) || std::isinf(value)) fail("expected a finite rate and momentum of at least 0, got ", value);
  }
  Index last_epoch = 0;
  if (scheduled) {
    last_epoch = static_cast<Index>(fields.integer("scheduler.last_epoch", 0, most));
    state.scheduler->lr_at(last_epoch);  // throws where it has no such epoch
  }

  Checkpoint checkpoint;
  checkpoint.seed = fields.integer("seed");
  checkpoint.position.epoch = static_cast<Index>(fields.integer("epoch", 1, most));
  PartialEpoch& done = checkpoint.position.done;
  done.batches = static_cast<Index>(fields.integer("epoch.batches", 0, most));
  const auto images = static_cast<Index>(fields.integer("epoch.images", 0, most));
  const auto right = static_cast<Index>(fields.integer("epoch.right", 0, static_cast<std::uint64_t>(images)));
  done.metrics = RunningMetrics(
      {.images = images, .right = right, .loss = {fields.real("epoch.loss_sum"), fields.real("epoch.loss_weight")}});
  done.learning_rate = fields.real("epoch.learning_rate");
  done.seconds = fields.real("epoch.seconds");
  done.options = fields.options(normnet_impl::fit_prefix);
  checkpoint.history = fields.history();
  checkpoint.options = options;

  const auto restore_momentum = [&] {
    if (momentum != state.optimizer.momentum()) state.optimizer.set_momentum(momentum);
  };
  restore_momentum();  // first, because it throws where the optimizer knows none
  if (scheduled) state.scheduler->set_last_epoch(last_epoch);
  restore_momentum();  // and again, should it have been changed by hand after the scheduler
  state.optimizer.set_lr(lr);
  state.net.set_passes(passes);
  tensors.load();
  return checkpoint;
}

/// Writes the run to a file that survives a power cut, whole or not at all, with a checksum. Throws Error when it cannot be
/// written.
template <class T>
void save_checkpoint(const std::filesystem::path& path, const TrainingState<T>& state, const Checkpoint& checkpoint) {
  SafeTensors file = to_safetensors(state, checkpoint);
  normnet_impl::seal(file);
  file.save(path, Durability::synced);
}

/// Reads what save_checkpoint() wrote; see from_safetensors(). Throws Error when the file cannot be read, is damaged or belongs
/// to another run; the run is then as it was.
template <class T>
Checkpoint load_checkpoint(const std::filesystem::path& path, const TrainingState<T>& state, const NamedOptions& options = {}) {
  SafeTensors file = SafeTensors::load(path);
  return normnet_impl::in_file(path, [&] {
    normnet_impl::check_seal(file);
    return from_safetensors(file, state, options);
  });
}

/// Writes the network's parameters and buffers alone, under their dotted names, for whoever reads safetensors. Throws Error when
/// the file cannot be written.
template <class T>
void save_weights(const std::filesystem::path& path, Sequential<T>& net) {
  SafeTensors file;
  for (const auto& [name, parameter] : net.parameters()) file.add(name, parameter->value);
  for (const auto& [name, buffer] : net.buffers()) file.add(name, *buffer);
  file.save(path, Durability::synced);
}

/// Reads the network's parameters and buffers from such a file, one that PyTorch wrote for the same network (whose counters
/// num_batches_tracked nobody needs here), or a checkpoint. Throws Error when the file cannot be read, or a tensor is missing, is
/// unknown, or has another shape or precision; the network is then as it was.
template <class T>
void load_weights(const std::filesystem::path& path, Sequential<T>& net) {
  const SafeTensors file = SafeTensors::load(path);
  normnet_impl::in_file(path, [&] {
    const std::string prefix = normnet_impl::is_checkpoint(file) ? normnet_impl::model_prefix : "";
    normnet_impl::TensorLoader<T> tensors(file);
    for (const auto& [name, parameter] : net.parameters()) tensors.expect(prefix + name, parameter->value);
    for (const auto& [name, buffer] : net.buffers()) tensors.expect(prefix + name, *buffer);
    tensors.expect_no_other(prefix);
    tensors.load();
  });
}

}  // namespace normnet::inline NORMNET_ABI
