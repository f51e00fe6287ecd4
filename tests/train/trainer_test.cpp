// Tests of train/trainer.hpp.
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <normnet/data/synthetic.hpp>
#include <normnet/nn/activation.hpp>
#include <normnet/nn/adaptive_avg_pool2d.hpp>
#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/cross_entropy_loss.hpp>
#include <normnet/nn/dropout.hpp>
#include <normnet/nn/group_norm.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/optim/grad_norm.hpp>
#include <normnet/optim/sgd.hpp>
#include <normnet/optim/step_lr.hpp>
#include <normnet/train/trainer.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

using namespace normnet;

namespace {

// Uneven on purpose: 5 batches of 32 and one of 10.
const Dataset& train_images() {
  static const Dataset data = synthetic_textures(170, Random(1));
  return data;
}
const Dataset& more_train_images() {
  static const Dataset data = synthetic_textures(490, Random(1));
  return data;
}
const Dataset& test_images() {
  static const Dataset data = synthetic_textures(45, Random(2));
  return data;
}

template <class T>
Sequential<T> small_net(Index outputs = 10) {
  Sequential<T> net(3);
  net.add(Conv2d<T>({.in_channels = 3, .out_channels = 8, .kernel_size = 5, .stride = 3, .padding = 1}), "conv1");
  net.add(BatchNorm2d<T>(8), "norm1").add(ReLU<T>(), "relu1").add(Dropout<T>(0.1), "drop1");
  net.add(Conv2d<T>({.in_channels = 8, .out_channels = 16, .kernel_size = 3, .padding = 1}), "conv2");
  net.add(GroupNorm<T>(4, 16), "norm2")
      .add(ReLU<T>(), "relu2")
      .add(GlobalAvgPool2d<T>(), "pool")
      .add(Linear<T>(16, outputs), "fc");
  return net;
}

typename Trainer<float>::FitOptions silent(Index epochs) {
  return {.epochs = epochs, .batch_size = 32, .eval_batch_size = 20, .seed = 5, .progress = {.out = nullptr}};
}

// A training run from the start: its history, and all parameters and buffers at its end.
struct Outcome {
  History history;
  std::vector<Tensor<float>> state;
};

// What an epoch says, but for the times.
auto figures(const EpochRecord& e) {
  return std::tuple(e.epoch, e.train_loss, e.train_accuracy, e.test_loss, e.test_accuracy, e.learning_rate);
}

Outcome train_small_net(int threads) {
  set_num_threads(threads);
  auto net = small_net<float>();
  SGD<float> optimizer(net.parameters(), {.lr = 0.1, .momentum = 0.9});
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  Outcome outcome{.history = trainer.fit(more_train_images(), test_images(), silent(12)), .state = {}};
  for (const auto& [name, parameter] : net.parameters()) outcome.state.push_back(parameter->value);
  for (const auto& [name, buffer] : net.buffers()) outcome.state.push_back(*buffer);
  set_num_threads(0);
  return outcome;
}

}  // namespace

TEST_CASE("a small network learns, with the same bits at any number of threads", "[train]") {
  const Outcome one = train_small_net(1);
  REQUIRE(one.history.epochs.size() == 12);
  const EpochRecord& first = one.history.epochs.front();
  const EpochRecord& last = one.history.last();
  CHECK(first.epoch == 1);
  CHECK(last.epoch == 12);
  CHECK(last.learning_rate == 0.1);
  CHECK(first.train_loss < 2.6);  // it starts near chance, ln 10 = 2.3
  CHECK(last.train_loss < 1.8);
  CHECK(last.train_accuracy > 30);
  CHECK(last.test_accuracy > 25);
  CHECK(last.train_seconds > 0);
  CHECK(last.images_per_second == 490 / last.train_seconds);

  for (const int threads : test::thread_counts) {
    INFO(threads << " threads");
    const Outcome other = train_small_net(threads);
    for (std::size_t i = 0; i < one.history.epochs.size(); ++i) {
      CHECK((figures(other.history.epochs[i]) == figures(one.history.epochs[i])));
    }
    CHECK((other.state == one.state));
  }
}

