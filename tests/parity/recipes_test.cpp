// The recipes of examples/cifar10_norms against PyTorch's: 20 steps of training from the same weights on the same images, with
// the recipe's schedule, momentum and L1 penalty. The training in double is compared with PyTorch's; beside it, every step is done
// in float, too, from the same weights.
//
// recipes.py wrote vectors/recipes.json and says what it holds. Dropout is left out: its random numbers are not PyTorch's.
#include "parity/shared.hpp"
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <cifar10_norms/recipes.hpp>
#include <normnet/normnet.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

using namespace normnet;
using Json = nlohmann::json;

namespace {

constexpr std::size_t steps = 20, steps_per_epoch = 2;

// A step in double rounds about as if each weight were a few hundred times 2e-16 off at its beginning, and the file says what
// becomes of that.
constexpr double rounding = 4e-13;
// Of numbers with 12 digits.
constexpr double printed = 5e-12;

// In float, a step begins with the weights of the double one. Its loss is a hundred roundings of 6e-8 off at most, and so are its
// gradients, measured by the parameter that is the furthest off: but for steps in which two pixels that are all but equal change
// places in a max pool, and others get their gradient. Hence a bound for most steps and one for all.
constexpr double loss_in_float = 5e-6, gradient_in_float = 1e-4, gradient_of_other_pixels = 0.2, outputs_in_float = 1e-5;

// The same layer with its options, of scalar T; null for dropout.
template <class T>
std::unique_ptr<Layer<T>> copy_of(Layer<float>& layer);

// The same layers, of scalar T and without dropout.
template <class T>
Sequential<T> copy_without_dropout(Sequential<float>& net) {
  Sequential<T> copy;
  for (Index i = 0; i < net.size(); ++i) {
    const std::string name = net[i].name();
    if (auto layer = copy_of<T>(net[i])) copy.add(std::move(layer), name.substr(name.rfind('.') + 1));
  }
  return copy;
}

template <class T>
std::unique_ptr<Layer<T>> copy_of(Layer<float>& layer) {
  if (const auto* conv = dynamic_cast<Conv2d<float>*>(&layer)) {
    const auto& o = conv->options();
    return std::make_unique<Conv2d<T>>(typename Conv2d<T>::Options{o.in_channels, o.out_channels, o.kernel_size, o.stride,
                                                                   o.padding, o.dilation, o.groups, o.bias, o.algorithm});
  }
  if (const auto* norm = dynamic_cast<BatchNorm2d<float>*>(&layer)) {
    const auto& o = norm->options();
    return std::make_unique<BatchNorm2d<T>>(
        typename BatchNorm2d<T>::Options{o.channels, o.eps, o.momentum, o.affine, o.track_running_stats});
  }
  if (const auto* norm = dynamic_cast<GroupNorm<float>*>(&layer)) {
    const auto& o = norm->options();
    return std::make_unique<GroupNorm<T>>(typename GroupNorm<T>::Options{o.groups, o.channels, o.eps, o.affine});
  }
  if (const auto* norm = dynamic_cast<LayerNorm<float>*>(&layer)) {
    const auto& o = norm->options();
    return std::make_unique<LayerNorm<T>>(typename LayerNorm<T>::Options{o.normalized_shape, o.eps, o.elementwise_affine});
  }
  if (const auto* linear = dynamic_cast<Linear<float>*>(&layer)) {
    const auto& o = linear->options();
    return std::make_unique<Linear<T>>(typename Linear<T>::Options{o.in_features, o.out_features, o.bias});
  }
  if (const auto* pool = dynamic_cast<MaxPool2d<float>*>(&layer)) {
    const auto& o = pool->options();
    return std::make_unique<MaxPool2d<T>>(
        typename MaxPool2d<T>::Options{o.kernel_size, o.stride, o.padding, o.dilation, o.ceil_mode});
  }
  if (const auto* pool = dynamic_cast<AvgPool2d<float>*>(&layer)) {
    const auto& o = pool->options();
    return std::make_unique<AvgPool2d<T>>(
        typename AvgPool2d<T>::Options{o.kernel_size, o.stride, o.padding, o.ceil_mode, o.count_include_pad});
  }
  if (auto* residual = dynamic_cast<Residual<float>*>(&layer)) {
    REQUIRE(residual->projection() == nullptr);
    return std::make_unique<Residual<T>>(copy_without_dropout<T>(residual->body()));
  }
  if (layer.type() == "ReLU") return std::make_unique<ReLU<T>>();
  if (layer.type() == "GlobalAvgPool2d") return std::make_unique<GlobalAvgPool2d<T>>();
  if (layer.type() == "Flatten") return std::make_unique<Flatten<T>>();
  INFO(layer.type());
  REQUIRE(layer.type() == "Dropout");
  return nullptr;
}

// As set_initial_weights() of recipes.py.
void set_initial_weights(Sequential<double>& net) {
  test::Integers numbers(1);
  for (auto& [name, parameter] : net.parameters()) {
    Tensor<double>& value = parameter->value;
    const bool one_dimensional = value.shape().rank() == 1;
    const Index fan_in = value.size() / value.shape()[0];
    double scale = one_dimensional ? 0.25 : 1;
    while (!one_dimensional && scale * scale * static_cast<double>(fan_in) > 6) scale /= 2;
    const double center = one_dimensional && name.ends_with("weight") ? 1 : 0;
    value = numbers.fractions<double>(value.shape());
    for (double& element : value.span()) element = element * scale + center;
  }
}

template <class T>
struct LabelledImages {
  Batch<T> images;
  std::vector<int> labels;
};

template <class T>
std::vector<LabelledImages<T>> make_batches() {
  test::Integers numbers(6);
  std::vector<LabelledImages<T>> batches;
  for (const Index n : {9, 6}) {
    Batch<T> images = Batch<T>::from(numbers.fractions<T>({n, 3, 32, 32}));
    batches.push_back({std::move(images), numbers.labels(n)});
  }
  return batches;
}

// Two numbers that tell where a parameter went since the training began.
struct Digest {
  double sum = 0, squares = 0;
};

Digest digest(const Tensor<double>& now, const Tensor<double>& initial) {
  Digest result;
  for (Index i = 0; i < now.size(); ++i) {
    const double way = now[i] - initial[i];
    result.sum += static_cast<double>(i % 7 + 1) * way;
    result.squares += way * way;
  }
  return result;
}

// The greatest difference between two lists of digests of the parameters, as differences() of recipes.py.
double difference(const std::vector<Digest>& ours, const std::vector<Digest>& theirs,
                  const std::vector<Tensor<double>>& parameters) {
  double longest = 0, greatest = 0;
  for (const Digest& digest : theirs) longest = std::max(longest, std::sqrt(digest.squares));
  for (std::size_t p = 0; p < ours.size(); ++p) {
    const double length = std::max(std::sqrt(theirs[p].squares), longest / 1000);
    double factors = 0;
    for (Index i = 0; i < parameters[p].size(); ++i) factors += static_cast<double>((i % 7 + 1) * (i % 7 + 1));
    greatest = std::max({greatest, std::abs(ours[p].sum - theirs[p].sum) / (std::sqrt(factors) * length),
                         std::abs(ours[p].squares - theirs[p].squares) / (2 * length * length)});
  }
  return greatest;
}

std::vector<Digest> digests(const Json& numbers) {
  std::vector<Digest> result;
  for (std::size_t i = 0; i < numbers.size(); i += 2) result.push_back({numbers.at(i), numbers.at(i + 1)});
  return result;
}

// A network in training.
template <class T>
struct Run {
  Sequential<T> net;
  SGD<T> optimizer;
  CrossEntropyLoss<T> loss{};
  std::vector<LabelledImages<T>> batches = make_batches<T>();

