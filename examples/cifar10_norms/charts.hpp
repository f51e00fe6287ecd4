// The curves and matrices that the program draws.
#pragma once

#include "results.hpp"

#include <normnet/normnet.hpp>
#include <normnet/viz/font.hpp>
#include <normnet/viz/line_chart.hpp>
#include <normnet/viz/matrix_chart.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace cifar10_norms {

/// Draws what is common to all charts of a run: its font, and a warning where the images are synthetic.
class Charts {
 public:
  Charts(normnet::viz::Font font, bool synthetic) : font_(std::move(font)), synthetic_(synthetic) {}

  /// accuracy.png and loss.png: all normalizations of an experiment, training and test, with what there is so far.
  void write_curves(const ExperimentResult& experiment) const { write_both(experiment, experiment.norms, "", ""); }

  /// accuracy_<norm>.png and loss_<norm>.png: one normalization alone.
  void write_norm_curves(const ExperimentResult& experiment, const NormResult& result) const {
    write_both(experiment, {result}, "_" + result.norm.file_name(), ", " + result.norm.title());
  }

  /// confusion_<norm>.png: which classes the first seed's network takes for which.
  void write_confusion(const ExperimentResult& experiment, const NormResult& result,
                       const std::vector<std::string>& classes) const {
    const normnet::ConfusionMatrix& confusion = *result.confusion;
    std::vector<std::string> outputs = classes;
    for (int i = static_cast<int>(classes.size()); i < shown_outputs(confusion, static_cast<int>(classes.size())); ++i) {
      outputs.push_back("output " + std::to_string(i));
    }
    std::vector<double> counts;
    for (std::size_t label = 0; label < classes.size(); ++label) {
      for (std::size_t predicted = 0; predicted < outputs.size(); ++predicted) {
        counts.push_back(static_cast<double>(confusion.count(static_cast<int>(label), static_cast<int>(predicted))));
      }
    }
    normnet::viz::MatrixChart(
        {.title = "\"" + experiment.plan.recipe->name + "\", " + result.norm.title() + ": test images" + warning(),
         .row_label = "truth",
         .column_label = "predicted",
         .rows = classes,
         .columns = outputs,
         .font = font_},
        counts)
        .write(experiment.plan.out / ("confusion_" + result.norm.file_name() + ".png"));
  }

  /// study.png: test accuracy against batch size.
  void write_study(const StudyResult& study) const {
    normnet::viz::LineChart chart({.title = normnet::concat("Test accuracy of \"", study.plan.recipe->name, "\" after ",
                                                            study.plan.epochs, " epochs", warning()),
                                   .x_label = "batch size",
                                   .y_label = "accuracy (%)",
                                   .x_log2 = true,
                                   .font = font_});
    for (const Norm& norm : study.plan.norms) {
      normnet::viz::Series series{.name = norm.title()};
      for (const Index batch_size : study.batch_sizes) {
        const std::vector<double> accuracies = study_accuracies(study, norm, batch_size);
        if (!accuracies.empty()) add_point(series, static_cast<double>(batch_size), spread(accuracies));
      }
      chart.add(series);
    }
    chart.write(study.plan.out / "study.png");
  }

  /// The outputs of a network that are worth a column: the classes, and further ones up to the last that an image was taken for.
  static int shown_outputs(const normnet::ConfusionMatrix& confusion, int classes) {
    int outputs = static_cast<int>(confusion.classes());
    const auto empty = [&](int output) {
      for (int label = 0; label < classes; ++label) {
        if (confusion.count(label, output) > 0) return false;
      }
      return true;
    };
    while (outputs > classes && empty(outputs - 1)) --outputs;
    return outputs;
  }

  const normnet::viz::Font& font() const { return font_; }
  std::string warning() const { return synthetic_ ? " (SYNTHETIC DATA)" : ""; }

 private:
  static void add_point(normnet::viz::Series& series, double x, const Spread& y) {
    series.x.push_back(x);
    series.y.push_back(y.mean);
    series.spread.push_back(y.std.value_or(0));
  }

  void write_both(const ExperimentResult& experiment, const std::vector<NormResult>& norms, const std::string& file_end,
                  const std::string& title_end) const {
    using Record = normnet::EpochRecord;
    const auto write = [&](const std::string& what, const std::string& y_label, double Record::*train, double Record::*test,
                           const std::string& file) {
      std::size_t seeds = 0;
      for (const NormResult& result : norms) seeds = std::max(seeds, result.runs.size());
      const std::string several = seeds > 1 ? normnet::concat(", mean of ", seeds, " seeds") : "";
      normnet::viz::LineChart chart({.title = what + " of \"" + experiment.plan.recipe->name + "\"" + title_end +
                                              (synthetic_ ? " on SYNTHETIC DATA" : " on CIFAR-10") + several,
                                     .x_label = "epoch",
                                     .y_label = y_label,
                                     .font = font_});
      for (const NormResult& result : norms) {
        const normnet::viz::Color color = color_of(experiment, result.norm);
        chart.add(curve(result, " train", train, color, true)).add(curve(result, " test", test, color, false));
      }
      chart.write(experiment.plan.out / (file + file_end + ".png"));
    };
    write("Accuracy", "accuracy (%)", &Record::train_accuracy, &Record::test_accuracy, "accuracy");
    write("Loss", "cross-entropy loss", &Record::train_loss, &Record::test_loss, "loss");
  }

  // The same in all pictures of an experiment.
  static normnet::viz::Color color_of(const ExperimentResult& experiment, const Norm& norm) {
    const auto& norms = experiment.plan.norms;
    const auto same = [&](const Norm& other) { return other.name == norm.name; };
    return normnet::viz::palette_color(std::find_if(norms.begin(), norms.end(), same) - norms.begin());
  }

  // Mean and spread over the seeds that have come so far.
  static normnet::viz::Series curve(const NormResult& result, const std::string& name, double normnet::EpochRecord::*figure,
                                    normnet::viz::Color color, bool dashed) {
    normnet::viz::Series series{.name = result.norm.title() + name, .color = color, .dashed = dashed};
    for (Index epoch = 1;; ++epoch) {
      const std::optional<Spread> at = at_epoch(result, epoch, figure);
      if (!at) return series;
      add_point(series, static_cast<double>(epoch), *at);
    }
  }

  normnet::viz::Font font_;
  bool synthetic_;
};

}  // namespace cifar10_norms