TEST_CASE("fit() is the loop that a user would write", "[train]") {
  const Normalize normalize{.mean = {0.2, 0.4, 0.6}, .std = {0.3, 0.5, 0.7}};
  const Augmentation augment{.crop_padding = 3, .flip_probability = 0.5};
  const auto state = [](Sequential<float>& net) {
    std::vector<Tensor<float>> tensors;
    for (const auto& [name, parameter] : net.parameters()) tensors.push_back(parameter->value);
    for (const auto& [name, buffer] : net.buffers()) tensors.push_back(*buffer);
    return tensors;
  };
  auto by_hand = small_net<float>(12);
  SGD<float> optimizer(by_hand.parameters(), {.lr = 0.05, .momentum = 0.9});
  CrossEntropyLoss<float> loss;
  DataLoader<float> loader(train_images(),
                           {.batch_size = 32, .shuffle = true, .seed = 5, .normalize = normalize, .augment = augment});
  for (Index epoch = 0; epoch < 2; ++epoch) {
    for (const auto& [images, labels, indices] : loader.epoch(epoch)) {
      loss.forward(by_hand.forward(images), labels);
      optimizer.zero_grad();
      by_hand.backward(loss.backward());
      optimizer.step();
    }
  }

  auto net = small_net<float>(12);
  net.eval();  // it is trained all the same
  SGD<float> its_optimizer(net.parameters(), {.lr = 0.05, .momentum = 0.9});
  Trainer<float> trainer(net, its_optimizer, CrossEntropyLoss<float>());
  auto options = silent(2);
  options.normalize = normalize;
  options.augment = augment;
  const History history = trainer.fit(train_images(), test_images(), options);
  CHECK((state(net) == state(by_hand)));
  CHECK(history.last().test_loss == trainer.evaluate(test_images(), {.batch_size = 20, .normalize = normalize}).loss);
}

TEST_CASE("evaluate() is what the network says to each image alone", "[train]") {
  auto net = small_net<double>();
  SGD<double> optimizer(net.parameters(), {.lr = 0.1});
  Trainer<double> trainer(net, optimizer, CrossEntropyLoss<double>());
  const Dataset& data = test_images();
  const Normalize normalize{.mean = {0.4, 0.5, 0.6}, .std = {0.2, 0.25, 0.3}};
  const EvaluationResult<double> result = trainer.evaluate(data, {.batch_size = 7, .normalize = normalize});
  CHECK(net.training());  // as it was before

  net.eval();
  double loss_sum = 0;
  Index right = 0;
  REQUIRE(result.outputs.shape() == Shape{45, 10});
  REQUIRE(result.predictions.size() == 45);
  for (Index i = 0; i < data.size(); ++i) {
    Tensor<double> image({1, 3, 32, 32});
    for (Index p = 0; p < image.size(); ++p) {
      const auto channel = static_cast<std::size_t>(p / (32 * 32));
      image[p] = (data.image(i)[static_cast<std::size_t>(p)] / 255.0 - normalize.mean[channel]) / normalize.std[channel];
    }
    const Tensor<double> output = net.forward(image);
    double denominator = 0;
    Index best = 0;
    for (Index c = 0; c < 10; ++c) {
      denominator += std::exp(output[c]);
      if (output[c] > output[best]) best = c;
      CHECK(result.outputs(i, c) == output[c]);  // no layer mixes images in evaluation
    }
    loss_sum += std::log(denominator) - output[data.label(i)];
    right += best == data.label(i);
    CHECK(result.predictions[static_cast<std::size_t>(i)] == best);
  }
  CHECK(result.loss == Approx(loss_sum / 45).epsilon(1e-13));  // another order of additions
  CHECK(result.accuracy == 100.0 * static_cast<double>(right) / 45);
  CHECK(result.images == 45);
}

