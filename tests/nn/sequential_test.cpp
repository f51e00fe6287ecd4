// Sequential and Residual: shapes, names, memory plan, gradients through chains, and the errors that name the layer.
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <normnet/nn/activation.hpp>
#include <normnet/nn/adaptive_avg_pool2d.hpp>
#include <normnet/nn/avg_pool2d.hpp>
#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/dropout.hpp>
#include <normnet/nn/flatten.hpp>
#include <normnet/nn/group_norm.hpp>
#include <normnet/nn/instance_norm2d.hpp>
#include <normnet/nn/layer_norm.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/nn/max_pool2d.hpp>
#include <normnet/nn/residual.hpp>
#include <normnet/nn/sequential.hpp>
#include <normnet/nn/softmax.hpp>
#include <normnet/testing/gradient_check.hpp>

using namespace normnet;

namespace {

/// Every way in which layers share memory: a convolution whose output two layers overwrite, a dropout after one that keeps its
/// output, nested chains, borders before padded convolutions, an in-place layer at either end.
template <class T>
Sequential<T> chain(std::uint64_t seed = 1, double p = 0.25) {
  Sequential<T> tail;
  tail.add(Sigmoid<T>())
      .add(Conv2d<T>({.in_channels = 5, .out_channels = 6, .kernel_size = 3, .padding = 1}), "conv")
      .add(Tanh<T>());
  Sequential<T> net(seed);
  net.add(Tanh<T>(), "squash")
      .add(Conv2d<T>({.in_channels = 3, .out_channels = 4, .kernel_size = 3, .padding = 1}), "conv1")
      .add(Tanh<T>())
      .add(BatchNorm2d<T>(4), "norm1")
      .add(Dropout<T>(p))
      .add(Conv2d<T>({.in_channels = 4, .out_channels = 5, .kernel_size = 3, .stride = 2, .padding = 1, .bias = false}), "conv2")
      .add(GroupNorm<T>(5, 5))
      .add(std::move(tail), "tail")
      .add(Flatten<T>())
      .add(Linear<T>(6 * 3 * 4, 7), "head");
  return net;
}

constexpr Index chain_channels = 3, chain_height = 6, chain_width = 7;

/// The same layers called one by one, every feature map and gradient in a batch of its own: the plan without its savings.
template <class T>
struct LayerByLayer {
  std::vector<Batch<T>> values;

  void forward(Sequential<T>& net, const Batch<T>& x, const Random& random, bool training = true) {
    values.assign(1, x);
    for (Index i = 0; i < net.size(); ++i) {
      const Batch<T> padded = with_halo(values.back(), net[i].input_halo());
      Batch<T> y(net[i].output_shape(padded.shape()));
      net[i].forward(padded, y, {training, random.fork(static_cast<std::uint64_t>(i))});
      values.back() = padded;
      values.push_back(y);
    }
  }

  Batch<T> backward(Sequential<T>& net, Batch<T> gradient) {
    for (Index i = net.size(); i-- > 0;) {
      const Batch<T>&x = values[static_cast<std::size_t>(i)], &y = values[static_cast<std::size_t>(i) + 1];
      const Batch<T> dy = with_halo(gradient, net[i].gradient_halo());
      Batch<T> dx(x.shape());
      if (block_layer(net, i) != nullptr && block_layer(net, i + 1) != nullptr && block_layer(net, i + 1)->centers_gradient()) {
        BlockSchedule schedule(x.blocks());
        block_layer(net, i)->schedule_backward_centered(x, y, dy, &dx, schedule);
        schedule.run();
      } else {
        net[i].backward(x, y, dy, dx);
      }
      gradient = dx;
    }
    return gradient;
  }

  static BlockLayer<T>* block_layer(Sequential<T>& net, Index i) {
    return i < net.size() ? dynamic_cast<BlockLayer<T>*>(&net[i]) : nullptr;
  }

  static Batch<T> with_halo(const Batch<T>& batch, Halo halo) {
    Batch<T> padded(batch.shape(), halo);
    padded.copy_from(batch);
    return padded;
  }
};

template <class T>
std::vector<Tensor<T>> gradients(Sequential<T>& net) {
  std::vector<Tensor<T>> all;
  for (auto& [name, parameter] : net.parameters()) all.push_back(parameter->grad);
  return all;
}

}  // namespace

TEST_CASE("the memory plan changes no bit", "[sequential]") {
  for (const Index images : {3, 17, 40}) {
    const Shape shape{images, chain_channels, chain_height, chain_width};
    const auto x = Batch<float>::from(test::random_tensor<float>(shape, 1)),
               dy = Batch<float>::from(test::random_tensor<float>({images, 7}, 2));
    auto planned = chain<float>(), plain = chain<float>();
    const Tensor<float> y = planned.forward(x).to_tensor();
    Batch<float> dx;
    planned.backward(dy, dx);
    LayerByLayer<float> reference;
    // What Sequential hands its layers in its first training pass.
    reference.forward(plain, x, Random(1).fork(~std::uint64_t{0}).fork(0));
    CHECK(y == reference.values.back().to_tensor());
    CHECK(dx.to_tensor() == reference.backward(plain, dy).to_tensor());
    CHECK(gradients(planned) == gradients(plain));
    auto without_dx = chain<float>();
    without_dx.forward(x);
    without_dx.backward(dy);
    CHECK(gradients(without_dx) == gradients(plain));
  }
}

