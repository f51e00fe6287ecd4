// Where a training step of a network goes: every layer alone, what it computes and moves, as a Markdown table.
#include "cifar10_norms/recipes.hpp"
#include "machine_peak.hpp"
#include "measure.hpp"

#include <normnet/normnet.hpp>

#include <CLI/CLI.hpp>

#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

using namespace normnet;

namespace {

struct Options {
  std::string recipe = "era";
  std::string norm = "bn";
  Index batch_size = 128;
  int threads = 0;
};

void run(const Options& options) {
  const cifar10_norms::Recipe* recipe = cifar10_norms::find_recipe(options.recipe);
  if (recipe == nullptr) fail("--recipe: expected one of ", cifar10_norms::recipe_names(), ", got \"", options.recipe, "\"");
  const auto norm = recipe->find_norm(options.norm);
  if (!norm) fail("--norm: expected ", recipe->norm_names(), ", got \"", options.norm, "\"");
  set_num_threads(options.threads);
  auto net = recipe->network(*norm, 1);

  const double peak = benchmarks::fma_peak_gflops(0.5), copy = benchmarks::copy_gb_per_second(0.5);
  std::printf("%d threads: %.0f GFLOP/s of multiply-adds in registers, %.0f GB/s of copying memory (read and written)\n\n",
              num_threads(), peak, copy);
  std::printf("| layer | output | us an image, forward | backward | MFLOP | MB | GFLOP/s | of peak | GB/s |\n");
  std::printf("|---|---|---|---|---|---|---|---|---|\n");
  Shape shape{options.batch_size, Cifar10::channels, Cifar10::height, Cifar10::width};
  const double images = static_cast<double>(options.batch_size);
  double forward_sum = 0, backward_sum = 0, flop_sum = 0, byte_sum = 0;
  for (Index i = 0; i < net.size(); ++i) {
    Layer<float>& layer = net[i];
    const bool first = i == 0;  // its input needs no gradient
    const auto x = benchmarks::random_batch(shape, layer.input_halo(), 1);
    Batch<float> y(layer.output_shape(shape)), dx(shape);
    const auto dy = benchmarks::random_batch(y.shape(), layer.gradient_halo(), 2);
    const auto median_of = [](auto pass) { return benchmarks::median_over(0.1, [&] { return benchmarks::seconds_of(pass); }); };
    const double forward = median_of([&] { layer.forward(x, y, {.training = true, .random = Random(4)}); }) / images;
    const double backward = median_of([&] {
                              if (first) return layer.backward_parameters(x, y, dy);
                              layer.backward(x, y, dy, dx);
                            }) /
                            images;
    const double flops = (first ? 2 : 3) * 2.0 * static_cast<double>(layer.multiply_adds(shape)) / images;
    const Keeps keeps = layer.keeps_for_backward();
    const double values = static_cast<double>(x.shape().elements() + y.shape().elements());
    const double bytes = sizeof(float) *
                         (2 * values + static_cast<double>(keeps_input(keeps) ? x.shape().elements() : 0) +
                          static_cast<double>(keeps_output(keeps) ? y.shape().elements() : 0)) /
                         images;
    const double seconds = forward + backward;
    std::printf("| %s | %s | %.1f | %.1f | %.2f | %.2f | %.0f | %.2f | %.0f |\n", layer.name().c_str(),
                layer.output_shape(shape).to_string().c_str(), 1e6 * forward, 1e6 * backward, 1e-6 * flops, 1e-6 * bytes,
                1e-9 * flops / seconds, 1e-9 * flops / seconds / peak, 1e-9 * bytes / seconds);
    forward_sum += forward;
    backward_sum += backward;
    flop_sum += flops;
    byte_sum += bytes;
    shape = layer.output_shape(shape);
  }
  const double seconds = forward_sum + backward_sum;
  std::printf("| all | | %.1f | %.1f | %.2f | %.2f | %.0f | %.2f | %.0f |\n", 1e6 * forward_sum, 1e6 * backward_sum,
              1e-6 * flop_sum, 1e-6 * byte_sum, 1e-9 * flop_sum / seconds, 1e-9 * flop_sum / seconds / peak,
              1e-9 * byte_sum / seconds);
}

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  CLI::App app("Measures every layer of a network alone, forward and backward, in training.", "bench_step");
  app.add_option("--recipe", options.recipe, "A recipe of cifar10_norms")->capture_default_str();
  app.add_option("--norm", options.norm, cifar10_norms::all_norm_names())->capture_default_str();
  app.add_option("--batch-size", options.batch_size)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--threads", options.threads, "0: all cores")->check(CLI::NonNegativeNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  run(options);
  return 0;
} catch (const std::exception& error) {
  std::cerr << "bench_step: " << error.what() << "\n";
  return 1;
}
