// The results as JSON, for programs.
#pragma once

#include "charts.hpp"
#include "data.hpp"
#include "results.hpp"
#include "schedule.hpp"

#include <normnet/normnet.hpp>

#include <nlohmann/json.hpp>

#include <optional>
#include <string>

namespace cifar10_norms {

using Json = nlohmann::ordered_json;

namespace json {

template <class Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

inline Json name_or_null(const std::string& name) { return name.empty() ? Json() : Json(name); }

inline Json of(const Spread& spread) { return {{"mean", spread.mean}, {"std", or_null(spread.std)}}; }

inline Json of(const Run& run) {
  Json epochs = Json::array();
  for (const normnet::EpochRecord& epoch : run.history.epochs) {
    epochs.push_back({{"epoch", epoch.epoch},
                      {"train_loss", epoch.train_loss},
                      {"train_acc", epoch.train_accuracy},
                      {"test_loss", epoch.test_loss},
                      {"test_acc", epoch.test_accuracy},
                      {"lr", epoch.learning_rate},
                      {"train_seconds", epoch.train_seconds},
                      {"images_per_second", epoch.images_per_second},
                      {"test_seconds", epoch.test_seconds}});
  }
  return {{"seed", run.seed}, {"epochs", epochs}};
}

/// Null for nothing published.
inline Json of(const Accuracies* published) {
  if (published == nullptr) return nullptr;
  return {{"train_acc", or_null(published->train)}, {"test_acc", published->test}, {"epoch", published->epoch}};
}

inline Json of(const NormResult& result, const Recipe& recipe, int classes) {
  const Training& training = recipe.training_of(result.norm);
  Json json{{"norm", result.norm.name},
            {"title", result.norm.title()},
            {"parameters", result.parameters},
            {"multiply_adds", result.multiply_adds},
            {"schedule", describe(training.schedule)},
            {"l1_penalty", training.l1_penalty},
            {"published", of(recipe.published_for(result.norm))},
            {"seconds_per_epoch", of(over_epochs(result, &normnet::EpochRecord::train_seconds))},
            {"images_per_second", of(over_epochs(result, &normnet::EpochRecord::images_per_second))},
            {"activation_mb", megabytes(result.activation_bytes)},
            {"peak_rss_mb", result.peak_mb},
            {"runs", Json::array()}};
  for (const Run& run : result.runs) json["runs"].push_back(of(run));
  if (!result.confusion) return json;
  const int outputs = Charts::shown_outputs(*result.confusion, classes);
  for (int label = 0; label < classes; ++label) {
    Json row = Json::array();
    for (int predicted = 0; predicted < outputs; ++predicted) row.push_back(result.confusion->count(label, predicted));
    json["confusion"].push_back(row);
    json["class_accuracy"].push_back(result.confusion->accuracy(label));
  }
  return json;
}

inline Json of(const ExperimentResult& experiment, int classes) {
  const Plan& plan = experiment.plan;
  Json norms = Json::array();
  for (const NormResult& result : experiment.norms) norms.push_back(of(result, *plan.recipe, classes));
  return {{"recipe", plan.recipe->name},
          {"description", plan.recipe->description},
          {"epochs", plan.epochs},
          {"batch_size", plan.batch_size},
          {"learning_rate", plan.learning_rate},
          {"momentum", plan.recipe->momentum},
          {"flip", plan.augment.flip_probability},
          {"crop_padding", plan.augment.crop_padding},
          {"schedule", describe(plan.recipe->training.schedule)},
          {"norms", norms}};
}

inline Json of(const StudyResult& study, std::optional<Index> limit) {
  Json norms = Json::array(), points = Json::array();
  for (const Norm& norm : study.plan.norms) norms.push_back(norm.name);
  for (const StudyPoint& point : study.points) {
    points.push_back({{"norm", point.norm},
                      {"batch_size", point.batch_size},
                      {"learning_rate", point.learning_rate},
                      {"seed", point.seed},
                      {"train_acc", point.train_accuracy},
                      {"test_acc", point.test_accuracy},
                      {"seconds", point.seconds}});
  }
  return {{"recipe", study.plan.recipe->name}, {"epochs", study.plan.epochs},
          {"limit", or_null(limit)},           {"norms", norms},
          {"batch_sizes", study.batch_sizes},  {"points", points}};
}

}  // namespace json

/// Everything that there is so far. What is not a number is null. Each normalization must have at least one epoch.
inline Json results_json(const Results& results, const Options& options, const Data& data) {
  const int classes = data.images.test.classes();
  const bool goes_on = results.interrupted || (results.failed && !results.fails_again);
  Json all{{"program", "cifar10_norms"},
           {"version", results.version},
           {"command", results.command_line},
           {"finished", results.finished},
           {"interrupted", results.interrupted},
           {"failed", json::or_null(results.failed)},
           {"resume", goes_on && options.keep_checkpoints > 0 ? Json(options.resume_command) : Json()},
           {"resumed", options.resume},
           {"started", results.started},
           {"seconds", results.stopwatch.seconds()},
           {"synthetic", data.synthetic()},
           {"data", data.source},
           {"train_images", data.images.train.size()},
           {"test_images", data.images.test.size()},
           {"threads", normnet::num_threads()},
           {"simd", normnet::simd_name},
           {"classes", data.images.test.class_names()},
           {"experiments", Json::array()}};
  for (const ExperimentResult& experiment : results.experiments) all["experiments"].push_back(json::of(experiment, classes));
  if (results.study) all["study"] = json::of(*results.study, options.limit);
  all["pictures"] = Json::array();
  for (const Picture& picture : results.pictures) {
    all["pictures"].push_back({{"experiment", json::name_or_null(picture.experiment)},
                               {"norm", json::name_or_null(picture.norm)},
                               {"kind", picture.kind},
                               {"title", picture.title},
                               {"file", picture.file}});
  }
  return all;
}

}  // namespace cifar10_norms
