// The schedulers at values known by hand; tests/parity/ holds them against PyTorch.
#include "support/catch.hpp"

#include <normnet/optim/cosine_annealing_lr.hpp>
#include <normnet/optim/multi_step_lr.hpp>
#include <normnet/optim/one_cycle_lr.hpp>
#include <normnet/optim/sgd.hpp>
#include <normnet/optim/step_lr.hpp>

#include <cmath>
#include <string>
#include <vector>

using namespace normnet;

namespace {

// An optimizer that knows no momentum.
class PlainOptimizer final : public Optimizer<float> {
 public:
  using Optimizer<float>::Optimizer;
  void step() override {}
};

// A scheduler of a user's own.
class InverseLR final : public Scheduler<float> {
 public:
  explicit InverseLR(Optimizer<float>& optimizer) : Scheduler<float>(optimizer) { start(); }
  double lr_at(Index epoch) const override { return base_lr() / static_cast<double>(1 + epoch); }
};

struct Fixture {
  Parameter<float> weight{Shape{1}};
  SGD<float> optimizer{{{"weight", &weight}}, {.lr = 0.5, .momentum = 0.9}};

  // The learning rates of the first epochs; then goes back and sees them again.
  std::vector<double> rates(Scheduler<float>& scheduler, int epochs) {
    std::vector<double> values;
    for (int epoch = 0; epoch < epochs; ++epoch) {
      CHECK(scheduler.last_epoch() == epoch);
      values.push_back(optimizer.lr());
      scheduler.step();
    }
    scheduler.set_last_epoch(1);
    CHECK(scheduler.last_epoch() == 1);
    CHECK(optimizer.lr() == values[1]);
    CHECK(scheduler.base_lr() == 0.5);
    return values;
  }
};

using Rates = std::vector<double>;

}  // namespace

TEST_CASE("StepLR multiplies the rate after every step_size epochs") {
  Fixture f;
  StepLR<float> scheduler(f.optimizer, {.step_size = 2, .gamma = 0.5});
  CHECK(f.rates(scheduler, 7) == Rates{0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625});
  CHECK_THROWS_WITH(StepLR<float>(f.optimizer, {}), "StepLR: expected step_size of at least 1, got 0");
  CHECK_THROWS_WITH(StepLR<float>(f.optimizer, {.step_size = 1, .gamma = -1}),
                    "StepLR: expected a finite gamma of at least 0, got -1");
}

TEST_CASE("MultiStepLR multiplies the rate at each milestone, as often as it is given") {
  Fixture f;
  MultiStepLR<float> scheduler(f.optimizer, {.milestones = {5, 1, 3, 3}, .gamma = 0.5});
  CHECK(f.rates(scheduler, 7) == Rates{0.5, 0.25, 0.25, 0.0625, 0.0625, 0.03125, 0.03125});
  CHECK_THROWS_WITH(MultiStepLR<float>(f.optimizer, {.milestones = {-1}}),
                    "MultiStepLR: expected milestones of at least 0, got -1");
  CHECK_THROWS_WITH(MultiStepLR<float>(f.optimizer, {.gamma = std::nan("")}),
                    "MultiStepLR: expected a finite gamma of at least 0, got nan");
}

TEST_CASE("CosineAnnealingLR falls to eta_min in t_max epochs and rises again") {
  Fixture f;
  CosineAnnealingLR<float> scheduler(f.optimizer, {.t_max = 4, .eta_min = 0.1});
  const Rates rates = f.rates(scheduler, 9);
  CHECK(rates[0] == 0.5);
  CHECK(rates[1] == Approx(0.3 + 0.2 * std::sqrt(0.5)).epsilon(1e-15));  // a cosine and four operations
  CHECK(rates[2] == Approx(0.3).epsilon(1e-15));
  CHECK(rates[4] == 0.1);
  CHECK(rates[8] == 0.5);
  CHECK_THROWS_WITH(CosineAnnealingLR<float>(f.optimizer, {}), "CosineAnnealingLR: expected t_max of at least 1, got 0");
  CHECK_THROWS_WITH(CosineAnnealingLR<float>(f.optimizer, {.t_max = 1, .eta_min = -1}),
                    "CosineAnnealingLR: expected a finite eta_min of at least 0, got -1");
}

