// Tests of train/checkpoint.hpp, train/checkpoint_folder.hpp and train/stop_on_signal.hpp.
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/disk_log.hpp"
#include "support/files.hpp"

#include <normnet/data/synthetic.hpp>
#include <normnet/nn/activation.hpp>
#include <normnet/nn/adaptive_avg_pool2d.hpp>
#include <normnet/nn/avg_pool2d.hpp>
#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/cross_entropy_loss.hpp>
#include <normnet/nn/dropout.hpp>
#include <normnet/nn/group_norm.hpp>
#include <normnet/nn/instance_norm2d.hpp>
#include <normnet/nn/layer_norm.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/nn/max_pool2d.hpp>
#include <normnet/nn/nll_loss.hpp>
#include <normnet/nn/residual.hpp>
#include <normnet/nn/softmax.hpp>
#include <normnet/optim/cosine_annealing_lr.hpp>
#include <normnet/optim/multi_step_lr.hpp>
#include <normnet/optim/one_cycle_lr.hpp>
#include <normnet/optim/sgd.hpp>
#include <normnet/optim/step_lr.hpp>
#include <normnet/train/checkpoint.hpp>
#include <normnet/train/checkpoint_folder.hpp>
#include <normnet/train/stop_on_signal.hpp>
#include <normnet/train/trainer.hpp>

#include <atomic>
#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

using namespace normnet;
using test::content;
namespace fs = std::filesystem;

namespace {

constexpr Index epochs = 3, batches = 4;  // three batches of 32 and one of 4

const Dataset& train_images() {
  static const Dataset data = synthetic_textures(100, Random(1));
  return data;
}
const Dataset& test_images() {
  static const Dataset data = synthetic_textures(23, Random(2));
  return data;
}

/// A network with every kind of layer that has a state: parameters, running statistics, nested ones, dropped units.
template <class T>
Sequential<T> stateful_net(std::uint64_t seed = 3) {
  Sequential<T> body(1), net(seed);
  body.add(Conv2d<T>({.in_channels = 6, .out_channels = 6, .kernel_size = 3, .padding = 1, .bias = false}))
      .add(InstanceNorm2d<T>({.channels = 6, .affine = true, .track_running_stats = true}))
      .add(Dropout<T>(0.2));
  net.add(Conv2d<T>({.in_channels = 3, .out_channels = 6, .kernel_size = 5, .stride = 3}), "conv1")
      .add(BatchNorm2d<T>(6), "norm1")
      .add(ReLU<T>())
      .add(Residual<T>(std::move(body)), "block")
      .add(LayerNorm<T>({6, 10, 10}))
      .add(Dropout<T>(0.1))
      .add(GlobalAvgPool2d<T>())
      .add(Linear<T>(6, 10), "fc");
  return net;
}

using MakeScheduler = std::function<std::unique_ptr<Scheduler<float>>(Optimizer<float>&)>;

/// A run from its beginning, ready to go on from a checkpoint.
struct Run {
  Sequential<float> net = stateful_net<float>();
  SGD<float> optimizer{net.parameters(), sgd<float>()};
  std::unique_ptr<Scheduler<float>> scheduler;
  SchedulerInterval interval;
  TrainingState<float> state;
  Trainer<float> trainer{net, optimizer, CrossEntropyLoss<float>()};
  Checkpoint checkpoint{.seed = 5, .options = {{"momentum", "0.9"}}};
  std::function<void()> after_batch;

  explicit Run(const MakeScheduler& make = {}, SchedulerInterval scheduler_interval = SchedulerInterval::epoch)
      : scheduler(make ? make(optimizer) : nullptr), interval(scheduler_interval), state{net, optimizer, scheduler.get()} {}

  template <class T>
  static typename SGD<T>::Options sgd() {
    return {.lr = 0.05, .momentum = 0.9, .weight_decay = 1e-3, .nesterov = true};
  }

  /// Trains from where the checkpoint stands to the end, or until stop; the checkpoint then holds the run.
  void go_on(const std::atomic<bool>* stop = nullptr) {
    const History history = trainer.fit(train_images(), test_images(),
                                        {.epochs = epochs + 1 - checkpoint.position.epoch,
                                         .first_epoch = checkpoint.position.epoch,
                                         .first_epoch_done = checkpoint.position.done,
                                         .batch_size = 32,
                                         .seed = checkpoint.seed,
                                         .augment = {.crop_padding = 4, .flip_probability = 0.5},
                                         .scheduler = scheduler.get(),
                                         .scheduler_interval = interval,
                                         .on_batch_end =
                                             [&](const BatchReport&) {
                                               if (after_batch) after_batch();
                                             },
                                         .stop = stop,
                                         .progress = {.out = nullptr}});
    checkpoint.position = trainer.position();
    checkpoint.history.epochs.insert(checkpoint.history.epochs.end(), history.epochs.begin(), history.epochs.end());
  }