TEST_CASE("the mean loss depends neither on the batches nor on the reduction", "[train]") {
  CrossEntropyLoss<double>::Options options{.weight = {0.5, 2, 1, 0.25, 3, 1, 1, 0.75, 1.5, 1}, .ignore_index = 3};
  const auto evaluate = [&](Index batch_size) {
    auto net = small_net<double>();
    SGD<double> optimizer(net.parameters(), {.lr = 0.1});
    Trainer<double> trainer(net, optimizer, CrossEntropyLoss<double>(options));
    return trainer.evaluate(test_images(), {.batch_size = batch_size});
  };
  const Tensor<double> outputs = evaluate(45).outputs;
  const double expected = CrossEntropyLoss<double>(options).forward(Batch<double>::from(outputs), test_images().labels());
  for (const Reduction reduction : {Reduction::mean, Reduction::sum}) {
    options.reduction = reduction;
    for (const Index batch_size : {1, 7, 45}) {
      CHECK(evaluate(batch_size).loss == Approx(expected).epsilon(1e-14));  // another order of additions
    }
  }

  std::vector<double> training_losses;
  for (const Reduction reduction : {Reduction::mean, Reduction::sum}) {
    options.reduction = reduction;
    auto net = small_net<double>();
    SGD<double> optimizer(net.parameters(), {.lr = 0});  // the gradients differ
    Trainer<double> trainer(net, optimizer, CrossEntropyLoss<double>(options));
    const History history =
        trainer.fit(train_images(), test_images(), {.epochs = 1, .batch_size = 32, .progress = {.out = nullptr}});
    training_losses.push_back(history.last().train_loss);
  }
  CHECK(training_losses[0] == training_losses[1]);
}

TEST_CASE("evaluate() puts the network back into training when it throws", "[train]") {
  auto net = small_net<float>();
  SGD<float> optimizer(net.parameters(), {.lr = 0.1});
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>({.weight = {1, 2, 3}}));
  CHECK_THROWS_WITH(trainer.evaluate(test_images()), "CrossEntropyLoss: expected 10 weights for predictions 45x10, got 3");
  CHECK(net.training());
}

TEST_CASE("a run that goes on elsewhere, on other threads, has the bits of one without a stop", "[train]") {
  struct Run {
    Sequential<float> net = small_net<float>();
    SGD<float> optimizer{net.parameters(), {.lr = 0.08, .momentum = 0.9}};
    StepLR<float> scheduler{optimizer, {.step_size = 1, .gamma = 0.5}};
    Trainer<float> trainer{net, optimizer, CrossEntropyLoss<float>()};

    History fit(int threads, Index first_epoch, Index epochs) {
      set_num_threads(threads);
      auto options = silent(epochs);
      options.first_epoch = first_epoch;
      options.augment = {.crop_padding = 4, .flip_probability = 0.5};
      options.scheduler = &scheduler;
      return trainer.fit(train_images(), test_images(), options);
    }

    std::vector<Tensor<float>*> state() {
      std::vector<Tensor<float>*> tensors;
      for (const auto& [name, parameter] : net.parameters()) tensors.push_back(&parameter->value);
      for (const auto& [name, buffer] : net.buffers()) tensors.push_back(buffer);
      for (const auto& [name, buffer] : optimizer.state()) tensors.push_back(buffer);
      return tensors;
    }
  };
  Run whole, stopped, resumed;
  const History expected = whole.fit(1, 1, 2);
  const History before = stopped.fit(4, 1, 1);
  for (std::size_t i = 0; i < resumed.state().size(); ++i) *resumed.state()[i] = *stopped.state()[i];
  resumed.net.set_passes(stopped.net.passes());
  resumed.scheduler.set_last_epoch(1);
  const History after = resumed.fit(7, 2, 1);
  set_num_threads(0);

  REQUIRE(before.epochs.size() == 1);
  REQUIRE(after.epochs.size() == 1);
  CHECK((figures(before.last()) == figures(expected.epochs[0])));
  CHECK((figures(after.last()) == figures(expected.epochs[1])));
  CHECK(after.last().epoch == 2);
  CHECK(after.last().learning_rate == 0.04);
  for (std::size_t i = 0; i < whole.state().size(); ++i) CHECK((*resumed.state()[i] == *whole.state()[i]));
  CHECK(resumed.scheduler.last_epoch() == 2);
}

