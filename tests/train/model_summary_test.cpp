// Tests of train/model_summary.hpp.
#include "support/catch.hpp"

#include <normnet/nn/activation.hpp>
#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/nn/residual.hpp>
#include <normnet/train/model_summary.hpp>

#include <string>
#include <utility>
#include <vector>

using namespace normnet;

TEST_CASE("the summary of a nested model, to the letter", "[train]") {
  Sequential<float> body;
  body.add(Conv2d<float>({.in_channels = 4, .out_channels = 4, .kernel_size = 3, .padding = 1}), "conv").add(ReLU<float>());
  Sequential<float> inner;
  inner.add(Residual<float>(std::move(body)), "res").add(BatchNorm2d<float>(4), "norm");
  Sequential<float> net;
  net.add(Conv2d<float>({.in_channels = 1, .out_channels = 4, .kernel_size = {2, 3}, .bias = false}), "conv1");
  net.add(std::move(inner), "block");
  net.add(Conv2d<float>({.in_channels = 4, .out_channels = 1200, .kernel_size = {4, 6}}), "conv2")
      .add(Linear<float>(1200, 3), "fc");

  const ModelSummary summary(net, {1, 5, 8});
  CHECK(summary.to_string() ==
        "Layer       Type         Output shape   Params  Multiply-adds\n"
        "=============================================================\n"
        "conv1       Conv2d              4x4x6       24            576\n"
        "block       Sequential          4x4x6      156          3,456\n"
        "  res       Residual            4x4x6      148          3,456\n"
        "    body    Sequential          4x4x6      148          3,456\n"
        "      conv  Conv2d              4x4x6      148          3,456\n"
        "      1     ReLU                4x4x6        0              0\n"
        "  norm      BatchNorm2d         4x4x6        8              0\n"
        "conv2       Conv2d           1200x1x1  116,400        115,200\n"
        "fc          Linear                  3    3,603          3,600\n"
        "=============================================================\n"
        "Total params: 120,183\n"
        "Trainable params: 120,183\n"
        "Non-trainable params: 0\n"
        "Total multiply-adds: 122,832\n"
        "-------------------------------------------------------------\n"
        "Input size (MB): 0.00\n"
        "Forward/backward pass size (MB): 0.01\n"
        "Params size (MB): 0.46\n"
        "Estimated Total Size (MB): 0.47\n");
  CHECK(summary.parameters() == 120183);
  CHECK(summary.multiply_adds() == 122832);
  // Five outputs of 4x4x6 (the residual's sum is one), then 1200 and 3 values, each twice, of four bytes.
  CHECK(summary.pass_mb() == 2.0 * (5 * 96 + 1203) * 4 / (1 << 20));
  CHECK(summary.input_mb() == 40.0 * 4 / (1 << 20));
}

TEST_CASE("a projection stands within its residual connection, after the body", "[train]") {
  Sequential<float> body, projection, net;
  body.add(ReLU<float>());
  projection.add(Conv2d<float>({.in_channels = 2, .out_channels = 2}), "conv");
  net.add(Residual<float>(std::move(body), std::move(projection)), "res");
  const ModelSummary summary(net, {2, 3, 5});
  std::vector<std::string> names;
  for (const ModelSummary::Row& row : summary.rows())
    names.push_back(std::string(static_cast<std::size_t>(row.depth), ' ') + row.name);
  CHECK(names == std::vector<std::string>{"res", " body", "  0", " projection", "  conv"});
  CHECK(summary.parameters() == 6);
}

TEST_CASE("the summary of a model that cannot take the images is an error", "[train]") {
  Sequential<float> net;
  net.add(Linear<float>(12, 3), "fc");
  CHECK(ModelSummary(net, {12}).parameters() == 39);
  CHECK_THROWS_WITH(ModelSummary(net, {13}), "Linear \"fc\": expected 12 input features, got 13 (input 1x13)");
}
