// SGD against its formula element by element, its state, and its errors.
#include "support/catch.hpp"

#include <normnet/core/parallel.hpp>
#include <normnet/core/random.hpp>
#include <normnet/optim/sgd.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace normnet;

namespace {

// Parameters of odd sizes, one of more than one chunk, with gradients that are a function of the step.
template <class T>
struct Model {
  Parameter<T> weight{Shape{3, 5}}, bias{Shape{1}}, large{Shape{9001}};

  Model() {
    for (auto& [name, parameter] : parameters()) fill(parameter->value, Random(1));
  }

  std::vector<NamedParameter<T>> parameters() { return {{"weight", &weight}, {"bias", &bias}, {"large", &large}}; }

  void set_gradients(int step) {
    for (auto& [name, parameter] : parameters()) fill(parameter->grad, Random(2).fork(static_cast<std::uint64_t>(step)));
  }

 private:
  static void fill(Tensor<T>& tensor, const Random& random) {
    for (Index i = 0; i < tensor.size(); ++i) tensor[i] = static_cast<T>(random.uniform(static_cast<std::uint64_t>(i), -1, 1));
  }
};

template <class T>
void train(Model<T>& model, Optimizer<T>& optimizer, int first, int last) {
  for (int step = first; step < last; ++step) {
    model.set_gradients(step);
    optimizer.step();
  }
}

// torch.optim.SGD for one element, as its documentation writes it.
struct Reference {
  SGD<double>::Options options;
  double w = 0, buffer = 0;
  bool started = false;

  void step(double gradient) {
    gradient += options.weight_decay * w;
    if (w != 0) gradient += std::copysign(options.l1_penalty, w);
    if (options.momentum != 0) {
      buffer = started ? options.momentum * buffer + (1 - options.dampening) * gradient : gradient;
      started = true;
      gradient = options.nesterov ? gradient + options.momentum * buffer : buffer;
    }
    w -= options.lr * gradient;
  }
};

}  // namespace

TEST_CASE("SGD follows its formula with every option") {
  for (const auto& options : std::vector<SGD<double>::Options>{
           {.lr = 0.1},
           {.lr = 0.1, .weight_decay = 0.05, .l1_penalty = 0.01},
           {.lr = 0.1, .momentum = 0.9},
           {.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.05},
           {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.05, .nesterov = true, .l1_penalty = 0.01}}) {
    Model<double> model;
    SGD<double> optimizer(model.parameters(), options);
    INFO("momentum " << options.momentum << ", nesterov " << options.nesterov << ", dampening " << options.dampening);
    struct Watched {
      Parameter<double>* parameter;
      Index element;
      Reference reference;
    };
    std::vector<Watched> watched;
    for (auto& [name, parameter] : model.parameters()) {
      for (const Index i : {Index{0}, parameter->value.size() / 2, parameter->value.size() - 1}) {
        watched.push_back({parameter, i, {.options = options, .w = parameter->value[i]}});
      }
    }
    for (int step = 0; step < 20; ++step) {
      model.set_gradients(step);
      optimizer.step();
      for (auto& [parameter, i, reference] : watched) reference.step(parameter->grad[i]);
    }
    for (const auto& [parameter, i, reference] : watched) {
      // 20 steps of a few roundings each on values below 10.
      CHECK(parameter->value[i] == Approx(reference.w).epsilon(0).margin(1e-14));
    }
  }
}

TEST_CASE("SGD leaves the gradients alone until zero_grad()") {
  Model<float> model;
  SGD<float> optimizer(model.parameters(),
                       {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1, .nesterov = true, .l1_penalty = 0.1});
  model.set_gradients(0);
  const Tensor<float> before = model.large.grad;
  optimizer.step();
  CHECK(model.large.grad == before);
  optimizer.zero_grad();
  for (auto& [name, parameter] : model.parameters()) CHECK(parameter->grad == Tensor<float>(parameter->value.shape()));
}

TEST_CASE("The L1 penalty pulls towards zero and leaves zeros there") {
  Parameter<double> weight(Shape{4});
  weight.value = Tensor<double>({4}, {2, -2, 0, -0.0});
  SGD<double> optimizer({{"weight", &weight}}, {.lr = 0.5, .l1_penalty = 0.25});
  optimizer.step();
  CHECK(weight.value == Tensor<double>({4}, {1.875, -1.875, 0, 0}));
}

TEST_CASE("A learning rate of 0 changes nothing, and rate and momentum can change between steps") {
  Parameter<double> weight(Shape{1}, 1.0);
  weight.grad.fill(1);
  SGD<double> optimizer({{"weight", &weight}}, {.lr = 0, .momentum = 0.5});
  optimizer.step();  // v = 1
  CHECK(weight.value[0] == 1);
  CHECK(optimizer.lr() == 0);
  optimizer.set_lr(0.25);
  optimizer.set_momentum(0.75);
  CHECK(optimizer.lr() == 0.25);
  CHECK(optimizer.momentum() == 0.75);
  optimizer.step();  // v = 1.75
  CHECK(weight.value[0] == 1 - 0.25 * 1.75);
  optimizer.set_momentum(0);
  optimizer.step();  // the gradient alone
  CHECK(weight.value[0] == 1 - 0.25 * 2.75);
}