  /// Trains so many batches in all.
  void go_on_for(Index count) {
    std::atomic<bool> stop = count == 0;
    after_batch = [&, done = Index{0}]() mutable { stop = ++done == count; };
    go_on(&stop);
    after_batch = {};
  }
};

// What a run has come to: all tensors, the rate and the momentum, and the history but for its times.
auto outcome(Run& run) {
  std::vector<Tensor<float>> tensors;
  for (const auto& [name, parameter] : run.net.parameters()) tensors.push_back(parameter->value);
  for (const auto& [name, buffer] : run.net.buffers()) tensors.push_back(*buffer);
  for (const auto& [name, buffer] : run.optimizer.state()) tensors.push_back(*buffer);
  std::vector<std::tuple<Index, double, double, double, double, double>> history;
  for (const EpochRecord& e : run.checkpoint.history.epochs) {
    history.emplace_back(e.epoch, e.train_loss, e.train_accuracy, e.test_loss, e.test_accuracy, e.learning_rate);
  }
  return std::tuple(tensors, history, run.optimizer.lr(), run.optimizer.momentum(), run.net.passes());
}

// The file of a run that is stopped after so many batches.
fs::path stopped_run(const test::TemporaryFolder& folder, Index count) {
  Run run;
  run.go_on_for(count);
  save_checkpoint(folder / "run", run.state, run.checkpoint);
  return folder / "run";
}

void flip_a_bit(const fs::path& path, std::size_t from_end) {
  std::string bytes = content(path);
  bytes[bytes.size() - from_end] = static_cast<char>(bytes[bytes.size() - from_end] ^ 1);
  write_file_atomically(path, bytes);
}

}  // namespace

TEST_CASE("A run that goes on from a checkpoint has the bits of one without a stop", "[checkpoint]") {
  const test::TemporaryFolder folder;
  struct Case {
    MakeScheduler make;
    SchedulerInterval interval = SchedulerInterval::epoch;
  };
  const std::vector<Case> cases{
      {},
      {[](Optimizer<float>& o) {
        return std::make_unique<StepLR<float>>(o, StepLR<float>::Options{.step_size = 1, .gamma = 0.3});
      }},
      {[](Optimizer<float>& o) {
        return std::make_unique<MultiStepLR<float>>(o, MultiStepLR<float>::Options{.milestones = {1, 2}, .gamma = 0.3});
      }},
      {[](Optimizer<float>& o) {
        return std::make_unique<CosineAnnealingLR<float>>(o, CosineAnnealingLR<float>::Options{.t_max = 3});
      }},
      {[](Optimizer<float>& o) {
         return std::make_unique<OneCycleLR<float>>(o,
                                                    OneCycleLR<float>::Options{.max_lr = 0.1, .total_steps = epochs * batches});
       },
       SchedulerInterval::step}};
  for (const Case& one : cases) {
    Run whole(one.make, one.interval);
    whole.go_on();
    REQUIRE(whole.checkpoint.history.epochs.size() == epochs);
    // Before the first batch, in the middle of an epoch, before its tests, in the last one, after the end.
    for (const Index stop : {Index{0}, Index{1}, batches, batches + 2, epochs * batches - 1, epochs * batches, Index{99}}) {
      INFO(stop);
      Run stopped(one.make, one.interval);
      stopped.go_on_for(stop);
      save_checkpoint(folder / "run", stopped.state, stopped.checkpoint);

      Run resumed(one.make, one.interval);
      resumed.checkpoint = load_checkpoint(folder / "run", resumed.state, resumed.checkpoint.options);
      CHECK((outcome(resumed) == outcome(stopped)));
      resumed.go_on();
      CHECK((outcome(resumed) == outcome(whole)));
    }
  }
}

TEST_CASE("A checkpoint keeps all that it is given, bit for bit", "[checkpoint]") {
  const test::TemporaryFolder folder;
  const MakeScheduler cycle = [](Optimizer<float>& o) {
    return std::make_unique<OneCycleLR<float>>(o, OneCycleLR<float>::Options{.max_lr = 0.1, .total_steps = 10});
  };
  Run run(cycle);
  run.net.set_passes(~std::uint64_t{0});
  run.scheduler->set_last_epoch(4);
  run.optimizer.set_lr(1.0 / 7);  // by hand, after the scheduler
  run.optimizer.set_momentum(1.0 / 9);
  run.checkpoint = {.position = {.epoch = 3,
                                 .done = {.batches = 2,
                                          .metrics = RunningMetrics({7, 3, {0.1, 1e-300}}),
                                          .learning_rate = 1.0 / 3,
                                          .seconds = 0.7}},
                    .seed = ~std::uint64_t{0} - 1,
                    .history = {.labels = {{"norm", "bn"}, {"a\n", ""}},
                                .epochs = {{1, 0.1, 0.2, 1.0 / 3, 0.4, 0.5, 0.6, 0.7, 0.8}, {2, 1, 2, 3, 4, 5, 6, 7, 8}}},
                    .options = {{"batch size", "32"}, {"", "\xc3\xa9"}}};
  save_checkpoint(folder / "run", run.state, run.checkpoint);

  Run other(cycle);
  const Checkpoint read = load_checkpoint(folder / "run", other.state, run.checkpoint.options);
  CHECK(other.scheduler->last_epoch() == 4);
  CHECK(other.optimizer.lr() == 1.0 / 7);
  CHECK(other.optimizer.momentum() == 1.0 / 9);
  CHECK(other.net.passes() == ~std::uint64_t{0});
  CHECK(read.seed == ~std::uint64_t{0} - 1);
  CHECK(read.options == run.checkpoint.options);
  CHECK(read.position.epoch == 3);
  CHECK(read.position.done.batches == 2);
  CHECK(read.position.done.metrics.counts().images == 7);
  CHECK(read.position.done.metrics.counts().right == 3);
  CHECK(read.position.done.metrics.counts().loss.sum == 0.1);
  CHECK(read.position.done.metrics.counts().loss.weight == 1e-300);
  CHECK(read.position.done.learning_rate == 1.0 / 3);
  CHECK(read.position.done.seconds == 0.7);
  CHECK(read.history.labels == run.checkpoint.history.labels);
  CHECK(to_csv(std::vector{read.history}) == to_csv(std::vector{run.checkpoint.history}));
  CHECK(read.history.epochs[0].images_per_second == 0.7);
}

