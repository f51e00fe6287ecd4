// What every loss is: one number for a batch of predictions, and its gradient.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/core/named_options.hpp>

#include <span>
#include <string>

namespace normnet {

/// The last batch's loss before it was averaged, and the weight that an average over its images divides by: the number of images
/// that count, or the sum of their labels' weights. The sums of both over several batches give the mean over all their images.
struct LossTotal {
  double sum = 0;
  double weight = 0;
};

}  // namespace normnet

namespace normnet::inline NORMNET_ABI {

/// The base of every loss of classes: predictions N x C (or N x C x 1 x 1) against N labels in [0, C). It serves one thread at a
/// time.
template <class T>
class Loss {
 public:
  using Scalar = T;

  virtual ~Loss() = default;

  /// The class, as it appears in errors: "CrossEntropyLoss".
  virtual std::string type() const = 0;

  /// All options that decide what it computes: a run does not go on with others.
  virtual NamedOptions named_options() const { return {}; }

  /// The loss of a batch of predictions; keeps what backward() needs. Throws Error when shapes or labels do not fit.
  virtual double forward(const Batch<T>& prediction, std::span<const int> labels) = 0;

  /// The last forward()'s loss as a sum over its images, whatever the reduction.
  virtual LossTotal total() const = 0;

  /// The gradient of the last forward()'s loss with respect to its prediction, in the prediction's shape; zero in the padding
  /// lanes. Valid until the next forward().
  virtual const Batch<T>& backward() = 0;
};

}  // namespace normnet::inline NORMNET_ABI