TEST_CASE("callbacks see every batch and epoch, and can end the training", "[train]") {
  auto net = small_net<float>();
  SGD<float> optimizer(net.parameters(), {.lr = 0.01});
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  std::vector<BatchReport> batches;
  std::vector<Index> epochs;
  auto options = silent(5);
  options.on_batch_end = [&](const BatchReport& report) { batches.push_back(report); };
  options.on_epoch_end = [&](const EpochRecord& record) {
    epochs.push_back(record.epoch);
    return record.epoch < 2;
  };
  const History history = trainer.fit(train_images(), test_images(), options);
  CHECK(epochs == std::vector<Index>{1, 2});
  CHECK(history.epochs.size() == 2);
  REQUIRE(batches.size() == 12);
  CHECK(batches[0].running_loss == batches[0].batch_loss);
  CHECK(batches[5].epoch == 1);
  CHECK(batches[5].batch == 6);
  CHECK(batches[5].images_done == 170);
  CHECK(batches[5].running_loss == history.epochs[0].train_loss);
  CHECK(batches[5].running_accuracy == history.epochs[0].train_accuracy);
  CHECK(batches[6].epoch == 2);
  CHECK(batches[6].images_done == 32);
  double weighted = 0;
  for (std::size_t i = 0; i < 6; ++i) weighted += batches[i].batch_loss * (i < 5 ? 32 : 10);
  CHECK(history.epochs[0].train_loss == Approx(weighted / 170).epsilon(1e-14));

  options.drop_last = true;
  batches.clear();
  trainer.fit(train_images(), test_images(), options);
  CHECK(batches.size() == 10);
  CHECK(batches.back().images_done == 160);
}

TEST_CASE("a scheduler moves on after every epoch or after every step", "[train]") {
  auto net = small_net<float>();
  const auto rates = [&](SchedulerInterval interval) {
    SGD<float> optimizer(net.parameters(), {.lr = 0.08});
    StepLR<float> scheduler(optimizer, {.step_size = 1, .gamma = 0.5});
    Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
    auto options = silent(2);
    options.scheduler = &scheduler;
    options.scheduler_interval = interval;
    const History history = trainer.fit(train_images(), test_images(), options);
    return std::vector<double>{history.epochs[0].learning_rate, history.epochs[1].learning_rate, optimizer.lr()};
  };
  CHECK(rates(SchedulerInterval::epoch) == std::vector<double>{0.08, 0.04, 0.02});
  CHECK(rates(SchedulerInterval::step) == std::vector<double>{0.08, 0.08 / 64, 0.08 / 4096});
}

TEST_CASE("a loss that is not finite ends the training and names its place", "[train]") {
  auto net = small_net<float>();
  SGD<float> optimizer(net.parameters(), {.lr = 1e30});
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  CHECK_THROWS_WITH(
      trainer.fit(train_images(), test_images(), silent(5)),
      Catch::Matchers::StartsWith("Trainer: the loss became nan in epoch 1, step 2, at learning rate 1e+30; the first value "
                                  "that is not finite is the output of "));

  auto damaged = small_net<float>();
  for (const auto& [name, parameter] : damaged.parameters()) {
    if (name == "norm2.bias") parameter->value.fill(std::numeric_limits<float>::infinity());
  }
  SGD<float> gentle(damaged.parameters(), {.lr = 0.01});
  Trainer<float> second(damaged, gentle, CrossEntropyLoss<float>());
  CHECK_THROWS_WITH(
      second.fit(train_images(), test_images(), silent(5)),
      "Trainer: the loss became nan in epoch 1, step 1, at learning rate 0.01; the first value that is not finite is the output "
      "of "
      "GroupNorm \"norm2\" in the forward pass, inf at image 0, channel 0, y 0, x 0; its bias was not finite before");

  // A loss that is not finite on its own.
  struct Lost final : Loss<float> {
    Batch<float> gradient;
    std::string type() const override { return "Lost"; }
    double forward(const Batch<float>& prediction, std::span<const int>) override {
      gradient = Batch<float>(prediction.shape());
      return -std::numeric_limits<double>::infinity();
    }
    LossTotal total() const override { return {}; }
    const Batch<float>& backward() override { return gradient; }
  };
  auto sound = small_net<float>();
  SGD<float> third(sound.parameters(), {.lr = 0.01});
  CHECK_THROWS_WITH(
      Trainer<float>(sound, third, Lost()).fit(train_images(), test_images(), silent(5)),
      "Trainer: the loss became -inf in epoch 1, step 1, at learning rate 0.01; all outputs and gradients are finite");
  CHECK_THROWS_AS(Trainer<float>(sound, third, Lost()).fit(train_images(), test_images(), silent(5)), NotFiniteError);
}