TEST_CASE("A checkpoint of another run is refused, and nothing is changed", "[checkpoint]") {
  const test::TemporaryFolder folder;
  const fs::path path = stopped_run(folder, 2);
  const std::string file = "cannot load \"" + path.string() + "\": ";
  const std::map<std::string, std::string> options{{"momentum", "0.9"}};
  const MakeScheduler step = [](Optimizer<float>& o) {
    return std::make_unique<StepLR<float>>(o, StepLR<float>::Options{.step_size = 1});
  };

  Run run;
  const auto before = outcome(run);
  const auto refuses = [&](const std::string& message, auto load) {
    CHECK_THROWS_WITH(load(), file + message);
    CHECK((outcome(run) == before));
  };
  refuses("expected the option \"momentum\" to be \"0.9\" as in the checkpoint, got \"0.8\"", [&] {
    load_checkpoint(path, run.state, {{"momentum", "0.8"}});
  });
  refuses("expected the option \"momentum\" to be \"0.9\" as in the checkpoint, got none",
          [&] { load_checkpoint(path, run.state); });
  refuses("expected the option \"limit\" to be absent as in the checkpoint, got \"5\"", [&] {
    load_checkpoint(path, run.state, {{"momentum", "0.9"}, {"limit", "5"}});
  });

  auto other_seed = stateful_net<float>(4);
  SGD<float> other_optimizer(other_seed.parameters(), Run::sgd<float>());
  refuses("expected a network of seed 3, got one of seed 4", [&] {
    load_checkpoint<float>(path, {other_seed, other_optimizer}, options);
  });

  Run scheduled(step);
  refuses("expected a run without a scheduler, got one with", [&] { load_checkpoint(path, scheduled.state, options); });
  save_checkpoint(folder / "scheduled", scheduled.state, scheduled.checkpoint);
  CHECK_THROWS_WITH(load_checkpoint(folder / "scheduled", run.state, options),
                    "cannot load \"" + (folder / "scheduled").string() + "\": expected a run with a scheduler, got one without");
  run.optimizer.set_lr(0.01);
  StepLR<float> slower(run.optimizer, {.step_size = 1});
  CHECK_THROWS_WITH(load_checkpoint<float>(folder / "scheduled", {run.net, run.optimizer, &slower}, options),
                    "cannot load \"" + (folder / "scheduled").string() +
                        "\": expected \"scheduler.base_lr\" to be \"0.05\" as in the checkpoint, got \"0.01\"");
  run.optimizer.set_lr(0.05);

  auto in_double = stateful_net<double>();
  SGD<double> double_optimizer(in_double.parameters(), Run::sgd<double>());
  refuses("SafeTensors: expected \"model.conv1.weight\" to have elements of F64, got F32", [&] {
    load_checkpoint<double>(path, {in_double, double_optimizer}, options);
  });

  // What the types and options of the layers do not tell, the tensors do.
  const SafeTensors good = to_safetensors(run.state, run.checkpoint);
  SafeTensors more = good, other_shape;
  more.add("model.4.gain", Tensor<float>({1}));
  CHECK_THROWS_WITH(from_safetensors(more, run.state, options), "expected a file without a tensor \"model.4.gain\"");
  other_shape.metadata = good.metadata;
  other_shape.add("model.conv1.weight", Tensor<float>({7, 3, 5, 5}));
  CHECK_THROWS_WITH(from_safetensors(other_shape, run.state, options),
                    "expected \"model.conv1.weight\" to have the shape 6x3x5x5, got 7x3x5x5");
}

