// What the program has found so far: everything that its files, tables and pages show.
#pragma once

#include "data.hpp"
#include "options.hpp"

#include <normnet/normnet.hpp>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

namespace cifar10_norms {

/// The training with one seed.
struct Run {
  std::uint64_t seed = 0;
  normnet::History history = {};  ///< with labels for history.csv
};

/// What came out for one normalization.
struct NormResult {
  Norm norm;
  std::int64_t parameters = 0;
  std::int64_t multiply_adds = 0;    ///< of one image's forward pass
  std::size_t activation_bytes = 0;  ///< all feature maps and their gradients, in training and testing
  double peak_mb = 0;                ///< of the whole program's memory, during these trainings
  std::vector<Run> runs = {};
  /// Of the first seed's network: the counts of test images, a row for each class, a column for each output of the network, and
  /// the first ten mistakes. Nothing before the end of its training.
  std::optional<normnet::ConfusionMatrix> confusion = std::nullopt;
  std::vector<normnet::Misclassified> mistakes = {};
};

/// What came out of a recipe.
struct ExperimentResult {
  Plan plan;
  std::vector<NormResult> norms = {};
};

/// One training of batch-size-study.
struct StudyPoint {
  std::string norm;
  Index batch_size = 0;
  double learning_rate = 0;
  std::uint64_t seed = 0;
  double train_accuracy = 0;
  double test_accuracy = 0;
  double seconds = 0;  ///< of all its epochs, tests included
};

/// The plan's learning rate in proportion to the batch size.
inline double learning_rate_at(const Plan& plan, Index batch_size) {
  return plan.learning_rate * static_cast<double>(batch_size) / static_cast<double>(plan.recipe->batch_size);
}

/// What came out of batch-size-study.
struct StudyResult {
  Plan plan;
  std::vector<Index> batch_sizes = {};
  std::vector<StudyPoint> points = {};
  std::vector<normnet::History> histories = {};  ///< for study.csv
};

/// The test accuracies with a normalization and a batch size: one for each seed that there is so far.
inline std::vector<double> study_accuracies(const StudyResult& study, const Norm& norm, Index batch_size) {
  std::vector<double> accuracies;
  for (const StudyPoint& point : study.points) {
    if (point.norm == norm.name && point.batch_size == batch_size) accuracies.push_back(point.test_accuracy);
  }
  return accuracies;
}

/// A picture among the program's files.
struct Picture {
  std::string experiment;  ///< the recipe; "" for a picture of the data
  std::string norm;        ///< "" likewise
  std::string kind;        ///< "misclassified", "samples", "classes" or "channels"
  std::string title;
  std::string file;  ///< in the output folder
};

/// The time, as "2026-01-31T12:00:00Z".
inline std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[] = "0000-00-00T00:00:00Z";
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc)};
}

/// Everything.
struct Results {
  std::string version;
  std::string command_line;
  std::string started = utc_now();
  normnet::Stopwatch stopwatch{};
  bool finished = false;
  bool interrupted = false;                          ///< by Ctrl-C or SIGTERM
  std::optional<std::string> failed = std::nullopt;  ///< the error that ended it
  bool fails_again = false;                          ///< with the same error, if it goes on from its checkpoints
  std::vector<ExperimentResult> experiments = {};
  std::optional<StudyResult> study = std::nullopt;
  std::vector<Picture> pictures = {};
};

/// Takes out the normalizations and recipes that have come to no epoch yet.
inline void drop_unbegun(Results& results) {
  for (ExperimentResult& experiment : results.experiments) {
    std::erase_if(experiment.norms, [](const NormResult& result) { return result.runs.empty(); });
  }
  std::erase_if(results.experiments, [](const ExperimentResult& experiment) { return experiment.norms.empty(); });
}

/// Mean and sample standard deviation; without a deviation for a single value.
struct Spread {
  double mean = 0;
  std::optional<double> std = std::nullopt;

  /// As "74.71", or "74.71 +- 0.21".
  std::string to_string(int digits) const {
    return normnet::to_fixed(mean, digits) + (std ? " +- " + normnet::to_fixed(*std, digits) : "");
  }
};

/// Of at least one value.
inline Spread spread(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  const double mean = sum / count;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {.mean = mean, .std = values.size() > 1 ? std::optional(std::sqrt(squares / (count - 1))) : std::nullopt};
}

/// A figure of an epoch, counted from 1, over the runs that have come to it; nothing before the first has.
inline std::optional<Spread> at_epoch(const NormResult& result, Index epoch, double normnet::EpochRecord::*figure) {
  std::vector<double> values;
  for (const Run& run : result.runs) {
    const std::vector<normnet::EpochRecord>& epochs = run.history.epochs;
    if (epoch <= static_cast<Index>(epochs.size())) values.push_back(epochs[static_cast<std::size_t>(epoch - 1)].*figure);
  }
  return values.empty() ? std::nullopt : std::optional(spread(values));
}

/// A figure of the last epoch of each run.
inline Spread at_end(const NormResult& result, double normnet::EpochRecord::*figure) {
  std::vector<double> values;
  for (const Run& run : result.runs) values.push_back(run.history.last().*figure);
  return spread(values);
}

/// The mean of a figure over the epochs of each run.
inline Spread over_epochs(const NormResult& result, double normnet::EpochRecord::*figure) {
  std::vector<double> means;
  for (const Run& run : result.runs) {
    std::vector<double> values;
    for (const normnet::EpochRecord& epoch : run.history.epochs) values.push_back(epoch.*figure);
    means.push_back(spread(values).mean);
  }
  return spread(means);
}

/// In MB of 2^20 bytes.
inline double megabytes(std::size_t bytes) { return static_cast<double>(bytes) / (1024 * 1024); }

}  // namespace cifar10_norms
