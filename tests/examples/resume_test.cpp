// Tests of runs of examples/cifar10_norms that stop and go on.
#include "support/catch.hpp"
#include "support/files.hpp"

#include <cifar10_norms/experiment.hpp>
#include <cifar10_norms/options.hpp>
#include <cifar10_norms/run_checkpoints.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

using namespace cifar10_norms;
using normnet::test::TemporaryFolder;

namespace {

Options parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "cifar10_norms");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  return *parse_options(static_cast<int>(pointers.size()), pointers.data());
}

Data tiny_data() { return {.images = normnet::synthetic_cifar10({.train = 21, .test = 10}), .source = "a test"}; }

struct Trained {
  std::vector<normnet::EpochRecord> epochs;
  std::optional<normnet::EvaluationResult<float>> tested;
};

// Eight epochs, or until so many are done.
Trained trained(const std::string& recipe, const std::string& norm, std::optional<CheckpointPlace> checkpoints,
                std::size_t stop_after = 100) {
  const Options options = parse({"--recipe", recipe, "--norm", norm, "--epochs", "8", "--batch-size", "8"});
  const Plan& plan = options.plans.front();
  std::atomic<bool> stop = false;
  Trained result;
  Job job = job_of(plan, plan.norms.front(), 1);
  job.progress.out = nullptr;
  job.after_epoch = [&](const TrainingProgress& progress) {
    result.epochs = progress.epochs;
    stop = result.epochs.size() >= stop_after;
  };
  job.after_training = [&](const normnet::EvaluationResult<float>& tested) { result.tested = tested; };
  job.checkpoints = checkpoints;
  job.stop = &stop;
  train(job, tiny_data());
  return result;
}

}  // namespace

TEST_CASE("a training that stops and goes on has the bits of one that does not", "[examples]") {
  // Rates that are constant, fall after six epochs, and change with every step; batch norm has buffers.
  const std::string recipe = GENERATE("era", "eva6", "onecycle");
  INFO(recipe);
  const TemporaryFolder folder;
  CheckpointPlace place{.folder = folder / "checkpoints", .keep = 2, .resume = false, .options = {{"--epochs", "8"}}};
  const Trained whole = trained(recipe, "bn", std::nullopt);
  REQUIRE(whole.tested);
  CHECK_FALSE(trained(recipe, "bn", place, 3).tested);
  place.resume = true;
  CHECK_FALSE(trained(recipe, "bn", place, 7).tested);
  for (const char* once : {"goes on", "is there already"}) {
    INFO(once);
    const Trained resumed = trained(recipe, "bn", place);
    REQUIRE(resumed.tested);
    REQUIRE(resumed.epochs.size() == whole.epochs.size());
    for (std::size_t i = 0; i < whole.epochs.size(); ++i) {
      CHECK(resumed.epochs[i].train_loss == whole.epochs[i].train_loss);
      CHECK(resumed.epochs[i].test_loss == whole.epochs[i].test_loss);
      CHECK(resumed.epochs[i].learning_rate == whole.epochs[i].learning_rate);
    }
    CHECK(resumed.tested->loss == whole.tested->loss);
    CHECK(resumed.tested->predictions == whole.tested->predictions);
    CHECK_FALSE(std::filesystem::exists(place.folder / "checkpoint-7.safetensors"));  // the last alone is left
    CHECK(std::filesystem::exists(place.folder / "checkpoint-8.safetensors"));
  }
  place.options["--epochs"] = "9";
  CHECK_THROWS_AS(trained(recipe, "bn", place), normnet::Error);
}

TEST_CASE("a checkpoint that cannot be written ends the training with the one before", "[examples]") {
  const TemporaryFolder folder;
  CheckpointPlace place{.folder = folder.path(), .keep = 1, .resume = false, .options = {}};
  CHECK_FALSE(trained("era", "gn", place, 2).tested);
  place.resume = true;
  {
    const normnet::test::FileSizeLimit full(100'000);  // a third of a checkpoint
    CHECK_THROWS_WITH(trained("era", "gn", place),
                      "cannot write \"" + (folder / "checkpoint-3.safetensors").string() + "\": File too large");
  }
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) files.push_back(entry.path().filename().string());
  std::sort(files.begin(), files.end());
  CHECK(files == std::vector<std::string>{".lock", "checkpoint-2.safetensors"});
  CHECK(trained("era", "gn", place).tested->loss == trained("era", "gn", std::nullopt).tested->loss);
}

