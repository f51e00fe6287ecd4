// CrossEntropyLoss and NLLLoss against slow, obvious formulas, finite differences and their limits.
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <normnet/core/parallel.hpp>
#include <normnet/nn/cross_entropy_loss.hpp>
#include <normnet/nn/nll_loss.hpp>
#include <normnet/testing/gradient_check.hpp>

#include <cmath>
#include <limits>
#include <span>
#include <utility>
#include <vector>

using namespace normnet;

namespace {

constexpr int lanes = Batch<double>::lanes;
constexpr double infinity = std::numeric_limits<double>::infinity();

Tensor<double> random_logits(const Shape& shape, double scale = 3) {
  Tensor<double> x(shape);
  const Random random(7);
  for (Index i = 0; i < x.size(); ++i) x[i] = random.uniform(static_cast<std::uint64_t>(i), -scale, scale);
  return x;
}

std::vector<int> random_labels(Index images, int classes) {
  std::vector<int> labels;
  const Random random(8);
  for (Index n = 0; n < images; ++n) {
    labels.push_back(static_cast<int>(random.below(static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(classes))));
  }
  return labels;
}

Tensor<double> log_softmax(const Tensor<double>& x) {
  Tensor<double> y(x.shape());
  const Index classes = x.shape()[1];
  for (Index n = 0; n < x.shape()[0]; ++n) {
    double sum = 0;
    for (Index k = 0; k < classes; ++k) sum += std::exp(x[n * classes + k]);
    for (Index k = 0; k < classes; ++k) y[n * classes + k] = x[n * classes + k] - std::log(sum);
  }
  return y;
}

// As PyTorch puts it: the label's part and the smooth part, each reduced on its own.
double reference(const Tensor<double>& log_p, const std::vector<int>& labels, const CrossEntropyLoss<double>::Options& options) {
  const Index classes = log_p.shape()[1];
  const auto weight = [&](Index k) { return options.weight.empty() ? 1.0 : options.weight[static_cast<std::size_t>(k)]; };
  double of_labels = 0, smooth = 0, total_weight = 0;
  for (std::size_t n = 0; n < labels.size(); ++n) {
    if (labels[n] == options.ignore_index) continue;
    const double* row = log_p.data() + static_cast<Index>(n) * classes;
    of_labels -= weight(labels[n]) * row[labels[n]];
    total_weight += weight(labels[n]);
    for (Index k = 0; k < classes; ++k) smooth -= weight(k) * row[k];
  }
  const double divisor = options.reduction == Reduction::mean ? total_weight : 1;
  return (1 - options.label_smoothing) * of_labels / divisor +
         options.label_smoothing / static_cast<double>(classes) * smooth / divisor;
}

template <class L>
void check_error(L& loss, const Shape& shape, const std::vector<int>& labels, const std::string& message) {
  INFO(message);
  CHECK_THROWS_WITH(loss.forward(Batch<typename L::Scalar>(shape), labels), message);
}

}  // namespace

TEST_CASE("CrossEntropyLoss computes PyTorch's formula with every option, and its gradient") {
  const std::vector<double> weight{0.5, 2, 0, 1.25, 3};
  for (const auto& options : std::vector<CrossEntropyLoss<double>::Options>{
           {},
           {.reduction = Reduction::sum},
           {.label_smoothing = 0.1},
           {.label_smoothing = 1},
           {.weight = weight, .ignore_index = 3},
           {.weight = weight, .ignore_index = -1, .label_smoothing = 0.3},
           {.weight = weight, .ignore_index = 1, .reduction = Reduction::sum, .label_smoothing = 0.3}}) {
    CrossEntropyLoss<double> loss(options);
    for (const Shape& shape : {Shape{1, 5}, Shape{3, 5, 1, 1}, Shape{lanes + 1, 5}, Shape{2 * lanes + 3, 5, 1, 1}}) {
      const Tensor<double> x = random_logits(shape);
      std::vector<int> labels = random_labels(shape[0], 5);
      labels[0] = 0;  // one that counts
      if (shape[0] > 1) labels[1] = options.ignore_index >= 0 ? options.ignore_index : 4;
      INFO("shape " << shape << ", smoothing " << options.label_smoothing << ", ignored " << options.ignore_index);
      // One rounding for each of the few operations of an image, so far below 1e-14; the sums run over fewer than 40 images.
      CHECK(loss.forward(Batch<double>::from(x), labels) == Approx(reference(log_softmax(x), labels, options)).epsilon(1e-14));
      const auto result = gradient_check(loss, x, labels);
      INFO(result);
      CHECK(result.ok(1e-9));
    }
  }
}

