// Tests of the recipes of examples/cifar10_norms: their networks, and that each can be trained as it says.
#include "support/catch.hpp"

#include <cifar10_norms/experiment.hpp>
#include <cifar10_norms/options.hpp>
#include <cifar10_norms/recipes.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

using namespace cifar10_norms;

namespace {

Plan parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "cifar10_norms");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  return parse_options(static_cast<int>(pointers.size()), pointers.data())->plans.front();
}

std::int64_t parameters(const std::string& recipe, const std::string& norm) {
  const Plan plan = parse({"--recipe", recipe, "--norm", norm});
  return summarize(*plan.recipe, plan.norms.front()).parameters();
}

// A run on synthetic images, as the program does it.
normnet::History trained(const std::string& recipe, const std::string& norm, Index images, std::vector<std::string> arguments) {
  for (const char* argument : {"--recipe", recipe.c_str(), "--norm", norm.c_str()}) arguments.emplace_back(argument);
  const Plan plan = parse(arguments);
  normnet::History history;
  Job job = job_of(plan, plan.norms.front(), 1);
  job.progress.out = nullptr;
  job.after_epoch = [&](const TrainingProgress& progress) { history.epochs = progress.epochs; };
  train(job, {.images = normnet::synthetic_cifar10({.train = images, .test = images}), .source = "a test"});
  return history;
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
    CHECK(parameters("dw_residual", norm) == 5882);
  }
  CHECK(parameters("tsai8", "ln") == 57866);
  CHECK(parameters("tsai8_head", "ln") == 57866);
  CHECK(parameters("eva6", "bn+l1") == 39490);
  CHECK(parameters("tsai8", "ln_body") == 52960);
  CHECK(parameters("tsai8_head", "ln_body") == 53290);
  CHECK(parameters("dw", "lnet") == 73770);
  CHECK(parameters("dw_residual", "lnet") == 73770);
  CHECK(parameters("onecycle", "ln") == 47876 - 2 * (12 + 32 + 10 + 32 + 32 + 32 + 10 + 32 + 32 + 32));
  CHECK(find_recipe("tsai8")->network(*parse_norm("bn"), 0).output_shape({5, 3, 32, 32}) == normnet::Shape{5, 32});
}

TEST_CASE("a recipe's own normalizations are unknown to others", "[examples]") {
  CHECK_THROWS_WITH(parse({"--norm", "lnet"}), "--norm: recipe era expects bn, gn, gn:GROUPS, ln, in or none, got \"lnet\"");
  CHECK_THROWS_WITH(parse({"--recipe", "dw", "--norm", "bn+l1"}),
                    "--norm: recipe dw expects lnet, bn, gn, gn:GROUPS, ln, in or none, got \"bn+l1\"");
  const Plan eva6 = parse({"--recipe", "eva6"});
  REQUIRE(eva6.norms.size() == 3);
  CHECK(eva6.norms.back().title() == "BN+L1");
  CHECK(parse({"--recipe", "tsai8"}).norms.back().title() == "LN in the body");
}

TEST_CASE("the residual connections of dw_residual", "[examples]") {
  using normnet::Residual;
  auto net = find_recipe("dw_residual")->network(*parse_norm("bn"), 0);
  std::vector<std::string> names;
  for (Index i = 0; i < net.size(); ++i) {
    if (dynamic_cast<Residual<float>*>(&net[i]) == nullptr) continue;
    names.push_back(net[i].name());
    const normnet::Shape shape = net[i].name() == "residual3" ? normnet::Shape{2, 8, 16, 16} : normnet::Shape{2, 16, 6, 6};
    CHECK(net[i].output_shape(shape) == shape);
  }
  CHECK(names == std::vector<std::string>{"residual3", "residual6"});
  CHECK(net.output_shape({5, 3, 32, 32}) == normnet::Shape{5, 10});
  CHECK(net.multiply_adds({1, 3, 32, 32}) == find_recipe("dw")->network(*parse_norm("bn"), 0).multiply_adds({1, 3, 32, 32}));
}

