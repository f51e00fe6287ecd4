// The first program: trains a small network on CIFAR-10. Usage: quickstart FOLDER, with the folder of the .bin files.
#include <normnet/normnet.hpp>

#include <exception>
#include <iostream>

using namespace normnet;

int main(int argc, char** argv) try {
  auto data = Cifar10::load(argc > 1 ? argv[1] : "data/cifar-10-batches-bin");
  Sequential<float> net;
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 16, .kernel_size = 3, .padding = 1}))
      .add(BatchNorm2d<float>(16))
      .add(ReLU<float>())
      .add(MaxPool2d<float>(2))
      .add(Conv2d<float>({.in_channels = 16, .out_channels = 32, .kernel_size = 3}))
      .add(GroupNorm<float>(8, 32))
      .add(ReLU<float>())
      .add(GlobalAvgPool2d<float>())
      .add(Linear<float>(32, 10));
  SGD<float> optimizer(net.parameters(), {.lr = 0.01, .momentum = 0.9});
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  trainer.fit(data.train, data.test, {.epochs = 20, .batch_size = 128});
  if (!std::cout.flush()) fail("cannot write to standard output");
} catch (const std::exception& error) {
  std::cerr << "quickstart: " << error.what() << "\n";
  return 1;
}
