// Loaders, losses and optimizers that two threads use at once.
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <normnet/data/data_loader.hpp>
#include <normnet/nn/cross_entropy_loss.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/nn/nll_loss.hpp>
#include <normnet/nn/sequential.hpp>
#include <normnet/optim/sgd.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

using namespace normnet;

namespace {

/// What the first refusal says while two threads use the same object; "" where there is none within half a minute.
template <class Use>
std::string refusal(Use use) {
  std::atomic<bool> done = false;
  std::array<std::string, 2> messages;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  const auto work = [&](std::string& message) {
    while (!done && std::chrono::steady_clock::now() < end) {
      try {
        use();
      } catch (const Error& error) {
        message = error.what();
        done = true;
      }
    }
  };
  std::thread other([&] { work(messages[1]); });
  work(messages[0]);
  other.join();
  return messages[0].empty() ? messages[1] : messages[0];
}

std::string expected(const std::string& type, const std::string& kind) {
  return type + ": is used by two threads at once, or from within its own work; give each thread a " + kind + " of its own";
}

}  // namespace

TEST_CASE("what serves one thread at a time refuses a second one", "[train][threads]") {
  const Dataset data({.channels = 3, .height = 32, .width = 31, .class_names = {"a"}},
                     std::vector<std::uint8_t>(300 * 3 * 32 * 31), std::vector<int>(300));
  DataLoader<float> loader(data, {.batch_size = 300});
  CHECK(refusal([&] { loader.load(0); }) == expected("DataLoader", "loader"));

  const auto prediction = Batch<float>::from(test::random_tensor<float>({300, 50}, 1));
  const std::vector<int> labels(300, 7);
  CrossEntropyLoss<float> cross_entropy;
  NLLLoss<float> likelihood;
  cross_entropy.forward(prediction, labels);
  likelihood.forward(prediction, labels);
  CHECK(refusal([&] { cross_entropy.forward(prediction, labels); }) == expected("CrossEntropyLoss", "loss"));
  CHECK(refusal([&] { cross_entropy.backward(); }) == expected("CrossEntropyLoss", "loss"));
  CHECK(refusal([&] { likelihood.forward(prediction, labels); }) == expected("NLLLoss", "loss"));
  CHECK(refusal([&] { likelihood.backward(); }) == expected("NLLLoss", "loss"));

  Sequential<float> net;
  net.add(Linear<float>(300, 1000));
  SGD<float> optimizer(net.parameters(), {.lr = 0.1, .momentum = 0.9});
  CHECK(refusal([&] { optimizer.step(); }) == expected("SGD", "model and an optimizer"));
}