TEST_CASE("NLLLoss reads the labels' log-probabilities, and its gradient is that of its formula") {
  const std::vector<double> weight{0.5, 2, 0.25, 1.25, 3};
  for (const auto& options :
       std::vector<NLLLoss<double>::Options>{{},
                                             {.reduction = Reduction::sum},
                                             {.weight = weight},
                                             {.weight = weight, .ignore_index = 2, .reduction = Reduction::sum}}) {
    NLLLoss<double> loss(options);
    for (const Shape& shape : {Shape{1, 5}, Shape{3, 5, 1, 1}, Shape{2 * lanes + 3, 5}}) {
      const Tensor<double> log_p = log_softmax(random_logits(shape));
      const std::vector<int> labels = random_labels(shape[0], 5);
      const double expected = reference(
          log_p, labels, {.weight = options.weight, .ignore_index = options.ignore_index, .reduction = options.reduction});
      // The same few additions.
      CHECK(loss.forward(Batch<double>::from(log_p), labels) == Approx(expected).epsilon(1e-14));
      const auto result = gradient_check(loss, log_p, labels);
      INFO(result);
      CHECK(result.ok(1e-9));
    }
  }
}

TEST_CASE("A loss's total is the sum over its images and the sum of their weights, for both reductions") {
  const Tensor<double> x = random_logits({lanes + 3, 5});
  std::vector<int> labels(static_cast<std::size_t>(lanes + 3), 3);  // ignored, but for four
  labels[0] = 1;
  labels[2] = 4;
  labels[3] = 2;
  labels.back() = 0;
  const std::vector<double> weight{0.5, 2, 0, 1.25, 3};
  using CrossEntropy = CrossEntropyLoss<double>;
  CrossEntropy mean({.weight = weight, .ignore_index = 3, .label_smoothing = 0.3});
  CrossEntropy sum({.weight = weight, .ignore_index = 3, .reduction = Reduction::sum, .label_smoothing = 0.3});
  NLLLoss<double> nll_mean({.weight = weight, .ignore_index = 3});
  NLLLoss<double> nll_sum({.weight = weight, .ignore_index = 3, .reduction = Reduction::sum});
  using Losses = std::pair<Loss<double>*, Loss<double>*>;
  for (const auto& [of_mean, of_sum] : {Losses{&mean, &sum}, Losses{&nll_mean, &nll_sum}}) {
    const double mean_loss = of_mean->forward(Batch<double>::from(x), labels);
    const double sum_loss = of_sum->forward(Batch<double>::from(x), labels);
    CHECK(of_mean->total().sum == sum_loss);
    CHECK(of_sum->total().sum == sum_loss);
    CHECK(of_mean->total().weight == 5.5);
    CHECK(of_sum->total().weight == 5.5);
    CHECK(mean_loss == sum_loss / 5.5);
    of_mean->forward(Batch<double>::from(x), std::vector<int>(labels.size(), 3));
    CHECK(of_mean->total().sum == 0);  // of the last batch, in which no image counts
    CHECK(of_mean->total().weight == 0);
  }
}