TEST_CASE("what a convolution computes for the layers behind it changes no bit", "[sequential]") {
  const auto build = [] {
    Sequential<float> net(1);  // Winograd, rows, direct, single pixels; ReLU before and after a norm; a second norm, which waits
    net.add(Conv2d<float>({.in_channels = 6, .out_channels = 10, .kernel_size = 3, .padding = 1})).add(ReLU<float>());
    net.add(BatchNorm2d<float>(10)).add(Dropout<float>(0.25));
    net.add(Conv2d<float>({.in_channels = 10, .out_channels = 20, .kernel_size = 3, .padding = 1, .groups = 10}));
    net.add(ReLU<float>()).add(BatchNorm2d<float>(20));
    net.add(Conv2d<float>({.in_channels = 20, .out_channels = 7, .kernel_size = 1})).add(BatchNorm2d<float>(7));
    net.add(ReLU<float>()).add(BatchNorm2d<float>(7)).add(ReLU<float>());
    net.add(Conv2d<float>({.in_channels = 7, .out_channels = 14, .kernel_size = 3, .stride = 2, .groups = 7}));
    net.add(BatchNorm2d<float>({.channels = 14, .track_running_stats = false})).add(Dropout<float>(0));
    net.add(Conv2d<float>({.in_channels = 14, .out_channels = 9, .kernel_size = 3}))
        .add(ReLU<float>())
        .add(BatchNorm2d<float>(9));
    return net;
  };
  auto net = build(), plain = build();
  for (const std::uint64_t pass : {std::uint64_t{0}, std::uint64_t{1}}) {
    const auto x = Batch<float>::from(test::random_tensor<float>({19, 6, 11, 9}, pass));
    LayerByLayer<float> reference;
    const Tensor<float> trained = net.forward(x).to_tensor();
    const Random random = Random(1).fork(~std::uint64_t{0});
    reference.forward(plain, x, random.fork(pass));
    CHECK(trained == reference.values.back().to_tensor());
    Batch<float> dx;
    const auto dy = Batch<float>::from(test::random_tensor<float>(trained.shape(), 2));
    net.backward(dy, dx);
    CHECK(dx.to_tensor() == reference.backward(plain, dy).to_tensor());
    CHECK(gradients(net) == gradients(plain));

    const Tensor<float> inferred = net.inference(x).to_tensor();
    reference.forward(plain, x, random, /*training=*/false);
    CHECK(inferred == reference.values.back().to_tensor());
    net.eval();
    CHECK(net.forward(x).to_tensor() == inferred);
    net.backward(dy, dx);  // with the running statistics
    CHECK(dx.to_tensor() == reference.backward(plain, dy).to_tensor());
    net.train();
  }
}

TEST_CASE("what a normalization computes for the ReLUs beside it changes no bit", "[sequential][norm]") {
  // ReLU before, behind and on both sides of each norm; at both ends of the model; in memory with a border.
  const auto build = [](bool with_ends) {
    Sequential<float> net(1);
    if (with_ends) net.add(ReLU<float>());
    net.add(BatchNorm2d<float>(6)).add(ReLU<float>());
    net.add(Conv2d<float>({.in_channels = 6, .out_channels = 10, .kernel_size = 3, .padding = 1}));
    net.add(ReLU<float>()).add(BatchNorm2d<float>(10)).add(Dropout<float>(0.25));
    net.add(Conv2d<float>({.in_channels = 10, .out_channels = 12, .kernel_size = 3, .stride = 2, .padding = 2}));
    net.add(ReLU<float>()).add(GroupNorm<float>(3, 12)).add(ReLU<float>()).add(GroupNorm<float>(4, 12)).add(ReLU<float>());
    net.add(Conv2d<float>({.in_channels = 12, .out_channels = 7, .kernel_size = 1}));
    net.add(ReLU<float>()).add(LayerNorm<float>({7, 7, 6})).add(ReLU<float>()).add(InstanceNorm2d<float>(7));
    net.add(LeakyReLU<float>(0.2)).add(BatchNorm2d<float>(7));
    if (with_ends) net.add(ReLU<float>());
    for (auto& [name, parameter] : net.parameters()) {  // of either sign, so that ReLU's halves are not xhat's
      if (parameter->value.shape().rank() != 4) {
        parameter->value = test::random_tensor<float>(parameter->value.shape(), static_cast<std::uint64_t>(name.size()));
      }
    }
    return net;
  };
  for (const bool with_ends : {false, true}) {
    auto net = build(with_ends), plain = build(with_ends), without_dx = build(with_ends);
    const auto x = Batch<float>::from(test::random_tensor<float>({19, 6, 11, 9}, 1)),
               dy = Batch<float>::from(test::random_tensor<float>({19, 7, 7, 6}, 2));
    LayerByLayer<float> reference;
    const Random random = Random(1).fork(~std::uint64_t{0});
    reference.forward(plain, x, random.fork(0));
    CHECK(net.forward(x).to_tensor() == reference.values.back().to_tensor());
    Batch<float> dx;
    net.backward(dy, dx);
    CHECK(dx.to_tensor() == reference.backward(plain, dy).to_tensor());
    CHECK(dx.padding_lanes_are_zero());
    CHECK(gradients(net) == gradients(plain));
    without_dx.forward(x);
    without_dx.backward(dy);
    CHECK(gradients(without_dx) == gradients(plain));

    net.eval();  // with the running statistics, where there are any
    reference.forward(plain, x, random, /*training=*/false);
    CHECK(net.forward(x).to_tensor() == reference.values.back().to_tensor());
    CHECK(net.inference(x).to_tensor() == reference.values.back().to_tensor());
    net.forward(x);
    net.backward(dy, dx);
    CHECK(dx.to_tensor() == reference.backward(plain, dy).to_tensor());
    CHECK(gradients(net) == gradients(plain));
  }
}

