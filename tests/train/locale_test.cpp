// What training writes for programs to read is the same in every locale: files' names, CSV, checkpoints, messages.
#include "support/locale.hpp"
#include "support/catch.hpp"
#include "support/files.hpp"

#include <normnet/nn/dropout.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/optim/one_cycle_lr.hpp>
#include <normnet/optim/sgd.hpp>
#include <normnet/train/checkpoint_folder.hpp>
#include <normnet/train/history.hpp>
#include <normnet/train/model_summary.hpp>
#include <normnet/train/progress_bar.hpp>

#include <sstream>
#include <string>
#include <vector>

using namespace normnet;

namespace {

struct Run {
  Sequential<float> net = make_net();
  SGD<float> optimizer{net.parameters(), {.lr = 0.05, .momentum = 0.9}};
  OneCycleLR<float> scheduler{optimizer, {.max_lr = 1234.5, .total_steps = 2000}};
  TrainingState<float> state{net, optimizer, &scheduler};
  Checkpoint checkpoint{.seed = 1'234'567, .options = {{"limit", "5000"}}};

  static Sequential<float> make_net() {
    Sequential<float> net(/*seed=*/123'456);
    net.add(Dropout<float>(0.5)).add(Linear<float>(1200, 10));
    return net;
  }
};

const EpochRecord epoch_1234{1234, 1234.5, 65.5, 0.25, 70.125, 0.0625, 1500.25, 5120.5, 2.5};

}  // namespace

TEST_CASE("Checkpoints are named, found, kept and written alike in every locale", "[locale]") {
  const test::TemporaryFolder outer;
  Run usual;
  usual.checkpoint.history = {.labels = {{"norm", "bn"}}, .epochs = {epoch_1234}};
  usual.checkpoint.position = {.epoch = 1501, .done = {.batches = 1200}};
  const std::string bytes = to_safetensors(usual.state, usual.checkpoint).to_bytes();

  const test::GermanLocale german;
  CHECK((to_safetensors(usual.state, usual.checkpoint).to_bytes() == bytes));
  CHECK(concat(1234567, " ", 0.5, " ", Shape{1000, 2000}, " ", Pair(3000, 5)) == "1234567 0.5 1000x2000 3000x5");
  std::ostringstream out;  // has the global locale
  out << Pair(3000, 5) << " " << Shape{1000, 2000};
  CHECK(out.str() == "3000x5 1000x2000");

  CheckpointFolder folder(outer.path(), {.keep = 2});
  for (const Index batches : {0, 900, 1100, 1200}) {
    usual.checkpoint.position.done.batches = batches;
    folder.save(usual.state, usual.checkpoint);
  }
  std::vector<std::string> names;
  for (const auto& file : normnet_impl::checkpoint_files(outer.path())) names.push_back(file.path.filename().string());
  CHECK(names == std::vector<std::string>{"checkpoint-1500-1200.safetensors", "checkpoint-1500-1100.safetensors"});
  CHECK(outer.entries() == 3);  // and the lock

  Run resumed;
  const auto newest = load_newest_checkpoint(outer.path(), resumed.state, resumed.checkpoint.options);
  REQUIRE(newest);
  CHECK(newest->position.epoch == 1501);
  CHECK(newest->position.done.batches == 1200);
  CHECK(newest->seed == 1'234'567);
  CHECK(newest->history.labels == usual.checkpoint.history.labels);
  CHECK_THROWS_WITH(load_newest_checkpoint(outer.path(), resumed.state, {{"limit", "50"}}),
                    "cannot load \"" + (outer / "checkpoint-1500-1200.safetensors").string() +
                        "\": expected the option \"limit\" to be \"5000\" as in the checkpoint, got \"50\"");
  CHECK_THROWS_WITH(resumed.scheduler.lr_at(2001), "OneCycleLR: expected at most 2000 steps, got step 2001");
}

TEST_CASE("Histories, progress and summaries are written alike in every locale", "[locale]") {
  Run run;
  const std::vector<History> runs{{.labels = {{"seed", "1"}}, .epochs = {epoch_1234}}};
  const auto all = [&] {
    std::ostringstream out;
    out.imbue(std::locale());
    {
      ProgressBar bar({.out = &out, .terminal = true, .width = 200, .clock = [] { return 0.0; }}, 1500, 50000);
      bar.begin_epoch(1234);
      bar.update(12000, 1234.5, 65.5);
      bar.end_epoch(epoch_1234);
    }
    out << ModelSummary(run.net, {1200, 1, 1});
    return to_csv(runs) + out.str() + with_commas(1'234'567) + format_duration(123'456.7);
  };
  const std::string usual = all();
  CHECK(usual.find("\n1,1234,1234.5,65.5,0.25,70.125,0.0625,1500.250,5120.5,2.500\n") != std::string::npos);
  const test::GermanLocale german;
  CHECK(all() == usual);
}
