// Tests of train/anomaly.hpp.
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <normnet/nn/activation.hpp>
#include <normnet/nn/adaptive_avg_pool2d.hpp>
#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/cross_entropy_loss.hpp>
#include <normnet/nn/dropout.hpp>
#include <normnet/nn/group_norm.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/nn/residual.hpp>
#include <normnet/nn/sequential.hpp>
#include <normnet/train/anomaly.hpp>

#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace normnet;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity(), not_a_number = std::numeric_limits<float>::quiet_NaN();

struct Poisoned {
  Index image, channel, y, x;
  float value;
};

/// Passes everything on, in place where it can, but for single values of its output or of its gradient.
class Poison final : public Layer<float> {
 public:
  explicit Poison(std::vector<Poisoned> output, std::vector<Poisoned> gradient = {})
      : output_(std::move(output)), gradient_(std::move(gradient)) {}

  std::string type() const override { return "Poison"; }
  Shape output_shape(const Shape& input) const override { return input; }
  Keeps keeps_for_backward() const override { return Keeps::nothing; }
  bool in_place() const override { return true; }

  void forward(const Batch<float>& x, Batch<float>& y, const Mode&) override { pass_on(x, y, output_); }
  void backward(const Batch<float>&, const Batch<float>&, const Batch<float>& dy, Batch<float>& dx) override {
    pass_on(dy, dx, gradient_);
  }

 private:
  static void pass_on(const Batch<float>& from, Batch<float>& to, const std::vector<Poisoned>& values) {
    if (&from != &to) to.copy_from(from);
    for (const auto& [n, c, y, x, value] : values) {
      to.row(n / Batch<float>::lanes, c, y)[x].set(static_cast<int>(n % Batch<float>::lanes), value);
    }
  }

  std::vector<Poisoned> output_, gradient_;
};

/// 19 images fill no number of blocks.
constexpr Index images = 19;
Batch<float> input() { return Batch<float>::from(test::random_tensor<float>({images, 3, 6, 5}, 1)); }
std::vector<int> labels() { return std::vector<int>(images, 2); }

/// ReLU makes 0 of negative infinity; group norm, poison, ReLU and dropout overwrite what the layer before them wrote.
Sequential<float> poisoned_net(std::vector<Poisoned> output, std::vector<Poisoned> gradient = {}) {
  Sequential<float> body, net(7);
  body.add(Conv2d<float>({.in_channels = 4, .out_channels = 4, .kernel_size = 3, .padding = 1}))
      .add(GroupNorm<float>(2, 4))
      .add(Poison(std::move(output), std::move(gradient)), "poison")
      .add(ReLU<float>())
      .add(Dropout<float>(0.3));
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 4, .kernel_size = 3}), "conv1")
      .add(BatchNorm2d<float>(4), "norm1")
      .add(ReLU<float>())
      .add(Residual<float>(std::move(body)), "block")
      .add(GlobalAvgPool2d<float>())
      .add(Linear<float>(4, 5), "head");
  return net;
}

std::string text(const std::optional<Anomaly>& anomaly) { return anomaly ? anomaly->to_string() : "nothing"; }

std::string anomaly_in(Sequential<float>& net, const Batch<float>& x = input()) {
  CrossEntropyLoss<float> loss;
  return text(find_anomaly(net, x, loss, labels()));
}

}  // namespace

TEST_CASE("the first output that is not finite is found where it is written", "[anomaly]") {
  auto net = poisoned_net({{18, 1, 3, 2, infinity}, {4, 3, 0, 1, not_a_number}, {4, 2, 1, 1, -infinity}, {4, 2, 1, 2, infinity}});
  CHECK(anomaly_in(net) ==
        "the output of Poison \"block.body.poison\" in the forward pass, -inf at image 4, channel 2, y 1, x 1");

  auto last_block = poisoned_net({{18, 1, 3, 2, not_a_number}});
  const std::optional<Anomaly> found = find_anomaly(last_block, input());
  REQUIRE(found);
  CHECK(found->pass == Anomaly::Pass::forward);
  CHECK(found->layer == "Poison \"block.body.poison\"");
  CHECK(found->place == std::vector<Index>{18, 1, 3, 2});
  CHECK(std::isnan(found->value));

  if (Batch<float>::lanes > 1) {
    auto in_padding = poisoned_net({{19, 0, 0, 0, infinity}});  // no image
    CHECK(text(find_anomaly(in_padding, input())) == "nothing");
  }
}

