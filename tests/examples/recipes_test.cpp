// Tests of the recipes of examples/cifar10_norms: their networks, and that each can be trained as it says.
#include "support/catch.hpp"

#include <cifar10_norms/experiment.hpp>
#include <cifar10_norms/options.hpp>
#include <cifar10_norms/recipes.hpp>

#include <cmath>
#include <cstdint>
#include <iostream>
#include <streambuf>
#include <string>
#include <vector>

using namespace cifar10_norms;

namespace {

Options parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "cifar10_norms");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  return *parse_options(static_cast<int>(pointers.size()), pointers.data());
}

std::int64_t parameters(const std::string& recipe, const std::string& norm) {
  const Options options = parse({"--recipe", recipe, "--norm", norm});
  return summarize(options, options.norms.front()).parameters();
}

// Keeps what programs say about their progress out of the tests' output.
class SilentOutput {
 public:
  SilentOutput() : before_(std::cout.rdbuf(nullptr)) {}
  ~SilentOutput() { std::cout.rdbuf(before_); }
  SilentOutput(const SilentOutput&) = delete;
  SilentOutput& operator=(const SilentOutput&) = delete;

 private:
  std::streambuf* before_;
};

// A run on synthetic images, as the program does it.
normnet::History trained(const std::string& recipe, const std::string& norm, std::vector<std::string> arguments) {
  for (const char* argument : {"--recipe", recipe.c_str(), "--norm", norm.c_str(), "--synthetic"}) {
    arguments.emplace_back(argument);
  }
  const Options options = parse(arguments);
  NormResult result{.norm = options.norms.front()};
  const SilentOutput silent;
  train(options, load_data(options), 1, result, [] {});
  return result.runs.front();
}

}  // namespace

TEST_CASE("the networks have as many parameters as those of the publications", "[examples]") {
  for (const char* norm : {"bn", "gn", "gn:1", "in"}) {
    INFO(norm);
    CHECK(parameters("tsai8", norm) == 52960);
    CHECK(parameters("tsai8_head", norm) == 53290);
    CHECK(parameters("onecycle", norm) == 47876);
  }
  for (const char* norm : {"bn", "gn", "gn:1", "in", "ln"}) {
    INFO(norm);
    CHECK(parameters("eva6", norm) == 39490);
    CHECK(parameters("dw", norm) == 5882);
  }
  CHECK(parameters("tsai8", "ln") == 57866);
  CHECK(parameters("tsai8_head", "ln") == 57866);
  CHECK(parameters("eva6", "bn+l1") == 39490);
  CHECK(parameters("dw", "lnet") == 73770);
  CHECK(parameters("onecycle", "ln") == 47876 - 2 * (12 + 32 + 10 + 32 + 32 + 32 + 10 + 32 + 32 + 32));
  CHECK(find_recipe("tsai8")->network(*parse_norm("bn"), 0).output_shape({5, 3, 32, 32}) == normnet::Shape{5, 32});
}

TEST_CASE("a recipe's own normalizations are unknown to others", "[examples]") {
  CHECK_THROWS_WITH(parse({"--norm", "lnet"}), "--norm: expected bn, gn, gn:GROUPS, ln, in or none, got \"lnet\"");
  CHECK_THROWS_WITH(parse({"--recipe", "dw", "--norm", "bn+l1"}),
                    "--norm: expected lnet, bn, gn, gn:GROUPS, ln, in or none, got \"bn+l1\"");
  const Options eva6 = parse({"--recipe", "eva6"});
  REQUIRE(eva6.norms.size() == 3);
  CHECK(eva6.norms.back().title() == "BN+L1");
}

TEST_CASE("every recipe trains with every normalization", "[examples]") {
  for (const Recipe& recipe : recipes()) {
    std::vector<std::string> norms{"bn", "gn", "gn:1", "ln", "in", "none"};
    for (const Norm& norm : recipe.own_norms) norms.push_back(norm.name);
    for (const std::string& norm : norms) {
      INFO(recipe.name << " " << norm);
      const normnet::History run = trained(recipe.name, norm, {"--limit", "10", "--batch-size", "5", "--epochs", "1"});
      CHECK(std::isfinite(run.last().train_loss));
      CHECK(std::isfinite(run.last().test_loss));
    }
  }
}

TEST_CASE("the learning rates of the recipes", "[examples]") {
  const std::vector<std::string> seven_epochs{"--limit", "4", "--batch-size", "2", "--epochs", "7"};
  for (const char* norm : {"gn", "bn+l1"}) {
    const normnet::History run = trained("eva6", norm, seven_epochs);
    CHECK(run.epochs[5].learning_rate == 0.01);
    CHECK(run.epochs[6].learning_rate == Approx(0.001).epsilon(1e-15));
  }
  CHECK(trained("eva6", "ln", seven_epochs).last().learning_rate == 0.01);

  // Three epochs of three steps, the last of which has one image.
  normnet::Parameter<float> any(normnet::Shape{1});
  normnet::SGD<float> optimizer({{"any", &any}}, {.lr = 1, .momentum = 0.9});
  const normnet::OneCycleLR<float> cycle(optimizer, {.max_lr = 0.5, .total_steps = 9});
  for (const char* recipe : {"dw", "onecycle"}) {
    const normnet::History run = trained(recipe, "bn", {"--limit", "5", "--batch-size", "2", "--epochs", "3", "--lr", "0.5"});
    for (const normnet::EpochRecord& epoch : run.epochs) CHECK(epoch.learning_rate == cycle.lr_at(3 * (epoch.epoch - 1)));
  }
}

TEST_CASE("the L1 penalty of eva6 takes part in the training", "[examples]") {
  const std::vector<std::string> two_epochs{"--limit", "4", "--batch-size", "2", "--epochs", "2"};
  CHECK(find_recipe("eva6")->training_of({.kind = Norm::Kind::batch, .name = "bn+l1"}).l1_penalty == 0.001);
  const double with = trained("eva6", "bn+l1", two_epochs).last().train_loss;
  const double without = trained("eva6", "bn", two_epochs).last().train_loss;
  CHECK(with != without);
}
