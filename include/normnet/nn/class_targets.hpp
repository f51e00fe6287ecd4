// The labels of a batch as targets of a loss: which count, how much, and what is wrong with them.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/error.hpp>
#include <normnet/core/in_use.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/nn/loss.hpp>

#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace normnet {

/// How the losses of the images become the loss of the batch.
enum class Reduction {
  mean,  ///< their sum over the sum of the labels' weights, of the images that count
  sum    ///< their sum
};

/// What CrossEntropyLoss and NLLLoss share: both are
///
///     loss = -sum over n, k of q[n, k] * log p[n, k]
///     q[n, k] = ((1 - s) * [k = label[n]] + s / C) * weight[k] / W      (0 where label[n] = ignore_index)
///
/// with s the label smoothing (Szegedy et al., 2016, https://arxiv.org/abs/1512.00567) and W the sum of weight[label[n]] over the
/// images that count, or 1 for Reduction::sum. Without smoothing, q[n, k] is zero but at the label.
class ClassTargets {
 public:
  /// `loss` is the loss's name in errors; no weights stand for ones. Throws Error when a weight is negative or not finite, or the
  /// smoothing is outside [0, 1].
  ClassTargets(std::string loss, std::vector<double> weight, int ignore_index, Reduction reduction, double label_smoothing)
      : loss_(std::move(loss)),
        weight_(std::move(weight)),
        ignore_index_(ignore_index),
        reduction_(reduction),
        label_smoothing_(label_smoothing) {
    for (std::size_t k = 0; k < weight_.size(); ++k) {
      if (!(weight_[k] >= 0) || std::isinf(weight_[k])) {
        fail(loss_, ": expected finite weights of at least 0, got ", weight_[k], " for class ", k);
      }
    }
    if (!(label_smoothing >= 0 && label_smoothing <= 1)) {
      fail(loss_, ": expected label_smoothing in [0, 1], got ", label_smoothing);
    }
  }

  /// What it was made with.
  NamedOptions named_options() const {
    using normnet_impl::exact_text;
    return {{"weight", exact_text(weight_)},
            {"ignore_index", exact_text(ignore_index_)},
            {"reduction", reduction_ == Reduction::mean ? "mean" : "sum"},
            {"label_smoothing", exact_text(label_smoothing_)}};
  }

  /// Takes the labels of a batch of predictions of the given shape. Throws Error when the shape is neither N x C nor N x C x 1
  /// x 1, the labels are not N, or one is neither in [0, C) nor ignore_index.
  void assign(const Shape& prediction, std::span<const int> labels) {
    const bool plane = prediction.rank() == 4 && prediction[2] == 1 && prediction[3] == 1;
    if (prediction.rank() != 2 && !plane) fail(loss_, ": expected predictions N x C or N x C x 1 x 1, got ", prediction);
    const Index images = prediction[0];
    const Index classes = prediction[1];
    if (!weight_.empty() && static_cast<Index>(weight_.size()) != classes) {
      fail(loss_, ": expected ", classes, " weights for predictions ", prediction, ", got ", weight_.size());
    }
    if (static_cast<Index>(labels.size()) != images) {
      fail(loss_, ": expected ", images, " labels for predictions ", prediction, ", got ", labels.size());
    }
    for (std::size_t n = 0; n < labels.size(); ++n) {
      if (labels[n] != ignore_index_ && (labels[n] < 0 || labels[n] >= classes)) {
        fail(loss_, ": expected labels in [0, ", classes, "), got ", labels[n], " at position ", n);
      }
    }
    labels_ = AlignedArray<int>(labels);
    classes_ = classes;
    total_ = {};
    for (const int label : labels) {
      if (label != ignore_index_) total_.weight += weight(label);
    }
  }

  /// For a pass of the loss, as long as it lives. Throws Error when another one is under way.
  normnet_impl::InUse::Scope begin_use() {
    return {in_use_, [this] { return loss_; }, "loss of its own"};
  }

  int label(Index n) const { return labels_[n]; }

  /// Whether image n counts.
  bool counts(Index n) const { return label(n) != ignore_index_; }

  /// q[n, k]; asked only for images that count.
  double target(Index n, Index k) const {
    const double smooth = label_smoothing_ / static_cast<double>(classes_);
    return ((k == label(n) ? 1 - label_smoothing_ : 0) + smooth) * weight(k) / divisor();
  }

  /// The part of image n in the loss times W, for log_probability(k) = log p[n, k]; asked only for images that count.
  template <class F>
  double image_loss(Index n, F log_probability) const {
    double loss = -(1 - label_smoothing_) * weight(label(n)) * log_probability(label(n));
    if (label_smoothing_ > 0) {  // else classes of probability zero stay out of it
      double smooth_loss = 0;
      for (Index k = 0; k < classes_; ++k) smooth_loss -= weight(k) * log_probability(k);
      loss += label_smoothing_ / static_cast<double>(classes_) * smooth_loss;
    }
    return loss;
  }

  /// The loss of the batch, from image_loss() of all its images, zero for those that do not count; added in the images' order,
  /// which keeps it free of the threads' number.
  double reduce(std::span<const double> image_losses) {
    total_.sum = 0;
    for (const double loss : image_losses) total_.sum += loss;
    return total_.sum / divisor();
  }

  /// What the last reduce() added up, and the sum of weight[label[n]] over the images that count; both for either reduction.
  LossTotal total() const { return total_; }

 private:
  // W.
  double divisor() const { return reduction_ == Reduction::mean ? total_.weight : 1; }
  double weight(Index k) const { return weight_.empty() ? 1.0 : weight_[static_cast<std::size_t>(k)]; }

  std::string loss_;
  std::vector<double> weight_;
  int ignore_index_;
  Reduction reduction_;
  double label_smoothing_;
  AlignedArray<int> labels_;
  Index classes_ = 0;
  LossTotal total_;
  normnet_impl::InUse in_use_;  // by a pass
};

}  // namespace normnet
