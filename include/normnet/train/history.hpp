// What a training run reports after every epoch, and its CSV file.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/format.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/io/atomic_file.hpp>

#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace normnet {

/// One epoch. Accuracies are in percent. The training metrics are means over the epoch's images as they were trained on, so with
/// dropout on and with parameters that still moved; the test metrics are those of the network after the epoch.
struct EpochRecord {
  Index epoch = 0;  ///< from 1
  double train_loss = 0;
  double train_accuracy = 0;
  double test_loss = 0;
  double test_accuracy = 0;
  double learning_rate = 0;  ///< of the epoch's first step
  double train_seconds = 0;
  double images_per_second = 0;  ///< in training
  double test_seconds = 0;
};

/// The epochs of one run, oldest first, and labels that tell the run from others in the same file.
struct History {
  std::vector<std::pair<std::string, std::string>> labels = {};  ///< name and value, as in {"norm", "bn"}
  std::vector<EpochRecord> epochs = {};

  bool empty() const { return epochs.empty(); }

  /// The latest epoch, and the one of the highest test accuracy (the first of equals). Throw Error when there is none.
  const EpochRecord& last() const& {
    check();
    return epochs.back();
  }
  EpochRecord last() const&& { return last(); }
  const EpochRecord& best() const& {
    check();
    const EpochRecord* best = &epochs.front();
    for (const EpochRecord& epoch : epochs) {
      if (epoch.test_accuracy > best->test_accuracy) best = &epoch;
    }
    return *best;
  }
  EpochRecord best() const&& { return best(); }

 private:
  void check() const {
    if (empty()) fail("History: expected at least one epoch, got none");
  }
};

/// The runs as one CSV table, a row for each epoch: the labels' columns, then epoch, train_loss, train_acc, test_loss, test_acc,
/// lr, train_seconds, images_per_second, test_seconds. Losses, accuracies and learning rates keep every bit. Throws Error when
/// the runs' labels have different names.
inline std::string to_csv(std::span<const History> runs) {
  const auto quoted = [](const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string result = "\"";
    for (const char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
    return result + "\"";
  };
  std::string csv;
  if (!runs.empty()) {
    for (const auto& [name, value] : runs.front().labels) csv += quoted(name) + ",";
  }
  csv += "epoch,train_loss,train_acc,test_loss,test_acc,lr,train_seconds,images_per_second,test_seconds\n";
  for (const History& run : runs) {
    std::string labels;
    if (run.labels.size() != runs.front().labels.size()) fail("to_csv: expected runs with the same labels");
    for (std::size_t i = 0; i < run.labels.size(); ++i) {
      const auto& [name, value] = run.labels[i];
      const std::string& expected = runs.front().labels[i].first;
      if (name != expected) fail("to_csv: expected runs with the same labels, got \"", name, "\" in place of \"", expected, "\"");
      labels += quoted(value) + ",";
    }
    for (const EpochRecord& e : run.epochs) {
      csv += labels;
      csv += concat(e.epoch, ',', to_exact(e.train_loss), ',', to_exact(e.train_accuracy), ',', to_exact(e.test_loss), ',',
                    to_exact(e.test_accuracy), ',', to_exact(e.learning_rate), ',', to_fixed(e.train_seconds, 3), ',',
                    to_fixed(e.images_per_second, 1), ',', to_fixed(e.test_seconds, 3), '\n');
    }
  }
  return csv;
}

/// Writes to_csv(runs), whole or not at all. Throws Error when the file cannot be written.
inline void write_csv(std::span<const History> runs, const std::filesystem::path& path) {
  write_file_atomically(path, to_csv(runs));
}

}  // namespace normnet