TEST_CASE("a run is known by its options", "[examples]") {
  const Data data = tiny_data();
  const auto of = [&](std::vector<std::string> arguments) { return run_options(parse(std::move(arguments)), data); };
  const RunOptions usual = of({});
  CHECK(of({"--threads", "1", "--no-progress", "--out", "x", "--resume", "--epochs", "20"}) == usual);
  const std::vector<std::vector<std::string>> others{{"--recipe", "eva6"}, {"--norm", "bn"},      {"--seed", "2"},
                                                     {"--epochs", "2"},    {"--batch-size", "2"}, {"--lr", "2"},
                                                     {"--limit", "2000"},  {"--flip", "0.5"},     {"--crop-padding", "1"},
                                                     {"batch-size-study"}, {"--recipe", "all"}};
  for (const auto& other : others) {
    INFO(other.front());
    CHECK(of(other) != usual);
  }
  Data other_images = tiny_data();
  other_images.images.test = other_images.images.test.first(9);
  CHECK(run_options(parse({}), other_images) != usual);

  // What only the source can change.
  Recipe recipe = *find_recipe("onecycle");
  const Norm norm = *recipe.find_norm("bn");
  const std::string text = training_text(recipe, norm);
  recipe.training.schedule = normnet::OneCycleLR<float>::Options{.three_phase = true};
  const std::string rescheduled = training_text(recipe, norm);
  CHECK(rescheduled != text);
  recipe.momentum = 0.8;
  CHECK(training_text(recipe, norm) != rescheduled);
}

TEST_CASE("nothing takes the place of a run that has not finished", "[examples]") {
  const TemporaryFolder folder;
  const std::string out = folder.path().string();
  const Data data = tiny_data();
  const auto checkpoints = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--synthetic", "--out", out});
    return RunCheckpoints(parse(arguments), data);
  };
  const std::filesystem::path ours = folder / "checkpoints" / "era" / "bn-seed1" / "checkpoint-1.safetensors";
  CHECK_THROWS_WITH(checkpoints({"--resume"}), "--resume: \"" + out + "\" holds no run that was stopped");
  CHECK_FALSE(std::filesystem::exists(folder / "checkpoints"));
  RunCheckpoints(parse({"--out", out, "--keep-checkpoints", "0"}), data).begin();
  CHECK_FALSE(std::filesystem::exists(folder / "checkpoints"));

  const std::string unfinished =
      "\"" + out + "\" holds a run that has not finished: go on with --resume, begin anew with --restart, or take another --out";
  {
    RunCheckpoints run = checkpoints({});
    run.begin();
    std::filesystem::create_directories(ours.parent_path());
    std::ofstream(ours) << "x";
    CHECK_THROWS_WITH(checkpoints({"--resume"}), "another run writes checkpoints to \"" + out + "/checkpoints\"");
  }
  CHECK_THROWS_WITH(checkpoints({}), unfinished);
  CHECK_THROWS_WITH(checkpoints({"--keep-checkpoints", "0"}), unfinished);
  CHECK_THROWS_WITH(checkpoints({"--resume", "--lr", "0.5"}),
                    "--resume: expected --lr 0.01 as in the run in \"" + out + "\", got 0.5");
  CHECK_THROWS_WITH(
      checkpoints({"--resume", "--recipe", "all"}),
      "--resume: expected --recipe era as in the run in \"" + out + "\", got era,tsai8,tsai8_head,eva6,dw,dw_residual,onecycle");
  {
    RunCheckpoints run = checkpoints({"--resume"});
    run.begin();
    const std::optional<CheckpointPlace> place = run.of(*find_recipe("era"), "bn-seed1");
    REQUIRE(place);
    CHECK(place->folder / "checkpoint-1.safetensors" == ours);
    CHECK(place->resume);
    CHECK(std::filesystem::exists(ours));
  }
  {
    RunCheckpoints run = checkpoints({"--restart"});
    CHECK(std::filesystem::exists(ours));
    run.begin();
    CHECK_FALSE(std::filesystem::exists(ours));
    CHECK_FALSE(run.of(*find_recipe("era"), "bn-seed1")->resume);
    // What a kill left half written goes, too.
    std::filesystem::create_directories(ours.parent_path());
    const std::filesystem::path notes = folder / "checkpoints" / "notes",
                                half = ours.parent_path() / ".checkpoint-2.safetensors.1-2.part";
    for (const auto& path : {notes, half}) std::ofstream(path) << "x";
    run.finish();
    CHECK(std::filesystem::exists(notes));
    CHECK_FALSE(std::filesystem::exists(ours.parent_path()));
    const std::filesystem::path half_run = folder / "checkpoints" / ".run.json.1-2.part";
    std::ofstream(half_run) << "x";
    checkpoints({}).begin();
    CHECK_FALSE(std::filesystem::exists(half_run));
    CHECK(std::filesystem::exists(notes));
  }
  std::ofstream(folder / "checkpoints" / "run.json") << "{";
  CHECK_THROWS_WITH(checkpoints({"--resume"}), "cannot read \"" + out + "/checkpoints/run.json\": it does not tell of a run");
}

TEST_CASE("the options that go on with a run", "[examples]") {
  CHECK(parse({}).keep_checkpoints == 2);
  const Options options = parse({"--restart", "--keep-checkpoints", "5", "--out", "a folder"});
  CHECK(options.keep_checkpoints == 5);
  CHECK(options.restart);
  CHECK(options.resume_command == "cifar10_norms --keep-checkpoints 5 --out 'a folder' --resume");
  CHECK_THROWS_WITH(parse({"--keep-checkpoints", "-1"}), "--keep-checkpoints: expected at least 0, got -1");
  CHECK_THROWS_WITH(parse({"--resume", "--restart"}), "--resume and --restart exclude each other");
  CHECK_THROWS_WITH(parse({"--resume", "--keep-checkpoints", "0"}), "--resume and --keep-checkpoints 0 exclude each other");
}
