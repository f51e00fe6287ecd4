// The small program whose compile time compile_time.sh measures.
#include <normnet/normnet.hpp>

using namespace normnet;

int main() {  // NOLINT(bugprone-exception-escape): as short as a first program
  const Cifar10 data = synthetic_cifar10({.train = 256, .test = 128});
  Sequential<float> net;
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 16, .kernel_size = 3, .padding = 1}))
      .add(BatchNorm2d<float>(16))
      .add(ReLU<float>())
      .add(MaxPool2d<float>(2))
      .add(GlobalAvgPool2d<float>())
      .add(Linear<float>(16, 10));
  SGD<float> optimizer(net.parameters(), {.lr = 0.01, .momentum = 0.9});
  Trainer<float>(net, optimizer, CrossEntropyLoss<float>()).fit(data.train, data.test, {.epochs = 1});
}
