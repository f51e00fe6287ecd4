// Measures every layer that networks are made of, forward and backward, at the shapes of the network "era" and at a few wide
// ones, with Google Benchmark. Counters: what a layer computes or moves a second, and the share of the machine's best.
#include "conv_algorithms.hpp"
#include "machine_peak.hpp"
#include "measure.hpp"

#include <normnet/normnet.hpp>

#include <benchmark/benchmark.h>

#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace normnet;

namespace {

constexpr Index batch_size = 128;

/// The machine's best on the threads that are used, measured once.
double peak_gflops() {
  static const double peak = benchmarks::fma_peak_gflops(0.5);
  return peak;
}
double peak_gb_per_second() {
  static const double peak = benchmarks::copy_gb_per_second(0.5);
  return peak;
}

/// A layer with an input, in training.
struct Case {
  Case(std::unique_ptr<Layer<float>> of, const Shape& input)
      : layer(std::move(of)),
        x(benchmarks::random_batch(input, layer->input_halo(), 1)),
        y(layer->output_shape(input)),
        dy(benchmarks::random_batch(y.shape(), layer->gradient_halo(), 2)),
        dx(input) {
    layer->reset_parameters(Random(3));
    forward();
  }

  void forward() { layer->forward(x, y, {.training = true, .random = Random(4)}); }
  void backward() { layer->backward(x, y, dy, dx); }

