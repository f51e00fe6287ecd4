// A layer of your own: written in a few lines, proved by gradient_check, and trained.
#include <normnet/normnet.hpp>

#include <cmath>
#include <exception>
#include <iostream>
#include <memory>

using namespace normnet;

/// Swish (Ramachandran et al., 2017, https://arxiv.org/abs/1710.05941) with a learnable beta for each channel:
///
///     y = x * s        with s = sigmoid(beta[c] * x)
template <class T>
class Swish final : public Layer<T> {
 public:
  explicit Swish(Index channels) : beta_({channels}, T(1)) {}

  std::string type() const override { return "Swish"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::make_unique<Swish>(beta_.value.size()); }
  Shape output_shape(const Shape& input) const override {
    if (input[1] != beta_.value.size()) fail(this->label(), ": expected ", beta_.value.size(), " channels, got ", input[1]);
    return input;
  }
  Keeps keeps_for_backward() const override { return Keeps::input; }
  std::vector<NamedParameter<T>> parameters() override { return {{"beta", &beta_}}; }

  void forward(const Batch<T>& x, Batch<T>& y, const Mode&) override {
    for_each_row(x, [&](Index block, Index c, Index row) {
      const Pack<T>* in = x.row(block, c, row);
      Pack<T>* out = y.row(block, c, row);
      for (Index i = 0; i < x.width(); ++i) out[i] = in[i] * sigmoid(Pack<T>(beta_.value[c]) * in[i]);
    });
  }

  /// dx = dy * (s + beta x s (1 - s)),   dbeta = sum of dy * x^2 s (1 - s) over images and pixels
  void backward(const Batch<T>& x, const Batch<T>&, const Batch<T>& dy, Batch<T>& dx) override {
    for_each_row(x, [&](Index block, Index c, Index row) {
      const Pack<T>*in = x.row(block, c, row), *gradient = dy.row(block, c, row);
      Pack<T>* out = dx.row(block, c, row);
      const Pack<T> beta(beta_.value[c]), one(T(1));
      Pack<T> dbeta(T(0));
      for (Index i = 0; i < x.width(); ++i) {
        const Pack<T> s = sigmoid(beta * in[i]), slope = in[i] * s * (one - s);
        out[i] = gradient[i] * (s + beta * slope);
        dbeta += gradient[i] * in[i] * slope;
      }
      beta_.grad[c] += sum(dbeta);
    });
  }

 private:
  static Pack<T> sigmoid(const Pack<T>& x) {
    return map(x, [](T value) { return 1 / (1 + std::exp(-value)); });
  }

  // A channel stays on one thread, so that its beta's gradient is summed in the same order however many threads there are.
  template <class F>
  static void for_each_row(const Batch<T>& x, F f) {
    parallel_for(x.channels(), x.blocks() * x.plane() * 50, [&](Index c) {
      for (Index block = 0; block < x.blocks(); ++block) {
        for (Index row = 0; row < x.height(); ++row) f(block, c, row);
      }
    });
  }

  Parameter<T> beta_;
};

int main() try {
  Swish<double> layer(5);
  const GradientCheckResult check = gradient_check(layer, Shape{3, 5, 4, 7});
  std::cout << check << (check.ok() ? "The backward pass is right.\n\n" : "The backward pass is wrong.\n\n");
  if (!check.ok()) return 1;

  Sequential<float> net(/*seed=*/1);
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 8, .kernel_size = 5, .stride = 2}))
      .add(BatchNorm2d<float>(8))
      .add(Swish<float>(8), "swish")
      .add(Conv2d<float>({.in_channels = 8, .out_channels = 16, .kernel_size = 3}))
      .add(BatchNorm2d<float>(16))
      .add(Swish<float>(16))
      .add(GlobalAvgPool2d<float>())
      .add(Linear<float>(16, 10));
  const Cifar10 data = synthetic_cifar10({.train = 1000, .test = 200});
  SGD<float> optimizer(net.parameters(), {.lr = 0.1, .momentum = 0.9});
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  const History history = trainer.fit(data.train, data.test, {.epochs = 3, .batch_size = 50});

  const bool learned = history.last().train_loss < 0.8 * history.epochs.front().train_loss;
  std::cout << (learned ? "The network with it learns.\n" : "The network with it does not learn.\n");
  if (!std::cout.flush()) fail("cannot write to standard output");
  return learned ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << "custom_layer: " << error.what() << "\n";
  return 1;
}
