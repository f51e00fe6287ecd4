// One training step of a small network, compiled anew, for the flags of its own, in every translation unit that includes it.
#pragma once

#include <normnet/normnet.hpp>

#include <string>
#include <vector>

/// The result of one_step() in terms that do not depend on the SIMD width.
struct StepResult {
  std::string simd;           // the instruction set that computed it
  std::vector<float> values;  // the network's output, then the gradients of its parameters
};

namespace {

/// A forward and a backward pass through both convolution algorithms, norms, pooling and a linear layer.
StepResult one_step() {
  using namespace normnet;
  Sequential<float> net(/*seed=*/7);
  net.add(
         Conv2d<float>({.in_channels = 3, .out_channels = 6, .kernel_size = 3, .padding = 1, .algorithm = ConvAlgorithm::direct}))
      .add(BatchNorm2d<float>(6))
      .add(ReLU<float>())
      .add(MaxPool2d<float>(2))
      .add(Conv2d<float>({.in_channels = 6, .out_channels = 8, .kernel_size = 3, .algorithm = ConvAlgorithm::im2col}))
      .add(GroupNorm<float>(2, 8))
      .add(GlobalAvgPool2d<float>())
      .add(Linear<float>(8, 10));

  Tensor<float> images({5, 3, 12, 8});
  for (Index i = 0; i < images.size(); ++i) images[i] = static_cast<float>((i * 37) % 101) / 50.0f - 1.0f;
  const Batch<float> batch = Batch<float>::from(images);
  const Tensor<float> output = net.forward(batch).to_tensor();
  net.backward(Batch<float>::from(output));  // the gradient of half the squared output

  StepResult result{std::string(simd_name), {output.span().begin(), output.span().end()}};
  for (const auto& [name, parameter] : net.parameters()) {
    const auto gradient = parameter->grad.span();
    result.values.insert(result.values.end(), gradient.begin(), gradient.end());
  }
  return result;
}

}  // namespace