TEST_CASE("what layers read through a normalization before them changes no bit", "[sequential][norm]") {
  using Algorithm = ConvAlgorithm;
  const auto build = [] {
    // Winograd by blocks, with borders of any width, with groups, of a whole batch; direct in register tiles whose last ones
    // overlap, with stride and groups, of a single pixel; pooling of odd extents. With a ReLU between and without one.
    Sequential<float> net(1);
    net.add(BatchNorm2d<float>(8)).add(ReLU<float>());
    net.add(Conv2d<float>(
        {.in_channels = 8, .out_channels = 10, .kernel_size = 3, .padding = {1, 0}, .algorithm = Algorithm::winograd}));
    net.add(BatchNorm2d<float>(10));
    net.add(Conv2d<float>(
        {.in_channels = 10, .out_channels = 12, .kernel_size = 3, .padding = 2, .groups = 2, .algorithm = Algorithm::winograd}));
    net.add(BatchNorm2d<float>(12)).add(ReLU<float>());
    net.add(Conv2d<float>({.in_channels = 12, .out_channels = 7, .kernel_size = 1, .algorithm = Algorithm::direct}));
    net.add(BatchNorm2d<float>(7)).add(MaxPool2d<float>(2)).add(BatchNorm2d<float>({.channels = 7, .affine = false}));
    net.add(Conv2d<float>(
        {.in_channels = 7, .out_channels = 14, .kernel_size = 1, .stride = {2, 1}, .algorithm = Algorithm::direct}));
    net.add(BatchNorm2d<float>({.channels = 14, .track_running_stats = false})).add(ReLU<float>());
    net.add(
        Conv2d<float>({.in_channels = 14, .out_channels = 10, .kernel_size = 1, .groups = 2, .algorithm = Algorithm::direct}));
    net.add(BatchNorm2d<float>(10)).add(ReLU<float>()).add(MaxPool2d<float>(2)).add(BatchNorm2d<float>(10)).add(ReLU<float>());
    net.add(Conv2d<float>({.in_channels = 10, .out_channels = 300, .kernel_size = 1, .algorithm = Algorithm::direct}));
    net.add(BatchNorm2d<float>(300)).add(ReLU<float>());
    net.add(Conv2d<float>(
        {.in_channels = 300, .out_channels = 90, .kernel_size = 3, .padding = 1, .algorithm = Algorithm::winograd}));
    for (auto& [name, parameter] : net.parameters()) {  // of either sign, so that lines fall and ReLU's halves are not xhat's
      if (parameter->value.shape().rank() != 4) {
        parameter->value = test::random_tensor<float>(parameter->value.shape(), static_cast<std::uint64_t>(name.size()));
      }
    }
    return net;
  };
  auto net = build(), plain = build();
  const auto x = Batch<float>::from(test::random_tensor<float>({19, 8, 11, 9}, 1));
  const Random random = Random(1).fork(~std::uint64_t{0});
  for (const bool training : {true, false}) {
    net.train(training);
    LayerByLayer<float> reference;
    reference.forward(plain, x, random.fork(0), training);
    const Tensor<float> y = net.forward(x).to_tensor();
    CHECK(y == reference.values.back().to_tensor());
    const auto dy = Batch<float>::from(test::random_tensor<float>(y.shape(), 2));
    const Tensor<float> expected_dx = reference.backward(plain, dy).to_tensor();
    Batch<float> dx;
    net.backward(dy, dx);
    CHECK(dx.to_tensor() == expected_dx);
    CHECK(gradients(net) == gradients(plain));

    // A watcher that comes between the passes: what it would have seen of the first is not there.
    struct Onlooker final : LayerWatcher<float> {
      void before_forward(const Batch<float>&) override {}
      void after_forward(Layer<float>&, const Batch<float>&) override {}
      void before_backward(const Batch<float>&) override {}
      void after_backward(Layer<float>&, const Batch<float>*) override {}
    } onlooker;
    net.forward(x);
    reference.forward(plain, x, random.fork(1), training);
    net.watch(&onlooker);
    net.backward(dy, dx);
    CHECK(dx.to_tensor() == expected_dx);
    net.watch(nullptr);
    reference.backward(plain, dy);
    CHECK(gradients(net) == gradients(plain));
    if (!training) CHECK(net.inference(x).to_tensor() == y);
  }
}

TEST_CASE("another algorithm between the passes does not disturb what is read through a normalization", "[sequential][norm]") {
  struct Case {
    Index kernel_size;
    ConvAlgorithm before, after;
  };
  for (const Case c :
       {Case{1, ConvAlgorithm::direct, ConvAlgorithm::im2col}, Case{3, ConvAlgorithm::winograd, ConvAlgorithm::direct},
        Case{3, ConvAlgorithm::direct, ConvAlgorithm::winograd}}) {
    const auto build = [&c] {
      Sequential<double> net(1);
      net.add(BatchNorm2d<double>(6));
      net.add(Conv2d<double>({.in_channels = 6, .out_channels = 5, .kernel_size = c.kernel_size, .algorithm = c.before}));
      return net;
    };
    auto net = build(), undisturbed = build();
    const auto x = Batch<double>::from(test::random_tensor<double>({9, 6, 7, 8}, 1));
    const auto dy = Batch<double>::from(test::random_tensor<double>(net.forward(x).shape(), 2));
    undisturbed.forward(x);
    dynamic_cast<Conv2d<double>&>(net[1]).set_algorithm(c.after);
    net.backward(dy);
    undisturbed.backward(dy);
    for (std::size_t i = 0; i < 2; ++i) {  // of the normalization, whose gradient comes from the convolution, and of that
      const auto &actual = net.parameters()[2 * i].parameter->grad, &expected = undisturbed.parameters()[2 * i].parameter->grad;
      // Sums of 300 products of about 1, in doubles; Winograd's round some ten times worse.
      for (Index k = 0; k < expected.size(); ++k) CHECK(actual.data()[k] == Approx(expected.data()[k]).margin(1e-10).epsilon(0));
    }
  }
}

TEST_CASE("a layer called alone reads its input, whatever it read in its model", "[sequential][norm]") {
  const auto x = Batch<float>::from(test::random_tensor<float>({17, 3, 6, 4}, 1, 2, 5));
  Sequential<float> net;
  net.add(BatchNorm2d<float>(3)).add(MaxPool2d<float>(2));
  net.forward(x);  // pooling reads through the normalization
  MaxPool2d<float> pool(2);
  Batch<float> expected(Shape{17, 3, 3, 2}), y(Shape{17, 3, 3, 2});
  pool.forward(x, expected, {.training = true});
  net[1].forward(x, y, {.training = true});
  CHECK(y.to_tensor() == expected.to_tensor());
}