TEST_CASE("the first gradient that is not finite is found", "[anomaly]") {
  auto net = poisoned_net({}, {{18, 1, 3, 2, not_a_number}, {17, 3, 0, 1, infinity}});
  CHECK(text(find_anomaly(net, input())) == "nothing");
  CHECK(anomaly_in(net) ==
        "the gradient of the input of Poison \"block.body.poison\" in the backward pass, inf at image 17, channel 3, y 0, x 1");

  // 1e30 * 1e30, summed in the lowest layer, where nobody asks for the gradient of the input.
  Sequential<float> product;
  product.add(Conv2d<float>({.in_channels = 2, .out_channels = 3, .kernel_size = {1, 2}, .bias = false}), "conv");
  for (auto& [name, parameter] : product.parameters()) parameter->value.fill(0);
  Batch<float> x(Shape{images, 2, 4, 5}), dy(Shape{images, 3, 4, 4});
  x.set(18, 1, 3, 4, 1e30f);
  dy.set(18, 2, 3, 3, -1e30f);
  const AnomalyDetector<float> detector(product);
  product.forward(x);
  CHECK_FALSE(detector.found());
  product.backward(dy);
  CHECK(text(detector.found()) == "the gradient of the weight of Conv2d \"conv\" in the backward pass, -inf at (2, 1, 0, 1)");
  REQUIRE(detector.found());
  CHECK(detector.found()->pass == Anomaly::Pass::backward);
}

TEST_CASE("a sum of finite terms is the residual connection's", "[anomaly]") {
  Sequential<float> body, net;
  body.add(Poison({{2, 1, 3, 4, 3e38f}}));
  net.add(Residual<float>(std::move(body)), "block");
  Batch<float> x = input();
  x.set(2, 1, 3, 4, 3e38f);
  CHECK(text(find_anomaly(net, x)) ==
        "the output of Residual \"block\" in the forward pass, inf at image 2, channel 1, y 3, x 4");
}

TEST_CASE("what a pass begins with is blamed on no layer", "[anomaly]") {
  auto net = poisoned_net({});
  CHECK(anomaly_in(net) == "nothing");
  Batch<float> x = input();
  x.set(3, 1, 5, 4, not_a_number);
  CHECK(anomaly_in(net, x) == "the model's input in the forward pass, nan at image 3, channel 1, y 5, x 4");

  const AnomalyDetector<float> detector(net);
  const Batch<float> good = input();
  net.forward(good);
  Batch<float> dy(Shape{images, 5});
  dy.set(1, 4, 0, 0, infinity);
  net.backward(dy);
  CHECK(text(detector.found()) == "the gradient of the model's output in the backward pass, inf at image 1, channel 4, y 0, x 0");
}

TEST_CASE("a parameter or buffer that is not finite is named", "[anomaly]") {
  auto weight = poisoned_net({});
  dynamic_cast<Conv2d<float>&>(weight[0]).weight().value(3, 0, 0, 0) = not_a_number;
  CHECK(anomaly_in(weight) ==
        "the output of Conv2d \"conv1\" in the forward pass, nan at image 0, channel 3, y 0, x 0; its weight was not finite "
        "before");
  auto buffer = poisoned_net({});
  dynamic_cast<BatchNorm2d<float>&>(buffer[1]).running_mean()[2] = not_a_number;
  CHECK(anomaly_in(buffer) == "nothing");  // training needs none
  buffer.eval();
  CHECK(anomaly_in(buffer) ==
        "the output of BatchNorm2d \"norm1\" in the forward pass, nan at image 0, channel 2, y 0, x 0; its "
        "running_mean was not finite before");

  // It is that of the layer that was found, of none that comes later.
  auto later = poisoned_net({{4, 3, 0, 1, not_a_number}});
  dynamic_cast<Linear<float>&>(later[5]).weight().value(2, 1) = not_a_number;
  CHECK(anomaly_in(later) ==
        "the output of Poison \"block.body.poison\" in the forward pass, nan at image 4, channel 3, y 0, x 1");
}

TEST_CASE("what the gradients were before is no anomaly of a pass", "[anomaly]") {
  auto net = poisoned_net({});
  Parameter<float>& weight = dynamic_cast<Linear<float>&>(net[5]).weight();
  weight.grad(1, 2) = infinity;
  CHECK(anomaly_in(net) == "nothing");
  CHECK(weight.grad(1, 2) == infinity);
}

TEST_CASE("find_anomaly leaves the model as it was", "[anomaly]") {
  auto net = poisoned_net({}), other = poisoned_net({});
  const auto state = [](Sequential<float>& of) {
    std::vector<Tensor<float>> tensors;
    for (const auto& [name, parameter] : of.parameters()) tensors.insert(tensors.end(), {parameter->value, parameter->grad});
    for (const auto& [name, buffer] : of.buffers()) tensors.push_back(*buffer);
    return std::pair(tensors, of.passes());
  };
  const Batch<float> x = input();
  CrossEntropyLoss<float> loss;
  for (Sequential<float>* both : {&net, &other}) {
    loss.forward(both->forward(x), labels());
    both->backward(loss.backward());
  }
  CHECK(anomaly_in(net) == "nothing");
  CHECK((state(net) == state(other)));
  CHECK(net.watcher() == nullptr);
  CHECK(net.forward(x).to_tensor() == other.forward(x).to_tensor());  // the same units are dropped next

  AnomalyDetector<float> detector(net);
  find_anomaly(net, x);
  CHECK(net.watcher() == &detector);
}
