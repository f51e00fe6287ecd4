// normnet against PyTorch, in double: every layer, loss, optimizer and schedule, and small networks in training.
//
// tests/parity/make_vectors.py wrote the files in tests/parity/vectors.
#include "parity/shared.hpp"
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
#include <normnet/nn/linear.hpp>
#include <normnet/nn/log_softmax.hpp>
#include <normnet/nn/max_pool2d.hpp>
#include <normnet/nn/nll_loss.hpp>
#include <normnet/nn/sequential.hpp>
#include <normnet/nn/softmax.hpp>
#include <normnet/optim/cosine_annealing_lr.hpp>
#include <normnet/optim/multi_step_lr.hpp>
#include <normnet/optim/one_cycle_lr.hpp>
#include <normnet/optim/sgd.hpp>
#include <normnet/optim/step_lr.hpp>

#include <nlohmann/json.hpp>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

using namespace normnet;
using test::max_relative_difference;
using test::tensor;
using test::vectors;
using Json = nlohmann::json;

namespace {

// Parameters and buffers by name; files and model must name the same ones.
template <class Named>
std::map<std::string, Named> by_name(const std::vector<Named>& tensors, const Json& expected) {
  std::map<std::string, Named> result;
  for (const Named& tensor : tensors) result.insert({tensor.name, tensor});
  REQUIRE(result.size() == expected.size());
  for (const auto& [name, value] : expected.items()) {
    INFO(name);
    REQUIRE(result.count(name) == 1);
  }
  return result;
}

void load(Layer<double>& layer, const Json& parameters, const Json& buffers) {
  for (const auto& [name, named] : by_name(layer.parameters(), parameters)) named.parameter->value = tensor(parameters.at(name));
  for (const auto& [name, named] : by_name(layer.buffers(), buffers)) *named.tensor = tensor(buffers.at(name));
}

// Layers from PyTorch's options.

using LayerPointer = std::unique_ptr<Layer<double>>;

Pair pair(const Json& options, const char* name, Pair otherwise = 0) {
  if (!options.contains(name)) return otherwise;
  const Json& value = options.at(name);
  return value.is_array() ? Pair(value.at(0).get<Index>(), value.at(1).get<Index>()) : Pair(value.get<Index>());
}

LayerPointer conv2d(const Json& o, ConvAlgorithm algorithm) {
  return std::make_unique<Conv2d<double>>(Conv2d<double>::Options{.in_channels = o.at("in_channels"),
                                                                  .out_channels = o.at("out_channels"),
                                                                  .kernel_size = pair(o, "kernel_size"),
                                                                  .stride = pair(o, "stride", 1),
                                                                  .padding = pair(o, "padding"),
                                                                  .dilation = pair(o, "dilation", 1),
                                                                  .groups = o.value("groups", Index{1}),
                                                                  .bias = o.value("bias", true),
                                                                  .algorithm = algorithm});
}

LayerPointer max_pool2d(const Json& o) {
  return std::make_unique<MaxPool2d<double>>(MaxPool2d<double>::Options{.kernel_size = pair(o, "kernel_size"),
                                                                        .stride = pair(o, "stride", pair(o, "kernel_size")),
                                                                        .padding = pair(o, "padding"),
                                                                        .dilation = pair(o, "dilation", 1),
                                                                        .ceil_mode = o.value("ceil_mode", false)});
}

LayerPointer avg_pool2d(const Json& o) {
  return std::make_unique<AvgPool2d<double>>(AvgPool2d<double>::Options{.kernel_size = pair(o, "kernel_size"),
                                                                        .stride = pair(o, "stride", pair(o, "kernel_size")),
                                                                        .padding = pair(o, "padding"),
                                                                        .ceil_mode = o.value("ceil_mode", false),
                                                                        .count_include_pad = o.value("count_include_pad", true)});
}

LayerPointer batch_norm2d(const Json& o) {
  return std::make_unique<BatchNorm2d<double>>(
      BatchNorm2d<double>::Options{.channels = o.at("num_features"),
                                   .eps = o.value("eps", 1e-5),
                                   .momentum = o.value("momentum", 0.1),
                                   .affine = o.value("affine", true),
                                   .track_running_stats = o.value("track_running_stats", true)});
}

LayerPointer group_norm(const Json& o) {
  return std::make_unique<GroupNorm<double>>(GroupNorm<double>::Options{.groups = o.at("num_groups"),
                                                                        .channels = o.at("num_channels"),
                                                                        .eps = o.value("eps", 1e-5),
                                                                        .affine = o.value("affine", true)});
}

LayerPointer layer_norm(const Json& o) {
  return std::make_unique<LayerNorm<double>>(
      LayerNorm<double>::Options{.normalized_shape = Shape(o.at("normalized_shape").get<std::vector<Index>>()),
                                 .eps = o.value("eps", 1e-5),
                                 .elementwise_affine = o.value("elementwise_affine", true)});
}

LayerPointer instance_norm2d(const Json& o) {
  return std::make_unique<InstanceNorm2d<double>>(
      InstanceNorm2d<double>::Options{.channels = o.at("num_features"),
                                      .eps = o.value("eps", 1e-5),
                                      .momentum = o.value("momentum", 0.1),
                                      .affine = o.value("affine", false),
                                      .track_running_stats = o.value("track_running_stats", false)});
}

template <class L>
LayerPointer without_options(const Json&) {
  return std::make_unique<L>();
}

LayerPointer make_layer(const std::string& type, const Json& options) {
  static const std::map<std::string, std::function<LayerPointer(const Json&)>> makers{
      {"Linear",
       [](const Json& o) {
         return std::make_unique<Linear<double>>(Index{o.at("in_features")}, Index{o.at("out_features")}, o.value("bias", true));
       }},
      {"MaxPool2d", max_pool2d},
      {"AvgPool2d", avg_pool2d},
      {"AdaptiveAvgPool2d", [](const Json& o) { return std::make_unique<AdaptiveAvgPool2d<double>>(pair(o, "output_size")); }},
      {"BatchNorm2d", batch_norm2d},
      {"GroupNorm", group_norm},
      {"LayerNorm", layer_norm},
      {"InstanceNorm2d", instance_norm2d},
      {"ReLU", without_options<ReLU<double>>},
      {"LeakyReLU", [](const Json& o) { return std::make_unique<LeakyReLU<double>>(o.value("negative_slope", 0.01)); }},
      {"ReLU6", without_options<ReLU6<double>>},
      {"ELU", [](const Json& o) { return std::make_unique<ELU<double>>(o.value("alpha", 1.0)); }},
      {"SiLU", without_options<SiLU<double>>},
      {"GELU", without_options<GELU<double>>},
      {"Sigmoid", without_options<Sigmoid<double>>},
      {"Tanh", without_options<Tanh<double>>},
      {"Softplus",
       [](const Json& o) { return std::make_unique<Softplus<double>>(o.value("beta", 1.0), o.value("threshold", 20.0)); }},
      {"Softmax", without_options<Softmax<double>>},
      {"LogSoftmax", without_options<LogSoftmax<double>>},
      {"Dropout", [](const Json& o) { return std::make_unique<Dropout<double>>(o.at("p").get<double>()); }},
      {"Flatten", without_options<Flatten<double>>}};
  return makers.at(type)(options);
}

// Inputs and weights are multiples of 1/8: where a layer only adds and multiplies, no sum of these sizes is ever rounded, in
// any order.
constexpr double exact = 0;

// Each tensor relative to its greatest element: a few roundings of 1e-16, in another order than PyTorch's.
constexpr double rounding = 4e-15;

// Runs the layer inside of a model, as users do.
void check_layer(LayerPointer layer, const Json& c, double tolerance) {
  INFO(c.at("layer").get<std::string>() << " " << c.at("options").dump() << (c.at("training") ? ", training" : ", evaluation"));
  Sequential<double> net;
  net.add(std::move(layer));
  Layer<double>& inside = net[0];
  net.train(c.at("training"));
  load(inside, c.at("parameters"), c.at("buffers"));
  for (const Json& step : c.at("steps")) {
    const Batch<double> x = Batch<double>::from(tensor(step.at("x")));
    CHECK(max_relative_difference(net.forward(x).to_tensor(), tensor(step.at("y"))) <= tolerance);
    Batch<double> dx(x.shape());
    net.backward(Batch<double>::from(tensor(step.at("dy"))), dx);
    CHECK(max_relative_difference(dx.to_tensor(), tensor(step.at("dx"))) <= tolerance);
  }
  for (const auto& [name, named] : by_name(inside.parameters(), c.at("gradients"))) {
    INFO("gradient of " << name);
    CHECK(max_relative_difference(named.parameter->grad, tensor(c.at("gradients").at(name))) <= tolerance);
  }
  for (const auto& [name, named] : by_name(inside.buffers(), c.at("buffers_after"))) {
    INFO(name);
    CHECK(max_relative_difference(*named.tensor, tensor(c.at("buffers_after").at(name))) <= tolerance);
  }
}

void check_layers(const std::string& file, double tolerance) {
  for (const Json& c : vectors(file)) check_layer(make_layer(c.at("layer"), c.at("options")), c, tolerance);
}

// Optimizers and schedules.

SGD<double>::Options sgd_options(const Json& o, double l1_penalty) {
  return {.lr = o.at("lr"),
          .momentum = o.value("momentum", 0.0),
          .dampening = o.value("dampening", 0.0),
          .weight_decay = o.value("weight_decay", 0.0),
          .nesterov = o.value("nesterov", false),
          .l1_penalty = l1_penalty};
}

std::unique_ptr<Scheduler<double>> make_scheduler(const std::string& type, const Json& o, Optimizer<double>& optimizer) {
  using Cycle = OneCycleLR<double>;
  if (type == "StepLR") {
    return std::make_unique<StepLR<double>>(
        optimizer, StepLR<double>::Options{.step_size = o.at("step_size"), .gamma = o.value("gamma", 0.1)});
  }
  if (type == "MultiStepLR") {
    return std::make_unique<MultiStepLR<double>>(
        optimizer,
        MultiStepLR<double>::Options{.milestones = o.at("milestones").get<std::vector<Index>>(), .gamma = o.value("gamma", 0.1)});
  }
  if (type == "CosineAnnealingLR") {
    return std::make_unique<CosineAnnealingLR<double>>(
        optimizer, CosineAnnealingLR<double>::Options{.t_max = o.at("T_max"), .eta_min = o.value("eta_min", 0.0)});
  }
  REQUIRE(type == "OneCycleLR");
  const bool linear = o.value("anneal_strategy", "cos") == "linear";
  return std::make_unique<Cycle>(optimizer, Cycle::Options{.max_lr = o.at("max_lr"),
                                                           .total_steps = o.at("total_steps"),
                                                           .pct_start = o.value("pct_start", 0.3),
                                                           .anneal_strategy = linear ? Cycle::Anneal::linear : Cycle::Anneal::cos,
                                                           .cycle_momentum = o.value("cycle_momentum", true),
                                                           .base_momentum = o.value("base_momentum", 0.85),
                                                           .max_momentum = o.value("max_momentum", 0.95),
                                                           .div_factor = o.value("div_factor", 25.0),
                                                           .final_div_factor = o.value("final_div_factor", 1e4),
                                                           .three_phase = o.value("three_phase", false)});
}

// The networks of make_vectors.py, without its flattening before the last layer.

Sequential<double> plain_network() {
  Sequential<double> net;
  net.add(Conv2d<double>({.in_channels = 3, .out_channels = 6, .kernel_size = 3, .padding = 1}), "0")
      .add(BatchNorm2d<double>(6), "1")
      .add(ReLU<double>(), "2")
      .add(MaxPool2d<double>(2), "3")
      .add(Conv2d<double>({.in_channels = 6, .out_channels = 8, .kernel_size = 3, .groups = 2, .bias = false}), "4")
      .add(GroupNorm<double>(4, 8), "5")
      .add(ReLU<double>(), "6")
      .add(Conv2d<double>({.in_channels = 8, .out_channels = 6, .kernel_size = 1}), "7")
      .add(AdaptiveAvgPool2d<double>(1), "8")
      .add(Linear<double>(6, 5), "10");
  return net;
}

Sequential<double> grouped_network() {
  Sequential<double> net;
  net.add(Conv2d<double>({.in_channels = 3, .out_channels = 4, .kernel_size = 3, .padding = 1}), "0")
      .add(BatchNorm2d<double>(4), "1")
      .add(ReLU<double>(), "2")
      .add(Conv2d<double>({.in_channels = 4, .out_channels = 8, .kernel_size = 3, .padding = 1, .groups = 4, .bias = false}), "3")
      .add(Conv2d<double>({.in_channels = 8, .out_channels = 6, .kernel_size = 1, .bias = false}), "4")
      .add(BatchNorm2d<double>(6), "5")
      .add(ReLU<double>(), "6")
      .add(MaxPool2d<double>(2), "7")
      .add(Conv2d<double>({.in_channels = 6, .out_channels = 8, .kernel_size = 3, .padding = 1, .dilation = 2, .bias = false}),
           "8")
      .add(GroupNorm<double>(1, 8), "9")
      .add(ReLU<double>(), "10")
      .add(AvgPool2d<double>(2), "11")
      .add(Linear<double>(8, 5), "13");
  return net;
}

}  // namespace