TEST_CASE("a bias before a norm that takes it away has the gradient zero", "[sequential][norm]") {
  // Whether the norm subtracts the mean of each channel, in training and in evaluation.
  struct Case {
    const char* what;
    std::unique_ptr<Layer<float>> (*norm)();
    bool in_training, in_evaluation;
  };
  using Pointer = std::unique_ptr<Layer<float>>;
  const std::vector<Case> cases{
      {"batch norm", [] { return Pointer(new BatchNorm2d<float>(6)); }, true, false},
      {"batch norm without running statistics",
       [] { return Pointer(new BatchNorm2d<float>({.channels = 6, .track_running_stats = false})); }, true, true},
      {"instance norm", [] { return Pointer(new InstanceNorm2d<float>(6)); }, true, true},
      {"instance norm with running statistics",
       [] { return Pointer(new InstanceNorm2d<float>({.channels = 6, .track_running_stats = true})); }, true, false},
      {"group norm of single channels", [] { return Pointer(new GroupNorm<float>(6, 6)); }, true, true},
      {"group norm", [] { return Pointer(new GroupNorm<float>(2, 6)); }, false, false},
      {"a ReLU, and batch norm",
       [] { return Pointer(new Sequential<float>(Sequential<float>().add(ReLU<float>()).add(BatchNorm2d<float>(6)))); }, false,
       false}};
  const auto x = Batch<float>::from(test::random_tensor<float>({19, 4, 7, 6}, 1), {1, 1}),
             dy = Batch<float>::from(test::random_tensor<float>({19, 6, 4, 3}, 2));
  for (const Case& c : cases) {
    for (const bool training : {true, false}) {
      INFO(c.what << (training ? ", training" : ", evaluation"));
      const auto build = [&] {
        Sequential<float> net(1);
        net.add(Conv2d<float>({.in_channels = 4, .out_channels = 6, .kernel_size = 3, .stride = 2, .padding = 1}), "conv");
        net.add(c.norm(), "norm");
        net.train(training);
        return net;
      };
      auto net = build(), plain = build();
      net.parameters()[1].parameter->grad.fill(0.5f);  // what was there stays
      net.forward(x);
      net.backward(dy);
      Batch<float> between(dy.shape()), y(dy.shape()), dbetween(dy.shape(), plain[0].gradient_halo()), dx(x.shape());
      plain[0].forward(x, between, {training});
      plain[1].forward(between, y, {training});
      plain[1].backward(between, y, dy, dbetween);
      plain[0].backward(x, between, dbetween, dx);
      CHECK(net.parameters()[0].parameter->grad == plain.parameters()[0].parameter->grad);
      const auto of_bias = test::cast<double>(net.parameters()[1].parameter->grad),
                 alone = test::cast<double>(plain.parameters()[1].parameter->grad);
      const bool is_zero = training ? c.in_training : c.in_evaluation;
      for (Index o = 0; o < 6; ++o) {
        // Added up, 228 values of about 1 that come to zero leave a few roundings; others leave more than a thousandth.
        CHECK((std::abs(alone.data()[o]) < 1e-4) == is_zero);
        CHECK(of_bias.data()[o] - 0.5 == Approx(is_zero ? 0.0 : alone.data()[o]).margin(is_zero ? 0 : 1e-6));
      }
    }
  }
}

TEST_CASE("a watcher sees what every layer writes, and changes no bit", "[sequential]") {
  // Forward and backward in the order of the passes; what a layer in place overwrites is seen before.
  struct Recorder final : LayerWatcher<float> {
    std::vector<std::string> names;
    std::vector<Tensor<float>> values;

    void before_forward(const Batch<float>& x) override { record("x", x); }
    void after_forward(Layer<float>& layer, const Batch<float>& y) override { record(layer.name(), y); }
    void before_backward(const Batch<float>& dy) override { record("dy", dy); }
    void after_backward(Layer<float>& layer, const Batch<float>* dx) override {
      if (dx != nullptr) record(layer.name(), *dx);
    }
    void record(const std::string& name, const Batch<float>& batch) {
      names.push_back(name);
      values.push_back(batch.to_tensor());
    }
  };
  const auto x = Batch<float>::from(test::random_tensor<float>({17, chain_channels, chain_height, chain_width}, 1)),
             dy = Batch<float>::from(test::random_tensor<float>({17, 7}, 2));
  auto net = chain<float>(), plain = chain<float>(), unwatched = chain<float>();
  Recorder recorder;
  net.watch(&recorder);
  const Tensor<float> y = net.forward(x).to_tensor();
  Batch<float> dx;
  net.backward(dy, dx);
  CHECK(recorder.names == std::vector<std::string>{"x",  "squash", "conv1",     "2",      "norm1",     "4",      "conv2",
                                                   "6",  "tail.0", "tail.conv", "tail.2", "tail",      "8",      "head",
                                                   "dy", "head",   "8",         "tail.2", "tail.conv", "tail.0", "tail",
                                                   "6",  "conv2",  "4",         "norm1",  "2",         "conv1",  "squash"});
  LayerByLayer<float> reference;
  reference.forward(plain, x, Random(1).fork(~std::uint64_t{0}).fork(0));
  std::vector<Tensor<float>> expected;
  for (const auto& value : reference.values) expected.push_back(value.to_tensor());
  std::vector<Tensor<float>> seen;
  for (std::size_t i = 0; i < 14; ++i) {
    if (recorder.names[i].find("tail.") == std::string::npos) seen.push_back(recorder.values[i]);
  }
  CHECK(seen == expected);
  CHECK(recorder.values.back() == dx.to_tensor());

  Batch<float> expected_dx;
  CHECK(unwatched.forward(x).to_tensor() == y);
  unwatched.backward(dy, expected_dx);
  CHECK(dx.to_tensor() == expected_dx.to_tensor());
  CHECK(gradients(net) == gradients(unwatched));

  // A projection is seen as well as the body.
  Sequential<float> beside, inner, projecting;
  inner.add(ReLU<float>(), "of_body");
  beside.add(Tanh<float>(), "of_projection");
  projecting.add(Residual<float>(std::move(inner), std::move(beside)), "block");
  Recorder both;
  projecting.watch(&both);
  projecting.forward(x);
  CHECK(both.names == std::vector<std::string>{"x", "block.body.of_body", "block.projection.of_projection", "block"});

  // Layers that a convolution would compute.
  Sequential<float> fused;
  Recorder alone;
  fused.add(Conv2d<float>({.in_channels = 3, .out_channels = 4, .kernel_size = 3, .padding = 1}), "conv");
  fused.add(ReLU<float>(), "relu").add(BatchNorm2d<float>(4), "norm");
  fused.watch(&alone);
  fused.eval();
  const Tensor<float> evaluated = fused.forward(x).to_tensor();
  CHECK(alone.names == std::vector<std::string>{"x", "conv", "relu", "norm"});
  CHECK(alone.values[1] != alone.values[2]);
  CHECK(alone.values[3] == evaluated);
  fused.watch(nullptr);
  CHECK(fused.forward(x).to_tensor() == evaluated);
  CHECK(fused.inference(x).to_tensor() == evaluated);
  CHECK(alone.names.size() == 4);
}

