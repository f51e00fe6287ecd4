// What every learning-rate scheduler is: the learning rate as a function of the epoch.
#pragma once

#include <normnet/optim/optimizer.hpp>

#include <limits>

namespace normnet::inline NORMNET_ABI {

/// The base of every scheduler: sets an optimizer's learning rate, at once for epoch 0 and with every step() for the next epoch.
///
/// An epoch is whatever the caller counts: step() after every epoch for StepLR, MultiStepLR and CosineAnnealingLR, after every
/// step of the optimizer for OneCycleLR. The rate depends on the epoch alone, not on the rate before, so an optimizer has one
/// scheduler, and a set_lr() by hand lasts until the next step(). The optimizer must outlive it. It serves one
/// thread at a time, that which uses the optimizer.
///
/// The rate that the optimizer has when the scheduler is made is the one that all others come from. So a run that goes on where
/// another stopped makes its scheduler on an optimizer with the initial rate, then calls set_last_epoch().
///
/// A scheduler of your own derives from it, implements lr_at() and ends its constructor with start().
template <class T>
class Scheduler {
 public:
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  virtual ~Scheduler() = default;

  /// The class, as a checkpoint names it: "StepLR".
  virtual std::string type() const { return "Scheduler"; }

  /// All options that decide its rates, besides base_lr(): a checkpoint of a scheduler with others is refused.
  virtual NamedOptions named_options() const { return {}; }

  /// The learning rate in an epoch, counted from 0.
  virtual double lr_at(Index epoch) const = 0;

  /// The greatest epoch that there is a rate for; step() beyond it throws Error.
  virtual Index last_possible_epoch() const { return std::numeric_limits<Index>::max(); }

  /// Moves on to the next epoch.
  void step() { set_last_epoch(last_epoch_ + 1); }

  /// The epoch that the optimizer's rate is for; PyTorch's name.
  Index last_epoch() const { return last_epoch_; }

  /// Goes to an epoch, as a resumed run does. Throws Error when it is negative.
  void set_last_epoch(Index epoch) {
    if (epoch < 0) fail("Scheduler: expected an epoch of at least 0, got ", epoch);
    apply(epoch);
    last_epoch_ = epoch;
  }

  /// The optimizer's learning rate when the scheduler was made.
  double base_lr() const { return base_lr_; }

 protected:
  explicit Scheduler(Optimizer<T>& optimizer) : optimizer_(&optimizer), base_lr_(optimizer.lr()) {}

  void start() { set_last_epoch(0); }

  /// Sets what the epoch decides.
  virtual void apply(Index epoch) { optimizer_->set_lr(lr_at(epoch)); }

  Optimizer<T>& optimizer() { return *optimizer_; }

 private:
  Optimizer<T>* optimizer_;
  double base_lr_;
  Index last_epoch_ = 0;
};

}  // namespace normnet::inline NORMNET_ABI