namespace {

/// Passes everything on, but for image 19, channel 1, in those passes that shall fail.
class Failing final : public Layer<float> {
 public:
  Failing(std::function<bool(const Mode&)> fails, std::vector<Tensor<float>>* inputs,
          float value = std::numeric_limits<float>::quiet_NaN())
      : fails_(std::move(fails)), inputs_(inputs), value_(value) {}

  std::string type() const override { return "Failing"; }
  Shape output_shape(const Shape& input) const override { return input; }
  void forward(const Batch<float>& x, Batch<float>& y, const Mode& mode) override {
    inputs_->push_back(x.to_tensor());
    y.copy_from(x);
    if (fails_(mode)) y.set(19, 1, 0, 0, value_);
  }
  void backward(const Batch<float>&, const Batch<float>&, const Batch<float>& dy, Batch<float>& dx) override { dx.copy_from(dy); }

 private:
  std::function<bool(const Mode&)> fails_;
  std::vector<Tensor<float>>* inputs_;
  float value_;
};

/// Loses the gradient of the last batch alone: not the loss of its step, but what comes after tells.
class LostGradient final : public Layer<float> {
 public:
  std::string type() const override { return "LostGradient"; }
  Shape output_shape(const Shape& input) const override { return input; }
  void forward(const Batch<float>& x, Batch<float>& y, const Mode&) override { y.copy_from(x); }
  void backward(const Batch<float>&, const Batch<float>&, const Batch<float>& dy, Batch<float>& dx) override {
    dx.copy_from(dy);
    if (dy.images() == 10) dx.set(9, 3, 0, 0, std::numeric_limits<float>::infinity());
  }
};

}  // namespace

TEST_CASE("the search for the first layer sees what the batch met", "[train]") {
  std::vector<Tensor<float>> inputs;
  auto net = small_net<float>();
  net.add(Dropout<float>(0.5)).add(Failing([&](const Mode&) { return inputs.size() >= 8; }, &inputs), "last");
  SGD<float> optimizer(net.parameters(), {.lr = 0.01});
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  auto options = silent(5);
  options.drop_last = true;  // five batches an epoch, and one of the tests
  CHECK_THROWS_WITH(
      trainer.fit(train_images(), test_images().first(20), options),
      "Trainer: the loss became nan in epoch 2, step 2, at learning rate 0.01; the first value that is not finite is "
      "the output of Failing \"last\" in the forward pass, nan at image 19, channel 1, y 0, x 0");
  REQUIRE(inputs.size() == 9);
  CHECK(inputs[7] == inputs[8]);
}

TEST_CASE("a test loss that is not finite ends the training and names its place", "[train]") {
  std::vector<Tensor<float>> inputs;
  auto net = small_net<float>();
  net.add(Failing([&](const Mode& mode) { return !mode.training && inputs.size() % 3 == 2; }, &inputs), "last");
  SGD<float> optimizer(net.parameters(), {.lr = 0.01});
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  CHECK_THROWS_WITH(
      trainer.fit(train_images(), test_images(), silent(5)),
      "Trainer: the loss of the test images became nan after epoch 1; the first value that is not finite is the output "
      "of Failing \"last\" in the forward pass, nan at image 19, channel 1, y 0, x 0 of test batch 2");
  CHECK(net.training());
}