TEST_CASE("OneCycleLR warms up, cools down, and cycles the momentum against the rate") {
  Fixture f;
  OneCycleLR<float> scheduler(f.optimizer, {.max_lr = 1,
                                            .total_steps = 10,
                                            .pct_start = 0.5,
                                            .anneal_strategy = OneCycleLR<float>::Anneal::linear,
                                            .div_factor = 2,
                                            .final_div_factor = 4});
  CHECK(f.optimizer.lr() == 0.5);
  CHECK(f.optimizer.momentum() == 0.95);
  scheduler.set_last_epoch(2);
  CHECK(f.optimizer.lr() == 0.75);
  scheduler.set_last_epoch(4);
  CHECK(f.optimizer.lr() == 1);
  CHECK(f.optimizer.momentum() == Approx(0.85).epsilon(1e-15));  // 0.95 - 0.1 is not 0.85 to the bit
  for (int step = 5; step < 10; ++step) scheduler.step();
  CHECK(f.optimizer.lr() == 0.125);
  CHECK(f.optimizer.momentum() == Approx(0.95).epsilon(1e-15));

  scheduler.step();  // after the last batch
  CHECK(scheduler.last_epoch() == 10);
  CHECK(f.optimizer.lr() == 0.125);
  CHECK_THROWS_WITH(scheduler.step(), "OneCycleLR: expected at most 10 steps, got step 11");
  CHECK(scheduler.last_epoch() == 10);
}

TEST_CASE("OneCycleLR with short phases and without cycled momentum") {
  Fixture f;
  const Rates ends{1.0 / 25, 1.0 / 25 / 1e4};
  OneCycleLR<float> single(f.optimizer, {.max_lr = 1, .total_steps = 1, .cycle_momentum = false});
  CHECK(f.optimizer.lr() == Approx(ends[1]).epsilon(1e-15));  // two divisions
  CHECK(f.optimizer.momentum() == 0.9);
  OneCycleLR<float> no_warm_up(f.optimizer, {.max_lr = 1, .total_steps = 4, .pct_start = 0.25});
  CHECK(f.optimizer.lr() == 1);
  OneCycleLR<float> only_warm_up(f.optimizer, {.max_lr = 1, .total_steps = 4, .pct_start = 1});
  CHECK(f.optimizer.lr() == Approx(ends[0]).epsilon(1e-15));  // a division
  only_warm_up.set_last_epoch(3);
  CHECK(f.optimizer.lr() == 1);
}

TEST_CASE("OneCycleLR rejects options without sense, and says which") {
  Fixture f;
  const auto message = [&](OneCycleLR<float>::Options options) -> std::string {
    try {
      OneCycleLR<float> scheduler(f.optimizer, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  CHECK(message({.total_steps = 5}) == "OneCycleLR: expected a finite max_lr above 0, got 0");
  CHECK(message({.max_lr = 1}) == "OneCycleLR: expected total_steps of at least 1, got 0");
  CHECK(message({.max_lr = 1, .total_steps = 5, .pct_start = 1.5}) == "OneCycleLR: expected pct_start in [0, 1], got 1.5");
  CHECK(message({.max_lr = 1, .total_steps = 5, .div_factor = 0}) == "OneCycleLR: expected a finite div_factor above 0, got 0");
  CHECK(message({.max_lr = 1, .total_steps = 5, .final_div_factor = -1}) ==
        "OneCycleLR: expected a finite final_div_factor above 0, got -1");
  CHECK(message({.max_lr = 1, .total_steps = 5, .max_momentum = -1}) == "SGD: expected a finite momentum of at least 0, got -1");

  PlainOptimizer plain({{"weight", &f.weight}}, 0.1);
  CHECK_THROWS_WITH(OneCycleLR<float>(plain, {.max_lr = 1, .total_steps = 5}),
                    "Optimizer: cannot set a momentum of 0.95: this optimizer has none");
  OneCycleLR<float> without_momentum(plain, {.max_lr = 1, .total_steps = 5, .cycle_momentum = false});
  CHECK(plain.lr() == Approx(0.04).epsilon(1e-15));  // a division
}

TEST_CASE("A scheduler of one's own needs only its formula") {
  Fixture f;
  InverseLR scheduler(f.optimizer);
  CHECK(f.rates(scheduler, 3) == Rates{0.5, 0.25, 0.5 / 3});
  CHECK_THROWS_WITH(scheduler.set_last_epoch(-1), "Scheduler: expected an epoch of at least 0, got -1");
}