  Run(Sequential<float>& original, const cifar10_norms::Recipe& recipe, double l1_penalty)
      : net(copy_without_dropout<T>(original)),
        optimizer(net.parameters(), {.lr = recipe.learning_rate, .momentum = recipe.momentum, .l1_penalty = l1_penalty}) {}

  // The loss before a step, with the rates of another optimizer.
  double step(std::size_t number, const Optimizer<float>& rates) {
    optimizer.set_lr(rates.lr());
    optimizer.set_momentum(rates.momentum());
    const auto& [images, labels] = batches[number % batches.size()];
    const double value = loss.forward(net.forward(images), labels);
    optimizer.zero_grad();
    net.backward(loss.backward());
    optimizer.step();
    return value;
  }

  // All that a step changes.
  std::vector<Tensor<T>*> state() {
    std::vector<Tensor<T>*> tensors;
    for (const auto& [name, parameter] : net.parameters()) tensors.push_back(&parameter->value);
    for (const auto& [name, buffer] : net.buffers()) tensors.push_back(buffer);
    for (const auto& [name, buffer] : optimizer.state()) tensors.push_back(buffer);
    return tensors;
  }
};

// The distance of the gradients in float from those in double, relative to the length of these: of the parameter that is the
// furthest off, but none is measured by less than a thousandth of the longest. A bias before a batch norm has no gradient but
// rounding errors.
double gradient_distance(Sequential<float>& ours, Sequential<double>& exact) {
  std::vector<double> distances, lengths;
  const auto in_float = ours.parameters();
  const auto in_double = exact.parameters();
  for (std::size_t p = 0; p < in_float.size(); ++p) {
    const Tensor<float>& a = in_float[p].parameter->grad;
    const Tensor<double>& b = in_double[p].parameter->grad;
    double squares = 0, of_distance = 0;
    for (Index i = 0; i < a.size(); ++i) {
      squares += b[i] * b[i];
      of_distance += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    }
    distances.push_back(std::sqrt(of_distance));
    lengths.push_back(std::sqrt(squares));
  }
  const double least = *std::max_element(lengths.begin(), lengths.end()) / 1000;
  double greatest = 0;
  for (std::size_t p = 0; p < distances.size(); ++p) greatest = std::max(greatest, distances[p] / std::max(lengths[p], least));
  return greatest;
}

void check_recipe(const Json& c) {
  const cifar10_norms::Recipe& recipe = *cifar10_norms::find_recipe(c.at("recipe"));
  const cifar10_norms::Norm norm = *recipe.find_norm(c.at("norm"));
  const cifar10_norms::Training& training = recipe.training_of(norm);
  Sequential<float> original = recipe.network(norm, 0);
  Run<double> exact(original, recipe, training.l1_penalty);
  Run<float> rounded(original, recipe, training.l1_penalty);
  set_initial_weights(exact.net);
  std::vector<Tensor<double>> initial;
  for (const auto& [name, parameter] : exact.net.parameters()) initial.push_back(parameter->value);

  // The recipe's schedule is one for float, so it moves an optimizer of its own; rates are in double.
  Parameter<float> any(Shape{1});
  SGD<float> rates({{"any", &any}}, {.lr = recipe.learning_rate, .momentum = recipe.momentum});
  const auto schedule = start_schedule(training.schedule, rates, steps);
  double loss_sensitivity = 1, digest_sensitivity = 1;  // the greatest so far
  std::vector<double> gradient_distances;
  const auto take_weights = [&] {
    for (std::size_t i = 0; i < exact.state().size(); ++i) *rounded.state()[i] = test::cast<float>(*exact.state()[i]);
  };
  REQUIRE(c.at("losses").size() == steps);
  for (std::size_t step = 0; step < steps; ++step) {
    INFO("step " << step);
    take_weights();
    const double value = exact.step(step, rates), value_in_float = rounded.step(step, rates);
    const bool epoch_ends = (step + 1) % steps_per_epoch == 0;
    if (schedule.scheduler && (epoch_ends || schedule.interval == SchedulerInterval::step)) schedule.scheduler->step();

    loss_sensitivity = std::max(loss_sensitivity, c.at("loss_sensitivity").at(step).get<double>());
    digest_sensitivity = std::max(digest_sensitivity, c.at("digest_sensitivity").at(step).get<double>());
    CHECK(value == Approx(c.at("losses").at(step).get<double>()).epsilon(rounding * loss_sensitivity));
    std::vector<Digest> of_parameters;
    for (std::size_t p = 0; p < initial.size(); ++p) {
      of_parameters.push_back(digest(exact.net.parameters()[p].parameter->value, initial[p]));
    }
    CHECK(difference(of_parameters, digests(c.at("digests").at(step)), initial) <= rounding * digest_sensitivity + printed);

    CHECK(value_in_float == Approx(value).epsilon(loss_in_float));
    gradient_distances.push_back(gradient_distance(rounded.net, exact.net));
  }
  std::sort(gradient_distances.begin(), gradient_distances.end());
  CHECK(gradient_distances[steps / 2] <= gradient_in_float);
  CHECK(gradient_distances.back() <= gradient_of_other_pixels);

  // With the running statistics of batch norm.
  const Tensor<double> outputs = exact.net.inference(exact.batches[0].images).to_tensor();
  const Tensor<double> expected(outputs.shape(), std::span<const double>(c.at("outputs").get<std::vector<double>>()));
  const double output_sensitivity = std::max(1.0, c.at("output_sensitivity").get<double>());
  CHECK(test::max_relative_difference(outputs, expected) <= rounding * output_sensitivity + printed);
  take_weights();
  const Tensor<float> of_float = rounded.net.inference(rounded.batches[0].images).to_tensor();
  CHECK(test::max_relative_difference(test::cast<double>(of_float), expected) <= outputs_in_float);
}

}  // namespace

TEST_CASE("The recipes train as PyTorch's, step by step") {
  for (const Json& c : test::vectors("recipes")) {
    INFO(c.at("recipe").get<std::string>() << " " << c.at("norm").get<std::string>());
    check_recipe(c);
  }
}
