// The main job: trains small networks on CIFAR-10 once with each normalization, and compares.
#include "cifar10_norms/data.hpp"
#include "cifar10_norms/error_text.hpp"
#include "cifar10_norms/options.hpp"
#include "cifar10_norms/reproduce.hpp"
#include "cifar10_norms/results.hpp"
#include "cifar10_norms/study.hpp"
#include "cifar10_norms/table.hpp"

#include <normnet/normnet.hpp>
#include <normnet/train/stop_on_signal.hpp>

#include <exception>
#include <iostream>

using namespace cifar10_norms;

namespace {

void print_banner_if_synthetic(const Data& data) {
  if (!data.synthetic()) return;
  std::cout << "******************************************************************************\n"
               "*  SYNTHETIC DATA: these images are computed textures, not CIFAR-10.         *\n"
               "*  No accuracy of this run can be compared with a published one.             *\n"
               "******************************************************************************\n";
}

// Returns the exit code.
int run(const Options& options) {
  using normnet::with_commas;
  if (options.command == Command::recipes) {
    std::cout << recipe_table();
    return 0;
  }
  Results results{.version = NORMNET_VERSION, .command_line = options.command_line};
  if (options.threads) normnet::set_num_threads(*options.threads);
  const Data data = load_data(options);

  print_banner_if_synthetic(data);
  std::cout << "Data: " << data.source << ", " << with_commas(data.images.train.size()) << " training and "
            << with_commas(data.images.test.size()) << " test images\n"
            << "Threads: " << normnet::num_threads() << ", SIMD: " << normnet::simd_name << "\n";
  const normnet::StopOnSignal stop;
  if (options.command == Command::batch_size_study) {
    study_batch_sizes(options, data, stop.flag(), results);
  } else {
    reproduce(options, data, stop.flag(), results);
  }
  if (results.interrupted) {
    std::cout << "\nInterrupted; what there is so far is in " << options.out.string() << "\n";
    if (options.keep_checkpoints > 0) std::cout << "Go on with: " << options.resume_command << "\n";
    return 130;
  }
  std::cout << "Everything is in " << options.out.string() << "\n";
  print_banner_if_synthetic(data);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const auto options = parse_options(argc, argv);
    const int code = options ? run(*options) : 0;
    if (code == 0 && !std::cout.flush()) normnet::fail("cannot write to standard output");  // as on a full disk
    return code;
  } catch (const UsageError& error) {
    std::cerr << "cifar10_norms: " << error.what() << "\n";
    return 2;
  } catch (const std::exception& error) {
    std::cerr << "cifar10_norms: " << error_text(error) << "\n";
    return 1;
  }
}
