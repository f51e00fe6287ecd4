// What an experiment leaves behind: its files, and the table at its end.
#pragma once

#include "experiment.hpp"
#include "options.hpp"

#include <normnet/normnet.hpp>
#include <normnet/viz/font.hpp>
#include <normnet/viz/image_grid.hpp>
#include <normnet/viz/line_chart.hpp>

#include <nlohmann/json.hpp>

#include <sys/resource.h>

#include <cmath>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace cifar10_norms {

/// Mean and sample standard deviation over the seeds; without a deviation for a single one.
struct Spread {
  double mean = 0;
  std::optional<double> std = std::nullopt;

  /// As "74.71", or "74.71 +- 0.21".
  std::string to_string(int digits) const {
    return normnet::fixed(mean, digits) + (std ? " +- " + normnet::fixed(*std, digits) : "");
  }
};

inline Spread spread(const std::vector<double>& values) {
  const auto count = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  const double mean = sum / count;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {.mean = mean, .std = values.size() > 1 ? std::optional(std::sqrt(squares / (count - 1))) : std::nullopt};
}

/// A figure of each run of a normalization, together.
template <class Figure>
Spread over_runs(const NormResult& result, Figure figure) {
  std::vector<double> values;
  for (const normnet::History& run : result.runs) values.push_back(figure(run));
  return spread(values);
}

/// The mean time of an epoch's training in a run.
inline double seconds_per_epoch(const normnet::History& run) {
  double sum = 0;
  for (const normnet::EpochRecord& epoch : run.epochs) sum += epoch.train_seconds;
  return sum / static_cast<double>(run.epochs.size());
}

/// The most memory that this program has held so far, in MB of 2^20 bytes.
inline double peak_memory_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  constexpr double per_mb = 1024 * 1024;  // it counts in bytes
#else
  constexpr double per_mb = 1024;
#endif
  return static_cast<double>(usage.ru_maxrss) / per_mb;
}

/// The files of an experiment, in its output folder. Each is written whole or not at all.
class Report {
 public:
  /// Finds the charts' font, makes the folder, and removes summary.json and misclassified_*.png of an earlier run from it.
  /// Throws Error when there is no such font, or nothing can be written in the folder.
  Report(const Options& options, const Data& data) : options_(options), data_(data) {
    std::error_code error;
    std::filesystem::create_directories(options.out, error);
    if (error) normnet::fail("cannot write to \"", options.out.string(), "\": ", error.message());
    const std::filesystem::path probe = options.out / "cifar10_norms.probe";
    normnet::write_file_atomically(probe, "");
    std::filesystem::remove(probe);
    remove_old_files();
  }

  /// history.csv, accuracy.png and loss.png, with what there is so far.
  void write_curves(const std::vector<NormResult>& results) const {
    std::vector<normnet::History> runs;
    for (const NormResult& result : results) runs.insert(runs.end(), result.runs.begin(), result.runs.end());
    normnet::write_csv(runs, options_.out / "history.csv");
    using Record = normnet::EpochRecord;
    write_chart(results, "Accuracy", "accuracy (%)", &Record::train_accuracy, &Record::test_accuracy, "accuracy.png");
    write_chart(results, "Loss", "cross-entropy loss", &Record::train_loss, &Record::test_loss, "loss.png");
  }

  /// misclassified_<norm>.png: ten test images that the network of the first seed takes for something else.
  void write_mistakes(const NormResult& result) const {
    const normnet::Dataset& test = data_.images.test;
    normnet::ImageGrid grid(
        {.columns = 5, .title = result.norm.title() + ": misclassified test images" + warning(), .font = font_});
    const auto name = [&](int label) {  // a network may have outputs that are no class
      return label < test.classes() ? test.class_names()[static_cast<std::size_t>(label)] : "output " + std::to_string(label);
    };
    for (const normnet::Misclassified& mistake : result.mistakes) {
      grid.add({.pixels = test.image(mistake.index),
                .caption = "truth: " + name(mistake.label) + "\npredicted: " + name(mistake.predicted),
                .highlight = true});
    }
    grid.write(options_.out / (mistakes_prefix + result.norm.file_name() + ".png"));
  }