TEST_CASE("CrossEntropyLoss is the loss of the log-softmax, and log C for equal logits") {
  const Tensor<double> x = random_logits({lanes + 2, 7});
  const std::vector<int> labels = random_labels(lanes + 2, 7);
  CrossEntropyLoss<double> loss;
  const double of_log_softmax = NLLLoss<double>().forward(Batch<double>::from(log_softmax(x)), labels);
  // Both are a few roundings away from the exact value.
  CHECK(loss.forward(Batch<double>::from(x), labels) == Approx(of_log_softmax).epsilon(1e-14));
  Batch<double> equal({3, 10});
  equal.fill(2.5);
  // A logarithm, and a sum of three.
  CHECK(loss.forward(equal, std::vector<int>{0, 9, 4}) == Approx(std::log(10.0)).epsilon(1e-15));
}

TEST_CASE("CrossEntropyLoss is exact at logits of 1e4 in both directions") {
  const Batch<double> x = Batch<double>::from(Tensor<double>({3, 3}, {1e4, 0, -1e4, -1e4, 1e4, 1e4, 1e4, -1e4, -1e4}));
  CrossEntropyLoss<double> loss({.reduction = Reduction::sum});
  // Image 0 is sure and wrong by 2e4, image 1 undecided between two, image 2 sure and right: no term is smaller than a rounding
  // of the sum.
  CHECK(loss.forward(x, std::vector<int>{2, 1, 0}) == Approx(2e4 + std::log(2.0)).epsilon(1e-15));
  CHECK(loss.backward().to_tensor() == Tensor<double>({3, 3}, {1, 0, -1, 0, -0.5, 0.5, 0, 0, 0}));

  CrossEntropyLoss<float> in_float;
  const Batch<float> large = Batch<float>::from(Tensor<float>({1, 2}, {1e4f, -1e4f}));
  CHECK(in_float.forward(large, std::vector<int>{1}) == 2e4);
  CHECK(in_float.backward().to_tensor() == Tensor<float>({1, 2}, {1, -1}));
}

TEST_CASE("CrossEntropyLoss of a class of probability zero is infinite only where it counts") {
  const Batch<double> x = Batch<double>::from(Tensor<double>({1, 3}, {1, -infinity, 1}));
  CHECK(CrossEntropyLoss<double>().forward(x, std::vector<int>{0}) == Approx(std::log(2.0)).epsilon(1e-15));  // one logarithm
  CHECK(CrossEntropyLoss<double>().forward(x, std::vector<int>{1}) == infinity);
  CHECK(CrossEntropyLoss<double>({.label_smoothing = 0.1}).forward(x, std::vector<int>{0}) == infinity);
}

TEST_CASE("Losses hide no logit that is not a number") {
  const Batch<double> x = Batch<double>::from(Tensor<double>({2, 3}, {1, 2, 3, 1, std::nan(""), 1}));
  CHECK(std::isnan(CrossEntropyLoss<double>().forward(x, std::vector<int>{0, 0})));
  CHECK(std::isnan(NLLLoss<double>().forward(x, std::vector<int>{0, 1})));
}

TEST_CASE("Ignored images have no part in loss and gradient; if all are ignored, the mean is not a number and the sum 0") {
  const Tensor<double> x = random_logits({3, 4});
  const std::vector<int> none_counts{-100, -100, -100};
  CrossEntropyLoss<double> mean, sum({.reduction = Reduction::sum});
  NLLLoss<double> nll_mean, nll_sum({.reduction = Reduction::sum});
  for (Loss<double>* loss : std::vector<Loss<double>*>{&mean, &nll_mean}) {
    CHECK(std::isnan(loss->forward(Batch<double>::from(x), none_counts)));
    CHECK(loss->backward().to_tensor() == Tensor<double>({3, 4}));
  }
  for (Loss<double>* loss : std::vector<Loss<double>*>{&sum, &nll_sum}) {
    CHECK(loss->forward(Batch<double>::from(x), none_counts) == 0);
    CHECK(loss->backward().to_tensor() == Tensor<double>({3, 4}));
  }

  const Tensor<double> first({1, 4}, std::span<const double>(x.span().first(4)));
  for (Loss<double>* loss : std::vector<Loss<double>*>{&mean, &nll_mean}) {
    const double alone = loss->forward(Batch<double>::from(first), std::vector<int>{2});
    CHECK(loss->forward(Batch<double>::from(x), std::vector<int>{2, -100, -100}) == alone);

    // Nor do they, or other labels, keep anything of the batch before.
    const Tensor<double> gradient = loss->backward().to_tensor();
    loss->forward(Batch<double>::from(x), std::vector<int>{1, 3, 0});
    CHECK_FALSE(loss->backward().to_tensor() == gradient);
    loss->forward(Batch<double>::from(x), std::vector<int>{2, -100, -100});
    CHECK(loss->backward().to_tensor() == gradient);
    CHECK(gradient(1, 3) == 0);
  }
}