TEST_CASE("Whatever decides the next bit belongs to what a checkpoint compares", "[checkpoint]") {
  using Cosine = CosineAnnealingLR<float>;
  using Cycle = OneCycleLR<float>;
  const auto small_net = [](double p, double slope, double eps, ConvAlgorithm algorithm, Index stride) {
    Sequential<float> net(3), body;
    body.add(Conv2d<float>({.in_channels = 2, .out_channels = 2, .kernel_size = 3, .padding = 1, .algorithm = algorithm}));
    net.add(Residual<float>(std::move(body)), "block")
        .add(AvgPool2d<float>({.kernel_size = 2, .stride = stride}))
        .add(BatchNorm2d<float>({.channels = 2, .eps = eps}), "norm")
        .add(LeakyReLU<float>(slope))
        .add(Dropout<float>(p))
        .add(Linear<float>(2, 3));
    return net;
  };
  const auto usual_net = [&] { return small_net(0.5, 0.1, 1e-5, ConvAlgorithm::direct, 2); };
  const SGD<float>::Options usual{.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01};
  const auto cosine = [](Cosine::Options options) {
    return [options](Optimizer<float>& o) { return std::unique_ptr<Scheduler<float>>(new Cosine(o, options)); };
  };
  const auto cycle = [](Cycle::Options options) {
    return [options](Optimizer<float>& o) { return std::unique_ptr<Scheduler<float>>(new Cycle(o, options)); };
  };
  const auto step = [](StepLR<float>::Options options) {
    return [options](Optimizer<float>& o) { return std::unique_ptr<Scheduler<float>>(new StepLR<float>(o, options)); };
  };
  const auto milestones = [](MultiStepLR<float>::Options options) {
    return [options](Optimizer<float>& o) { return std::unique_ptr<Scheduler<float>>(new MultiStepLR<float>(o, options)); };
  };
  // The error with which a run of these parts refuses the checkpoint of the others; "" where it takes it.
  struct Parts {
    Sequential<float> net;
    SGD<float>::Options sgd;
    MakeScheduler make;
  };
  const auto answer = [](Parts saved, Parts loaded) -> std::string {
    SGD<float> saved_optimizer(saved.net.parameters(), saved.sgd), optimizer(loaded.net.parameters(), loaded.sgd);
    const auto saved_scheduler = saved.make(saved_optimizer), scheduler = loaded.make(optimizer);
    saved_scheduler->step();
    const SafeTensors file = to_safetensors<float>({saved.net, saved_optimizer, saved_scheduler.get()}, Checkpoint{});
    const std::string before = to_safetensors<float>({loaded.net, optimizer, scheduler.get()}, Checkpoint{}).to_bytes();
    try {
      from_safetensors<float>(file, {loaded.net, optimizer, scheduler.get()});
      CHECK(scheduler->last_epoch() == 1);
      CHECK(optimizer.lr() == saved_optimizer.lr());
      return "";
    } catch (const Error& error) {
      CHECK((to_safetensors<float>({loaded.net, optimizer, scheduler.get()}, Checkpoint{}).to_bytes() == before));
      return error.what();
    }
  };
  const auto differs = [](const std::string& name, const std::string& expected, const std::string& got) {
    return "expected \"" + name + "\" to be " + expected + " as in the checkpoint, got " + got;
  };

  // Schedulers.
  const auto of_schedulers = [&](const MakeScheduler& saved, const MakeScheduler& loaded) {
    return answer({usual_net(), usual, saved}, {usual_net(), usual, loaded});
  };
  const MakeScheduler ten = cosine({.t_max = 10});
  CHECK(of_schedulers(ten, ten).empty());
  CHECK(of_schedulers(ten, cosine({.t_max = 5})) == differs("scheduler.t_max", "\"10\"", "\"5\""));
  CHECK(of_schedulers(ten, cosine({.t_max = 10, .eta_min = 0.25})) == differs("scheduler.eta_min", "\"0\"", "\"0.25\""));
  CHECK(of_schedulers(ten, step({.step_size = 1})) == differs("scheduler", "\"CosineAnnealingLR\"", "\"StepLR\""));
  CHECK(of_schedulers(ten, cycle({.max_lr = 1, .total_steps = 9})) ==
        differs("scheduler", "\"CosineAnnealingLR\"", "\"OneCycleLR\""));
  CHECK(of_schedulers(step({.step_size = 1}), step({.step_size = 2})) == differs("scheduler.step_size", "\"1\"", "\"2\""));
  CHECK(of_schedulers(step({.step_size = 1}), step({.step_size = 1, .gamma = 0.1 + 1e-18})).empty());  // the same number
  CHECK(of_schedulers(step({.step_size = 1}), step({.step_size = 1, .gamma = 0.1 + 2e-17})) ==
        differs("scheduler.gamma", "\"0.1\"", "\"0.10000000000000002\""));
  CHECK(of_schedulers(milestones({.milestones = {2, 3}}), milestones({.milestones = {2}})) ==
        differs("scheduler.milestones", "\"2,3\"", "\"2\""));
  CHECK(of_schedulers(milestones({.milestones = {2}}), milestones({.milestones = {2}, .gamma = 0.5})) ==
        differs("scheduler.gamma", "\"0.1\"", "\"0.5\""));
  const Cycle::Options usual_cycle{.max_lr = 1, .total_steps = 9};
  std::vector<std::pair<std::string, Cycle::Options>> cycles(10, {"", usual_cycle});
  cycles[0] = {"max_lr", {.max_lr = 2, .total_steps = 9}};
  cycles[1] = {"total_steps", {.max_lr = 1, .total_steps = 10}};
  cycles[2].first = "pct_start", cycles[2].second.pct_start = 0.4;
  cycles[3].first = "anneal_strategy", cycles[3].second.anneal_strategy = Cycle::Anneal::linear;
  cycles[4].first = "cycle_momentum", cycles[4].second.cycle_momentum = false;
  cycles[5].first = "base_momentum", cycles[5].second.base_momentum = 0.8;
  cycles[6].first = "max_momentum", cycles[6].second.max_momentum = 0.9;
  cycles[7].first = "div_factor", cycles[7].second.div_factor = 10;
  cycles[8].first = "final_div_factor", cycles[8].second.final_div_factor = 10;
  cycles[9].first = "three_phase", cycles[9].second.three_phase = true;
  for (const auto& [name, options] : cycles) {
    CHECK(of_schedulers(cycle(usual_cycle), cycle(options)).find("expected \"scheduler." + name + "\" to be ") == 0);
  }

  // Optimizers.
  const auto of_optimizers = [&](const SGD<float>::Options& saved, const SGD<float>::Options& loaded) {
    return answer({usual_net(), saved, ten}, {usual_net(), loaded, ten});
  };
  CHECK(of_optimizers(usual, {.lr = 0.1, .momentum = 0.9}) == differs("optimizer.weight_decay", "\"0.01\"", "\"0\""));
  CHECK(of_optimizers(usual, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true}) ==
        differs("optimizer.nesterov", "\"false\"", "\"true\""));
  CHECK(of_optimizers(usual, {.lr = 0.1, .momentum = 0.8, .weight_decay = 0.01}) ==
        differs("optimizer.momentum", "\"0.9\"", "\"0.8\""));
  CHECK(of_optimizers(usual, {.lr = 0.1, .momentum = 0.9, .dampening = 0.5, .weight_decay = 0.01}) ==
        differs("optimizer.dampening", "\"0\"", "\"0.5\""));
  CHECK(of_optimizers(usual, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .l1_penalty = 0.1}) ==
        differs("optimizer.l1_penalty", "\"0\"", "\"0.1\""));
  CHECK(of_optimizers(usual, {.lr = 0.2, .momentum = 0.9, .weight_decay = 0.01}) ==
        differs("optimizer.lr", "\"0.1\"", "\"0.2\""));

  // Layers.
  const auto of_nets = [&](Sequential<float> loaded) {
    return answer({usual_net(), usual, ten}, {std::move(loaded), usual, ten});
  };
  CHECK(of_nets(usual_net()).empty());
  CHECK(of_nets(small_net(0.25, 0.1, 1e-5, ConvAlgorithm::direct, 2)) == differs("model.4.p", "\"0.5\"", "\"0.25\""));
  CHECK(of_nets(small_net(0.5, 0.2, 1e-5, ConvAlgorithm::direct, 2)) == differs("model.3.negative_slope", "\"0.1\"", "\"0.2\""));
  CHECK(of_nets(small_net(0.5, 0.1, 1e-3, ConvAlgorithm::direct, 2)) == differs("model.norm.eps", "\"1e-05\"", "\"0.001\""));
  CHECK(of_nets(small_net(0.5, 0.1, 1e-5, ConvAlgorithm::winograd, 2)) ==
        differs("model.block.body.0.algorithm", "\"direct\"", "\"winograd\""));
  CHECK(of_nets(small_net(0.5, 0.1, 1e-5, ConvAlgorithm::direct, 1)) == differs("model.1.stride", "\"2x2\"", "\"1x1\""));
  auto longer = usual_net();
  longer.add(Softmax<float>(), "last");
  CHECK(of_nets(std::move(longer)) == differs("model.last", "absent", "\"Softmax\""));
}

