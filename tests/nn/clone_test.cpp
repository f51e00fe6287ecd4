// Copies of models: the same bits from there on, and nothing shared.
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <normnet/nn/activation.hpp>
#include <normnet/nn/adaptive_avg_pool2d.hpp>
#include <normnet/nn/avg_pool2d.hpp>
#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/cross_entropy_loss.hpp>
#include <normnet/nn/dropout.hpp>
#include <normnet/nn/flatten.hpp>
#include <normnet/nn/group_norm.hpp>
#include <normnet/nn/instance_norm2d.hpp>
#include <normnet/nn/layer_norm.hpp>
#include <normnet/nn/layer_watcher.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/nn/log_softmax.hpp>
#include <normnet/nn/max_pool2d.hpp>
#include <normnet/nn/residual.hpp>
#include <normnet/nn/sequential.hpp>
#include <normnet/nn/softmax.hpp>
#include <normnet/optim/sgd.hpp>

#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace normnet;

namespace {

/// Every layer, each with options that are not the default ones; containers in containers.
Sequential<float> every_layer() {
  Sequential<float> inner, body, projection, net(7);
  inner.add(InstanceNorm2d<float>({.channels = 6, .momentum = 0.3, .affine = true, .track_running_stats = true}), "norm");
  inner.add(SiLU<float>()).add(Dropout<float>(0.3));
  body.add(Conv2d<float>({.in_channels = 6, .out_channels = 8, .kernel_size = {3, 1}, .padding = {1, 0}, .groups = 2}), "conv");
  body.add(GroupNorm<float>({.groups = 4, .channels = 8, .eps = 1e-3})).add(GELU<float>());
  projection.add(Conv2d<float>({.in_channels = 6, .out_channels = 8, .kernel_size = 1, .bias = false}));
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 6, .kernel_size = 3, .dilation = 2}), "conv1");
  net.add(BatchNorm2d<float>({.channels = 6, .eps = 1e-2, .momentum = 0.25}), "norm1").add(ReLU<float>());
  net.add(MaxPool2d<float>({.kernel_size = 3, .stride = 2, .padding = 1})).add(std::move(inner), "inner");
  net.add(Residual<float>(std::move(body), std::move(projection)), "block").add(LeakyReLU<float>(0.2)).add(ELU<float>(0.7));
  net.add(AvgPool2d<float>({.kernel_size = 3, .stride = 2, .padding = 1, .count_include_pad = false}));
  net.add(AdaptiveAvgPool2d<float>({2, 3})).add(LayerNorm<float>({.normalized_shape = {2, 3}, .eps = 1e-4}));
  net.add(ReLU6<float>()).add(Sigmoid<float>()).add(Tanh<float>()).add(Softplus<float>(2, 10)).add(Softmax<float>());
  Sequential<float> residual_body;
  residual_body.add(Dropout<float>(0.5));
  net.add(Residual<float>(std::move(residual_body)), "drop").add(GlobalAvgPool2d<float>()).add(Flatten<float>());
  net.add(Linear<float>({.in_features = 8, .out_features = 5, .bias = false}), "head").add(LogSoftmax<float>());
  return net;
}

const Tensor<float> images = test::random_tensor<float>({19, 3, 13, 15}, 1);
const std::vector<int> labels{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2, 3};

/// All that a model holds, by name; the gradients, too.
std::vector<std::pair<std::string, Tensor<float>>> state(Sequential<float>& net) {
  std::vector<std::pair<std::string, Tensor<float>>> all;
  for (auto& [name, parameter] : net.parameters()) {
    all.emplace_back(name, parameter->value);
    all.emplace_back(name + " (gradient)", parameter->grad);
  }
  for (auto& [name, tensor] : net.buffers()) all.emplace_back(name, *tensor);
  return all;
}

void train(Sequential<float>& net, SGD<float>& optimizer, int steps) {
  CrossEntropyLoss<float> loss;
  for (int step = 0; step < steps; ++step) {
    loss.forward(net.forward(Batch<float>::from(images)), labels);
    optimizer.zero_grad();
    net.backward(loss.backward());
    optimizer.step();
  }
}

class Plain : public Layer<float> {
 public:
  std::string type() const override { return "Plain"; }
  Shape output_shape(const Shape& input) const override { return input; }
  void forward(const Batch<float>& x, Batch<float>& y, const Mode&) override { y.copy_from(x); }
  void backward(const Batch<float>&, const Batch<float>&, const Batch<float>& dy, Batch<float>& dx) override { dx.copy_from(dy); }
  std::vector<NamedParameter<float>> parameters() override { return {{"scale", &scale_}}; }

 private:
  Parameter<float> scale_{Shape{3}};
};

/// Whose copies lack the parameter.
class Forgetful final : public Plain {
 public:
  std::unique_ptr<Layer<float>> with_same_options() const override { return std::make_unique<ReLU<float>>(); }
};

}  // namespace