TEST_CASE("Convolutions are PyTorch's, by every algorithm") {
  for (const Json& c : vectors("convolutions")) {
    for (const ConvAlgorithm algorithm : {ConvAlgorithm::direct, ConvAlgorithm::im2col, ConvAlgorithm::automatic}) {
      check_layer(conv2d(c.at("options"), algorithm), c, exact);
    }
    const Json& o = c.at("options");
    if (pair(o, "kernel_size") == 3 && pair(o, "stride", 1) == 1 && pair(o, "dilation", 1) == 1) {
      check_layer(conv2d(o, ConvAlgorithm::winograd), c, rounding);
    }
  }
}

TEST_CASE("Linear is PyTorch's") { check_layers("linear", exact); }

TEST_CASE("Pooling is PyTorch's, also at ties and at edges") { check_layers("pooling", rounding); }

TEST_CASE("The norms are PyTorch's, with their running statistics") { check_layers("normalization", rounding); }

TEST_CASE("Activations are PyTorch's, also at their kinks and far out") { check_layers("activations", rounding); }

TEST_CASE("Losses are PyTorch's with every option") {
  for (const Json& c : vectors("losses")) {
    const Json& o = c.at("options");
    INFO(c.at("loss").get<std::string>() << " " << o.dump() << (c.at("weight").is_null() ? "" : ", weighted"));
    const auto weight = c.at("weight").is_null() ? std::vector<double>{} : c.at("weight").get<std::vector<double>>();
    const int ignore_index = o.value("ignore_index", -100);
    const Reduction reduction = o.at("reduction") == "sum" ? Reduction::sum : Reduction::mean;
    std::unique_ptr<Loss<double>> loss;
    if (c.at("loss") == "NLLLoss") {
      loss = std::make_unique<NLLLoss<double>>(
          NLLLoss<double>::Options{.weight = weight, .ignore_index = ignore_index, .reduction = reduction});
    } else {
      loss = std::make_unique<CrossEntropyLoss<double>>(CrossEntropyLoss<double>::Options{
          .weight = weight, .ignore_index = ignore_index, .reduction = reduction, .label_smoothing = o.at("label_smoothing")});
    }
    CHECK(loss->forward(Batch<double>::from(tensor(c.at("x"))), c.at("labels").get<std::vector<int>>()) ==
          Approx(c.at("value").get<double>()).epsilon(rounding));
    CHECK(max_relative_difference(loss->backward().to_tensor(), tensor(c.at("dx"))) <= rounding);
  }
}

