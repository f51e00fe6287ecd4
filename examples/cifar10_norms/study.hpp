// The study of batch sizes: batch norm takes its statistics from the batch, group norm and layer norm do not.
#pragma once

#include "data.hpp"
#include "experiment.hpp"
#include "options.hpp"
#include "report.hpp"
#include "results.hpp"
#include "run_checkpoints.hpp"

#include <normnet/normnet.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

namespace cifar10_norms {

/// The accuracies of a study as a table: a line for each batch size, a column for each normalization.
inline std::string study_table(const StudyResult& study) {
  std::vector<std::vector<std::string>> rows{{"batch size", "learning rate"}};
  for (const Norm& norm : study.plan.norms) rows.front().push_back(norm.name + " test %");
  for (const Index batch_size : study.batch_sizes) {
    std::vector<std::string> row{std::to_string(batch_size), normnet::to_exact(learning_rate_at(study.plan, batch_size))};
    for (const Norm& norm : study.plan.norms) {
      const std::vector<double> accuracies = study_accuracies(study, norm, batch_size);
      row.push_back(accuracies.empty() ? "-" : spread(accuracies).to_string(2));
    }
    rows.push_back(row);
  }
  std::string text;
  for (const std::string& line : normnet::aligned_table(rows, 0)) text += line + "\n";
  return text;
}

/// Trains the plan's network at each batch size with each normalization and seed, the learning rate in proportion to the batch
/// size, the largest (and fastest) batches first. All batches of a training have the same size: a last one that is not full is
/// left out. Goes on where it stopped, if it shall. Ends early when `stop` becomes true: results.interrupted says so. Throws
/// UsageError when a batch size does not fit the data or the network, or the run cannot go on.
inline void study_batch_sizes(const Options& options, const Data& data, const std::atomic<bool>* stop, Results& results) {
  using normnet::with_commas;
  const Plan& plan = options.plans.front();
  const Index images = data.images.train.size();
  if (options.batch_sizes.back() > images) {
    throw UsageError(normnet::concat("--batch-sizes: expected at most ", images, ", the number of training images, got ",
                                     options.batch_sizes.back()));
  }
  for (const Norm& norm : plan.norms) {
    leaves_out_last_batch(summarize(*plan.recipe, norm), images, options.batch_sizes.front());
  }

  RunCheckpoints checkpoints(options, data);
  const Report report(options, data);
  checkpoints.begin();
  StudyResult& study = results.study.emplace(StudyResult{.plan = plan, .batch_sizes = options.batch_sizes});
  report.watch(results, [&] {
    report.begin(results);
    std::cout << "Batch sizes with recipe \"" << plan.recipe->name << "\", " << plan.epochs << " epochs of "
              << with_commas(images) << " images each; the learning rate is " << normnet::to_exact(plan.learning_rate) << " at "
              << plan.recipe->batch_size << " images, in proportion elsewhere" << std::endl;
    for (std::size_t i = options.batch_sizes.size(); i-- > 0;) {
      const Index batch_size = options.batch_sizes[i];
      const std::string size_text = std::to_string(batch_size);
      for (const Norm& norm : plan.norms) {
        for (const std::uint64_t seed : options.seeds) {
          const std::string seed_text = std::to_string(seed);
          normnet::History history{
              .labels = {{"recipe", plan.recipe->name}, {"norm", norm.name}, {"batch_size", size_text}, {"seed", seed_text}}};
          Job job = job_of(plan, norm, seed);
          job.batch_size = batch_size;
          job.learning_rate = learning_rate_at(plan, batch_size);
          job.drop_last = true;
          job.progress =
              progress_options(options, normnet::left_aligned(norm.name, 4) + "  batch " + normnet::left_aligned(size_text, 3) +
                                            (options.seeds.size() > 1 ? "  seed " + seed_text : ""));
          job.after_epoch = [&](const TrainingProgress& progress) { history.epochs = progress.epochs; };
          job.checkpoints = checkpoints.of(*plan.recipe, norm.file_name() + "-batch" + size_text + "-seed" + seed_text);
          job.stop = stop;
          if (!train(job, data)) {
            results.interrupted = true;
            report.write_results(results);
            return;
          }
          double seconds = 0;
          for (const normnet::EpochRecord& epoch : history.epochs) seconds += epoch.train_seconds + epoch.test_seconds;
          study.points.push_back({.norm = norm.name,
                                  .batch_size = batch_size,
                                  .learning_rate = job.learning_rate,
                                  .seed = seed,
                                  .train_accuracy = history.last().train_accuracy,
                                  .test_accuracy = history.last().test_accuracy,
                                  .seconds = seconds});
          study.histories.push_back(history);
          report.after_study_point(results);
        }
      }
    }
    results.finished = true;
    report.write_results(results);
    checkpoints.finish();
    std::cout << "\n" << study_table(study) << "\n";
  });
}

}  // namespace cifar10_norms