TEST_CASE("anomaly mode finds what does not reach the loss", "[train]") {
  const auto message = [](bool detect_anomaly) -> std::string {
    auto net = small_net<float>();
    net.add(LostGradient(), "last");
    SGD<float> optimizer(net.parameters(), {.lr = 0.01});
    Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
    auto options = silent(5);
    options.detect_anomaly = detect_anomaly;
    try {
      trainer.fit(train_images(), test_images(), options);
    } catch (const Error& error) {
      CHECK(net.watcher() == nullptr);
      if (detect_anomaly) {  // the weights are as they were before
        for (const auto& [name, parameter] : net.parameters()) {
          for (const float value : parameter->value.span()) CHECK(std::isfinite(value));
        }
      }
      return error.what();
    }
    return "no error";
  };
  CHECK(message(true) ==
        "Trainer: detect_anomaly ends the training in epoch 1, step 6, at learning rate 0.01; the first value that is not finite "
        "is "
        "the gradient of the input of LostGradient \"last\" in the backward pass, inf at image 9, channel 3, y 0, x 0");
  CHECK_THAT(message(false), Catch::Matchers::StartsWith("Trainer: the loss of the test images became nan after epoch 1; "));

  // An output that ReLU makes 0 of.
  std::vector<Tensor<float>> inputs;
  auto masked = small_net<float>();
  const auto third = [&](const Mode&) { return inputs.size() == 3; };
  masked.add(Failing(third, &inputs, -std::numeric_limits<float>::infinity()), "last").add(ReLU<float>());
  SGD<float> optimizer(masked.parameters(), {.lr = 0.01});
  Trainer<float> trainer(masked, optimizer, CrossEntropyLoss<float>());
  auto options = silent(1);
  CHECK(trainer.fit(train_images(), test_images(), options).epochs.size() == 1);
  inputs.clear();
  options.detect_anomaly = true;
  CHECK_THROWS_WITH(
      trainer.fit(train_images(), test_images(), options),
      "Trainer: detect_anomaly ends the training in epoch 1, step 3, at learning rate 0.01; the first value that is "
      "not finite is the output of Failing \"last\" in the forward pass, -inf at image 19, channel 1, y 0, x 0");
}

TEST_CASE("gradients are measured and clipped on request", "[train]") {
  struct Result {
    std::vector<double> reported, after;
    std::vector<Tensor<float>> state;
  };
  const auto train = [](std::optional<double> max_grad_norm) {
    auto net = small_net<float>();
    SGD<float> optimizer(net.parameters(), {.lr = 0.1});
    Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
    Result result;
    auto options = silent(1);
    options.max_grad_norm = max_grad_norm;
    options.on_batch_end = [&](const BatchReport& report) {
      result.reported.push_back(report.grad_norm);
      result.after.push_back(grad_norm(net.parameters()));
    };
    trainer.fit(train_images(), test_images(), options);
    for (const auto& [name, parameter] : net.parameters()) result.state.push_back(parameter->value);
    return result;
  };
  const Result plain = train(std::nullopt), measured = train(std::numeric_limits<double>::infinity()), clipped = train(0.25);
  for (const double norm : plain.reported) CHECK(std::isnan(norm));
  CHECK(measured.reported == plain.after);
  CHECK(measured.after == plain.after);
  CHECK(measured.state == plain.state);
  REQUIRE(clipped.reported.size() == 6);
  CHECK(clipped.reported[0] == plain.after[0]);
  for (std::size_t i = 0; i < 6; ++i) {
    REQUIRE(clipped.reported[i] > 0.25);
    // The scale is rounded to float once, and each gradient.
    CHECK(clipped.after[i] == Approx(0.25 * clipped.reported[i] / (clipped.reported[i] + 1e-6)).epsilon(1.2e-7));
  }
  CHECK(clipped.state != plain.state);

  auto net = small_net<float>();
  net.add(LostGradient(), "last");
  SGD<float> optimizer(net.parameters(), {.lr = 0.01});
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  auto options = silent(1);
  options.max_grad_norm = 1;
  CHECK_THROWS_WITH(
      trainer.fit(train_images(), test_images(), options),
      Catch::Matchers::StartsWith("Trainer: the norm of the gradients became ") &&
          Catch::Matchers::EndsWith(" in epoch 1, step 6, at learning rate 0.01; the first value that is not finite is "
                                    "the gradient of the input of LostGradient \"last\" in the backward pass, inf at "
                                    "image 9, channel 3, y 0, x 0"));
}