TEST_CASE("a watcher sees the backward pass of every ReLU whose output is written", "[sequential][norm]") {
  // ReLUs before and behind norms, which do their backward passes where nobody looks on.
  struct Recorder final : LayerWatcher<float> {
    std::vector<std::string> names;
    std::vector<Tensor<float>> values;

    void before_forward(const Batch<float>&) override {}
    void after_forward(Layer<float>&, const Batch<float>&) override {}
    void before_backward(const Batch<float>&) override {}
    void after_backward(Layer<float>& layer, const Batch<float>* dx) override {
      names.push_back(layer.name());
      if (dx != nullptr) values.push_back(dx->to_tensor());
    }
  } recorder;
  const auto build = [] {
    Sequential<float> net(1);
    net.add(Conv2d<float>({.in_channels = 3, .out_channels = 6, .kernel_size = 3, .padding = 1}), "conv");
    net.add(ReLU<float>(), "relu1").add(BatchNorm2d<float>(6), "norm1").add(ReLU<float>(), "relu2");
    net.add(GroupNorm<float>(2, 6), "norm2").add(ReLU<float>(), "relu3");
    return net;
  };
  const auto x = Batch<float>::from(test::random_tensor<float>({19, 3, 5, 7}, 1)),
             dy = Batch<float>::from(test::random_tensor<float>({19, 6, 5, 7}, 2));
  auto net = build(), plain = build();
  net.watch(&recorder);
  net.forward(x);
  Batch<float> dx;
  net.backward(dy, dx);
  CHECK(recorder.names == std::vector<std::string>{"relu3", "norm2", "relu2", "norm1", "relu1", "conv"});

  LayerByLayer<float> reference;
  reference.forward(plain, x, Random(1).fork(~std::uint64_t{0}).fork(0));
  std::vector<Tensor<float>> expected;
  Batch<float> gradient = dy;
  for (Index i = plain.size(); i-- > 0;) {
    const auto of_output = LayerByLayer<float>::with_halo(gradient, plain[i].gradient_halo());
    Batch<float> of_input(reference.values[static_cast<std::size_t>(i)].shape());
    plain[i].backward(reference.values[static_cast<std::size_t>(i)], reference.values[static_cast<std::size_t>(i) + 1], of_output,
                      of_input);
    expected.push_back(of_input.to_tensor());
    gradient = of_input;
  }
  CHECK(recorder.values == expected);
}

TEST_CASE("the plan overwrites what nobody reads again", "[sequential]") {
  const auto x = Batch<float>::from(test::random_tensor<float>({32, 3, 8, 6}, 1));
  Sequential<float> net;
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 10, .kernel_size = 1})).add(ReLU<float>()).add(BatchNorm2d<float>(10));
  net.add(Dropout<float>(0.1)).add(Conv2d<float>({.in_channels = 10, .out_channels = 2, .kernel_size = 1}));
  const std::size_t map = Batch<float>({32, 10, 8, 6}).bytes(), output = Batch<float>({32, 2, 8, 6}).bytes();
  const Batch<float> y = net.forward(x);
  const std::size_t mask = net[3].activation_bytes();
  CHECK(mask == 2 * 32 / Batch<float>::lanes * 10 * 8 * 6);  // two bytes for the values of all lanes
  // Two values (convolution and ReLU; norm and dropout), and the output.
  CHECK(net.activation_bytes() == 2 * map + output + mask);
  net.backward(y);
  // One gradient for all four.
  CHECK(net.activation_bytes() == 3 * map + output + mask);
  net.inference(x);
  // One value for all four.
  CHECK(net.activation_bytes() == 4 * map + output + mask);
}

TEST_CASE("what a layer reads of its own output is not overwritten", "[sequential]") {
  // Dropout works in place and reads neither of its maps again, but the layer before reads its output: each layer that keeps it,
  // at the top, in a chain within, behind a convolution that could compute it.
  const auto build = [] {
    Sequential<float> within, net(1);
    within.add(Tanh<float>()).add(Dropout<float>(0.5)).add(Softmax<float>()).add(Dropout<float>(0.25));
    net.add(Sigmoid<float>()).add(Dropout<float>(0.5));
    net.add(Conv2d<float>({.in_channels = 3, .out_channels = 4, .kernel_size = 3, .padding = 1}));
    net.add(ReLU<float>()).add(Dropout<float>(0.25)).add(std::move(within)).add(LeakyReLU<float>(0.2)).add(Dropout<float>(0.5));
    return net;
  };
  auto net = build(), plain = build();
  const auto x = Batch<float>::from(test::random_tensor<float>({19, 3, 6, 7}, 1)),
             dy = Batch<float>::from(test::random_tensor<float>({19, 4, 6, 7}, 2));
  LayerByLayer<float> reference;
  reference.forward(plain, x, Random(1).fork(~std::uint64_t{0}).fork(0));
  CHECK(net.forward(x).to_tensor() == reference.values.back().to_tensor());
  Batch<float> dx;
  net.backward(dy, dx);
  CHECK(dx.to_tensor() == reference.backward(plain, dy).to_tensor());
  CHECK(gradients(net) == gradients(plain));
}

TEST_CASE("the plan has no memory for what nobody writes", "[sequential][norm]") {
  const auto x = Batch<float>::from(test::random_tensor<float>({32, 6, 8, 6}, 1));
  Sequential<float> net;
  net.add(Conv2d<float>({.in_channels = 6, .out_channels = 10, .kernel_size = 1})).add(BatchNorm2d<float>(10)).add(ReLU<float>());
  net.add(Conv2d<float>({.in_channels = 10, .out_channels = 6, .kernel_size = 1, .algorithm = ConvAlgorithm::direct}));
  net.add(BatchNorm2d<float>(6)).add(MaxPool2d<float>(2));
  const std::size_t map = Batch<float>({32, 10, 8, 6}).bytes(), second = Batch<float>({32, 6, 8, 6}).bytes();
  const std::size_t output = Batch<float>({32, 6, 4, 3}).bytes();
  net.forward(x);
  const std::size_t places = net[5].activation_bytes();
  // What each convolution writes; the normalizations are read through by the layers behind.
  CHECK(net.activation_bytes() == map + second + output + places);
  // By this algorithm that cannot be.
  dynamic_cast<Conv2d<float>&>(net[3]).set_algorithm(ConvAlgorithm::im2col);
  net.forward(x);
  CHECK(net.activation_bytes() == 2 * map + second + output + places);
  dynamic_cast<Conv2d<float>&>(net[3]).set_algorithm(ConvAlgorithm::direct);
  net.forward(x);
  CHECK(net.activation_bytes() == map + second + output + places);
}

