// Finds the first value of a pass that is not finite.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/core/error.hpp>
#include <normnet/core/format.hpp>
#include <normnet/core/tensor.hpp>
#include <normnet/nn/layer.hpp>
#include <normnet/nn/layer_watcher.hpp>
#include <normnet/nn/loss.hpp>
#include <normnet/nn/sequential.hpp>

#include <cmath>
#include <cstdint>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace normnet {

/// A training came to a loss or a gradient that is not finite: the same training would come to it again.
class NotFiniteError : public Error {
 public:
  using Error::Error;
};

/// A value that is not finite, where there was none before it. Prints as
///
///     the output of Conv2d "conv1" in the forward pass, inf at image 3, channel 1, y 0, x 5
struct Anomaly {
  enum class Pass { forward, backward };

  Pass pass = Pass::forward;
  std::string layer{};         ///< its label; "" for what the pass began with
  std::string what{};          ///< `the output of Conv2d "conv1"`
  std::vector<Index> place{};  ///< image, channel, y and x; of the gradient of a parameter, the indices in that
  double value = 0;
  bool of_parameter = false;  ///< whether it is the gradient of one
  /// Of an output: the layer's parameter, or buffer, that was not finite before; "" without one.
  std::string cause{};

  std::string to_string() const {
    std::string at;
    for (std::size_t i = 0; i < place.size(); ++i) {
      static constexpr const char* names[] = {"image ", "channel ", "y ", "x "};
      at += concat(i > 0 ? ", " : "", of_parameter ? "" : names[i], place[i]);
    }
    return concat(what, pass == Pass::forward ? " in the forward pass, " : " in the backward pass, ",
                  std::isnan(value) ? "nan" : to_exact(value), of_parameter ? " at (" : " at ", at, of_parameter ? ")" : "",
                  cause.empty() ? "" : concat("; its ", cause, " was not finite before"));
  }
  friend std::ostream& operator<<(std::ostream& out, const Anomaly& anomaly) { return out << anomaly.to_string(); }
};

}  // namespace normnet

namespace normnet::normnet_impl::inline NORMNET_ABI {

template <class T>
bool is_finite(const Tensor<T>& tensor) {
  for (const T value : tensor.span()) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

/// Whether all images of a block are finite.
template <class T>
bool is_finite(const Batch<T>& batch, Index block) {
  Pack<T> sum(T(0));  // of zeros: a value that is not finite makes it not a number
  for (Index c = 0; c < batch.channels(); ++c) {
    for (Index y = 0; y < batch.height(); ++y) {
      const Pack<T>* row = batch.row(block, c, y);
      for (Index x = 0; x < batch.width(); ++x) sum += row[x] * Pack<T>(T(0));
    }
  }
  for (int lane = 0; lane < batch.images_in(block); ++lane) {
    if (sum[lane] != T(0)) return false;
  }
  return true;
}

}  // namespace normnet::normnet_impl::inline NORMNET_ABI

namespace normnet::inline NORMNET_ABI {

/// Watches a model as long as it lives, forward and backward, and remembers the first value that is not finite:
///
///     const AnomalyDetector<float> detector(net);
///     ... net.forward(images); net.backward(loss.backward());
///     if (detector.found()) std::cerr << *detector.found() << "\n";
///
/// Gradients that a backward pass adds to should be zero before, or finite at least. The model computes the same bits as without
/// it, several times slower.
template <class T>
class AnomalyDetector final : public LayerWatcher<T> {
 public:
  explicit AnomalyDetector(Sequential<T>& net) : net_(&net), before_(net.watcher()) { net.watch(this); }
  ~AnomalyDetector() override { net_->watch(before_); }
  AnomalyDetector(const AnomalyDetector&) = delete;
  AnomalyDetector& operator=(const AnomalyDetector&) = delete;

  /// Nothing while all has been finite.
  const std::optional<Anomaly>& found() const { return found_; }

  void before_forward(const Batch<T>& x) override { check(x, {.pass = Anomaly::Pass::forward, .what = "the model's input"}); }

  void after_forward(Layer<T>& layer, const Batch<T>& y) override {
    const bool found_before = found_.has_value();
    check(y, {.pass = Anomaly::Pass::forward, .layer = layer.label(), .what = "the output of " + layer.label()});
    if (found_ && !found_before) found_->cause = state_not_finite(layer);
  }

  void before_backward(const Batch<T>& dy) override {
    check(dy, {.pass = Anomaly::Pass::backward, .what = "the gradient of the model's output"});
  }