TEST_CASE("SGD is PyTorch's over 50 steps") {
  for (const Json& c : vectors("sgd")) {
    INFO(c.at("options").dump() << ", L1 " << c.at("l1_penalty"));
    Parameter<double> weight, bias;
    weight.value = tensor(c.at("parameters").at("weight"));
    bias.value = tensor(c.at("parameters").at("bias"));
    SGD<double> optimizer({{"weight", &weight}, {"bias", &bias}}, sgd_options(c.at("options"), c.at("l1_penalty")));
    REQUIRE(c.at("steps").size() == 50);
    for (const Json& step : c.at("steps")) {
      weight.grad = tensor(step.at("gradients").at("weight"));
      bias.grad = tensor(step.at("gradients").at("bias"));
      optimizer.step();
      // A few roundings in each of 50 steps, some of which cancel.
      CHECK(max_relative_difference(weight.value, tensor(step.at("weight"))) <= 1e-14);
      CHECK(max_relative_difference(bias.value, tensor(step.at("bias"))) <= 1e-14);
    }
  }
}

TEST_CASE("Schedules are PyTorch's over 50 steps") {
  for (const Json& c : vectors("schedules")) {
    INFO(c.at("scheduler").get<std::string>() << " " << c.at("options").dump());
    Parameter<double> weight(Shape{1});
    SGD<double> optimizer({{"weight", &weight}}, {.lr = c.at("base_lr"), .momentum = 0.9});
    const auto scheduler = make_scheduler(c.at("scheduler"), c.at("options"), optimizer);
    REQUIRE(c.at("lr").size() == 50);
    for (std::size_t epoch = 0; epoch < 50; ++epoch) {
      INFO("epoch " << epoch);
      // PyTorch multiplies the last rate, and its errors pile up, most of all where a cosine is near its minimum; we compute
      // every rate anew. At the minimum itself both are rounding errors of 0.
      CHECK(optimizer.lr() == Approx(c.at("lr").at(epoch).get<double>()).epsilon(5e-14).margin(1e-16));
      CHECK(optimizer.momentum() == Approx(c.at("momentum").at(epoch).get<double>()).epsilon(1e-15));
      scheduler->step();
    }
  }
}