TEST_CASE("Losses reject what does not fit, and say so") {
  CrossEntropyLoss<float> cross_entropy;
  NLLLoss<float> nll;
  check_error(cross_entropy, {4, 10}, {0, 1, 2, 10}, "CrossEntropyLoss: expected labels in [0, 10), got 10 at position 3");
  check_error(nll, {2, 10}, {-1, 0}, "NLLLoss: expected labels in [0, 10), got -1 at position 0");
  check_error(cross_entropy, {4, 10}, {0, 1, 2}, "CrossEntropyLoss: expected 4 labels for predictions 4x10, got 3");
  check_error(nll, {4, 10, 1, 1}, {0, 1, 2, 3, 4}, "NLLLoss: expected 4 labels for predictions 4x10x1x1, got 5");
  check_error(cross_entropy, {4, 10, 2, 1}, {0, 1, 2, 3},
              "CrossEntropyLoss: expected predictions N x C or N x C x 1 x 1, got 4x10x2x1");
  CrossEntropyLoss<float> weighted({.weight = {1, 2, 3}});
  check_error(weighted, {1, 10}, {0}, "CrossEntropyLoss: expected 10 weights for predictions 1x10, got 3");
  CHECK_THROWS_WITH(NLLLoss<float>({.weight = {1, -0.5}}),
                    "NLLLoss: expected finite weights of at least 0, got -0.5 for class 1");
  CHECK_THROWS_WITH(NLLLoss<float>({.weight = {infinity}}),
                    "NLLLoss: expected finite weights of at least 0, got inf for class 0");
  CHECK_THROWS_WITH(CrossEntropyLoss<float>({.label_smoothing = 1.5}),
                    "CrossEntropyLoss: expected label_smoothing in [0, 1], got 1.5");
  CHECK_THROWS_AS(CrossEntropyLoss<float>({.label_smoothing = std::nan("")}), Error);
}

TEST_CASE("CrossEntropyLoss gives the same bits at any number of threads, in float and in double") {
  const Index images = 701;  // the blocks are worth several threads, the last is not full
  const std::vector<int> labels = random_labels(images, 10);
  const Tensor<double> x = random_logits({images, 10});
  Tensor<float> x_float(x.shape());
  for (Index i = 0; i < x.size(); ++i) x_float[i] = static_cast<float>(x[i]);

  CrossEntropyLoss<double> loss({.label_smoothing = 0.1});
  CrossEntropyLoss<float> loss_float({.label_smoothing = 0.1});
  set_num_threads(1);
  const double value = loss.forward(Batch<double>::from(x), labels);
  const double value_float = loss_float.forward(Batch<float>::from(x_float), labels);
  const Tensor<double> gradient = loss.backward().to_tensor();
  const Tensor<float> gradient_float = loss_float.backward().to_tensor();
  for (const int threads : test::thread_counts) {
    set_num_threads(threads);
    CHECK(loss.forward(Batch<double>::from(x), labels) == value);
    CHECK(loss.backward().to_tensor() == gradient);
    CHECK(loss_float.forward(Batch<float>::from(x_float), labels) == value_float);
    CHECK(loss_float.backward().to_tensor() == gradient_float);
  }
  set_num_threads(0);

  // The logits, at most 3, are rounded to float, and rounding errors of 701 images are independent.
  CHECK(value_float == Approx(value).epsilon(3e-8));
}
