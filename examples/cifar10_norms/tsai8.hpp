// The recipes "tsai8" and "tsai8_head".
#pragma once

#include "recipe.hpp"

namespace cifar10_norms {

/// Ten convolutions with biases, every one, the 1x1 "transitions" included, followed by the normalization and ReLU:
///
///     conv1 conv2 trans3 pool1 | conv4 conv5 conv6 trans7 pool2 | conv8 conv9 conv10 gap (head)
///
/// As its authors ran it, the 32 pooled channels are the outputs, of which ten are ever right: 52,960 parameters. The head, a
/// 1x1 convolution to ten classes, stood in their text and was never applied: with it, 53,290.
///
/// Their network for layer norm is another: nothing is normalized before the one LayerNorm(32) behind the pooling, conv1 has 32
/// channels in place of 16, and the head is applied. 57,866 parameters. "ln_body" puts layer norm where the other networks have
/// their norms, so that the two placements can be compared.
inline normnet::Sequential<float> tsai8_network(const Norm& norm, std::uint64_t seed, bool with_head) {
  using namespace normnet;
  constexpr Index groups = 8;  // of group norm
  const bool only_at_the_end = norm.kind == Norm::Kind::layer;
  const Index first_channels = only_at_the_end ? 32 : 16;
  Sequential<float> net(seed);

  const auto block = [&](const std::string& type, int number, Index in_channels, Index out_channels, Index kernel_size) {
    const std::string n = std::to_string(number);
    net.add(
        Conv2d<float>(
            {.in_channels = in_channels, .out_channels = out_channels, .kernel_size = kernel_size, .padding = kernel_size / 2}),
        type + n);
    if (!only_at_the_end) add_norm(net, norm, out_channels, groups, "norm" + n);
    net.add(ReLU<float>(), "relu" + n);
  };

  block("conv", 1, 3, first_channels, 3);  // 32 x 32
  block("conv", 2, first_channels, 32, 3);
  block("trans", 3, 32, 16, 1);
  net.add(MaxPool2d<float>(2), "pool1");  // -> 16 x 16

  block("conv", 4, 16, 32, 3);
  block("conv", 5, 32, 32, 3);
  block("conv", 6, 32, 32, 3);
  block("trans", 7, 32, 16, 1);
  net.add(MaxPool2d<float>(2), "pool2");  // -> 8 x 8

  block("conv", 8, 16, 32, 3);
  block("conv", 9, 32, 32, 3);
  block("conv", 10, 32, 32, 3);
  net.add(GlobalAvgPool2d<float>(), "gap");  // -> 1 x 1
  net.add(Flatten<float>(), "flatten");
  if (only_at_the_end) net.add(LayerNorm<float>(32), "norm11");
  if (only_at_the_end || with_head) net.add(Linear<float>(32, 10), "head");
  return net;
}

/// 11 epochs of plain SGD without augmentation: as many as the longest of the published runs.
inline Recipe tsai8() {
  return {
      .name = "tsai8",
      .description = "ten convolutions, 32 outputs for 10 classes as published, constant learning rate",
      .network = [](const Norm& norm, std::uint64_t seed) { return tsai8_network(norm, seed, /*with_head=*/false); },
      .norms = {"bn", "gn", "ln", "ln_body"},
      .own_norms = {{.kind = Norm::Kind::group, .groups = 1, .name = "ln_body", .label = "LN in the body"}},
      .normalize = {.mean = {0.4914, 0.4822, 0.4465}, .std = {0.247, 0.243, 0.261}},
      .augment = {},
      .epochs = 11,
      .published = {{"bn", {.train = 80.47, .test = 72.66, .epoch = 9}},
                    {"gn", {.train = 73.52, .test = 70.55, .epoch = 11}},
                    {"ln", {.test = 52.27, .epoch = 9}}},
  };
}

/// The same with the head that its text describes: what the published runs might have been. The network for layer norm alone had
/// a head already; it is with tsai8.
inline Recipe tsai8_head() {
  Recipe recipe = tsai8();
  recipe.name = "tsai8_head";
  recipe.description = "tsai8 with the head that its text describes, constant learning rate";
  recipe.network = [](const Norm& norm, std::uint64_t seed) { return tsai8_network(norm, seed, /*with_head=*/true); };
  recipe.norms = {"bn", "gn", "ln_body"};
  recipe.published.clear();
  return recipe;
}

}  // namespace cifar10_norms