TEST_CASE("a model counts the memory of what is inside of its layers", "[sequential][residual]") {
  const auto x = Batch<float>::from(test::random_tensor<float>({32, 3, 8, 6}, 1));
  Sequential<float> body, net;
  body.add(Conv2d<float>({.in_channels = 3, .out_channels = 3, .kernel_size = 1})).add(Tanh<float>());
  net.add(Residual<float>(std::move(body)));
  const Batch<float> y = net.forward(x);
  const std::size_t map = Batch<float>({32, 3, 8, 6}).bytes();
  CHECK(net.activation_bytes() == 2 * map);  // the body's output, which Tanh overwrites, and the sum
  Batch<float> dx;
  net.backward(y, dx);
  CHECK(net.activation_bytes() == 4 * map);  // the body's gradients of its input and before Tanh
}

TEST_CASE("inference computes what forward does in evaluation mode", "[sequential]") {
  auto net = chain<float>(), other = chain<float>();
  for (const Index images : {19, 35, 3}) {
    const auto x = Batch<float>::from(test::random_tensor<float>({images, 3, chain_height, chain_width}, 1));
    net.train();
    net.forward(x);  // moves the running statistics, and leaves its mark in all memory
    other.train();
    other.forward(x);
    other.eval();
    CHECK(net.inference(x).to_tensor() == other.forward(x).to_tensor());
    CHECK(net.training());
    CHECK_THROWS_WITH(net.backward(x), "Sequential: backward() without a forward() before it");
  }
}

TEST_CASE("gradients that share memory do not touch each other", "[sequential]") {
  // Borders of different widths, planes of different sizes, batches that grow and shrink: each pass as in a fresh model.
  const auto build = [] {
    Sequential<float> net(1);
    net.add(Conv2d<float>({.in_channels = 3, .out_channels = 9, .kernel_size = 3}));
    net.add(Conv2d<float>({.in_channels = 9, .out_channels = 10, .kernel_size = 5, .padding = 1})).add(MaxPool2d<float>(2));
    net.add(Conv2d<float>({.in_channels = 10, .out_channels = 4, .kernel_size = 3, .padding = 1})).add(ReLU<float>());
    net.add(Conv2d<float>({.in_channels = 4, .out_channels = 12, .kernel_size = 3})).add(MaxPool2d<float>(2));
    return net;
  };
  auto used = build();
  for (const Index images : {5, 35, 18}) {
    // Winograd reads no borders, and leaves there what stands in the memory.
    for (const ConvAlgorithm algorithm : {ConvAlgorithm::winograd, ConvAlgorithm::direct, ConvAlgorithm::im2col}) {
      const auto x = Batch<float>::from(test::random_tensor<float>({images, 3, 14, 12}, 1));
      const auto results = [&](Sequential<float>& net) {
        for (const Index i : {0, 3, 5}) dynamic_cast<Conv2d<float>&>(net[i]).set_algorithm(algorithm);
        net.zero_grad();
        const Batch<float> y = net.forward(x);
        Batch<float> dy(y.shape()), dx;
        dy.copy_from(Batch<float>::from(test::random_tensor<float>(y.shape(), 2)));
        net.backward(dy, dx);
        std::vector<Tensor<float>> all{dx.to_tensor()};
        for (const auto& [name, parameter] : net.parameters()) all.push_back(parameter->grad);
        net.backward(dy);  // which leaves other things in the memory
        all.push_back(net.inference(x).to_tensor());
        return all;
      };
      auto fresh = build();
      CHECK(results(used) == results(fresh));
    }
  }
}

TEST_CASE("layers that pass channels on do not write over channels that are not read yet", "[sequential][residual][threads]") {
  // Neighbours that work channel by channel and change the size of the planes, in both directions.
  const auto build = [] {
    Sequential<float> body, net(1);
    body.add(Conv2d<float>({.in_channels = 6, .out_channels = 6, .kernel_size = 1})).add(Tanh<float>());
    net.add(Conv2d<float>({.in_channels = 3, .out_channels = 6, .kernel_size = 1})).add(BatchNorm2d<float>(6));
    net.add(MaxPool2d<float>(2)).add(AvgPool2d<float>(2)).add(Residual<float>(std::move(body)));
    net.add(MaxPool2d<float>(2)).add(AdaptiveAvgPool2d<float>({5, 7})).add(AdaptiveAvgPool2d<float>({9, 8}));
    return net;
  };
  const auto x = Batch<float>::from(test::random_tensor<float>({70, 3, 24, 16}, 1));
  auto plain = build();
  LayerByLayer<float> reference;
  const Random random = Random(1).fork(~std::uint64_t{0});
  reference.forward(plain, x, random.fork(0));
  const auto dy = Batch<float>::from(test::random_tensor<float>(reference.values.back().shape(), 2));
  const Tensor<float> expected = reference.backward(plain, dy).to_tensor();
  reference.forward(plain, x, random, /*training=*/false);
  for (const int threads : {1, 2, 3, 4, 7, 16}) {
    set_num_threads(threads);
    auto net = build();
    net.forward(x);
    Batch<float> dx;
    net.backward(dy, dx);
    CHECK(dx.to_tensor() == expected);
    CHECK(gradients(net) == gradients(plain));
    CHECK(net.inference(x).to_tensor() == reference.values.back().to_tensor());
  }
  set_num_threads(0);
}

