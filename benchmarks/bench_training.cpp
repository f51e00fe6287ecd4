// Trains a network of examples/cifar10_norms for a while and prints its speed as one line of JSON.
#include "cifar10_norms/recipes.hpp"

#include <normnet/normnet.hpp>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>

using namespace normnet;

namespace {

struct Options {
  std::string recipe = "era";
  std::string norm = "bn";
  std::string data;
  Index batch_size = 128;
  Index images = 25600;
  int threads = 0;
};

/// Floating-point operations of a training step for one image: forward, weight gradient and input gradient cost a multiplication
/// with an addition each; the first layer has no input gradient.
double step_flops(Sequential<float>& net) {
  const Shape image{1, Cifar10::channels, Cifar10::height, Cifar10::width};
  return 2.0 * static_cast<double>(3 * net.multiply_adds(image) - net[0].multiply_adds(image));
}

void run(const Options& options) {
  const cifar10_norms::Recipe* recipe = cifar10_norms::find_recipe(options.recipe);
  if (recipe == nullptr) fail("--recipe: expected one of ", cifar10_norms::recipe_names(), ", got \"", options.recipe, "\"");
  const auto norm = recipe->find_norm(options.norm);
  if (!norm) fail("--norm: expected ", recipe->norm_names(), ", got \"", options.norm, "\"");
  if (options.images < options.batch_size)
    fail("--images: expected at least one batch of ", options.batch_size, ", got ", options.images);
  set_num_threads(options.threads);

  const Cifar10 cifar =
      options.data.empty() ? synthetic_cifar10({.train = options.images, .test = 10}) : Cifar10::load(options.data);
  auto net = recipe->network(*norm, 1);
  SGD<float> optimizer(net.parameters(), {.lr = 0.01, .momentum = 0.9});  // PyTorch's here, too; schedules cost no time
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  const auto train = [&](Index images) {
    const Dataset part = cifar.train.first(images);
    DataLoader<float> loader(part, {.batch_size = options.batch_size,
                                    .shuffle = true,
                                    .drop_last = true,
                                    .normalize = recipe->normalize,
                                    .halo = net.input_halo()});
    return trainer.train_epoch(loader, 1);
  };
  train(std::min(5 * options.batch_size, cifar.train.size()));  // touches new memory and wakes the threads: not counted
  const PassResult result = train(options.images);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double images_per_second = static_cast<double>(result.images) / result.seconds;
  std::cout << nlohmann::ordered_json{{"recipe", options.recipe},
                                      {"norm", options.norm},
                                      {"batch_size", options.batch_size},
                                      {"threads", num_threads()},
                                      {"simd", simd_name},
                                      {"images_per_second", std::round(images_per_second)},
                                      {"gflops", std::round(images_per_second * step_flops(net) / 1e8) / 10},
                                      {"peak_rss_mb", usage.ru_maxrss / 1024},
                                      {"loss", result.loss}}
            << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Trains a network for a while and prints its speed as one line of JSON.", "bench_training");
  app.add_option("--recipe", options.recipe, "A recipe of cifar10_norms")->capture_default_str();
  app.add_option("--norm", options.norm, cifar10_norms::all_norm_names())->capture_default_str();
  app.add_option("--batch-size", options.batch_size)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--threads", options.threads, "0: all cores")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--images", options.images, "How many to train on")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--data", options.data, "The folder of the CIFAR-10 .bin files; synthetic images without it");
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "bench_training: " << error.what() << "\n";
    return 1;
  }
}