TEST_CASE("Every option of every part has a text", "[checkpoint]") {
  const auto names = [](const NamedOptions& options) {
    std::string all;
    for (const auto& [name, value] : options) all += name + "=" + value + " ";
    return all;
  };
  CHECK(names(Conv2d<float>({.in_channels = 2, .out_channels = 4, .kernel_size = {3, 5}, .groups = 2}).named_options()) ==
        "algorithm=automatic bias=true dilation=1x1 groups=2 in_channels=2 kernel_size=3x5 out_channels=4 padding=0x0 "
        "stride=1x1 ");
  CHECK(names(Linear<float>(2, 3, false).named_options()) == "bias=false in_features=2 out_features=3 ");
  CHECK(names(MaxPool2d<float>(2).named_options()) == "ceil_mode=false dilation=1x1 kernel_size=2x2 padding=0x0 stride=2x2 ");
  CHECK(names(AvgPool2d<float>(2).named_options()) ==
        "ceil_mode=false count_include_pad=true kernel_size=2x2 padding=0x0 stride=2x2 ");
  CHECK(names(AdaptiveAvgPool2d<float>({2, 3}).named_options()) == "output_size=2x3 ");
  CHECK(names(BatchNorm2d<float>(2).named_options()) ==
        "affine=true channels=2 eps=1e-05 momentum=0.1 track_running_stats=true ");
  CHECK(names(InstanceNorm2d<float>(2).named_options()) ==
        "affine=false channels=2 eps=1e-05 momentum=0.1 track_running_stats=false ");
  CHECK(names(GroupNorm<float>(1, 2).named_options()) == "affine=true channels=2 eps=1e-05 groups=1 ");
  CHECK(names(LayerNorm<float>({2, 3}).named_options()) == "elementwise_affine=true eps=1e-05 normalized_shape=2x3 ");
  CHECK(names(Dropout<float>(0.1).named_options()) == "p=0.1 ");
  CHECK(names(LeakyReLU<float>(0.01).named_options()) == "negative_slope=0.01 ");
  CHECK(names(ELU<double>(0.3).named_options()) == "alpha=0.3 ");
  CHECK(names(Softplus<float>(2).named_options()) == "beta=2 threshold=20 ");
  CHECK(names(ReLU<float>().named_options()).empty());
  CHECK(names(CrossEntropyLoss<float>({.weight = {1, 0.5}}).named_options()) ==
        "ignore_index=-100 label_smoothing=0 reduction=mean weight=1,0.5 ");
  CHECK(names(NLLLoss<float>({.reduction = Reduction::sum}).named_options()) ==
        "ignore_index=-100 label_smoothing=0 reduction=sum weight= ");
}

