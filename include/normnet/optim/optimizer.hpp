// What every optimizer is: a list of parameters, a learning rate, a step.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/named_options.hpp>
#include <normnet/nn/layer.hpp>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// The base of every optimizer: changes parameters along their gradients.
///
///     optimizer.zero_grad();
///     net.forward(images); net.backward(...);  // adds the gradients
///     optimizer.step();
///
/// It keeps pointers to the parameters: the model must outlive it and keep its layers. It serves one thread at a time, that which
/// uses the model.
template <class T>
class Optimizer {
 public:
  using Scalar = T;

  /// Throws Error when there are no parameters, one is given twice, or the learning rate is negative or not finite.
  Optimizer(std::vector<NamedParameter<T>> parameters, double lr) : parameters_(std::move(parameters)) {
    if (parameters_.empty()) fail("Optimizer: expected at least one parameter, got none");
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      for (std::size_t before = 0; before < i; ++before) {
        if (parameters_[i].parameter != parameters_[before].parameter) continue;
        fail("Optimizer: the parameter \"", parameters_[i].name, "\" is given twice");
      }
    }
    set_lr(lr);
  }

  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;
  virtual ~Optimizer() = default;

  /// The class, as a checkpoint names it: "SGD".
  virtual std::string type() const { return "Optimizer"; }

  /// All options that it was made with: a checkpoint of an optimizer with others is refused.
  virtual NamedOptions named_options() const { return {}; }

  /// Changes every parameter once, by its gradient.
  virtual void step() = 0;

  /// Sets all gradients to zero.
  void zero_grad() {
    for (auto& [name, parameter] : parameters_) parameter->grad.fill(T(0));
  }

  /// The learning rate of the next step.
  double lr() const { return lr_; }
  /// Throws Error when it is negative or not finite.
  void set_lr(double lr) {
    if (!(lr >= 0) || std::isinf(lr)) fail("Optimizer: expected a finite lr of at least 0, got ", lr);
    lr_ = lr;
  }

  /// The momentum of the next step, 0 for an optimizer that knows none.
  virtual double momentum() const { return 0; }
  /// Throws Error for an optimizer that knows none.
  virtual void set_momentum(double momentum) {
    fail("Optimizer: cannot set a momentum of ", momentum, ": this optimizer has none");
  }

  const std::vector<NamedParameter<T>>& parameters() const { return parameters_; }

  /// What it remembers from step to step, such as momentum buffers, for checkpoints: a run that restores these tensors, the
  /// parameters, lr and momentum goes on with the same bits.
  virtual std::vector<NamedBuffer<T>> state() { return {}; }

 private:
  std::vector<NamedParameter<T>> parameters_;
  double lr_ = 0;
};

}  // namespace normnet::inline NORMNET_ABI