TEST_CASE("a last batch of a single image is left out where batch norm cannot train on it", "[examples]") {
  const auto left_out = [](const std::string& recipe, const std::string& norm, Index images, Index batch_size) {
    return leaves_out_last_batch(summarize(*find_recipe(recipe), *parse_norm(norm)), images, batch_size);
  };
  CHECK(left_out("era", "bn", 9, 4));
  CHECK_FALSE(left_out("era", "bn", 10, 4));
  CHECK_FALSE(left_out("era", "bn", 4, 8));
  CHECK_FALSE(left_out("era", "gn", 9, 4));
  CHECK_FALSE(left_out("onecycle", "bn", 9, 4));  // its smallest maps are 8x8
  CHECK_FALSE(left_out("onecycle", "bn", 9, 1));
  const char* const message = "batch norm \"norm10\" has maps of 1x1: expected batches of at least 2 images, got 1";
  CHECK_THROWS_WITH(left_out("era", "bn", 9, 1), message);
  CHECK_THROWS_WITH(left_out("era", "bn", 1, 4), message);
}

TEST_CASE("every recipe trains with every normalization", "[examples]") {
  for (const Recipe& recipe : recipes()) {
    std::vector<std::string> norms{"bn", "gn", "gn:1", "ln", "in", "none"};
    for (const Norm& norm : recipe.own_norms) norms.push_back(norm.name);
    for (const std::string& norm : norms) {
      INFO(recipe.name << " " << norm);
      const normnet::History run = trained(recipe.name, norm, 10, {"--batch-size", "5", "--epochs", "1"});
      CHECK(std::isfinite(run.last().train_loss));
      CHECK(std::isfinite(run.last().test_loss));
    }
  }
}

TEST_CASE("the learning rates of the recipes", "[examples]") {
  const std::vector<std::string> seven_epochs{"--batch-size", "2", "--epochs", "7"};
  for (const char* norm : {"gn", "bn+l1"}) {
    const normnet::History run = trained("eva6", norm, 4, seven_epochs);
    CHECK(run.epochs[5].learning_rate == 0.01);
    CHECK(run.epochs[6].learning_rate == Approx(0.001).epsilon(1e-15));
  }
  CHECK(trained("eva6", "ln", 4, seven_epochs).last().learning_rate == 0.01);

  // Three epochs of three steps, the last of which has one image.
  normnet::Parameter<float> any(normnet::Shape{1});
  normnet::SGD<float> optimizer({{"any", &any}}, {.lr = 1, .momentum = 0.9});
  const normnet::OneCycleLR<float> cycle(optimizer, {.max_lr = 0.5, .total_steps = 9});
  for (const char* recipe : {"dw", "dw_residual", "onecycle"}) {
    const normnet::History run = trained(recipe, "bn", 5, {"--batch-size", "2", "--epochs", "3", "--lr", "0.5"});
    for (const normnet::EpochRecord& epoch : run.epochs) CHECK(epoch.learning_rate == cycle.lr_at(3 * (epoch.epoch - 1)));
  }
}

TEST_CASE("the L1 penalty of eva6 takes part in the training", "[examples]") {
  const std::vector<std::string> two_epochs{"--batch-size", "2", "--epochs", "2"};
  CHECK(find_recipe("eva6")->training_of({.kind = Norm::Kind::batch, .name = "bn+l1"}).l1_penalty == 0.001);
  const double with = trained("eva6", "bn+l1", 4, two_epochs).last().train_loss;
  const double without = trained("eva6", "bn", 4, two_epochs).last().train_loss;
  CHECK(with != without);
}

TEST_CASE("images are mirrored and moved where the command line says so", "[examples]") {
  const auto loss_with = [](std::vector<std::string> more) {
    more.insert(more.end(), {"--batch-size", "2", "--epochs", "2"});
    return trained("onecycle", "gn", 4, more).last().train_loss;
  };
  const double plain = loss_with({});
  CHECK(loss_with({"--flip", "0", "--crop-padding", "0"}) == plain);
  CHECK(loss_with({"--flip", "1"}) != plain);
  CHECK(loss_with({"--crop-padding", "4"}) != plain);
}