TEST_CASE("Momentum begins with the first step that has some") {
  Parameter<double> weight(Shape{1}, 1.0);
  weight.grad.fill(1);
  SGD<double> optimizer({{"weight", &weight}}, {.lr = 0.25, .dampening = 0.5});
  optimizer.step();
  CHECK(weight.value[0] == 0.75);
  optimizer.set_momentum(0.5);
  optimizer.step();  // v = 1: the first is not dampened
  CHECK(weight.value[0] == 0.5);
  optimizer.step();  // v = 0.5 * 1 + 0.5 * 1
  CHECK(weight.value[0] == 0.25);
}

TEST_CASE("SGD goes on with the same bits from its state") {
  const SGD<float>::Options options{.lr = 0.1, .momentum = 0.9, .dampening = 0.5, .weight_decay = 0.01};
  for (const int saved_after : {0, 3}) {
    Model<float> whole, stopped, resumed;
    SGD<float> optimizer(whole.parameters(), options), before(stopped.parameters(), options),
        after(resumed.parameters(), options);
    train(whole, optimizer, 0, 6);
    train(stopped, before, 0, saved_after);

    const auto parameters = stopped.parameters(), restored_parameters = resumed.parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) restored_parameters[i].parameter->value = parameters[i].parameter->value;
    const auto state = before.state(), restored_state = after.state();
    REQUIRE(state.size() == 4);
    CHECK(state[0].name == "weight.momentum_buffer");
    CHECK(state[0].tensor->shape() == Shape{3, 5});
    CHECK(state[3].name == "momentum_started");
    for (std::size_t i = 0; i < state.size(); ++i) *restored_state[i].tensor = *state[i].tensor;

    train(resumed, after, saved_after, 6);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      CHECK(restored_parameters[i].parameter->value == whole.parameters()[i].parameter->value);
    }
  }
}

TEST_CASE("SGD gives the same bits at any number of threads") {
  Parameter<float> weight(Shape{200000}), expected(Shape{200000});  // worth several threads
  for (const int threads : {1, 2, 3, 4, 7, 16}) {
    set_num_threads(threads);
    for (Index i = 0; i < weight.value.size(); ++i) {
      weight.value[i] = static_cast<float>(Random(1).uniform(static_cast<std::uint64_t>(i), -1, 1));
      weight.grad[i] = static_cast<float>(i % 17 - 8);
    }
    SGD<float> optimizer({{"weight", &weight}},
                         {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true, .l1_penalty = 0.01});
    for (int step = 0; step < 3; ++step) optimizer.step();
    if (threads == 1) expected.value = weight.value;
    CHECK(weight.value == expected.value);
  }
  set_num_threads(0);
}

TEST_CASE("SGD rejects options without sense, and says which") {
  Model<float> model;
  const auto message = [&](SGD<float>::Options options) -> std::string {
    try {
      SGD<float> optimizer(model.parameters(), options);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  CHECK(message({.lr = -1}) == "Optimizer: expected a finite lr of at least 0, got -1");
  CHECK(message({.momentum = 0.9}) == "Optimizer: expected a finite lr of at least 0, got nan");  // a forgotten one
  CHECK(message({.lr = 0}) == "no error");
  CHECK(message({.lr = nan}) == "Optimizer: expected a finite lr of at least 0, got nan");
  CHECK(message({.lr = infinity}) == "Optimizer: expected a finite lr of at least 0, got inf");
  CHECK(message({.lr = 1, .momentum = -0.5}) == "SGD: expected a finite momentum of at least 0, got -0.5");
  CHECK(message({.lr = 1, .weight_decay = -0.5}) == "SGD: expected a finite weight_decay of at least 0, got -0.5");
  CHECK(message({.lr = 1, .l1_penalty = -0.5}) == "SGD: expected a finite l1_penalty of at least 0, got -0.5");
  CHECK(message({.lr = 1, .dampening = infinity}) == "SGD: expected a finite dampening, got inf");
  CHECK(message({.lr = 1, .nesterov = true}) ==
        "SGD: expected a momentum above 0 and no dampening for nesterov, got momentum 0 and dampening 0");
  CHECK(message({.lr = 1, .momentum = 0.5, .dampening = 0.1, .nesterov = true}) ==
        "SGD: expected a momentum above 0 and no dampening for nesterov, got momentum 0.5 and dampening 0.1");
  CHECK(message({.lr = 1, .momentum = 0.5, .nesterov = true}) == "no error");

  CHECK_THROWS_WITH(SGD<float>({}, {.lr = 1}), "Optimizer: expected at least one parameter, got none");
  CHECK_THROWS_WITH(SGD<float>({{"a", &model.bias}, {"b", &model.bias}}, {.lr = 1}),
                    "Optimizer: the parameter \"b\" is given twice");
  SGD<float> optimizer(model.parameters(), {.lr = 1});
  CHECK_THROWS_WITH(optimizer.set_lr(-1), "Optimizer: expected a finite lr of at least 0, got -1");
  CHECK_THROWS_WITH(optimizer.set_momentum(-1), "SGD: expected a finite momentum of at least 0, got -1");
  CHECK(optimizer.lr() == 1);
  CHECK(optimizer.momentum() == 0);
}