TEST_CASE("chains and residual connections have the gradients of their formulas", "[sequential][residual][gradient]") {
  auto net = chain<double>();
  const auto result = gradient_check(net, {3, chain_channels, chain_height, chain_width}, {.batchwise = true});
  INFO(result.message());
  CHECK(result.ok(1e-7));

  Sequential<double> body;
  body.add(Conv2d<double>({.in_channels = 3, .out_channels = 3, .kernel_size = 3, .padding = 1}))
      .add(Tanh<double>())
      .add(GroupNorm<double>(1, 3));
  Residual<double> identity(std::move(body));
  const auto of_identity = gradient_check(identity, {3, 3, 4, 5});
  INFO(of_identity.message());
  CHECK(of_identity.ok(1e-7));

  Sequential<double> strided, projection;
  strided.add(Conv2d<double>({.in_channels = 3, .out_channels = 4, .kernel_size = 3, .stride = 2, .padding = 1}));
  projection.add(Conv2d<double>({.in_channels = 3, .out_channels = 4, .kernel_size = 1, .stride = 2, .bias = false}));
  Residual<double> projected(std::move(strided), std::move(projection));
  const auto of_projected = gradient_check(projected, {17, 3, 5, 6});
  INFO(of_projected.message());
  CHECK(of_projected.ok(1e-7));

  // The projection needs the wider borders.
  Sequential<double> narrow, wide;
  narrow.add(Conv2d<double>({.in_channels = 3, .out_channels = 4, .kernel_size = 1}));
  wide.add(Conv2d<double>({.in_channels = 3, .out_channels = 4, .kernel_size = {3, 5}, .padding = {1, 2}}));
  Residual<double> bordered(std::move(narrow), std::move(wide));
  const auto of_bordered = gradient_check(bordered, {3, 3, 5, 6});
  INFO(of_bordered.message());
  CHECK(of_bordered.ok(1e-7));

  // A chain that begins with a layer in place, whose parameters need the gradient that nobody else asks for.
  Sequential<double> norm_first;
  norm_first.add(GroupNorm<double>(1, 3))
      .add(Conv2d<double>({.in_channels = 3, .out_channels = 2, .kernel_size = 3, .padding = 1}));
  const auto of_norm_first = gradient_check(norm_first, {3, 3, 4, 5});
  INFO(of_norm_first.message());
  CHECK(of_norm_first.ok(1e-7));
}

TEST_CASE("a residual connection adds its input", "[residual]") {
  Sequential<double> body;
  body.add(Conv2d<double>({.in_channels = 2, .out_channels = 2, .kernel_size = 1}));
  Residual<double> residual(std::move(body));
  const Tensor<double> x = test::random_tensor<double>({3, 2, 4, 3}, 1);
  const auto input = Batch<double>::from(x);
  Batch<double> y(x.shape()), of_body(x.shape());
  residual.forward(input, y, {});
  residual.body().forward(input, of_body, {});
  Tensor<double> expected = of_body.to_tensor();
  for (Index i = 0; i < x.size(); ++i) expected[i] += x[i];
  CHECK(y.to_tensor() == expected);
}

TEST_CASE("a projection is a chain beside the body", "[residual]") {
  const auto chain_of = [](auto... layers) {
    Sequential<float> chain;
    (chain.add(std::move(layers)), ...);
    return chain;
  };
  const auto conv = [](Index kernel, Index padding) {
    return Conv2d<float>({.in_channels = 3, .out_channels = 3, .kernel_size = kernel, .padding = padding, .bias = false});
  };
  const auto x = Batch<float>::from(test::random_tensor<float>({17, 3, 6, 5}, 1, 1, 2));

  // It has parameters of its own, and the border that it reads.
  Sequential<float> net(1);
  net.add(Residual<float>(chain_of(conv(1, 0)), chain_of(conv(3, 1))), "block");
  CHECK(net.input_halo() == Halo{1, 1});
  Sequential<float> body(1), projection(1), same(1);
  body.add(conv(1, 0)).parameters()[0].parameter->value = net.parameters()[0].parameter->value;
  projection.add(conv(3, 1)).parameters()[0].parameter->value = net.parameters()[1].parameter->value;
  Tensor<float> expected = body.forward(x).to_tensor();
  const Tensor<float> added = projection.forward(x).to_tensor();
  for (Index i = 0; i < expected.size(); ++i) expected[i] += added[i];
  CHECK(net.forward(x).to_tensor() == expected);
  same.add(Residual<float>(chain_of(conv(1, 0)), chain_of(conv(1, 0))));
  CHECK_FALSE(same.parameters()[0].parameter->value == same.parameters()[1].parameter->value);

  // It drops units of its own: a quarter of the sums has both terms, doubled, half of them has one.
  Sequential<float> dropping(1);
  dropping.add(Residual<float>(chain_of(Dropout<float>(0.5)), chain_of(Dropout<float>(0.5))));
  const Tensor<float> sums = dropping.forward(x).to_tensor(), terms = x.to_tensor();
  Index single = 0;
  for (Index i = 0; i < sums.size(); ++i) single += sums[i] == 2 * terms[i];
  CHECK(std::abs(static_cast<double>(single) / static_cast<double>(sums.size()) - 0.5) < 0.1);
}

TEST_CASE("a model multiplies as often as its layers do, each with an input of its own shape", "[sequential]") {
  Sequential<float> body, net;
  body.add(Conv2d<float>({.in_channels = 4, .out_channels = 4, .kernel_size = 1}));
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 4, .kernel_size = 3, .stride = 2}))
      .add(Residual<float>(std::move(body)))
      .add(Flatten<float>())
      .add(Linear<float>(4 * 3 * 2, 5));
  // Of 7x5 pixels, 3x2 are left.
  CHECK(net.multiply_adds({2, 3, 7, 5}) == 2 * (6 * 4 * 3 * 9 + 6 * 4 * 4 + 24 * 5));
}

