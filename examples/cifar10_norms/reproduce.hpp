// Reproduces published experiments: trains each recipe with each of its normalizations and each seed.
#pragma once

#include "data.hpp"
#include "experiment.hpp"
#include "memory.hpp"
#include "options.hpp"
#include "report.hpp"
#include "results.hpp"
#include "run_checkpoints.hpp"
#include "table.hpp"

#include <normnet/normnet.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

namespace cifar10_norms {

/// Trains a normalization with all seeds and adds the result, epoch by epoch, to the last experiment. Returns false when it was
/// stopped.
inline bool train_norm(const Options& options, const Data& data, const Norm& norm, const normnet::ModelSummary& network,
                       const Report& report, const RunCheckpoints& checkpoints, const std::atomic<bool>* stop, Results& results) {
  using namespace normnet;
  ExperimentResult& experiment = results.experiments.back();
  const Plan& plan = experiment.plan;
  const Dataset& test = data.images.test;
  NormResult& result = experiment.norms.emplace_back(
      NormResult{.norm = norm, .parameters = network.parameters(), .multiply_adds = network.multiply_adds()});
  std::size_t name_width = 4;
  for (const Norm& other : plan.norms) name_width = std::max(name_width, other.name.size());

  reset_peak_memory();
  for (const std::uint64_t seed : options.seeds) {
    const std::string seed_text = std::to_string(seed);
    Job job = job_of(plan, norm, seed);
    job.drop_last = leaves_out_last_batch(network, data.images.train.size(), plan.batch_size);
    job.progress =
        progress_options(options, left_aligned(norm.name, name_width) + (options.seeds.size() > 1 ? "  seed " + seed_text : ""));
    job.after_epoch = [&](const TrainingProgress& progress) {
      if (result.runs.empty() || result.runs.back().seed != seed) {
        result.runs.push_back(
            {.seed = seed, .history = {.labels = {{"recipe", plan.recipe->name}, {"norm", norm.name}, {"seed", seed_text}}}});
      }
      result.runs.back().history.epochs = progress.epochs;
      result.activation_bytes = progress.activation_bytes;
      result.peak_mb = std::max(result.peak_mb, progress.peak_mb);
      report.after_epoch(results);
    };
    const bool first_seed = result.runs.empty();
    if (first_seed) {
      job.after_training = [&](const EvaluationResult<float>& tested) {
        result.confusion.emplace(tested.outputs.shape()[1]);
        result.confusion->add(test.labels(), tested.predictions);
        result.mistakes = misclassified(test.labels(), tested.predictions, 10);
      };
    }
    job.checkpoints = checkpoints.of(*plan.recipe, norm.file_name() + "-seed" + seed_text);
    job.stop = stop;
    if (!train(job, data)) return false;
    report.after_training(results);
    if (first_seed) report.after_first_seed(results);
  }
  return true;
}

/// Runs all plans of the options, or goes on with them. Prints the progress, and tables of what came out. Ends early when `stop`
/// becomes true: results.interrupted says so.
inline void reproduce(const Options& options, const Data& data, const std::atomic<bool>* stop, Results& results) {
  using normnet::ModelSummary;
  std::vector<std::vector<ModelSummary>> networks;  // before anything is trained, for what does not fit is an error
  for (const Plan& plan : options.plans) {
    std::vector<ModelSummary>& of_plan = networks.emplace_back();
    for (const Norm& norm : plan.norms) {
      of_plan.push_back(summarize(*plan.recipe, norm));
      leaves_out_last_batch(of_plan.back(), data.images.train.size(), plan.batch_size);
    }
  }

  RunCheckpoints checkpoints(options, data);
  const Report report(options, data);
  checkpoints.begin();
  report.watch(results, [&] {
    report.begin(results);
    for (std::size_t i = 0; i < options.plans.size(); ++i) {
      const Plan& plan = options.plans[i];
      std::cout << "Recipe \"" << plan.recipe->name << "\": " << plan.recipe->description << "\n";
      if (options.plans.size() == 1) {
        std::cout << "\nThe network with " << plan.norms.front().title() << ":\n" << networks[i].front() << std::endl;
      }
      results.experiments.push_back({.plan = plan});
      for (std::size_t n = 0; n < plan.norms.size(); ++n) {
        if (train_norm(options, data, plan.norms[n], networks[i][n], report, checkpoints, stop, results)) continue;
        drop_unbegun(results);
        results.interrupted = true;
        report.write_results(results);
        return;
      }
      std::cout << "\n" << result_table({results.experiments.back()}, data.synthetic()) << std::endl;
    }
    results.finished = true;
    report.write_results(results);
    checkpoints.finish();
    if (options.plans.size() > 1) std::cout << result_table(results.experiments, data.synthetic()) << "\n";
  });
}

}  // namespace cifar10_norms