TEST_CASE("Small networks train as PyTorch's, step by step") {
  for (const Json& c : vectors("trajectory")) {
    const std::string network = c.at("network");
    INFO(network);
    Sequential<double> net = network == "plain_network" ? plain_network() : grouped_network();
    for (const auto& [name, named] : by_name(net.parameters(), c.at("parameters"))) {
      named.parameter->value = tensor(c.at("parameters").at(name));
    }
    std::vector<Batch<double>> images;
    std::vector<std::vector<int>> labels;
    for (const Json& batch : c.at("batches")) {
      images.push_back(Batch<double>::from(tensor(batch.at("images"))));
      labels.push_back(batch.at("labels").get<std::vector<int>>());
    }

    SGD<double> optimizer(net.parameters(), {.lr = 0.05, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true});
    StepLR<double> scheduler(optimizer, {.step_size = 4, .gamma = 0.5});
    CrossEntropyLoss<double> loss;
    REQUIRE(c.at("losses").size() == 10);
    for (std::size_t step = 0; step < 10; ++step) {
      INFO("step " << step);
      // Roundings of every layer in every step; this network does not amplify them much.
      CHECK(loss.forward(net.forward(images[step % 2]), labels[step % 2]) ==
            Approx(c.at("losses").at(step).get<double>()).epsilon(2e-14));
      optimizer.zero_grad();
      net.backward(loss.backward());
      optimizer.step();
      scheduler.step();
    }
    for (const auto& [name, named] : by_name(net.parameters(), c.at("parameters_after"))) {
      INFO(name);
      CHECK(max_relative_difference(named.parameter->value, tensor(c.at("parameters_after").at(name))) <= 2e-14);
    }
    for (const auto& [name, named] : by_name(net.buffers(), c.at("buffers_after"))) {
      INFO(name);
      CHECK(max_relative_difference(*named.tensor, tensor(c.at("buffers_after").at(name))) <= 2e-14);
    }
    net.eval();
    CHECK(max_relative_difference(net.forward(images[0]).to_tensor(), tensor(c.at("outputs"))) <= 2e-14);
  }
}