  void after_backward(Layer<T>& layer, const Batch<T>* dx) override {
    const std::string label = layer.label();
    if (dx != nullptr) {
      check(*dx, {.pass = Anomaly::Pass::backward, .layer = label, .what = "the gradient of the input of " + label});
    }
    for (const auto& [name, parameter] : layer.parameters()) {
      check(parameter->grad,
            {.pass = Anomaly::Pass::backward, .layer = label, .what = concat("the gradient of the ", name, " of ", label)});
    }
  }

 private:
  void check(const Batch<T>& batch, Anomaly anomaly) {
    if (found_) return;
    for (Index block = 0; block < batch.blocks(); ++block) {
      if (!normnet_impl::is_finite(batch, block)) return find(batch, block, std::move(anomaly));
    }
  }

  // In a block that has one.
  void find(const Batch<T>& batch, Index block, Anomaly anomaly) {
    for (Index n = block * Batch<T>::lanes;; ++n) {
      for (Index c = 0; c < batch.channels(); ++c) {
        for (Index y = 0; y < batch.height(); ++y) {
          for (Index x = 0; x < batch.width(); ++x) {
            if (std::isfinite(batch.at(n, c, y, x))) continue;
            anomaly.place = {n, c, y, x};
            anomaly.value = static_cast<double>(batch.at(n, c, y, x));
            found_ = std::move(anomaly);
            return;
          }
        }
      }
    }
  }

  void check(const Tensor<T>& gradient, Anomaly anomaly) {
    if (found_) return;
    for (Index i = 0; i < gradient.size(); ++i) {
      if (std::isfinite(gradient[i])) continue;
      anomaly.of_parameter = true;
      anomaly.value = static_cast<double>(gradient[i]);
      Index rest = i;
      for (Index extent = gradient.shape().rank(); extent-- > 0; rest /= gradient.shape()[extent]) {
        anomaly.place.insert(anomaly.place.begin(), rest % gradient.shape()[extent]);
      }
      found_ = std::move(anomaly);
      return;
    }
  }

  static std::string state_not_finite(Layer<T>& layer) {
    for (const auto& [name, parameter] : layer.parameters()) {
      if (!normnet_impl::is_finite(parameter->value)) return name;
    }
    for (const auto& [name, buffer] : layer.buffers()) {
      if (!normnet_impl::is_finite(*buffer)) return name;
    }
    return "";
  }

  Sequential<T>* net_;
  LayerWatcher<T>* before_;
  std::optional<Anomaly> found_;
};

}  // namespace normnet::inline NORMNET_ABI

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// Puts a model back to where it was: buffers, gradients and passes.
template <class T>
class KeptState {
 public:
  explicit KeptState(Sequential<T>& net) : net_(&net), passes_(net.passes()), kept_(net.buffers()) {
    for (const auto& [name, parameter] : net.parameters()) kept_.push_back({name, &parameter->grad});
    before_ = std::vector<Tensor<T>>(kept_.size());
    for (std::size_t i = 0; i < kept_.size(); ++i) before_[i] = Tensor<T>(*kept_[i].tensor);
  }
  ~KeptState() {
    net_->set_passes(passes_);
    for (std::size_t i = 0; i < kept_.size(); ++i) *kept_[i].tensor = std::move(before_[i]);
  }
  KeptState(const KeptState&) = delete;
  KeptState& operator=(const KeptState&) = delete;

 private:
  Sequential<T>* net_;
  std::uint64_t passes_;
  std::vector<NamedBuffer<T>> kept_;
  std::vector<Tensor<T>> before_;  // of each of these
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI

namespace normnet::inline NORMNET_ABI {

/// The first value that is not finite in a forward pass over x; nothing where all are. The pass is the one that forward(x) would be
/// now, in the model's mode. Parameters, gradients, buffers and passes() stay as they are; a backward() of an earlier pass is no
/// longer possible.
template <class T>
std::optional<Anomaly> find_anomaly(Sequential<T>& net, const Batch<T>& x) {
  const normnet_impl::KeptState<T> kept(net);
  const AnomalyDetector<T> detector(net);
  net.forward(Batch<T>(x));
  return detector.found();
}

/// The same in a forward pass, the gradient of the loss, and the backward pass.
template <class T>
std::optional<Anomaly> find_anomaly(Sequential<T>& net, const Batch<T>& x, Loss<T>& loss, std::span<const int> labels) {
  const normnet_impl::KeptState<T> kept(net);
  const AnomalyDetector<T> detector(net);
  loss.forward(net.forward(Batch<T>(x)), labels);
  if (detector.found()) return detector.found();
  net.zero_grad();
  net.backward(loss.backward());
  return detector.found();
}

}  // namespace normnet::inline NORMNET_ABI