  std::unique_ptr<Layer<float>> layer;
  Batch<float> x, y, dy, dx;
};

/// `passes` of `multiply_adds` in an iteration of the benchmark, as GFLOP/s.
void count_flops(benchmark::State& state, double passes, std::int64_t multiply_adds) {
  const double gflop = 2e-9 * passes * static_cast<double>(multiply_adds);
  state.counters["GFLOP/s"] = benchmark::Counter(gflop, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["of_peak"] = benchmark::Counter(gflop / peak_gflops(), benchmark::Counter::kIsIterationInvariantRate);
}

/// The feature maps that an iteration reads or writes, each counted once, as GB/s. Caches may be faster than copying memory.
void count_bytes(benchmark::State& state, std::size_t bytes) {
  const double gb = 1e-9 * static_cast<double>(bytes);
  state.counters["GB/s"] = benchmark::Counter(gb, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["of_copy"] = benchmark::Counter(gb / peak_gb_per_second(), benchmark::Counter::kIsIterationInvariantRate);
}

void measure_forward(benchmark::State& state, Case& c) {
  for ([[maybe_unused]] auto _ : state) c.forward();
  const std::int64_t multiply_adds = c.layer->multiply_adds(c.x.shape());
  if (multiply_adds > 0) return count_flops(state, 1, multiply_adds);
  count_bytes(state, c.x.bytes() + c.y.bytes());
}

void measure_backward(benchmark::State& state, Case& c) {
  for ([[maybe_unused]] auto _ : state) c.backward();
  const std::int64_t multiply_adds = c.layer->multiply_adds(c.x.shape());
  if (multiply_adds > 0) return count_flops(state, 2, multiply_adds);  // the gradients of weight and input
  const Keeps keeps = c.layer->keeps_for_backward();
  count_bytes(state,
              c.dy.bytes() + c.dx.bytes() + (keeps_input(keeps) ? c.x.bytes() : 0) + (keeps_output(keeps) ? c.y.bytes() : 0));
}

/// Registers both passes as "name/forward" and "name/backward". `make` makes the layer; nothing is made before it is measured.
template <class Make>
void add(const std::string& name, const Shape& input, Make make) {
  const auto add_pass = [&](const char* pass, void (*measure)(benchmark::State&, Case&)) {
    benchmark::RegisterBenchmark(concat(name, "/", pass).c_str(),
                                 [=](benchmark::State& state) {
                                   using L = decltype(make());
                                   Case c(std::make_unique<L>(make()), input);
                                   measure(state, c);
                                 })
        ->UseRealTime()
        ->Unit(benchmark::kMicrosecond);
  };
  add_pass("forward", measure_forward);
  add_pass("backward", measure_backward);
}

void add_conv(const std::string& what, const Conv2d<float>::Options& options, Index size) {
  for (const auto& [algorithm, value] : benchmarks::conv_algorithms) {
    Conv2d<float>::Options chosen = options;
    chosen.algorithm = value;
    chosen.bias = false;
    add(concat("Conv2d/", what, "/", options.in_channels, "->", options.out_channels, "@", size, "/", algorithm),
        {batch_size, options.in_channels, size, size}, [=] { return Conv2d<float>(chosen); });
  }
}

void add_convolutions() {
  add_conv("3x3", {.in_channels = 3, .out_channels = 10, .kernel_size = 3}, 32);
  add_conv("3x3", {.in_channels = 10, .out_channels = 20, .kernel_size = 3}, 30);
  add_conv("1x1", {.in_channels = 20, .out_channels = 10, .kernel_size = 1}, 28);
  add_conv("3x3", {.in_channels = 20, .out_channels = 30, .kernel_size = 3, .padding = 1}, 14);
  add_conv("3x3", {.in_channels = 30, .out_channels = 40, .kernel_size = 3, .padding = 1}, 14);
  add_conv("3x3", {.in_channels = 20, .out_channels = 30, .kernel_size = 3}, 5);
  add_conv("3x3", {.in_channels = 64, .out_channels = 64, .kernel_size = 3, .padding = 1}, 16);
  add_conv("3x3", {.in_channels = 128, .out_channels = 128, .kernel_size = 3, .padding = 1}, 8);
  add_conv("depthwise", {.in_channels = 16, .out_channels = 32, .kernel_size = 3, .padding = 1, .groups = 16}, 32);
  add_conv("depthwise", {.in_channels = 64, .out_channels = 64, .kernel_size = 3, .padding = 1, .groups = 64}, 16);
}

/// The layers that move data rather than compute, at one shape.
void add_others(Index channels, Index size) {
  const Shape input{batch_size, channels, size, size};
  const std::string where = concat("/", channels, "@", size);
  add("BatchNorm2d" + where, input, [=] { return BatchNorm2d<float>(channels); });
  add("GroupNorm" + where, input, [=] { return GroupNorm<float>(2, channels); });
  add("GroupNorm1" + where, input, [=] { return GroupNorm<float>(1, channels); });
  add("LayerNorm" + where, input, [=] { return LayerNorm<float>(Shape{channels, size, size}); });
  add("ReLU" + where, input, [] { return ReLU<float>(); });
  add("Dropout" + where, input, [] { return Dropout<float>(0.1); });
  add("MaxPool2d" + where, input, [] { return MaxPool2d<float>(2); });
  add("AvgPool2d" + where, input, [] { return AvgPool2d<float>(2); });
  add("GlobalAvgPool2d" + where, input, [] { return GlobalAvgPool2d<float>(); });
}

void add_linear(Index in_features, Index out_features) {
  add(concat("Linear/", in_features, "->", out_features), {batch_size, in_features},
      [=] { return Linear<float>(in_features, out_features); });
}

/// A loss, forward and backward as one: backward() may be called once for each forward().
template <class L>
void add_loss(const std::string& name, Index classes) {
  benchmark::RegisterBenchmark(concat(name, "/", classes, "_classes").c_str(),
                               [=](benchmark::State& state) {
                                 L loss;
                                 const Batch<float> predictions = benchmarks::random_batch({batch_size, classes}, {}, 1);
                                 std::vector<int> labels;
                                 for (Index n = 0; n < batch_size; ++n) labels.push_back(static_cast<int>(n % classes));
                                 for ([[maybe_unused]] auto _ : state) {
                                   benchmark::DoNotOptimize(loss.forward(predictions, labels));
                                   benchmark::DoNotOptimize(loss.backward());
                                 }
                                 count_bytes(state, 2 * predictions.bytes());
                               })
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace

int main(int argc, char** argv) try {
  add_convolutions();
  for (const auto& [channels, size] : {std::pair<Index, Index>{10, 30}, {20, 28}, {20, 14}, {40, 14}, {30, 3}, {64, 32}}) {
    add_others(channels, size);
  }
  add_linear(32, 10);
  add_linear(512, 512);
  add_loss<CrossEntropyLoss<float>>("CrossEntropyLoss", 10);
  add_loss<NLLLoss<float>>("NLLLoss", 10);

  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("simd", std::string(simd_name));
  benchmark::AddCustomContext("threads (OMP_NUM_THREADS)", std::to_string(num_threads()));
  benchmark::AddCustomContext("multiply-adds in registers, GFLOP/s", std::to_string(peak_gflops()));
  benchmark::AddCustomContext("copying memory, GB/s", std::to_string(peak_gb_per_second()));
  benchmark::RunSpecifiedBenchmarks();
  return 0;
} catch (const std::exception& error) {
  std::cerr << "bench_layers: " << error.what() << "\n";
  return 1;
}
