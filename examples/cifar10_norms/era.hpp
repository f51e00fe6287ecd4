// The recipe "era".
#pragma once

#include "recipe.hpp"

namespace cifar10_norms {

/// Ten convolutions of 3x3 and 1x1, and one that makes the classes of what is left:
///
///     conv1 conv2 trans3 pool1 | conv4 conv5 conv6 trans7 pool2 | conv8 conv9 conv10 gap trans11
///
/// Every 3x3 convolution is followed by ReLU, the normalization and dropout; the 1x1 "transitions" by nothing. No convolution has
/// a bias. 39,490 parameters with any normalization.
inline normnet::Sequential<float> era_network(const Norm& norm, std::uint64_t seed) {
  using namespace normnet;
  constexpr Index groups = 2;  // of group norm
  constexpr double dropout = 0.1;
  Sequential<float> net(seed);

  const auto block = [&](int number, Index in_channels, Index out_channels, Index padding) {
    const std::string n = std::to_string(number);
    net.add(Conv2d<float>(
                {.in_channels = in_channels, .out_channels = out_channels, .kernel_size = 3, .padding = padding, .bias = false}),
            "conv" + n);
    net.add(ReLU<float>(), "relu" + n);
    add_norm(net, norm, out_channels, groups, "norm" + n);
    net.add(Dropout<float>(dropout), "drop" + n);
  };
  const auto transition = [&](int number, Index in_channels, Index out_channels) {
    net.add(Conv2d<float>({.in_channels = in_channels, .out_channels = out_channels, .kernel_size = 1, .bias = false}),
            "trans" + std::to_string(number));
  };

  block(1, 3, 10, 0);   // 32 x 32 -> 30 x 30
  block(2, 10, 20, 0);  // -> 28 x 28
  transition(3, 20, 10);
  net.add(MaxPool2d<float>(2), "pool1");  // -> 14 x 14

  block(4, 10, 20, 1);
  block(5, 20, 30, 1);
  block(6, 30, 40, 1);
  transition(7, 40, 10);
  net.add(MaxPool2d<float>(2), "pool2");  // -> 7 x 7

  block(8, 10, 20, 0);   // -> 5 x 5
  block(9, 20, 30, 0);   // -> 3 x 3
  block(10, 30, 40, 0);  // -> 1 x 1
  net.add(AvgPool2d<float>(1), "gap");
  transition(11, 40, 10);
  return net;
}

/// 20 epochs of plain SGD without augmentation.
inline Recipe era() {
  return {
      .name = "era",
      .description = "ten convolutions, dropout 0.1, constant learning rate",
      .network = era_network,
      .normalize = {.mean = {0.5}, .std = {0.5}},
      .augment = {},
      .epochs = 20,
      .batch_size = 128,
      .learning_rate = 0.01,
      .momentum = 0.9,
      .published = {{"bn", {.train = 74.53, .test = 74.71, .epoch = 20}},
                    {"gn", {.train = 72.95, .test = 72.93, .epoch = 20}},
                    {"ln", {.train = 72.99, .test = 73.42, .epoch = 20}}},
  };
}

}  // namespace cifar10_norms
