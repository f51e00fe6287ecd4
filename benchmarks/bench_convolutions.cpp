// Measures the passes of one convolution and prints their speed as one line of JSON. compare_convolutions.py runs it for many.
#include "conv_algorithms.hpp"
#include "machine_peak.hpp"
#include "measure.hpp"

#include <normnet/normnet.hpp>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <iostream>
#include <string>
#include <vector>

using namespace normnet;

namespace {

struct Options {
  Index in_channels = 3, out_channels = 10, size = 32;
  int kernel_size = 3, stride = 1, padding = 0, dilation = 1;
  Index groups = 1;
  Index batch_size = 128;
  std::string algorithm = "automatic";
  int threads = 0;
  double seconds = 0.1;
};

void run(const Options& options) {
  set_num_threads(options.threads);
  Conv2d<float> conv({.in_channels = options.in_channels,
                      .out_channels = options.out_channels,
                      .kernel_size = options.kernel_size,
                      .stride = options.stride,
                      .padding = options.padding,
                      .dilation = options.dilation,
                      .groups = options.groups,
                      .bias = false,
                      .algorithm = benchmarks::conv_algorithms.at(options.algorithm)});
  const Shape input{options.batch_size, options.in_channels, options.size, options.size};
  const Batch<float> x = benchmarks::random_batch(input, conv.input_halo(), 1);
  const Batch<float> dy = benchmarks::random_batch(conv.output_shape(input), conv.gradient_halo(), 2);
  Batch<float> y(dy.shape()), dx(input);

  const auto forward = [&] { return benchmarks::seconds_of([&] { conv.forward(x, y, {.training = true}); }); };
  const auto weight_gradient = [&] { return benchmarks::seconds_of([&] { conv.backward_parameters(x, y, dy); }); };
  // A layer has no pass that makes this gradient alone, so it is what the whole backward pass takes longer.
  const auto input_gradient = [&] {
    const double without = weight_gradient();
    return benchmarks::seconds_of([&] { conv.backward(x, y, dy, dx); }) - without;
  };
  const double gflop = 2e-9 * static_cast<double>(conv.multiply_adds(input));
  const double peak = benchmarks::fma_peak_gflops();
  std::cout << nlohmann::ordered_json{{"simd", simd_name},
                                      {"threads", num_threads()},
                                      {"algorithm", options.algorithm},
                                      {"gflop", gflop},
                                      {"forward", gflop / benchmarks::median_over(options.seconds, forward)},
                                      {"input_gradient", gflop / benchmarks::median_over(2 * options.seconds, input_gradient)},
                                      {"weight_gradient", gflop / benchmarks::median_over(options.seconds, weight_gradient)},
                                      {"peak", peak}}
            << std::endl;
}

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  CLI::App app(
      "Measures the passes of one convolution and prints GFLOP/s as one line of JSON. Counted are the operations of the\n"
      "definition, whatever the algorithm; \"peak\" is what multiply-adds in registers reach on the same threads.",
      "bench_convolutions");
  app.add_option("--in", options.in_channels, "Channels of the input")->capture_default_str();
  app.add_option("--out", options.out_channels, "Channels of the output")->capture_default_str();
  app.add_option("--size", options.size, "Height and width of the input")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--kernel", options.kernel_size)->capture_default_str();
  app.add_option("--stride", options.stride)->capture_default_str();
  app.add_option("--padding", options.padding)->capture_default_str();
  app.add_option("--dilation", options.dilation)->capture_default_str();
  app.add_option("--groups", options.groups)->capture_default_str();
  app.add_option("--batch-size", options.batch_size)->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--algorithm", options.algorithm)->check(CLI::IsMember(benchmarks::conv_algorithms))->capture_default_str();
  app.add_option("--threads", options.threads, "0: all cores")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--seconds", options.seconds, "For each pass")->check(CLI::NonNegativeNumber)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  run(options);
  return 0;
} catch (const std::exception& error) {
  std::cerr << "bench_convolutions: " << error.what() << "\n";
  return 1;
}
