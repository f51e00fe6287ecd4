// Loss, accuracy, confusion matrix and misclassified images, against counts by hand.
#include "support/catch.hpp"

#include <normnet/train/metrics.hpp>

#include <cmath>
#include <limits>
#include <vector>

using namespace normnet;

TEST_CASE("predicted_classes takes the greatest output, the first of equals, and never what is not a number") {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const Tensor<double> outputs({6, 3}, {0, 2, 1, 5, 5, 4, nan, -3, -2, -infinity, nan, -1, 7, 1, infinity, nan, nan, nan});
  const std::vector<int> expected{1, 0, 2, 2, 2, 0};
  CHECK(predicted_classes(Batch<double>::from(outputs)) == expected);
  CHECK(predicted_classes(Batch<double>::from(outputs.reshaped({6, 3, 1, 1}))) == expected);
  CHECK_THROWS_WITH(predicted_classes(Batch<float>({2, 3, 2, 1})),
                    "predicted_classes: expected outputs N x C or N x C x 1 x 1 with at least one class, got 2x3x2x1");
}

TEST_CASE("predicted_classes names every image of several blocks") {
  const Index images = 2 * Batch<float>::lanes + 3;
  Batch<float> outputs({images, 5});
  std::vector<int> expected;
  for (Index n = 0; n < images; ++n) {
    expected.push_back(static_cast<int>(3 * n % 5));
    outputs.set(n, expected.back(), 0, 0, 0.5f);
  }
  CHECK(predicted_classes(outputs) == expected);
}

TEST_CASE("RunningMetrics weighs every image as the loss does, whatever the batches") {
  RunningMetrics metrics;
  CHECK(metrics.images() == 0);
  CHECK(std::isnan(metrics.loss()));
  CHECK(std::isnan(metrics.accuracy()));
  metrics.add(Batch<float>::from(Tensor<float>({3, 2}, {1, 0, 0, 1, 1, 0})), std::vector<int>{0, 1, 1}, {.sum = 6, .weight = 3});
  metrics.add(Batch<float>::from(Tensor<float>({1, 2}, {0, 1})), std::vector<int>{0}, {.sum = 4, .weight = 1});
  CHECK(metrics.images() == 4);
  CHECK(metrics.loss() == 2.5);
  CHECK(metrics.accuracy() == 50);
  metrics.add(Batch<float>::from(Tensor<float>({2, 2}, {0, 1, 0, 1})), std::vector<int>{1, 1}, {.sum = 2, .weight = 0.5});
  CHECK(metrics.images() == 6);
  CHECK(metrics.loss() == 12 / 4.5);
  CHECK(metrics.accuracy() == Approx(400.0 / 6).epsilon(1e-15));                          // one division
  metrics.add(Batch<float>({3, 2}), std::vector<int>{1, 1, 1}, {.sum = 0, .weight = 0});  // none that the loss counts
  CHECK(metrics.loss() == 12 / 4.5);
  CHECK_THROWS_WITH(metrics.add(Batch<float>({3, 2}), std::vector<int>{0, 1}, LossTotal{}),
                    "RunningMetrics: expected 3 labels for outputs 3x2, got 2");
  CHECK(metrics.images() == 9);
}

TEST_CASE("ConfusionMatrix counts labels in rows and predictions in columns") {
  ConfusionMatrix matrix(4);
  matrix.add(std::vector<int>{0, 0, 0, 1, 2, 2}, std::vector<int>{0, 0, 2, 1, 1, 0});
  matrix.add(2, 2);
  CHECK(matrix.classes() == 4);
  CHECK(matrix.count(0, 2) == 1);
  CHECK(matrix.count(2, 0) == 1);
  CHECK(matrix.count(2, 1) == 1);
  CHECK(matrix.count(1, 2) == 0);
  CHECK(matrix.images(0) == 3);
  CHECK(matrix.images() == 7);
  CHECK(matrix.accuracy(0) == Approx(200.0 / 3).epsilon(1e-15));  // one division
  CHECK(matrix.accuracy(1) == 100);
  CHECK(matrix.accuracy() == Approx(400.0 / 7).epsilon(1e-15));  // one division
  CHECK(std::isnan(matrix.accuracy(3)));
  CHECK_THROWS_WITH(matrix.add(0, 4), "ConfusionMatrix: expected classes in [0, 4), got 4");
  CHECK_THROWS_WITH(matrix.add(-1, 0), "ConfusionMatrix: expected classes in [0, 4), got -1");
  CHECK_THROWS_WITH(matrix.add(std::vector<int>{1, 2}, std::vector<int>{1}),
                    "ConfusionMatrix: expected 2 predictions for as many labels, got 1");
  CHECK_THROWS_WITH(ConfusionMatrix(0), "ConfusionMatrix: expected at least 1 class, got 0");
}

TEST_CASE("misclassified lists the first wrong images in order") {
  const std::vector<int> labels{3, 1, 4, 1, 5, 9}, predicted{3, 2, 4, 0, 5, 8};
  const std::vector<Misclassified> all{{1, 1, 2}, {3, 1, 0}, {5, 9, 8}};
  CHECK(misclassified(labels, predicted) == all);
  CHECK(misclassified(labels, predicted, 2) == std::vector<Misclassified>(all.begin(), all.begin() + 2));
  CHECK(misclassified(labels, predicted, 0).empty());
  CHECK(misclassified(labels, labels).empty());
  CHECK_THROWS_WITH(misclassified(labels, std::vector<int>{1}),
                    "misclassified: expected 6 predictions for as many labels, got 1");
  CHECK_THROWS_WITH(misclassified(labels, predicted, -1), "misclassified: expected a limit of at least 0, got -1");
}
