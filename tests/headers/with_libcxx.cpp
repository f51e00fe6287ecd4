// A training, a chart, a gallery and a checkpoint: what libcxx_test.sh compiles with another standard library.
#define NORMNET_NO_OPTIMIZATION_WARNING
#include <normnet/normnet.hpp>
#include <normnet/train/checkpoint_folder.hpp>
#include <normnet/viz/channel_picture.hpp>
#include <normnet/viz/image_grid.hpp>
#include <normnet/viz/line_chart.hpp>
#include <normnet/viz/matrix_chart.hpp>

#include <iostream>

#ifndef _LIBCPP_VERSION
#error "expected libc++"
#endif

using namespace normnet;

Sequential<float> network() {
  Sequential<float> net(/*seed=*/1);
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 4, .kernel_size = 3, .stride = 2}))
      .add(BatchNorm2d<float>(4))
      .add(ReLU<float>())
      .add(GlobalAvgPool2d<float>())
      .add(Linear<float>(4, 10));
  return net;
}

int main() try {
  const Cifar10 data = synthetic_cifar10({.train = 20, .test = 10, .seed = 1});
  Sequential<float> net = network();
  SGD<float> optimizer(net.parameters(), {.lr = 0.1});
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  const History history = trainer.fit(data.train, data.test, {.epochs = 2, .batch_size = 10, .progress = {.out = nullptr}});

  viz::Series loss{.name = "loss", .x = {1, 2}};
  for (const EpochRecord& epoch : history.epochs) loss.y.push_back(1e-6 * epoch.train_loss);
  viz::LineChart({.title = "Loss"}).add(loss).write("loss.png");
  viz::ImageGrid({.columns = 2}).add({.pixels = data.test.image(0)}).write("image.png");
  viz::ChannelPicture(data.test.image(0), {}).write("channels.png");

  save_weights("weights.safetensors", net);
  Sequential<float> other = network();
  load_weights("weights.safetensors", other);
  net.eval();
  other.eval();
  const Tensor<float> x({3, 3, 32, 32}, 0.5F);
  if (net.forward(x) == other.forward(x)) return 0;
  std::cerr << "the weights came back as others\n";
  return 1;
} catch (const Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