  /// summary.json: the experiment and its figures, with what there is so far, for programs. What is not UTF-8 in the name of the
  /// data's folder is replaced. Throws Error when a run has no epoch yet.
  void write_summary(const std::vector<NormResult>& results, double seconds) const {
    using Json = nlohmann::ordered_json;
    const auto published = [&](const NormResult& result) {
      const auto found = options_.recipe->published.find(result.norm.name);
      if (found == options_.recipe->published.end()) return Json();
      const Accuracies& accuracies = found->second;
      return Json{{"train_acc", accuracies.train ? Json(*accuracies.train) : Json()},
                  {"test_acc", accuracies.test},
                  {"epoch", accuracies.epoch ? Json(*accuracies.epoch) : Json()}};
    };
    Json norms = Json::array();
    for (const NormResult& result : results) {
      Json runs = Json::array();
      for (const normnet::History& run : result.runs) {
        runs.push_back({{"seed", std::stoull(run.labels.back().second)},
                        {"epochs", run.epochs.size()},
                        {"final_train_acc", run.last().train_accuracy},
                        {"final_test_acc", run.last().test_accuracy},
                        {"final_train_loss", run.last().train_loss},
                        {"final_test_loss", run.last().test_loss},
                        {"best_test_acc", run.best().test_accuracy},
                        {"best_epoch", run.best().epoch},
                        {"seconds_per_epoch", seconds_per_epoch(run)}});
      }
      norms.push_back({{"norm", result.norm.name},
                       {"parameters", result.parameters},
                       {"multiply_adds", result.multiply_adds},
                       {"runs", runs},
                       {"published", published(result)}});
    }
    const Json summary{
        {"recipe", options_.recipe->name},
        {"synthetic", data_.synthetic()},
        {"data",
         {{"source", data_.source}, {"train_images", data_.images.train.size()}, {"test_images", data_.images.test.size()}}},
        {"options",
         {{"epochs", options_.epochs},
          {"batch_size", options_.batch_size},
          {"learning_rate", options_.learning_rate},
          {"momentum", options_.recipe->momentum},
          {"seeds", options_.seeds}}},
        {"build", {{"simd", normnet::simd_name}, {"lanes", normnet::Pack<float>::lanes}}},
        {"threads", normnet::num_threads()},
        {"seconds", seconds},
        {"peak_memory_mb", peak_memory_mb()},
        {"norms", norms},
    };
    normnet::write_file_atomically(options_.out / summary_file,
                                   summary.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  /// One line for each normalization: what was reached, beside what was published.
  std::string table(const std::vector<NormResult>& results) const {
    std::vector<std::vector<std::string>> lines{{"norm", "parameters", "train %", "test %", "published test %", "s/epoch"}};
    for (const NormResult& result : results) {
      using normnet::History;
      const auto published = options_.recipe->published.find(result.norm.name);
      lines.push_back({result.norm.name, normnet::with_commas(result.parameters),
                       over_runs(result, [](const History& run) { return run.last().train_accuracy; }).to_string(2),
                       over_runs(result, [](const History& run) { return run.last().test_accuracy; }).to_string(2),
                       published == options_.recipe->published.end() ? "-" : normnet::fixed(published->second.test, 2),
                       normnet::fixed(over_runs(result, seconds_per_epoch).mean, 1)});
    }
    std::string text;
    for (const std::string& line : normnet::aligned_table(lines, 1)) text += line + "\n";
    return text;
  }

 private:
  static constexpr const char* summary_file = "summary.json";
  static constexpr const char* mistakes_prefix = "misclassified_";

  // Until this run comes to write them, they would tell of another experiment.
  void remove_old_files() const {
    std::vector<std::filesystem::path> old{options_.out / summary_file};
    for (const auto& entry : std::filesystem::directory_iterator(options_.out)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with(mistakes_prefix) && name.ends_with(".png")) old.push_back(entry.path());
    }
    for (const std::filesystem::path& path : old) {
      std::error_code error;
      std::filesystem::remove(path, error);
      if (error) normnet::fail("cannot remove \"", path.string(), "\": ", error.message());
    }
  }

  std::string warning() const { return data_.synthetic() ? " (SYNTHETIC DATA)" : ""; }

  void write_chart(const std::vector<NormResult>& results, const std::string& what, const std::string& y_label,
                   double normnet::EpochRecord::*train, double normnet::EpochRecord::*test, const std::string& file) const {
    const std::string seeds = options_.seeds.size() > 1 ? ", mean of " + std::to_string(options_.seeds.size()) + " seeds" : "";
    const std::string subject = data_.synthetic() ? " on SYNTHETIC DATA" : " on CIFAR-10";
    normnet::LineChart chart({.title = what + " of \"" + options_.recipe->name + "\"" + subject + seeds,
                              .x_label = "epoch",
                              .y_label = y_label,
                              .font = font_});
    for (std::size_t i = 0; i < results.size(); ++i) {
      const normnet::Color color = normnet::palette_color(static_cast<Index>(i));
      chart.add(mean_curve(results[i], " train", train, color, true)).add(mean_curve(results[i], " test", test, color, false));
    }
    chart.write(options_.out / file);
  }

  // Over the seeds that have come so far.
  static normnet::Series mean_curve(const NormResult& result, const std::string& name, double normnet::EpochRecord::*member,
                                    normnet::Color color, bool dashed) {
    normnet::Series series{.name = result.norm.title() + name, .color = color, .dashed = dashed};
    for (std::size_t epoch = 0; epoch < result.runs.front().epochs.size(); ++epoch) {
      double sum = 0, count = 0;
      for (const normnet::History& run : result.runs) {
        if (epoch >= run.epochs.size()) continue;
        sum += run.epochs[epoch].*member;
        ++count;
      }
      series.x.push_back(static_cast<double>(epoch + 1));
      series.y.push_back(sum / count);
    }
    return series;
  }

  const Options& options_;
  const Data& data_;
  normnet::Font font_ = normnet::Font::system();
};

}  // namespace cifar10_norms
