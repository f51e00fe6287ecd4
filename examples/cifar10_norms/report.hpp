// The files that the program leaves behind.
#pragma once

#include "charts.hpp"
#include "data.hpp"
#include "error_text.hpp"
#include "galleries.hpp"
#include "options.hpp"
#include "report_page.hpp"
#include "results.hpp"
#include "results_json.hpp"

#include <normnet/normnet.hpp>
#include <normnet/viz/font.hpp>

#include <array>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <string>
#include <system_error>
#include <vector>

namespace cifar10_norms {

/// The files of a run: what is common in the output folder; what belongs to a recipe in the folder of its plan, which is the same
/// for a single one. Each is written whole or not at all.
class Report {
 public:
  /// Finds the charts' font, makes the folders, and removes from them what an earlier run left and this one may not write, also
  /// half written when it was killed.
  /// Throws Error when there is no such font, or nothing can be written in a folder.
  Report(const Options& options, const Data& data)
      : options_(options), data_(data), charts_(normnet::viz::Font::system(), data.synthetic()) {
    prepare(options.out);
    for (const Plan& plan : options.plans) {
      if (plan.out != options.out) prepare(plan.out);
    }
  }

  /// The pictures of the data, and results.json and report.html without results.
  void begin(Results& results) const {
    results.pictures = write_data_pictures(data_, charts_, options_.out);
    write_results(results);
  }

  /// Histories of an experiment whose last normalization has come further, and the results.
  void after_epoch(const Results& results) const {
    const ExperimentResult& experiment = results.experiments.back();
    normnet::write_csv(histories({experiment}), experiment.plan.out / "history.csv");
    if (experiment.plan.out != options_.out) normnet::write_csv(histories(results.experiments), options_.out / "history.csv");
    write_results(results);
  }

  /// Curves of an experiment whose last normalization is trained with one more seed. (Drawn after each epoch they would take longer
  /// than some epochs; report.html has the curves then.)
  void after_training(const Results& results) const {
    const ExperimentResult& experiment = results.experiments.back();
    charts_.write_curves(experiment);
    charts_.write_norm_curves(experiment, experiment.norms.back());
  }

  /// What the last normalization's network of the first seed gets wrong, when it is trained.
  void after_first_seed(Results& results) const {
    const ExperimentResult& experiment = results.experiments.back();
    const NormResult& result = experiment.norms.back();
    charts_.write_confusion(experiment, result, data_.images.test.class_names());
    results.pictures.push_back(write_mistakes(experiment, result, data_, charts_, options_.out));
    write_results(results);
  }

  /// study.csv and study.png, and the results.
  void after_study_point(const Results& results) const {
    normnet::write_csv(results.study->histories, options_.out / "study.csv");
    charts_.write_study(*results.study);
    write_results(results);
  }

  /// results.json and report.html, with what there is so far: after each epoch, each training and in the end. What is not UTF-8 in
  /// the name of the data's folder is replaced.
  void write_results(const Results& results) const {
    const Json json = results_json(results, options_, data_);
    write_json(json);
    write_report_page(json, options_.out);
  }

  /// Does the work of the run after begin(). Where an error ends it, results.json and report.html say so, with what there is so
  /// far, before it is thrown on.
  template <class Work>
  void watch(Results& results, Work work) const {
    try {
      work();
    } catch (const std::exception& error) {
      results.failed = error_text(error);
      results.fails_again = dynamic_cast<const normnet::NotFiniteError*>(&error) != nullptr;
      results.finished = false;
      write_failed(results);
      throw;
    }
  }

 private:
  static constexpr const char *results_file = "results.json", *page_file = "report.html", *probe_file = "cifar10_norms.probe";

  void write_json(const Json& json) const {
    normnet::write_file_atomically(options_.out / results_file,
                                   json.dump(2, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace) + "\n");
  }

  // The error that ended the run may be that nothing can be written.
  void write_failed(Results& results) const {
    drop_unbegun(results);
    const Json json = results_json(results, options_, data_);
    try {
      write_json(json);
    } catch (const normnet::Error&) {
      mark_failed(options_.out / results_file, "\"failed\": ");
    }
    try {
      write_report_page(json, options_.out);
    } catch (const normnet::Error&) {
      mark_failed(options_.out / page_file, "\"failed\":");
    }
  }

  // Changes null to true after the key, which no text in JSON can hold, in the file as it is: that needs no room.
  static void mark_failed(const std::filesystem::path& path, const std::string& key) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    const std::string contents{std::istreambuf_iterator<char>(file), {}};
    const std::size_t place = contents.find(key + "null");
    if (place == std::string::npos) return;
    file.seekp(static_cast<std::streamoff>(place + key.size()));
    file << "true";
  }

  static void prepare(const std::filesystem::path& folder) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) normnet::fail("cannot write to \"", folder.string(), "\": ", error.message());
    const std::filesystem::path probe = folder / probe_file;
    normnet::write_file_atomically(probe, "");
    std::filesystem::remove(probe);
    remove_old_files(folder);
  }

  // Until this run comes to write them, they would tell of another experiment.
  static void remove_old_files(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> old;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (is_ours(name) || is_ours(normnet::file_of_leftover(name))) old.push_back(entry.path());
    }
    for (const std::filesystem::path& path : old) {
      std::error_code error;
      std::filesystem::remove(path, error);
      if (error) normnet::fail("cannot remove \"", path.string(), "\": ", error.message());
    }
  }

  static bool is_ours(const std::string& name) {
    static constexpr std::array names{results_file, page_file,  "history.csv", "accuracy.png", "loss.png",    "study.csv",
                                      "study.png",  probe_file, "samples.png", "classes.png",  "channels.png"};
    static constexpr std::array prefixes{"accuracy_", "loss_", "misclassified_", "confusion_"};
    bool ours = false;
    for (const char* const other : names) ours = ours || name == other;
    for (const char* const prefix : prefixes) ours = ours || (name.starts_with(prefix) && name.ends_with(".png"));
    return ours;
  }

  static std::vector<normnet::History> histories(const std::vector<ExperimentResult>& experiments) {
    std::vector<normnet::History> all;
    for (const ExperimentResult& experiment : experiments) {
      for (const NormResult& result : experiment.norms) {
        for (const Run& run : result.runs) all.push_back(run.history);
      }
    }
    return all;
  }

  const Options& options_;
  const Data& data_;
  Charts charts_;
};

}  // namespace cifar10_norms
