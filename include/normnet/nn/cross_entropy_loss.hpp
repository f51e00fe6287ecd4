// The cross-entropy of softmax probabilities: the loss of classification.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/parallel.hpp>
#include <normnet/nn/class_targets.hpp>
#include <normnet/nn/loss.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// The cross-entropy between the softmax of the predictions and the labels, LogSoftmax and NLLLoss in one:
///
///     log p[n, k] = x[n, k] - log(sum over j of exp(x[n, j]))
///     loss = -sum over n, k of q[n, k] * log p[n, k]
///     q[n, k] = ((1 - label_smoothing) * [k = label[n]] + label_smoothing / C) * weight[k] / W
///
/// W is the sum of weight[label[n]], or 1 for Reduction::sum. The greatest x of each image is subtracted first, so that
/// predictions of any size are safe; what decides the loss is computed in double.
///
/// Images labelled ignore_index count in no sum and have no gradient. When all are (or there are none), the mean is 0 / 0: the
/// loss is not a number, as in PyTorch; with Reduction::sum it is 0.
template <class T>
class CrossEntropyLoss final : public Loss<T> {
 public:
  struct Options {
    /// One weight for each class, at least 0; none for all 1.
    std::vector<double> weight = {};
    /// The label of images that do not count.
    int ignore_index = -100;
    Reduction reduction = Reduction::mean;
    /// The share of each target that is spread over all classes, in [0, 1] (Szegedy et al., 2016,
    /// https://arxiv.org/abs/1512.00567).
    double label_smoothing = 0;
  };

  /// Throws Error when a weight is negative or not finite, or label_smoothing is outside [0, 1].
  explicit CrossEntropyLoss(Options options = {})
      : targets_("CrossEntropyLoss", std::move(options.weight), options.ignore_index, options.reduction,
                 options.label_smoothing) {}

  std::string type() const override { return "CrossEntropyLoss"; }
  NamedOptions named_options() const override { return targets_.named_options(); }

  double forward(const Batch<T>& prediction, std::span<const int> labels) override {
    const auto use = targets_.begin_use();
    targets_.assign(prediction.shape(), labels);
    probability_.reset(prediction.shape());
    gradient_.reset(prediction.shape());
    AlignedArray<double> losses(prediction.images());
    parallel_for(prediction.blocks(), exp_cost * lanes * prediction.channels(), [&](Index block) {
      AlignedArray<double> log_p(prediction.channels());
      for (int lane = 0; lane < prediction.images_in(block); ++lane) {
        const Index n = block * lanes + lane;
        log_softmax(prediction, block, lane, log_p);
        for (Index k = 0; k < log_p.size(); ++k) {
          probability_.row(block, k, 0)->set(lane, static_cast<T>(std::exp(log_p[k])));
        }
        const auto log_probability = [&](Index k) { return log_p[k]; };
        if (targets_.counts(n)) losses[n] = targets_.image_loss(n, log_probability);
      }
    });
    return targets_.reduce(losses.span());
  }

  LossTotal total() const override { return targets_.total(); }

  ///     dx[n, k] = p[n, k] * (sum over j of q[n, j]) - q[n, k]
  ///
  /// Derivation: docs/derivations.md.
  const Batch<T>& backward() override {
    const auto use = targets_.begin_use();
    gradient_.fill(T(0));
    parallel_for(gradient_.blocks(), lanes * gradient_.channels(), [&](Index block) {
      for (int lane = 0; lane < gradient_.images_in(block); ++lane) {
        const Index n = block * lanes + lane;
        if (!targets_.counts(n)) continue;
        double target_sum = 0;
        for (Index k = 0; k < gradient_.channels(); ++k) target_sum += targets_.target(n, k);
        for (Index k = 0; k < gradient_.channels(); ++k) {
          const double p = (*probability_.row(block, k, 0))[lane];
          gradient_.row(block, k, 0)->set(lane, static_cast<T>(p * target_sum - targets_.target(n, k)));
        }
      }
    });
    return gradient_;
  }

 private:
  static constexpr Index lanes = Batch<T>::lanes;
  static constexpr Index exp_cost = 20;  // of two exponentials and a division, in vector operations

  // Of the image in one lane of a block.
  static void log_softmax(const Batch<T>& x, Index block, int lane, AlignedArray<double>& log_p) {
    double greatest = -std::numeric_limits<double>::infinity();
    for (Index k = 0; k < log_p.size(); ++k) {
      log_p[k] = (*x.row(block, k, 0))[lane];
      greatest = std::max(greatest, log_p[k]);
    }
    double sum = 0;
    for (const double value : log_p) sum += std::exp(value - greatest);
    const double log_sum = std::log(sum);
    for (double& value : log_p) value = (value - greatest) - log_sum;
  }

  ClassTargets targets_;
  Batch<T> probability_, gradient_;
};

}  // namespace normnet::inline NORMNET_ABI
