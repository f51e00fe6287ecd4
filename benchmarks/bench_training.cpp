// Trains a network of examples/cifar10_norms for a while, or only runs it, and prints its speed as one line of JSON.
#include "cifar10_norms/recipes.hpp"
#include "conv_algorithms.hpp"
#include "measure.hpp"

#include <normnet/normnet.hpp>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

using namespace normnet;
using Json = nlohmann::ordered_json;

namespace {

struct Options {
  std::string mode = "train";
  std::string recipe = "era";
  std::string norm = "bn";
  std::string data;
  std::string algorithm = "automatic";
  Index batch_size = 128;
  Index images = 0;
  int threads = 0;
};

/// As many as take a few seconds.
Index default_images(const std::string& mode) { return mode == "latency" ? 1000 : 25600; }

/// Multiplications with an addition of a training step for one image: forward, weight gradient and input gradient cost the same;
/// the first layer has no input gradient.
std::int64_t step_multiply_adds(const Sequential<float>& net, const Shape& image) {
  return 3 * net.multiply_adds(image) - net[0].multiply_adds(image);
}

Json throughput(double images_per_second, std::int64_t multiply_adds) {
  const double gflops = images_per_second * 2e-9 * static_cast<double>(multiply_adds);
  return {{"images_per_second", std::round(images_per_second)}, {"gflops", std::round(10 * gflops) / 10}};
}

/// Training as the Trainer does it, its loader included.
Json train(const Options& options, const cifar10_norms::Recipe& recipe, Sequential<float>& net, const Dataset& data) {
  SGD<float> optimizer(net.parameters(), {.lr = 0.01, .momentum = 0.9});  // PyTorch's here, too; schedules cost no time
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  const auto epoch = [&](Index images) {
    const Dataset part = data.first(images);
    DataLoader<float> loader(part, {.batch_size = options.batch_size,
                                    .shuffle = true,
                                    .drop_last = true,
                                    .normalize = recipe.normalize,
                                    .halo = net.input_halo()});
    return trainer.train_epoch(loader, 1);
  };
  epoch(std::min(5 * options.batch_size, data.size()));  // touches new memory and wakes the threads: not counted
  const PassResult result = epoch(data.size());
  Json figures = throughput(static_cast<double>(result.images) / result.seconds,
                            step_multiply_adds(net, {1, data.channels(), data.height(), data.width()}));
  figures["loss"] = result.loss;
  return figures;
}

/// Forward passes in evaluation mode over the loader's batches.
Json evaluate(const Options& options, const cifar10_norms::Recipe& recipe, Sequential<float>& net, const Dataset& data) {
  net.eval();
  DataLoader<float> loader(
      data, {.batch_size = options.batch_size, .drop_last = true, .normalize = recipe.normalize, .halo = net.input_halo()});
  const auto pass = [&](Index batches) {
    for (Index i = 0; i < batches; ++i) net.inference(loader.load(i).images);
  };
  pass(std::min<Index>(5, loader.batches()));
  const double seconds = benchmarks::seconds_of([&] { pass(loader.batches()); });
  return throughput(static_cast<double>(loader.batches() * options.batch_size) / seconds,
                    net.multiply_adds({1, data.channels(), data.height(), data.width()}));
}

/// Forward passes in evaluation mode of one image after the other, from a tensor to a tensor.
Json latency(const cifar10_norms::Recipe& recipe, Sequential<float>& net, const Dataset& data) {
  net.eval();
  DataLoader<float> loader(data, {.batch_size = 1, .normalize = recipe.normalize});
  std::vector<double> seconds;
  for (Index i = 0; i < loader.batches(); ++i) {
    const Tensor<float> image = loader.load(i).images.to_tensor();
    if (i == 0) net.forward(image);
    seconds.push_back(benchmarks::seconds_of([&] { net.forward(image); }));
  }
  return {{"microseconds", std::round(1e7 * benchmarks::median(seconds)) / 10}};
}

void run(const Options& options) {
  const cifar10_norms::Recipe* recipe = cifar10_norms::find_recipe(options.recipe);
  const Index images = options.images > 0 ? options.images : default_images(options.mode);
  if (recipe == nullptr) fail("--recipe: expected one of ", cifar10_norms::recipe_names(), ", got \"", options.recipe, "\"");
  const auto norm = recipe->find_norm(options.norm);
  if (!norm) fail("--norm: expected ", recipe->norm_names(), ", got \"", options.norm, "\"");
  if (options.mode != "latency" && images < options.batch_size) {
    fail("--images: expected at least one batch of ", options.batch_size, ", got ", images);
  }
  set_num_threads(options.threads);

  const Cifar10 cifar = options.data.empty() ? synthetic_cifar10({.train = images, .test = 10}) : Cifar10::load(options.data);
  const Dataset data = cifar.train.first(images);
  auto net = recipe->network(*norm, 1);
  benchmarks::set_algorithm(net, benchmarks::conv_algorithms.at(options.algorithm));

  const Json figures = options.mode == "train"  ? train(options, *recipe, net, data)
                       : options.mode == "eval" ? evaluate(options, *recipe, net, data)
                                                : latency(*recipe, net, data);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  Json line{{"mode", options.mode},     {"recipe", options.recipe},
            {"norm", options.norm},     {"batch_size", options.mode == "latency" ? 1 : options.batch_size},
            {"threads", num_threads()}, {"simd", simd_name}};
  line.update(figures);
  line["peak_rss_mb"] = usage.ru_maxrss / 1024;
  std::cout << line << std::endl;
}

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  CLI::App app("Trains a network for a while, or only runs it, and prints its speed as one line of JSON.", "bench_training");
  app.add_option("--mode", options.mode,
                 "train; eval: images/s of forward passes in evaluation mode; latency: median microseconds of a single image")
      ->check(CLI::IsMember({"train", "eval", "latency"}))
      ->capture_default_str();
  app.add_option("--recipe", options.recipe, "A recipe of cifar10_norms")->capture_default_str();
  app.add_option("--norm", options.norm, cifar10_norms::all_norm_names())->capture_default_str();
  app.add_option("--algorithm", options.algorithm, "Of every convolution")
      ->check(CLI::IsMember(benchmarks::conv_algorithms))
      ->capture_default_str();
  app.add_option("--batch-size", options.batch_size)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--threads", options.threads, "0: all cores")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--images", options.images, "How many; 0: as many as take a few seconds")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--data", options.data, "The folder of the CIFAR-10 .bin files; synthetic images without it");
  CLI11_PARSE(app, argc, argv);
  run(options);
  return 0;
} catch (const std::exception& error) {
  std::cerr << "bench_training: " << error.what() << "\n";
  return 1;
}
