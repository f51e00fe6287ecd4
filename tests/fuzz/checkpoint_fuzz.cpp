// Feeds the reader of checkpoints, past its checksum: a run takes all of a checkpoint or stays as it was.
#include <normnet/core/error.hpp>
#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/optim/sgd.hpp>
#include <normnet/optim/step_lr.hpp>
#include <normnet/train/checkpoint.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

using namespace normnet;

namespace {

struct Run {
  Sequential<float> net = make_net();
  SGD<float> optimizer{net.parameters(), {.lr = 0.5, .momentum = 0.5}};
  StepLR<float> scheduler{optimizer, {.step_size = 1}};
  TrainingState<float> state{net, optimizer, &scheduler};

  static Sequential<float> make_net() {
    Sequential<float> net;
    net.add(BatchNorm2d<float>(1), "norm").add(Linear<float>(1, 2), "fc");
    return net;
  }

  std::string bytes() { return to_safetensors(state, Checkpoint{}).to_bytes(); }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Run run;
  static const std::string before = run.bytes();
  static const SafeTensors beginning = to_safetensors(run.state, Checkpoint{});
  try {
    SafeTensors file = SafeTensors::parse({reinterpret_cast<const char*>(data), size});
    try {
      const Checkpoint checkpoint = from_safetensors(file, run.state, {{"lr", "0.5"}});
      if (checkpoint.position.epoch < 1 || checkpoint.position.done.batches < 0) std::abort();
      SafeTensors again = to_safetensors(run.state, checkpoint);
      from_safetensors(again, run.state, checkpoint.options);
      from_safetensors(beginning, run.state);
    } catch (const Error&) {
      if (run.bytes() != before) std::abort();
    }
    normnet_impl::check_seal(file);
  } catch (const Error&) {  // the answer to everything else
  }
  return 0;
}