TEST_CASE("names are dotted paths and errors carry them", "[sequential][errors]") {
  auto net = chain<float>();
  std::vector<std::string> names;
  for (const auto& [name, parameter] : net.parameters()) names.push_back(name);
  CHECK(names == std::vector<std::string>{"conv1.weight", "conv1.bias", "norm1.weight", "norm1.bias", "conv2.weight", "6.weight",
                                          "6.bias", "tail.conv.weight", "tail.conv.bias", "head.weight", "head.bias"});
  CHECK(net.buffers().size() == 2);
  CHECK(net.buffers()[0].name == "norm1.running_mean");
  CHECK_THROWS_WITH(net.forward(Tensor<float>({2, 4, 6, 7})),
                    "Conv2d \"conv1\": expected 3 input channels, got 4 (input 2x4x6x7)");
  CHECK_THROWS_WITH(net.forward(Tensor<float>({2, 3, 6, 9})), "Linear \"head\": expected 72 input features, got 90 (input 2x90)");
  Sequential<float> outer;
  outer.add(std::move(net), "features");
  CHECK(outer.parameters()[7].name == "features.tail.conv.weight");
  CHECK_THROWS_WITH(outer.forward(Tensor<float>({2, 4, 6, 7})),
                    "Conv2d \"features.conv1\": expected 3 input channels, got 4 (input 2x4x6x7)");

  Sequential<float> body;
  body.add(Conv2d<float>({.in_channels = 3, .out_channels = 4, .kernel_size = 3}), "conv");
  Sequential<float> with_residual;
  with_residual.add(Residual<float>(std::move(body)), "block1");
  CHECK(with_residual.parameters()[0].name == "block1.body.conv.weight");
  CHECK_THROWS_WITH(with_residual.forward(Tensor<float>({2, 3, 6, 5})),
                    "Residual \"block1\": expected a body with an output of 2x3x6x5, the shape of its input, got 2x4x4x3");
}

TEST_CASE("Sequential says what is wrong", "[sequential][errors]") {
  Sequential<float> net;
  CHECK_THROWS_WITH(net.forward(Tensor<float>({2, 3, 4, 5})), "Sequential: expected at least one layer, got none");
  CHECK_THROWS_WITH(net.forward(Tensor<float>({2, 3, 4})), "Batch: expected a shape N x C x H x W or N x F, got 2x3x4");
  net.add(ReLU<float>(), "relu");
  CHECK_THROWS_WITH(net.add(ReLU<float>(), "relu"), "Sequential: the layer name \"relu\" is taken");
  CHECK_THROWS_WITH(net.add(ReLU<float>(), "a.b"), "Sequential: expected a layer name without a dot, got \"a.b\"");
  CHECK_THROWS_WITH(net[1], "Sequential: no layer 1 among 1");
  const Batch<float> x(Shape{2, 3, 4, 5}), dy(Shape{2, 3, 4, 4});
  CHECK_THROWS_WITH(net.backward(x), "Sequential: backward() without a forward() before it");
  net.forward(x);
  CHECK_THROWS_WITH(net.backward(dy), "Sequential: expected a gradient of shape 2x3x4x5, got 2x3x4x4");
  const Shape odd{Batch<float>::lanes - 1, 3, 4, 5};
  Batch<float> images(odd), gradient(odd);
  gradient.fill(1);
  net.forward(images);
  CHECK_THROWS_WITH(net.backward(gradient), "Sequential: expected a gradient with zeros in the lanes past image " +
                                                std::to_string(Batch<float>::lanes - 2));
  gradient.clear_padding_lanes();
  net.backward(gradient);
  // A pass that failed, or another layer, leaves nothing to go back from.
  net.forward(images);
  net.add(Linear<float>(9, 2));
  CHECK_THROWS_WITH(net.backward(gradient), "Sequential: backward() without a forward() before it");
  CHECK_THROWS_AS(net.forward(images), Error);
  CHECK_THROWS_WITH(net.backward(gradient), "Sequential: backward() without a forward() before it");
}

TEST_CASE("the seed decides parameters and dropped units", "[sequential]") {
  const Tensor<float> x = test::random_tensor<float>({5, chain_channels, chain_height, chain_width}, 1);
  auto a = chain<float>(1), b = chain<float>(1), c = chain<float>(2);
  CHECK(a.forward(x) == b.forward(x));
  CHECK_FALSE(a.forward(x) == c.forward(x));
  // Each training pass drops other units; setting the count repeats one.
  const Tensor<float> third = a.forward(x);
  CHECK_FALSE(third == a.forward(x));
  a.set_passes(2);
  CHECK(third == a.forward(x));
  a.eval();
  CHECK(a.forward(x) == a.forward(x));
}

TEST_CASE("batches of changing size share one plan", "[sequential]") {
  auto net = chain<float>(1, 0), fresh = chain<float>(1, 0);
  net.eval();
  fresh.eval();
  const auto of_size = [](Index images) {
    return test::random_tensor<float>({images, chain_channels, chain_height, chain_width}, 3);
  };
  for (const Index images : {40, 3, 17, 40}) CHECK(net.forward(of_size(images)).shape() == Shape{images, 7});
  CHECK(net.forward(of_size(17)) == fresh.forward(of_size(17)));
}

TEST_CASE("a chain gives the same bits at any number of threads", "[sequential][threads]") {
  for (const Index images : {3, 70}) {  // fewer blocks than threads, so that they share a block, and more
    const Shape shape{images, chain_channels, chain_height, chain_width};
    test::same_bits_at_any_thread_count([&] {
      auto net = chain<float>();
      const auto x = Batch<float>::from(test::random_tensor<float>(shape, 1));
      std::vector<Tensor<float>> results{net.forward(x).to_tensor()};
      net.backward(Batch<float>::from(test::random_tensor<float>({images, 7}, 2)));
      for (const auto& gradient : gradients(net)) results.push_back(gradient);
      return results;
    });
  }
}

TEST_CASE("a container as first layer gives the gradients of a pass with dx", "[sequential]") {
  // The inner chain's second convolution reads the border of its dy, although nobody asks for the chain's dx.
  Sequential<double> inner;
  inner.add(Conv2d<double>({.in_channels = 1, .out_channels = 1, .kernel_size = 1, .bias = false}))
      .add(Conv2d<double>({.in_channels = 1, .out_channels = 1, .kernel_size = 3, .bias = false}));
  Sequential<double> net;
  net.add(std::move(inner)).add(Flatten<double>()).add(Linear<double>(1, 1, false)).add(Linear<double>(1, 1, false));
  const auto x = Batch<double>::from(test::random_tensor<double>({1, 1, 3, 3}, 1));
  Batch<double> dx;
  net.forward(x);
  const auto dy = Batch<double>::from(test::random_tensor<double>({1, 1}, 2));
  net.backward(dy, dx);
  const auto expected = gradients(net);
  net.zero_grad();
  net.forward(x);
  net.backward(dy);
  CHECK(gradients(net) == expected);
}
