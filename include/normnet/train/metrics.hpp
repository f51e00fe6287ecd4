// What a network gets right and wrong: loss and accuracy, the confusion matrix, the misclassified images.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/core/error.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/nn/loss.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace normnet {

/// Counts how often images of class `label` were taken for class `predicted`: one row for each label, one column for each
/// prediction.
class ConfusionMatrix {
 public:
  /// Throws Error when there is no class.
  explicit ConfusionMatrix(Index classes) : classes_(classes) {
    if (classes < 1) fail("ConfusionMatrix: expected at least 1 class, got ", classes);
    counts_.resize(static_cast<std::size_t>(classes * classes), 0);
  }

  /// Counts one image. Throws Error when a class is out of range.
  void add(int label, int predicted) { ++counts_[offset(label, predicted)]; }

  /// Counts many. Throws Error when the numbers differ or a class is out of range.
  void add(std::span<const int> labels, std::span<const int> predicted) {
    if (labels.size() != predicted.size()) {
      fail("ConfusionMatrix: expected ", labels.size(), " predictions for as many labels, got ", predicted.size());
    }
    for (std::size_t i = 0; i < labels.size(); ++i) add(labels[i], predicted[i]);
  }

  Index classes() const { return classes_; }

  /// The images of class `label` that were taken for `predicted`. Throws Error when a class is out of range.
  std::int64_t count(int label, int predicted) const { return counts_[offset(label, predicted)]; }

  /// The images of a class, and of all classes.
  std::int64_t images(int label) const {
    std::int64_t total = 0;
    for (int predicted = 0; predicted < classes_; ++predicted) total += count(label, predicted);
    return total;
  }
  std::int64_t images() const {
    std::int64_t total = 0;
    for (const std::int64_t count : counts_) total += count;
    return total;
  }

  /// The share of a class's images (its recall), or of all images, that were right, in percent; not a number where there are
  /// none.
  double accuracy(int label) const { return percent(count(label, label), images(label)); }
  double accuracy() const {
    std::int64_t right = 0;
    for (int label = 0; label < classes_; ++label) right += count(label, label);
    return percent(right, images());
  }

 private:
  static double percent(std::int64_t part, std::int64_t whole) {
    return whole == 0 ? std::numeric_limits<double>::quiet_NaN() : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
  }

  std::size_t offset(int label, int predicted) const {
    for (const int value : {label, predicted}) {
      if (value < 0 || value >= classes_) fail("ConfusionMatrix: expected classes in [0, ", classes_, "), got ", value);
    }
    return static_cast<std::size_t>(label * classes_ + predicted);
  }

  Index classes_;
  std::vector<std::int64_t> counts_;
};

/// An image that was taken for another class.
struct Misclassified {
  Index index = 0;  ///< in the data set
  int label = 0;
  int predicted = 0;

  friend bool operator==(const Misclassified&, const Misclassified&) = default;
};

/// The first `limit` images whose predicted class is not their label, in the order given. Throws Error when there are not as
/// many predictions as labels, or limit is negative.
inline std::vector<Misclassified> misclassified(std::span<const int> labels, std::span<const int> predicted,
                                                Index limit = std::numeric_limits<Index>::max()) {
  if (labels.size() != predicted.size()) {
    fail("misclassified: expected ", labels.size(), " predictions for as many labels, got ", predicted.size());
  }
  if (limit < 0) fail("misclassified: expected a limit of at least 0, got ", limit);
  std::vector<Misclassified> result;
  for (std::size_t i = 0; i < labels.size() && static_cast<Index>(result.size()) < limit; ++i) {
    if (predicted[i] != labels[i]) result.push_back({static_cast<Index>(i), labels[i], predicted[i]});
  }
  return result;
}

}  // namespace normnet

namespace normnet::inline NORMNET_ABI {

/// The class of the greatest output of each image, for outputs N x C or N x C x 1 x 1; the first of equals. What is not a
/// number is never the greatest. Throws Error when the outputs have other shapes or no class.
template <class T>
std::vector<int> predicted_classes(const Batch<T>& outputs) {
  if (outputs.plane() != 1 || outputs.channels() < 1) {
    fail("predicted_classes: expected outputs N x C or N x C x 1 x 1 with at least one class, got ", outputs.shape());
  }
  std::vector<int> classes(static_cast<std::size_t>(outputs.images()));
  for (Index n = 0; n < outputs.images(); ++n) {
    Index best = 0;
    T greatest = -std::numeric_limits<T>::infinity();
    for (Index k = 0; k < outputs.channels(); ++k) {
      const T output = outputs.at(n, k);
      if (output > greatest) {
        greatest = output;
        best = k;
      }
    }
    classes[static_cast<std::size_t>(n)] = static_cast<int>(best);
  }
  return classes;
}

/// The mean loss and the accuracy over the images so far. But for rounding, neither depends on how the images fall into batches,
/// nor on the loss's reduction.
class RunningMetrics {
 public:
  /// All that it knows, for checkpoints: a copy that is made of it goes on with the same bits.
  struct Counts {
    Index images = 0;
    Index right = 0;
    LossTotal loss{};
  };

  RunningMetrics() = default;
  explicit RunningMetrics(const Counts& counts) : counts_(counts) {}

  const Counts& counts() const { return counts_; }

  /// Counts a batch, whose loss is that of `loss.total()`. Throws Error when the labels are not as many as the images, or
  /// predicted_classes() does.
  template <class T>
  void add(const Batch<T>& outputs, std::span<const int> labels, LossTotal loss) {
    if (static_cast<Index>(labels.size()) != outputs.images()) {
      fail("RunningMetrics: expected ", outputs.images(), " labels for outputs ", outputs.shape(), ", got ", labels.size());
    }
    const std::vector<int> predicted = predicted_classes(outputs);
    for (std::size_t n = 0; n < labels.size(); ++n) counts_.right += predicted[n] == labels[n];
    counts_.images += outputs.images();
    counts_.loss.sum += loss.sum;
    counts_.loss.weight += loss.weight;
  }

  Index images() const { return counts_.images; }

  /// The mean over the images, weighted as in the loss; not a number without any that counts.
  double loss() const { return counts_.loss.sum / counts_.loss.weight; }

  /// The share of images predicted right, in percent; not a number without any.
  double accuracy() const { return 100.0 * static_cast<double>(counts_.right) / static_cast<double>(counts_.images); }

 private:
  Counts counts_;
};

}  // namespace normnet::inline NORMNET_ABI
