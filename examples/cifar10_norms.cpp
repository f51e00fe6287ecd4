// The main job: trains a small network on CIFAR-10 once with each normalization, and compares.
#include "cifar10_norms/experiment.hpp"
#include "cifar10_norms/options.hpp"
#include "cifar10_norms/report.hpp"

#include <normnet/normnet.hpp>

#include <exception>
#include <iostream>
#include <string>
#include <vector>

using namespace cifar10_norms;

namespace {

void print_banner_if_synthetic(const Data& data) {
  if (!data.synthetic()) return;
  std::cout << "******************************************************************************\n"
               "*  SYNTHETIC DATA: these images are computed textures, not CIFAR-10.         *\n"
               "*  No accuracy of this run can be compared with a published one.             *\n"
               "******************************************************************************\n";
}

void run(const Options& options) {
  using normnet::with_commas;
  const normnet::Stopwatch stopwatch;
  if (options.threads) normnet::set_num_threads(*options.threads);

  std::vector<normnet::ModelSummary> summaries;
  for (const Norm& norm : options.norms) summaries.push_back(summarize(options, norm));
  const Data data = load_data(options);
  const Report report(options, data);

  print_banner_if_synthetic(data);
  std::cout << "Data: " << data.source << ", " << with_commas(data.images.train.size()) << " training and "
            << with_commas(data.images.test.size()) << " test images\n"
            << "Recipe \"" << options.recipe->name << "\": " << options.recipe->description << "\n"
            << "Threads: " << normnet::num_threads() << ", SIMD: " << normnet::simd_name << "\n\n"
            << "The network with " << options.norms.front().title() << ":\n"
            << summaries.front() << std::endl;

  std::vector<NormResult> results;
  for (std::size_t i = 0; i < options.norms.size(); ++i) {
    results.push_back(
        {.norm = options.norms[i], .parameters = summaries[i].parameters(), .multiply_adds = summaries[i].multiply_adds()});
    for (const std::uint64_t seed : options.seeds) {
      train(options, data, seed, results.back(), [&] {
        report.write_curves(results);
        report.write_summary(results, stopwatch.seconds());
      });
      if (results.back().runs.size() == 1) report.write_mistakes(results.back());
    }
  }
  report.write_summary(results, stopwatch.seconds());  // once more, for the time and memory of everything

  std::cout << "\n" << report.table(results) << "\nEverything is in " << options.out.string() << "\n";
  print_banner_if_synthetic(data);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto options = parse_options(argc, argv);
    if (options) run(*options);
    return 0;
  } catch (const UsageError& error) {
    std::cerr << "cifar10_norms: " << error.what() << "\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "cifar10_norms: " << error.what() << "\n";
    return 1;
  }
}
