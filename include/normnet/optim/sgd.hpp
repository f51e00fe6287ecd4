// Stochastic gradient descent with momentum.
#pragma once

#include <normnet/core/in_use.hpp>
#include <normnet/core/parallel.hpp>
#include <normnet/optim/optimizer.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// Stochastic gradient descent, as torch.optim.SGD: for every parameter w with gradient dw,
///
///     g = dw + l1_penalty * sign(w) + weight_decay * w
///     v = g in the first step, then momentum * v + (1 - dampening) * g        with momentum
///     w = w - lr * v,   or w - lr * (g + momentum * v) with nesterov,   or w - lr * g without momentum
///
/// Momentum: Polyak, 1964, https://doi.org/10.1016/0041-5553(64)90137-5; Nesterov's in the form of Sutskever et al., 2013,
/// https://proceedings.mlr.press/v28/sutskever13.html.
///
/// l1_penalty and weight_decay act as if l1_penalty * sum |w| + weight_decay / 2 * sum w^2, over all elements of all parameters
/// (weights, biases and norms alike), were part of the loss; the loss that is reported does not contain them. sign(0) is 0.
template <class T>
class SGD final : public Optimizer<T> {
 public:
  struct Options {
    /// Must be given, for there is no rate that suits all: left out, it is not a number and so an error.
    double lr = std::numeric_limits<double>::quiet_NaN();
    double momentum = 0;
    double dampening = 0;
    double weight_decay = 0;
    bool nesterov = false;
    double l1_penalty = 0;
  };

  /// Throws Error when lr, momentum, weight_decay or l1_penalty is negative or not finite, or when nesterov meets no momentum
  /// or a dampening.
  SGD(std::vector<NamedParameter<T>> parameters, const Options& options)
      : Optimizer<T>(std::move(parameters), options.lr),
        options_(options),
        momentum_(options.momentum),
        velocities_(this->parameters().size()),
        started_({1}) {
    check("momentum", options.momentum);
    check("weight_decay", options.weight_decay);
    check("l1_penalty", options.l1_penalty);
    if (!std::isfinite(options.dampening)) fail("SGD: expected a finite dampening, got ", options.dampening);
    if (options.nesterov && (options.momentum == 0 || options.dampening != 0)) {
      fail("SGD: expected a momentum above 0 and no dampening for nesterov, got momentum ", options.momentum, " and dampening ",
           options.dampening);
    }
    for (std::size_t i = 0; i < velocities_.size(); ++i) {
      velocities_[i] = Tensor<T>(this->parameters()[i].parameter->value.shape());
    }
  }

  std::string type() const override { return "SGD"; }
  NamedOptions named_options() const override {
    using normnet_impl::exact_text;
    return {{"lr", exact_text(options_.lr)},
            {"momentum", exact_text(options_.momentum)},
            {"dampening", exact_text(options_.dampening)},
            {"weight_decay", exact_text(options_.weight_decay)},
            {"nesterov", exact_text(options_.nesterov)},
            {"l1_penalty", exact_text(options_.l1_penalty)}};
  }

  double momentum() const override { return momentum_; }
  /// Throws Error when it is negative or not finite.
  void set_momentum(double momentum) override {
    check("momentum", momentum);
    momentum_ = momentum;
  }

  void step() override {
    const normnet_impl::InUse::Scope use(
        in_use_, [] { return "SGD"; }, "model and an optimizer of its own");
    Index elements = 0;
    for (const Tensor<T>& velocity : velocities_) elements += velocity.size();
    normnet_impl::in_pass(elements / Pack<T>::lanes, [&] {
      for (std::size_t i = 0; i < velocities_.size(); ++i) {
        Parameter<T>& parameter = *this->parameters()[i].parameter;
        const Index size = parameter.value.size();
        parallel_for((size + chunk - 1) / chunk, chunk / Pack<T>::lanes, [&](Index part) {
          const Index first = part * chunk;
          update(parameter.value.data() + first, parameter.grad.data() + first, velocities_[i].data() + first,
                 std::min(chunk, size - first));
        });
      }
    });
    if (momentum_ != 0) started_[0] = T(1);
  }

  /// "NAME.momentum_buffer", v of each parameter, and "momentum_started": 1 after the first step with momentum, before that 0.
  std::vector<NamedBuffer<T>> state() override {
    std::vector<NamedBuffer<T>> buffers;
    for (std::size_t i = 0; i < velocities_.size(); ++i) {
      buffers.push_back({this->parameters()[i].name + ".momentum_buffer", &velocities_[i]});
    }
    buffers.push_back({"momentum_started", &started_});
    return buffers;
  }

 private:
  static constexpr Index chunk = 4096;  // elements that one thread updates in a row

  static void check(const char* option, double value) {
    if (!(value >= 0) || std::isinf(value)) fail("SGD: expected a finite ", option, " of at least 0, got ", value);
  }

  void update(T* w, const T* dw, T* v, Index count) const {
    const T lr = static_cast<T>(this->lr()), momentum = static_cast<T>(momentum_);
    const T decay = static_cast<T>(options_.weight_decay), l1 = static_cast<T>(options_.l1_penalty);
    const bool with_momentum = momentum_ != 0, nesterov = options_.nesterov, first = started_[0] == T(0);
    const T keep = first ? T(0) : momentum, add = first ? T(1) : static_cast<T>(1 - options_.dampening);
    for (Index i = 0; i < count; ++i) {
      const T sign = static_cast<T>((w[i] > T(0)) - (w[i] < T(0)));
      const T gradient = dw[i] + l1 * sign + decay * w[i];
      T direction = gradient;
      if (with_momentum) {
        v[i] = keep * v[i] + add * gradient;
        direction = nesterov ? gradient + momentum * v[i] : v[i];
      }
      w[i] -= lr * direction;
    }
  }

  Options options_;                    // as given
  double momentum_;                    // of the next step
  std::vector<Tensor<T>> velocities_;  // v of each parameter
  Tensor<T> started_;
  normnet_impl::InUse in_use_;  // by step()
};

}  // namespace normnet::inline NORMNET_ABI
