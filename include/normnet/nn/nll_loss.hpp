// The negative log-likelihood loss.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/nn/class_targets.hpp>
#include <normnet/nn/loss.hpp>

#include <string>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// The negative log-likelihood of the labels, for predictions that are logarithms of probabilities, as LogSoftmax leaves them:
///
///     loss = -sum over n of weight[label[n]] * x[n, label[n]] / W,   W = sum over n of weight[label[n]], or 1 for Reduction::sum
///
/// Images labelled ignore_index count in neither sum and have no gradient. When all are (or there are none), the mean is 0 / 0:
/// the loss is not a number, as in PyTorch; with Reduction::sum it is 0.
template <class T>
class NLLLoss final : public Loss<T> {
 public:
  struct Options {
    /// One weight for each class, at least 0; none for all 1.
    std::vector<double> weight = {};
    /// The label of images that do not count.
    int ignore_index = -100;
    Reduction reduction = Reduction::mean;
  };

  /// Throws Error when a weight is negative or not finite.
  explicit NLLLoss(Options options = {})
      : targets_("NLLLoss", std::move(options.weight), options.ignore_index, options.reduction, /*label_smoothing=*/0) {}

  std::string type() const override { return "NLLLoss"; }
  NamedOptions named_options() const override { return targets_.named_options(); }

  double forward(const Batch<T>& prediction, std::span<const int> labels) override {
    const auto use = targets_.begin_use();
    targets_.assign(prediction.shape(), labels);
    gradient_.reset(prediction.shape());
    AlignedArray<double> losses(prediction.images());
    for (Index n = 0; n < prediction.images(); ++n) {
      const auto log_probability = [&](Index k) { return static_cast<double>(prediction.at(n, k)); };
      if (targets_.counts(n)) losses[n] = targets_.image_loss(n, log_probability);
    }
    return targets_.reduce(losses.span());
  }

  LossTotal total() const override { return targets_.total(); }

  ///     dx[n, k] = -weight[k] / W where k = label[n], else 0
  ///
  /// Derivation: docs/derivations.md.
  const Batch<T>& backward() override {
    const auto use = targets_.begin_use();
    gradient_.fill(T(0));
    for (Index n = 0; n < gradient_.images(); ++n) {
      if (targets_.counts(n)) gradient_.set(n, targets_.label(n), 0, 0, static_cast<T>(-targets_.target(n, targets_.label(n))));
    }
    return gradient_;
  }

 private:
  ClassTargets targets_;
  Batch<T> gradient_;
};

}  // namespace normnet::inline NORMNET_ABI
