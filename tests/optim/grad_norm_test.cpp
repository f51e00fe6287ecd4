// grad_norm() and clip_grad_norm() against figures by hand and PyTorch's.
#include "support/catch.hpp"

#include <normnet/optim/grad_norm.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace normnet;

namespace {

/// Two parameters with the gradients (3, 4) and (12): of norms 5, 12 and 13.
template <class T>
struct Model {
  Parameter<T> a{Shape{1, 2}}, b{Shape{1}};

  Model() {
    a.grad = Tensor<T>({1, 2}, {3, 4});
    b.grad = Tensor<T>({1}, {12});
  }

  std::vector<NamedParameter<T>> parameters() { return {{"a", &a}, {"b", &b}}; }
  std::vector<T> gradients() const { return {a.grad[0], a.grad[1], b.grad[0]}; }
};

constexpr double infinity = std::numeric_limits<double>::infinity(), not_a_number = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("The norm of gradients, of each and of all", "[optim]") {
  Model<float> model;
  CHECK(grad_norm(model.a) == 5);
  CHECK(grad_norm(model.b) == 12);
  CHECK(grad_norm(model.parameters()) == 13);
  CHECK(grad_norm(std::vector<NamedParameter<float>>{}) == 0);

  // In double: in float, the squares overflow, and a million small ones are lost beside a large one.
  model.a.grad = Tensor<float>({1, 2}, {3e30f, 4e30f});
  CHECK(grad_norm(model.a) == Approx(5e30).epsilon(1e-7));  // what float rounds
  Parameter<float> many(Shape{1'000'001});
  many.grad.fill(0x1p-12f);
  many.grad[0] = 1;
  CHECK(grad_norm(many) == std::sqrt(1 + 1e6 * 0x1p-24));  // sums without rounding
}

TEST_CASE("Clipped gradients are those of PyTorch", "[optim]") {
  // torch.nn.utils.clip_grad_norm_([a, b], max_norm), PyTorch 1.13, in float64.
  struct Case {
    double max_norm;
    std::vector<double> expected;
  };
  const std::vector<Case> cases{{infinity, {3, 4, 12}},
                                {26, {3, 4, 12}},
                                {13, {0x1.7ffffe106d48ap+1, 0x1.fffffd6b3c60dp+1, 0x1.7ffffe106d48ap+3}},
                                {6.5, {0x1.7ffffe106d48ap+0, 0x1.fffffd6b3c60dp+0, 0x1.7ffffe106d48ap+2}},
                                {1, {0x1.d89d8776ade34p-3, 0x1.3b13afa473ecdp-2, 0x1.d89d8776ade34p-1}},
                                {0, {0, 0, 0}}};
  for (const auto& [max_norm, expected] : cases) {
    INFO("max_norm " << max_norm);
    Model<double> model;
    CHECK(clip_grad_norm(model.parameters(), max_norm) == 13);
    CHECK(model.gradients() == expected);
    Model<float> in_float;
    CHECK(clip_grad_norm(in_float.parameters(), max_norm) == 13);
    for (std::size_t i = 0; i < 3; ++i) {
      // The scale and the product are rounded to float, 6e-8 each.
      CHECK(in_float.gradients()[i] == Approx(expected[i]).epsilon(1.2e-7).margin(0));
    }
  }
}

TEST_CASE("Gradients that are not finite are not clipped", "[optim]") {
  Model<float> model;
  model.b.grad[0] = static_cast<float>(not_a_number);
  CHECK_THROWS_WITH(clip_grad_norm(model.parameters(), 1), "clip_grad_norm: the gradient of \"b\" is not finite");
  CHECK(model.a.grad == Tensor<float>({1, 2}, {3, 4}));
  CHECK(std::isnan(grad_norm(model.parameters())));
  Model<double> huge;
  huge.a.grad = Tensor<double>({1, 2}, {1e154, 0});  // finite, and so is each norm, but not that of both
  huge.b.grad[0] = 1e154;
  CHECK_THROWS_WITH(clip_grad_norm(huge.parameters(), 1), "clip_grad_norm: the norm of the gradients is not finite");
  for (const double max_norm : {-1.0, not_a_number}) CHECK_THROWS_AS(clip_grad_norm(model.parameters(), max_norm), Error);
}