TEST_CASE("A run does not go on with other options of fit()", "[checkpoint]") {
  const test::TemporaryFolder folder;
  for (const Index stop : {batches, batches + 2}) {  // between two epochs, and within one
    const fs::path path = stopped_run(folder, stop);
    using Options = Trainer<float>::FitOptions;
    const auto goes_on = [&](auto change, const auto& loss, const Dataset& images) {
      Run run;
      run.checkpoint = load_checkpoint(path, run.state, run.checkpoint.options);
      Trainer<float> trainer(run.net, run.optimizer, loss);
      Options options{.epochs = 1,
                      .first_epoch = run.checkpoint.position.epoch,
                      .first_epoch_done = run.checkpoint.position.done,
                      .batch_size = 32,
                      .seed = 5,
                      .augment = {.crop_padding = 4, .flip_probability = 0.5},
                      .progress = {.out = nullptr}};
      change(options);
      const Tensor<float> before = run.net.parameters().front().parameter->value;
      try {
        trainer.fit(images, test_images(), options);
        return std::string();
      } catch (const Error& error) {
        CHECK((run.net.parameters().front().parameter->value == before));
        return std::string(error.what());
      }
    };
    const auto with = [&](auto change) { return goes_on(change, CrossEntropyLoss<float>(), train_images()); };
    const auto differs = [](const std::string& name, const std::string& expected, const std::string& got) {
      return "Trainer: expected " + name + " to be " + expected + " as in the run that goes on, got " + got;
    };
    CHECK(with([](Options&) {}).empty());
    CHECK(with([](Options& o) { o.eval_batch_size = 7, o.epochs = 2; }).empty());
    CHECK(with([](Options& o) { o.batch_size = 33; }) == differs("batch_size", "32", "33"));
    CHECK(with([](Options& o) { o.seed = 6; }) == differs("seed", "5", "6"));
    CHECK(with([](Options& o) { o.shuffle = false; }) == differs("shuffle", "true", "false"));
    CHECK(with([](Options& o) { o.drop_last = true; }) == differs("drop_last", "false", "true"));
    CHECK(with([](Options& o) { o.augment.crop_padding = 3; }) == differs("augment.crop_padding", "4", "3"));
    CHECK(with([](Options& o) { o.augment.flip_probability = 0.1; }) == differs("augment.flip_probability", "0.5", "0.1"));
    CHECK(with([](Options& o) { o.normalize.mean = {0.4}; }) == differs("normalize.mean", "0.5", "0.4"));
    CHECK(with([](Options& o) { o.normalize.std = {0.25}; }) == differs("normalize.std", "0.5", "0.25"));
    CHECK(with([](Options& o) { o.max_grad_norm = 1; }) == differs("max_grad_norm", "none", "1"));
    CHECK(with([](Options& o) { o.scheduler_interval = SchedulerInterval::step; }) ==
          differs("scheduler_interval", "epoch", "step"));
    CHECK(goes_on([](Options&) {}, CrossEntropyLoss<float>({.label_smoothing = 0.1}), train_images()) ==
          differs("loss.label_smoothing", "0", "0.1"));
    CHECK(goes_on([](Options&) {}, NLLLoss<float>(), train_images()) == differs("loss", "CrossEntropyLoss", "NLLLoss"));
    CHECK(goes_on([](Options&) {}, CrossEntropyLoss<float>(), train_images().first(99)) ==
          differs("train images", "100x3x32x32", "99x3x32x32"));
  }
}

TEST_CASE("Optimizers and schedulers of a user's own go on, compared by what is known of them", "[checkpoint]") {
  class Halving final : public Scheduler<float> {
   public:
    explicit Halving(Optimizer<float>& optimizer) : Scheduler<float>(optimizer) { start(); }
    double lr_at(Index epoch) const override { return base_lr() / static_cast<double>(1 + epoch); }
  };
  class Plain final : public Optimizer<float> {
   public:
    using Optimizer<float>::Optimizer;
    void step() override {}
  };
  auto net = stateful_net<float>();
  Plain optimizer(net.parameters(), 0.5);
  Halving scheduler(optimizer);
  scheduler.step();
  const SafeTensors file = to_safetensors<float>({net, optimizer, &scheduler}, Checkpoint{});
  scheduler.set_last_epoch(0);
  from_safetensors<float>(file, {net, optimizer, &scheduler});
  CHECK(scheduler.last_epoch() == 1);
  CHECK(optimizer.lr() == 0.25);

  optimizer.set_lr(0.25);
  Halving slower(optimizer);
  CHECK_THROWS_WITH(from_safetensors<float>(file, {net, optimizer, &slower}),
                    "expected \"scheduler.base_lr\" to be \"0.5\" as in the checkpoint, got \"0.25\"");
  StepLR<float> known(optimizer, {.step_size = 1});
  CHECK_THROWS_WITH(from_safetensors<float>(file, {net, optimizer, &known}),
                    "expected \"scheduler\" to be \"Scheduler\" as in the checkpoint, got \"StepLR\"");
}

TEST_CASE("A checkpoint is on the disk when save_checkpoint() returns", "[checkpoint]") {
  const test::TemporaryFolder folder;
  Run run;
  const test::DiskLog log;
  save_checkpoint(folder / "run", run.state, run.checkpoint);
  REQUIRE(log.calls().size() == 3);
  CHECK(log.calls()[0] == concat("sync part, ", fs::file_size(folder / "run"), " bytes"));
  CHECK(log.calls()[1] == "rename to run");
  CHECK(log.calls()[2] == "sync " + folder.path().filename().string());
}

namespace {

/// An optimizer without momentum.
class Standing final : public Optimizer<float> {
 public:
  using Optimizer<float>::Optimizer;
  void step() override {}
};

}  // namespace

TEST_CASE("A momentum for an optimizer that has none is refused before anything changes", "[checkpoint]") {
  auto net = stateful_net<float>();
  Standing optimizer(net.parameters(), 0.05);
  StepLR<float> scheduler(optimizer, {.step_size = 1});
  const TrainingState<float> state{net, optimizer, &scheduler};
  scheduler.set_last_epoch(2);
  const SafeTensors saved = to_safetensors(state, {});
  scheduler.set_last_epoch(0);

  SafeTensors with_momentum;
  with_momentum.metadata = saved.metadata;
  for (const auto& [name, entry] : saved.entries()) {
    if (name == "run.optimizer.momentum") {
      with_momentum.add(name, Tensor<double>(Shape{}, {0.5}));
    } else if (entry.dtype == "F64") {
      with_momentum.add(name, saved.get<double>(name));
    } else {
      with_momentum.add(name, saved.get<float>(name));
    }
  }
  CHECK_THROWS_WITH(from_safetensors(with_momentum, state), "Optimizer: cannot set a momentum of 0.5: this optimizer has none");
  CHECK(scheduler.last_epoch() == 0);
  CHECK(optimizer.lr() == 0.05);
  from_safetensors(saved, state);
  CHECK(scheduler.last_epoch() == 2);
}