TEST_CASE("anomaly mode changes no bit", "[train]") {
  const auto train = [](bool detect_anomaly) {
    auto net = small_net<float>();
    SGD<float> optimizer(net.parameters(), {.lr = 0.1, .momentum = 0.9});
    Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
    auto options = silent(2);
    options.detect_anomaly = detect_anomaly;
    Outcome outcome{.history = trainer.fit(train_images(), test_images(), options), .state = {}};
    for (const auto& [name, parameter] : net.parameters()) outcome.state.push_back(parameter->value);
    return outcome;
  };
  const Outcome with = train(true), without = train(false);
  CHECK((figures(with.history.last()) == figures(without.history.last())));
  CHECK((with.state == without.state));
}

TEST_CASE("what makes no sense is an error before anything is trained", "[train]") {
  auto net = small_net<float>();
  SGD<float> optimizer(net.parameters(), {.lr = 0.01});
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  const Dataset none;
  CHECK_THROWS_WITH(trainer.fit(none, test_images(), silent(1)), "Trainer: expected at least one training image, got none");
  CHECK_THROWS_WITH(trainer.fit(train_images(), none, silent(1)), "Trainer: expected at least one test image, got none");
  CHECK_THROWS_WITH(trainer.evaluate(none), "Trainer: expected at least one test image, got none");
  CHECK_THROWS_WITH(trainer.fit(train_images(), test_images(), silent(-1)), "Trainer: expected at least 0 epochs, got -1");
  CHECK(trainer.fit(train_images(), test_images(), silent(0)).empty());
  auto options = silent(1);
  options.first_epoch = 0;
  CHECK_THROWS_WITH(trainer.fit(train_images(), test_images(), options), "Trainer: expected a first_epoch of at least 1, got 0");
  options = silent(1);
  options.batch_size = 0;
  CHECK_THROWS_WITH(trainer.fit(train_images(), test_images(), options),
                    "DataLoader: expected a batch_size of at least 1, got 0");
  options = silent(1);
  options.eval_batch_size = 0;
  CHECK_THROWS_WITH(trainer.fit(train_images(), test_images(), options),
                    "DataLoader: expected a batch_size of at least 1, got 0");
  const Dataset grey({.channels = 1, .height = 4, .width = 4, .class_names = {"a"}}, std::vector<std::uint8_t>(16), {0});
  CHECK_THROWS_WITH(trainer.fit(grey, grey, silent(1)), "Conv2d \"conv1\": expected 3 input channels, got 1 (input 1x1x4x4)");

  auto few = small_net<float>(9);
  SGD<float> of_few(few.parameters(), {.lr = 0.01});
  CHECK_THROWS_WITH(
      Trainer<float>(few, of_few, CrossEntropyLoss<float>()).fit(train_images(), test_images(), silent(1)),
      "Trainer: expected a network with at least 10 outputs, one for each class of the training images, got an output of 1x9");
  auto many = small_net<float>(12);  // outputs that are no class are allowed: they are never right
  SGD<float> of_many(many.parameters(), {.lr = 0.01});
  CHECK(Trainer<float>(many, of_many, CrossEntropyLoss<float>()).fit(train_images(), test_images(), silent(1)).epochs.size() ==
        1);
  Sequential<float> maps;
  maps.add(Conv2d<float>({.in_channels = 3, .out_channels = 10}));
  SGD<float> of_maps(maps.parameters(), {.lr = 0.01});
  CHECK_THROWS_WITH(
      Trainer<float>(maps, of_maps, CrossEntropyLoss<float>()).evaluate(test_images()),
      "Trainer: expected a network with at least 10 outputs, one for each class of the test images, got an output of 1x10x32x32");
}