TEST_CASE("a clone equals its model and trains to the same bits", "[sequential][clone]") {
  auto net = every_layer();
  SGD<float> optimizer(net.parameters(), {.lr = 0.1});
  train(net, optimizer, 2);
  net.parameters()[0].parameter->value.fill(0.25f);  // by hand, too

  auto clone = net.clone();
  CHECK(state(clone) == state(net));
  CHECK((clone.size() == net.size() && clone.seed() == 7 && clone.passes() == 2 && clone.training()));
  for (Index i = 0; i < net.size(); ++i) CHECK(clone[i].label() == net[i].label());
  CHECK(clone[4].as_sequential()->parameters()[0].name == "norm.weight");
  CHECK((*clone[4].as_sequential())[0].name() == "inner.norm");
  CHECK(clone[5].as_residual()->body()[0].name() == "block.body.conv");

  SGD<float> of_clone(clone.parameters(), {.lr = 0.1});
  train(net, optimizer, 3);
  const auto trained = state(net);
  train(clone, of_clone, 3);
  CHECK(state(clone) == trained);
  CHECK(state(net) == trained);  // which the clone's training did not touch
  net.eval();
  auto evaluating = net.clone();
  CHECK_FALSE(evaluating.training());
  CHECK(evaluating.forward(images) == net.forward(images));
}

TEST_CASE("a clone is independent of its model", "[sequential][clone]") {
  auto net = std::make_unique<Sequential<float>>(every_layer());
  net->set_name("net");
  net->inference(Batch<float>::from(images));
  auto clone = net->clone();
  const auto before = state(clone);
  const Tensor<float> expected = net->inference(Batch<float>::from(images)).to_tensor();
  for (auto& [name, parameter] : net->parameters()) parameter->value.fill(7);
  for (auto& [name, tensor] : net->buffers()) tensor->fill(7);
  net = nullptr;
  CHECK(state(clone) == before);
  CHECK(clone.inference(Batch<float>::from(images)).to_tensor() == expected);
  CHECK(clone.label() == "Sequential \"net\"");
  clone.add(Softmax<float>(), "end");  // it grows as any model does
  CHECK(clone[clone.size() - 1].name() == "net.end");
}

TEST_CASE("a clone has no watcher and no pass to go back from", "[sequential][clone]") {
  struct Counter final : LayerWatcher<float> {
    int calls = 0;
    void before_forward(const Batch<float>&) override { ++calls; }
    void after_forward(Layer<float>&, const Batch<float>&) override { ++calls; }
    void before_backward(const Batch<float>&) override { ++calls; }
    void after_backward(Layer<float>&, const Batch<float>*) override { ++calls; }
  } counter;
  auto net = every_layer();
  net.watch(&counter);
  net.forward(Batch<float>::from(images));
  const int calls = counter.calls;
  auto clone = net.clone();
  CHECK(clone.watcher() == nullptr);
  CHECK_THROWS_WITH(clone.backward(Batch<float>(Shape{19, 5})), "Sequential: backward() without a forward() before it");
  clone.inference(Batch<float>::from(images));
  CHECK(counter.calls == calls);
  CHECK(clone.activation_bytes() < net.activation_bytes());  // which keeps maps for its backward pass
}

TEST_CASE("clones in several threads at once compute the same bits as their model", "[sequential][clone][threads]") {
  auto net = every_layer();
  SGD<float> optimizer(net.parameters(), {.lr = 0.1});
  train(net, optimizer, 1);
  auto expected = net.clone();
  const Tensor<float> scores = expected.inference(Batch<float>::from(images)).to_tensor();
  SGD<float> of_expected(expected.parameters(), {.lr = 0.1});
  train(expected, of_expected, 4);

  std::vector<std::future<bool>> evaluations;
  for (int i = 0; i < 2; ++i) {
    evaluations.push_back(std::async(std::launch::async, [&scores, clone = net.clone()]() mutable {
      bool same = true;
      for (int pass = 0; pass < 5; ++pass) same &= clone.inference(Batch<float>::from(images)).to_tensor() == scores;
      return same;
    }));
  }
  train(net, optimizer, 4);  // at the same time
  for (auto& evaluation : evaluations) CHECK(evaluation.get());
  CHECK(state(net) == state(expected));
}

TEST_CASE("a layer that cannot be cloned is named", "[sequential][clone][errors]") {
  Sequential<float> body, net, other;
  body.add(ReLU<float>()).add(Plain(), "mine");
  net.add(Residual<float>(std::move(body)), "block");
  CHECK_THROWS_WITH(net.clone(), "Plain \"block.body.mine\": cannot be cloned, for it does not override with_same_options()");
  CHECK_THROWS_AS(net.clone(), Error);
  Forgetful forgetful;
  forgetful.set_name("mine");
  CHECK_THROWS_WITH(forgetful.clone(),
                    "Plain \"mine\": expected with_same_options() to make a layer of 1 parameters and 0 buffers, got 0 and 0");
}