TEST_CASE("A checkpoint with impossible numbers is refused", "[checkpoint]") {
  Run run;
  run.checkpoint.options.clear();
  const SafeTensors good = to_safetensors(run.state, run.checkpoint);
  from_safetensors(good, run.state);
  const auto expect = [&](const std::string& key, const std::string& value, const std::string& message) {
    SafeTensors bad = good;
    bad.metadata[key] = value;
    CHECK_THROWS_WITH(from_safetensors(bad, run.state), message);
  };
  expect("normnet.checkpoint", "2", "expected a checkpoint of version 1, got version \"2\"");
  expect("epoch", "0", "expected a whole number from 1 to 4611686018427387903 as \"epoch\", got \"0\"");
  expect("epoch", "1 ", "expected a whole number from 1 to 4611686018427387903 as \"epoch\", got \"1 \"");
  expect("epoch", "9223372036854775807",
         "expected a whole number from 1 to 4611686018427387903 as \"epoch\", got \"9223372036854775807\"");
  expect("epoch.batches", "-1", "expected a whole number from 0 to 4611686018427387903 as \"epoch.batches\", got \"-1\"");
  expect("epoch.right", "1", "expected a whole number from 0 to 0 as \"epoch.right\", got \"1\"");
  expect("model.passes", "18446744073709551616",
         "expected a whole number from 0 to 18446744073709551615 as \"model.passes\", got \"18446744073709551616\"");
  CHECK_THROWS_WITH(from_safetensors(SafeTensors(), run.state), "expected a checkpoint, got another safetensors file");

  run.checkpoint.history.epochs = {{.epoch = -1}};
  CHECK_THROWS_WITH(from_safetensors(to_safetensors(run.state, run.checkpoint), run.state),
                    "expected a history of epochs from 1 to 9.0072e+15, got epoch -1");

  // More batches than the epoch has.
  run.checkpoint = {.position = {.epoch = 1, .done = {.batches = 5}}};
  CHECK_THROWS_WITH(run.go_on(), "Trainer: expected 0 to 4 batches of the first epoch to be done, got 5");
}

TEST_CASE("A damaged checkpoint is refused", "[checkpoint]") {
  const test::TemporaryFolder folder;
  const fs::path path = stopped_run(folder, 2);
  const std::string whole = content(path);
  Run run;
  const auto before = outcome(run);
  for (std::size_t from_end = 1; from_end < whole.size(); from_end += 97) {
    flip_a_bit(path, from_end);
    CHECK_THROWS_AS(load_checkpoint(path, run.state, run.checkpoint.options), Error);
    flip_a_bit(path, from_end);
    write_file_atomically(folder / "short", whole.substr(0, from_end));
    CHECK_THROWS_AS(load_checkpoint(folder / "short", run.state, run.checkpoint.options), Error);
  }
  CHECK((outcome(run) == before));
  load_checkpoint(path, run.state, run.checkpoint.options);
}

TEST_CASE("Weights alone go from network to network", "[checkpoint]") {
  const test::TemporaryFolder folder;
  Run trained;
  trained.go_on_for(3);
  save_weights(folder / "weights", trained.net);
  CHECK(SafeTensors::load(folder / "weights").contains("block.body.1.running_mean"));
  save_checkpoint(folder / "run", trained.state, trained.checkpoint);

  // As PyTorch writes them.
  SafeTensors file = SafeTensors::load(folder / "weights");
  file.add("norm1.num_batches_tracked", Tensor<std::int64_t>(Shape{}, {3}));
  file.save(folder / "pytorch");
  for (const char* name : {"weights", "run", "pytorch"}) {
    auto net = stateful_net<float>(77);
    load_weights(folder / name, net);
    save_weights(folder / "again", net);
    CHECK(content(folder / "again") == content(folder / "weights"));
  }

  file.add("head.weight", Tensor<float>({1}));
  file.save(folder / "more");
  auto net = stateful_net<float>();
  CHECK_THROWS_WITH(load_weights(folder / "more", net),
                    "cannot load \"" + (folder / "more").string() + "\": expected a file without a tensor \"head.weight\"");
  Sequential<float> other;
  other.add(Linear<float>(2, 3), "fc2");
  CHECK_THROWS_WITH(load_weights(folder / "weights", other),
                    "cannot load \"" + (folder / "weights").string() + "\": SafeTensors: no tensor \"fc2.weight\" among 15");
}

TEST_CASE("A folder keeps the last checkpoints", "[checkpoint]") {
  const test::TemporaryFolder outer;
  const fs::path path = outer / "runs" / "1";
  const auto names = [&] {
    std::vector<std::string> found;
    for (const auto& file : normnet_impl::checkpoint_files(path)) found.push_back(file.path.filename().string());
    return found;
  };
  using Names = std::vector<std::string>;
  Run run;
  CHECK_FALSE(load_newest_checkpoint(path, run.state, run.checkpoint.options));
  {
    CheckpointFolder folder(path, {.keep = 2});
    CHECK_THROWS_WITH(CheckpointFolder(path), "another run writes checkpoints to \"" + path.string() + "\"");
    for (const auto& [epoch, done] : {std::pair<Index, Index>{1, 0}, {2, 3}, {9, 3}, {10, 0}, {11, 0}, {11, 2}}) {
      run.checkpoint.position = {.epoch = epoch, .done = {.batches = done}};
      folder.save(run.state, run.checkpoint);
    }
    CHECK(names() == Names{"checkpoint-10-2.safetensors", "checkpoint-10.safetensors"});

    run.checkpoint.position = {.epoch = 2};
    CHECK_THROWS_WITH(folder.save(run.state, run.checkpoint),
                      "cannot write \"" + (path / "checkpoint-1.safetensors").string() +
                          "\": the folder holds \"checkpoint-10-2.safetensors\", of a run that was further: go on with that, "
                          "take another folder, or remove it");
  }
  for (const char* other :
       {"checkpoint-.safetensors", "checkpoint-x.safetensors", "checkpoint-1-0.safetensors", "weights.safetensors",
        "checkpoint--3.safetensors", "checkpoint-01.safetensors", "checkpoint-99.safetensors.part"}) {
    write_file_atomically(path / other, "not a checkpoint");
  }
  CHECK(names().size() == 2);
  CHECK(load_newest_checkpoint(path, run.state, run.checkpoint.options)->position.done.batches == 2);

  // What a run that was killed left half written.
  write_file_atomically(path / ".checkpoint-11.safetensors.1-1.part", "half");
  for (const char* other : {".other.part", ".other.1-1.part", ".checkpoint-11.part"}) {
    write_file_atomically(path / other, "of somebody else");
  }
  const CheckpointFolder again(path);
  CHECK_FALSE(fs::exists(path / ".checkpoint-11.safetensors.1-1.part"));
  for (const char* other : {".other.part", ".other.1-1.part", ".checkpoint-11.part"}) CHECK(fs::exists(path / other));
  CHECK_THROWS_WITH(CheckpointFolder(outer / "none", {.keep = 0}),
                    "CheckpointFolder: expected to keep at least 1 checkpoint, got 0");
}

