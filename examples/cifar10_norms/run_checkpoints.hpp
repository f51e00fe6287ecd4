// The checkpoints of a whole run: OUT/checkpoints, from the first training until the last has ended.
#pragma once

#include "data.hpp"
#include "options.hpp"
#include "run_options.hpp"
#include "saved_training.hpp"

#include <normnet/normnet.hpp>
#include <normnet/train/checkpoint_folder.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

namespace cifar10_norms {

/// A folder for each training, and run.json, which tells what run they belong to and that it has not finished: nobody begins
/// another one in its place unless told to. The folder is gone when the run has finished.
class RunCheckpoints {
 public:
  /// Changes nothing. Throws UsageError when the output folder holds a run that has not finished, and the options neither say
  /// --resume nor --restart, or when they say --resume and it holds none, or one with other options; Error when another program
  /// is at it, or run.json cannot be read.
  RunCheckpoints(const Options& options, const Data& data)
      : folder_(options.out / "checkpoints"), keep_(options.keep_checkpoints), resume_(options.resume) {
    const std::string out = options.out.string();
    unfinished_ = std::filesystem::exists(run_file());
    if (resume_ && !unfinished_) throw UsageError(normnet::concat("--resume: \"", out, "\" holds no run that was stopped"));
    if (unfinished_ && !resume_ && !options.restart) {
      throw UsageError(normnet::concat("\"", out, "\" holds a run that has not finished: ",
                                       "go on with --resume, begin anew with --restart, or take another --out"));
    }
    if (unfinished_) lock_.emplace(folder_);
    if (keep_ > 0) run_ = run_options(options, data);
    if (resume_) check_same(out);
  }

  /// Makes the folder for a run that begins; with --restart without what was in it.
  void begin() {
    if (resume_) return;
    if (unfinished_) remove();
    if (keep_ == 0) return;
    lock_.emplace(folder_);
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
      std::error_code ignored;  // it takes room, no more
      if (normnet::file_of_leftover(entry.path().filename().string()) == run_file().filename()) {
        std::filesystem::remove(entry.path(), ignored);
      }
    }
    Json options = Json::object();
    for (const auto& [name, value] : run_) options[name] = value;
    const Json run{{"program", "cifar10_norms"}, {"options", options}};
    normnet::write_file_atomically(run_file(), run.dump(2) + "\n", normnet::Durability::synced);
  }

  /// Where a training has its checkpoints, in a folder of that name; nothing where the run keeps none.
  std::optional<CheckpointPlace> of(const Recipe& recipe, const std::string& training) const {
    if (keep_ == 0) return std::nullopt;
    return CheckpointPlace{
        .folder = folder_ / recipe.name / training, .keep = keep_, .resume = resume_, .options = {run_.begin(), run_.end()}};
  }

  /// The run has finished: removes its checkpoints.
  void finish() {
    if (keep_ > 0) remove();
  }

 private:
  using Json = nlohmann::ordered_json;

  std::filesystem::path run_file() const { return folder_ / "run.json"; }

  void check_same(const std::string& out) const {
    std::ifstream file(run_file());
    const Json run = Json::parse(file, nullptr, /*allow_exceptions=*/false);
    if (!run.is_object() || !run.contains("options") || !run["options"].is_object()) {
      normnet::fail("cannot read \"", run_file().string(), "\": it does not tell of a run");
    }
    const Json& begun = run["options"];
    for (const auto& [name, value] : run_) {
      const std::string expected = begun.contains(name) && begun[name].is_string() ? begun[name] : "nothing";
      if (expected != value) {
        throw UsageError(
            normnet::concat("--resume: expected ", name, " ", expected, " as in the run in \"", out, "\", got ", value));
      }
    }
  }

  // Nothing that is not ours; run.json last, for while it is there the rest is known to be.
  void remove() {
    lock_.reset();
    std::vector<std::filesystem::path> folders{folder_}, files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_)) {
      const std::string name = entry.path().filename().string(), leftover = normnet::file_of_leftover(name);
      const auto is_checkpoint = [](const std::string& file) {
        return file.starts_with("checkpoint-") && file.ends_with(".safetensors");
      };
      if (entry.is_directory()) folders.push_back(entry.path());
      if (name == ".lock" || is_checkpoint(name) || is_checkpoint(leftover)) files.push_back(entry.path());
    }
    files.push_back(run_file());
    for (const std::filesystem::path& file : files) {
      std::error_code error;
      std::filesystem::remove(file, error);
      if (error) normnet::fail("cannot remove \"", file.string(), "\": ", error.message());
    }
    for (std::size_t i = folders.size(); i-- > 0;) {
      std::error_code in_use;  // by files of others
      std::filesystem::remove(folders[i], in_use);
    }
  }

  std::filesystem::path folder_;
  Index keep_;
  bool resume_;
  bool unfinished_ = false;  // a run in the folder, as it was found
  RunOptions run_;
  std::optional<normnet::CheckpointFolder> lock_;  // keeps other programs from the folder
};

}  // namespace cifar10_norms
