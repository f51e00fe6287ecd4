// What Trainer::fit looks at before it begins, and what it shows of an epoch's length.
#include "support/catch.hpp"

#include <normnet/data/synthetic.hpp>
#include <normnet/nn/adaptive_avg_pool2d.hpp>
#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/cross_entropy_loss.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/optim/one_cycle_lr.hpp>
#include <normnet/optim/sgd.hpp>
#include <normnet/optim/step_lr.hpp>
#include <normnet/train/trainer.hpp>

#include <limits>
#include <sstream>
#include <string>

using namespace normnet;

namespace {

const Dataset& images() {
  static const Dataset data = synthetic_textures(41, Random(1));  // five batches of 8 and one of 1
  return data;
}

struct Run {
  Sequential<float> net = make_net();
  SGD<float> optimizer{net.parameters(), {.lr = 0.1}};
  Trainer<float> trainer{net, optimizer, CrossEntropyLoss<float>()};
  Index steps = 0;

  static Sequential<float> make_net() {
    Sequential<float> net(1);
    net.add(GlobalAvgPool2d<float>()).add(BatchNorm2d<float>(3), "norm").add(Linear<float>(3, 10));
    return net;
  }

  Trainer<float>::FitOptions options(Index epochs) {
    return {.epochs = epochs,
            .batch_size = 8,
            .drop_last = true,
            .on_batch_end = [this](const BatchReport&) { ++steps; },
            .progress = {.out = nullptr}};
  }
};

}  // namespace

TEST_CASE("fit() refuses a scheduler that ends before the run does, before it trains", "[train]") {
  Run run;
  const auto fit = [&](Scheduler<float>& scheduler, Index epochs, SchedulerInterval interval, Index batches_done = 0) {
    auto options = run.options(epochs);
    options.scheduler = &scheduler;
    options.scheduler_interval = interval;
    options.first_epoch_done.batches = batches_done;
    run.trainer.fit(images(), images(), options);
  };
  constexpr auto step = SchedulerInterval::step, epoch = SchedulerInterval::epoch;
  OneCycleLR<float> short_cycle(run.optimizer, {.max_lr = 0.1, .total_steps = 14, .cycle_momentum = false});
  CHECK_THROWS_WITH(fit(short_cycle, 3, step),
                    "Trainer: expected a OneCycleLR for 3 epochs of 5 steps, got one with 14 of 14 steps left");
  CHECK(run.steps == 0);
  CHECK(short_cycle.last_epoch() == 0);

  OneCycleLR<float> cycle(run.optimizer, {.max_lr = 0.1, .total_steps = 15, .cycle_momentum = false});
  fit(cycle, 1, step);
  CHECK(cycle.last_epoch() == 5);
  CHECK_THROWS_WITH(fit(cycle, 3, step),
                    "Trainer: expected a OneCycleLR for 3 epochs of 5 steps, got one with 10 of 15 steps left");
  fit(cycle, 2, step);
  CHECK(cycle.last_epoch() == 15);
  cycle.set_last_epoch(12);  // as when a run goes on in the middle of its last epoch
  CHECK_THROWS_WITH(fit(cycle, 1, step, 1),
                    "Trainer: expected a OneCycleLR for 1 epochs of 5 steps, of which 1 are done, got one "
                    "with 3 of 15 steps left");
  fit(cycle, 1, step, 2);
  CHECK(cycle.last_epoch() == 15);
  fit(cycle, 0, step);

  OneCycleLR<float> by_epoch(run.optimizer, {.max_lr = 0.1, .total_steps = 2, .cycle_momentum = false});
  CHECK_THROWS_WITH(fit(by_epoch, 3, epoch), "Trainer: expected a OneCycleLR for 3 epochs, got one with 2 of 2 epochs left");
  fit(by_epoch, 2, epoch, 3);
  CHECK(by_epoch.last_epoch() == 2);

  StepLR<float> endless(run.optimizer, {.step_size = 1});
  CHECK(endless.last_possible_epoch() == std::numeric_limits<Index>::max());
  fit(endless, 1, step, 4);
  CHECK(endless.last_epoch() == 1);
}

TEST_CASE("Where a last batch of one image cannot be trained, the error says what leaves it out", "[train]") {
  Run run;
  auto options = run.options(1);
  options.drop_last = false;
  CHECK_THROWS_WITH(run.trainer.fit(images(), images(), options),
                    "BatchNorm2d \"norm\": expected more than one value per channel in training, got 1 (input 1x3x1x1); where a "
                    "last batch that is not full is the cause, drop_last leaves it out");
  options.drop_last = true;
  CHECK_NOTHROW(run.trainer.fit(images(), images(), options));
}

TEST_CASE("The progress of an epoch ends at 100 %, also where its last batch is left out", "[train]") {
  for (const bool drop_last : {true, false}) {
    const Dataset data = images().first(drop_last ? 41 : 40);
    Run run;
    std::ostringstream out;
    double now = 0;
    auto options = run.options(1);
    options.drop_last = drop_last;
    options.progress = {.out = &out, .terminal = true, .width = 200, .clock = [&] { return now += 1; }};
    if (!drop_last) options.batch_size = 20;
    run.trainer.fit(data, images(), options);
    INFO(out.str());
    CHECK(out.str().find("]  100%  ") != std::string::npos);
    CHECK(out.str().find(drop_last ? "]   80%  " : "]   50%  ") != std::string::npos);
  }
}
