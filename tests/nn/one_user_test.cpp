// What a model keeps of its input, and what happens when two threads use one model at once.
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <normnet/nn/activation.hpp>
#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/flatten.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/nn/residual.hpp>
#include <normnet/nn/sequential.hpp>

#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace normnet;

namespace {

Sequential<float> small_net(std::uint64_t seed = 1) {
  Sequential<float> net(seed);
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 4, .kernel_size = 3, .padding = 1})).add(ReLU<float>());
  net.add(Flatten<float>()).add(Linear<float>(4 * 5 * 6, 2));
  return net;
}

std::vector<Tensor<float>> gradients(Sequential<float>& net) {
  std::vector<Tensor<float>> all;
  for (auto& [name, parameter] : net.parameters()) all.push_back(parameter->grad);
  return all;
}

const Tensor<float> images = test::random_tensor<float>({19, 3, 5, 6}, 1);
const auto dy = Batch<float>::from(test::random_tensor<float>({19, 2}, 2));

/// Where a pass waits: it says that it is there, and goes on when it is opened; one that is broken throws.
struct Gate {
  std::promise<void> entered;
  std::promise<void> opened;
  bool broken = false;
};

/// y = x, behind a gate.
class Waiting final : public Layer<float> {
 public:
  explicit Waiting(Gate& gate) : gate_(&gate) {}

  std::string type() const override { return "Waiting"; }
  Shape output_shape(const Shape& input) const override { return input; }
  void forward(const Batch<float>& x, Batch<float>& y, const Mode&) override {
    y.copy_from(x);
    pass();
  }
  void backward(const Batch<float>&, const Batch<float>&, const Batch<float>& gradient, Batch<float>& dx) override {
    dx.copy_from(gradient);
    pass();
  }

 private:
  void pass() {
    if (gate_->broken) throw Error("broken");
    gate_->entered.set_value();
    gate_->opened.get_future().wait();
  }

  Gate* gate_;
};

}  // namespace

TEST_CASE("a model keeps an input that is a temporary", "[sequential]") {
  auto net = small_net(), other = small_net();
  const auto x = Batch<float>::from(images);
  other.forward(x);
  Batch<float> dx, expected_dx;
  other.backward(dy, expected_dx);

  CHECK(net.forward(Batch<float>::from(images)).to_tensor() == other.inference(x).to_tensor());
  CHECK(net.activation_bytes() >= x.bytes());
  std::vector<Batch<float>> noise(8, x);  // takes memory that was given back
  for (Batch<float>& batch : noise) batch.fill(1e6f);
  Sequential<float> moved = std::move(net);  // which takes the input along
  moved.backward(dy, dx);
  CHECK(dx.to_tensor() == expected_dx.to_tensor());
  CHECK(gradients(moved) == gradients(other));

  // With the border that the first layer asks for no copy is made, so the layers read the temporary itself.
  auto padded = small_net();
  padded.forward(Batch<float>::from(images, padded.input_halo()));
  padded.backward(dy, dx);
  CHECK(gradients(padded) == gradients(other));

  // It goes when the next pass begins.
  moved.forward(x);
  const std::size_t with_callers = moved.activation_bytes();
  moved.forward(Batch<float>::from(images));
  CHECK(moved.activation_bytes() == with_callers + x.bytes());
  moved.inference(x);
  CHECK(moved.activation_bytes() == other.activation_bytes());
}

TEST_CASE("a model that two threads use at once says so", "[sequential][threads]") {
  const std::string message =
      "Sequential: is used by two threads at once, or from within its own work; give each thread a model of its own, see clone()";
  Gate gate;
  Sequential<float> inner, net;
  inner.add(Waiting(gate));
  net.add(Residual<float>(std::move(inner)));  // in a container in the model
  net.eval();
  const auto x = Batch<float>::from(images);
  const Tensor<float> doubled = [&] {
    Tensor<float> sum = images;
    for (float& value : sum.span()) value *= 2;
    return sum;
  }();

  const auto use = [&](auto pass) {
    gate = {};
    auto entered = gate.entered.get_future();
    auto result = std::async(std::launch::async, pass);
    entered.wait();
    CHECK_THROWS_WITH(net.forward(x), message);
    CHECK_THROWS_WITH(net.forward(Batch<float>::from(images)), message);
    CHECK_THROWS_WITH(net.forward(images), message);
    CHECK_THROWS_WITH(net.inference(x), message);
    CHECK_THROWS_WITH(net.backward(x), message);
    Batch<float> dx;
    CHECK_THROWS_WITH(net.backward(x, dx), message);
    gate.opened.set_value();
    return result.get();
  };
  // The first thread comes to the right result.
  CHECK(use([&] { return net.forward(images); }) == doubled);
  CHECK(use([&] { return net.inference(x).to_tensor(); }) == doubled);
  CHECK(use([&] { return net.forward(x).to_tensor(); }) == doubled);
  CHECK(use([&] {
          Batch<float> dx;
          net.backward(x, dx);
          return dx.to_tensor();
        }) == doubled);

  // A pass that fails is over, and so is one after the other in another thread.
  gate.broken = true;
  CHECK_THROWS_WITH(net.forward(x), "broken");
  CHECK_THROWS_WITH(net.inference(x), "broken");
  CHECK_THROWS_WITH(std::async(std::launch::async, [&] { net.inference(x); }).get(), "broken");
}

TEST_CASE("a model may not be used from within its own pass", "[sequential]") {
  struct Meddler final : LayerWatcher<float> {
    Sequential<float>* net = nullptr;
    std::string message;

    void before_forward(const Batch<float>&) override {}
    void after_forward(Layer<float>&, const Batch<float>& y) override {
      try {
        net->inference(y);
      } catch (const Error& error) {
        message = error.what();
      }
    }
    void before_backward(const Batch<float>&) override {}
    void after_backward(Layer<float>&, const Batch<float>*) override {}
  } meddler;
  auto net = small_net();
  net.set_name("net");
  meddler.net = &net;
  net.watch(&meddler);
  net.forward(images);
  CHECK(meddler.message ==
        "Sequential \"net\": is used by two threads at once, or from within its own work; give each thread a model of its own, "
        "see clone()");
}