TEST_CASE("A run goes back over damaged checkpoints to the newest that is whole", "[checkpoint]") {
  const test::TemporaryFolder outer;
  Run run;
  CheckpointFolder folder(outer.path());
  std::vector<fs::path> saved;
  for (Index epoch = 2; epoch <= 4; ++epoch) {
    run.checkpoint.position = {.epoch = epoch};
    saved.push_back(folder.save(run.state, run.checkpoint));
  }
  flip_a_bit(saved[2], 8);
  write_file_atomically(saved[1], "");
  std::ostringstream log;
  CHECK(load_newest_checkpoint(outer.path(), run.state, run.checkpoint.options, &log)->position.epoch == 2);
  CHECK(log.str().find("it is damaged; going back to the checkpoint before\n") != std::string::npos);
  CHECK(log.str().find("got 0 bytes; going back to the checkpoint before\n") != std::string::npos);

  // It goes on over them.
  run.checkpoint.position = {.epoch = 2, .done = {.batches = 1}};
  folder.save(run.state, run.checkpoint);
  run.checkpoint.position = {.epoch = 3};
  folder.save(run.state, run.checkpoint);
  CHECK(load_newest_checkpoint(outer.path(), run.state, run.checkpoint.options)->position.epoch == 3);

  // Other options are no damage.
  CHECK_THROWS_AS(load_newest_checkpoint(outer.path(), run.state), Error);

  for (const auto& file : normnet_impl::checkpoint_files(outer.path())) write_file_atomically(file.path, "");
  CHECK_THROWS_AS(load_newest_checkpoint(outer.path(), run.state, run.checkpoint.options), Error);
}

TEST_CASE("A full disk or a read-only folder costs no checkpoint", "[checkpoint]") {
  const test::TemporaryFolder outer;
  Run whole, run;
  whole.go_on();
  run.go_on_for(3);
  {
    CheckpointFolder folder(outer.path(), {.keep = 1});
    const fs::path first = folder.save(run.state, run.checkpoint);
    run.go_on_for(2);
    const auto save_on_a_full_disk = [&] {
      const test::FileSizeLimit limit(4096);
      folder.save(run.state, run.checkpoint);
    };
    const fs::path second = outer / "checkpoint-1-1.safetensors";
    CHECK_THROWS_WITH(save_on_a_full_disk(), "cannot write \"" + second.string() + "\": File too large");
    const auto save_read_only = [&] {
      const test::ReadOnlyFolder read_only(outer.path());
      folder.save(run.state, run.checkpoint);
    };
    CHECK_THROWS_WITH(save_read_only(), "cannot write \"" + second.string() + "\": Permission denied");
    CHECK(fs::exists(first));
    CHECK(outer.entries() == 2);  // and the lock
  }

  Run resumed;
  const test::ReadOnlyFolder read_only(outer.path());  // reading needs no more
  resumed.checkpoint = load_newest_checkpoint(outer.path(), resumed.state, resumed.checkpoint.options).value();
  CHECK(resumed.checkpoint.position.done.batches == 3);
  resumed.go_on();
  CHECK((outcome(resumed) == outcome(whole)));
  CHECK_THROWS_WITH(CheckpointFolder(outer / "new"),
                    "cannot make the folder \"" + (outer / "new").string() + "\": Permission denied");
}

TEST_CASE("A signal asks a run to stop, once", "[checkpoint]") {
  const auto term_before = std::signal(SIGTERM, SIG_IGN);
  for (const int signal : {SIGINT, SIGHUP}) {
    const auto before = std::signal(signal, SIG_DFL);
    {
      const StopOnSignal interrupted;
      CHECK_FALSE(interrupted);
      std::raise(SIGTERM);
      CHECK_FALSE(interrupted);  // it was ignored before
      std::raise(signal);
      CHECK(interrupted);
      CHECK(*interrupted.flag());
      CHECK(std::signal(signal, SIG_DFL) == SIG_DFL);  // the second ends the program
    }
    CHECK_FALSE(StopOnSignal());
    std::signal(signal, before);
  }
  std::signal(SIGTERM, term_before);
}

TEST_CASE("After a StopOnSignal, signals do what they did before", "[checkpoint]") {
  const auto mine = [](int) {};
  for (const int signal : {SIGINT, SIGTERM}) {
    const auto before = std::signal(signal, mine);
    {
      const StopOnSignal interrupted;
      std::raise(signal);
      CHECK(interrupted);
    }
    CHECK(std::signal(signal, before) == static_cast<void (*)(int)>(mine));
  }
}
