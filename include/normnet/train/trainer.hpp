// The training loop.
#pragma once

#include <normnet/core/batch.hpp>
#include <normnet/core/error.hpp>
#include <normnet/core/format.hpp>
#include <normnet/core/named_options.hpp>
#include <normnet/core/stopwatch.hpp>
#include <normnet/core/tensor.hpp>
#include <normnet/core/unoptimized.hpp>
#include <normnet/data/data_loader.hpp>
#include <normnet/data/dataset.hpp>
#include <normnet/nn/loss.hpp>
#include <normnet/nn/sequential.hpp>
#include <normnet/optim/grad_norm.hpp>
#include <normnet/optim/optimizer.hpp>
#include <normnet/optim/scheduler.hpp>
#include <normnet/train/anomaly.hpp>
#include <normnet/train/history.hpp>
#include <normnet/train/metrics.hpp>
#include <normnet/train/progress_bar.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// Where an epoch stands after one of its batches; accuracies are in percent.
struct BatchReport {
  Index epoch = 0;        ///< from 1
  Index batch = 0;        ///< from 1
  Index images_done = 0;  ///< in this epoch
  double batch_loss = 0;
  double running_loss = 0;  ///< over the images of this epoch so far, as the accuracy
  double running_accuracy = 0;
  /// Of all gradients, before they are clipped; not a number unless FitOptions::max_grad_norm is given.
  double grad_norm = std::numeric_limits<double>::quiet_NaN();
};

/// A pass over a data set: the mean loss and the accuracy (in percent) over its images, and the time that it took.
struct PassResult {
  double loss = 0;
  double accuracy = 0;
  double seconds = 0;
  Index images = 0;
};

/// The same, with what the network says to every image, in the order of the data set.
template <class T>
struct EvaluationResult : PassResult {
  Tensor<T> outputs;             ///< N x C
  std::vector<int> predictions;  ///< the class of the greatest output
};

/// What is done of an epoch that is under way.
struct PartialEpoch {
  Index batches = 0;
  RunningMetrics metrics{};  ///< of these batches
  double learning_rate = 0;  ///< of the epoch's first step
  double seconds = 0;        ///< that they took
  /// The options of fit(), and of its loss, that decide the run's bits: a fit() that goes on with others is refused. None are
  /// compared where there are none, as in a run that begins.
  NamedOptions options{};
};

/// Where a training run stands between two batches; by default before the first.
struct TrainingPosition {
  Index epoch = 1;  ///< the one that is under way, or comes next
  PartialEpoch done{};
};

/// When a learning-rate scheduler moves on: StepLR after every epoch, OneCycleLR after every step of the optimizer.
enum class SchedulerInterval { epoch, step };

/// Trains a network on a data set and tests it after every epoch:
///
///     Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
///     trainer.fit(data.train, data.test, {.epochs = 20, .batch_size = 128});
///
/// For every batch: forward pass, loss, gradients to zero, backward pass, step. The same seeds give the same bits at any number
/// of threads. A trainer, its network and its optimizer serve one thread at a time; several trainers may run side by side, each
/// with a network of its own.
template <class T>
class Trainer {
 public:
  struct FitOptions {
    Index epochs = 1;
    /// The number of the first; more than 1 in a run that goes on where another stopped. It decides order and augmentation.
    Index first_epoch = 1;
    /// The part of the first epoch that such a run finds done; its metrics become those of the whole epoch.
    PartialEpoch first_epoch_done{};
    Index batch_size = 128;
    /// The batches of the tests; decides their speed and memory, and no result but for rounding.
    Index eval_batch_size = 128;
    /// Draws the order of the images and their augmentation.
    std::uint64_t seed = 0;
    bool shuffle = true;
    /// Leaves out an epoch's last batch if it is not full.
    bool drop_last = false;
    Normalize normalize{};  ///< of training and test images
    Augmentation augment{};
    Scheduler<T>* scheduler = nullptr;
    SchedulerInterval scheduler_interval = SchedulerInterval::epoch;
    /// Scales the gradients of each batch to at most this norm, see clip_grad_norm(), and puts the norm into its report; infinity
    /// measures alone. A norm that is not finite ends the training, as a loss does.
    std::optional<double> max_grad_norm{};
    /// Looks at every output and gradient of every step, and ends the training with the first that is not finite, before the
    /// optimizer's step, whether it reaches the loss or not. For a search: the same bits, several times slower.
    bool detect_anomaly = false;
    /// Called after every step; the parameters' gradients are still those of the batch.
    std::function<void(const BatchReport&)> on_batch_end{};
    /// Called after the tests of every epoch; false ends the training.
    std::function<bool(const EpochRecord&)> on_epoch_end{};
    /// Once true, the training ends after the batch, or the tests, that it is at. A signal handler may set it.
    const std::atomic<bool>* stop = nullptr;
    /// `{.out = nullptr}` for silence.
    ProgressBar::Options progress{};
  };

  struct EvaluateOptions {
    Index batch_size = 128;
    Normalize normalize{};
  };

  /// Keeps references to the network and to the optimizer of its parameters.
  template <std::derived_from<Loss<T>> L>
  Trainer(Sequential<T>& net, Optimizer<T>& optimizer, L loss)
      : net_(&net), optimizer_(&optimizer), loss_(new L(std::move(loss))) {}

  /// Trains, and returns the epochs that it has finished. Throws Error on options without sense, on a scheduler that ends before the run does, on others than those of the run
  /// that it goes on with, on an empty data set, a network
  /// that does not fit its images or has fewer outputs than classes, and NotFiniteError when the loss of a batch, or of the tests, is
  /// not finite: it names the epoch, the step, and the layer whose output, or gradient, is the first that is not finite in this batch.
  History fit(const Dataset& train, const Dataset& test, FitOptions options) {
    normnet_impl::warn_if_unoptimized(NORMNET_WARNS_UNOPTIMIZED);
    if (options.epochs < 0) fail("Trainer: expected at least 0 epochs, got ", options.epochs);
    if (options.first_epoch < 1) fail("Trainer: expected a first_epoch of at least 1, got ", options.first_epoch);
    if (options.max_grad_norm && !(*options.max_grad_norm >= 0)) {
      fail("Trainer: expected a max_grad_norm of at least 0, got ", *options.max_grad_norm);
    }
    check_data(train, "training");
    check_data(test, "test");
    DataLoader<T> train_loader(train, {.batch_size = options.batch_size,
                                       .shuffle = options.shuffle,
                                       .drop_last = options.drop_last,
                                       .seed = options.seed,
                                       .normalize = options.normalize,
                                       .augment = options.augment,
                                       .halo = net_->input_halo()});
    DataLoader<T> test_loader(
        test, {.batch_size = options.eval_batch_size, .normalize = options.normalize, .halo = net_->input_halo()});
    const NamedOptions deciding = deciding_options(options, train);
    check_goes_on(options.first_epoch_done.options, deciding);
    const Index batches_done = options.first_epoch_done.batches;
    if (batches_done < 0 || batches_done > train_loader.batches()) {
      fail("Trainer: expected 0 to ", train_loader.batches(), " batches of the first epoch to be done, got ", batches_done);
    }
    if (options.scheduler != nullptr) check_lasts(options, train_loader.batches());
    const Index images = options.drop_last ? train_loader.batches() * options.batch_size : train.size();
    const Index last_epoch = options.first_epoch + options.epochs - 1;
    ProgressBar progress(options.progress, options.epochs, images, options.first_epoch);

    const auto after_batch = [&](const BatchReport& report) {
      progress.update(report.images_done, report.running_loss, report.running_accuracy);
      if (options.scheduler != nullptr && options.scheduler_interval == SchedulerInterval::step) options.scheduler->step();
      if (options.on_batch_end) options.on_batch_end(report);
    };
    const StepOptions steps{.detect_anomaly = options.detect_anomaly, .max_grad_norm = options.max_grad_norm};
    const auto stopped = [&] { return options.stop != nullptr && *options.stop; };
    History history;
    position_ = {.epoch = options.first_epoch, .done = options.first_epoch_done};
    position_.done.options = deciding;
    for (Index epoch = options.first_epoch; epoch <= last_epoch && !stopped(); ++epoch) {
      progress.begin_epoch(epoch, position_.done.metrics.images());
      const PassResult trained = continue_epoch(train_loader, steps, after_batch, stopped);
      if (stopped()) break;
      const double learning_rate = position_.done.learning_rate;
      const PassResult tested = evaluate(test_loader);
      if (!std::isfinite(tested.loss)) stop_after_tests(tested.loss, test_loader);
      if (options.scheduler != nullptr && options.scheduler_interval == SchedulerInterval::epoch) options.scheduler->step();
      history.epochs.push_back({.epoch = epoch,
                                .train_loss = trained.loss,
                                .train_accuracy = trained.accuracy,
                                .test_loss = tested.loss,
                                .test_accuracy = tested.accuracy,
                                .learning_rate = learning_rate,
                                .train_seconds = trained.seconds,
                                .images_per_second = static_cast<double>(trained.images) / trained.seconds,
                                .test_seconds = tested.seconds});
      position_ = {.epoch = epoch + 1, .done = {.options = deciding}};
      progress.end_epoch(history.last());
      if (options.on_epoch_end && !options.on_epoch_end(history.last())) break;
    }
    return history;
  }

  /// Where the last fit() stands, or stood when it ended: what a checkpoint needs, in the callbacks, too. In on_epoch_end the
  /// next epoch is about to begin. A run that goes on from here takes `epoch` as its first_epoch and `done` as its
  /// first_epoch_done.
  const TrainingPosition& position() const { return position_; }

  /// One epoch, counted from 1; its metrics are those of the batches as they were trained on. Throws Error when a loss is not
  /// finite.
  PassResult train_epoch(DataLoader<T>& loader, Index epoch, const std::function<void(const BatchReport&)>& after_batch = {}) {
    position_ = {.epoch = epoch};
    const auto report = [&](const BatchReport& batch) {
      if (after_batch) after_batch(batch);
    };
    return continue_epoch(loader, {}, report, [] { return false; });
  }

  /// Tests the network on all images, in evaluation mode. Throws Error as fit() does.
  EvaluationResult<T> evaluate(const Dataset& data, EvaluateOptions options) {
    check_data(data, "test");
    DataLoader<T> loader(
        data, {.batch_size = options.batch_size, .normalize = std::move(options.normalize), .halo = net_->input_halo()});
    return evaluate(loader);
  }
  EvaluationResult<T> evaluate(const Dataset& data) { return evaluate(data, EvaluateOptions{}); }

 private:
  // Those of FitOptions that concern a single step.
  struct StepOptions {
    bool detect_anomaly = false;
    std::optional<double> max_grad_norm{};
  };

  // Neither the number of epochs nor the tests decide what a step does.
  NamedOptions deciding_options(const FitOptions& options, const Dataset& train) const {
    using normnet_impl::exact_text;
    NamedOptions all = normnet_impl::named_part("loss", loss_->type(), loss_->named_options());
    all.merge(NamedOptions{{"batch_size", exact_text(options.batch_size)},
                           {"seed", exact_text(options.seed)},
                           {"shuffle", exact_text(options.shuffle)},
                           {"drop_last", exact_text(options.drop_last)},
                           {"normalize.mean", exact_text(options.normalize.mean)},
                           {"normalize.std", exact_text(options.normalize.std)},
                           {"augment.crop_padding", exact_text(options.augment.crop_padding)},
                           {"augment.flip_probability", exact_text(options.augment.flip_probability)},
                           {"scheduler_interval", options.scheduler_interval == SchedulerInterval::epoch ? "epoch" : "step"},
                           {"max_grad_norm", options.max_grad_norm ? exact_text(*options.max_grad_norm) : "none"},
                           {"train images", exact_text(Shape{train.size(), train.channels(), train.height(), train.width()})}});
    return all;
  }

  static void check_goes_on(const NamedOptions& begun_with, const NamedOptions& deciding) {
    if (begun_with.empty()) return;
    const auto difference = normnet_impl::first_difference(begun_with, deciding);
    if (!difference) return;
    fail("Trainer: expected ", difference->name, " to be ", difference->expected.value_or("absent"),
         " as in the run that goes on, got ", difference->got.value_or("none"));
  }

  // Whether the scheduler has a rate for all that is to come, before any of it is trained.
  static void check_lasts(const FitOptions& options, Index batches_per_epoch) {
    const bool by_step = options.scheduler_interval == SchedulerInterval::step;
    const Index length = by_step ? batches_per_epoch : 1, done = by_step ? options.first_epoch_done.batches : 0;
    const Index last = options.scheduler->last_possible_epoch(), left = last - options.scheduler->last_epoch();
    if (options.epochs == 0 || options.epochs <= left / length + (left % length + done) / length) return;
    fail("Trainer: expected a ", options.scheduler->type(), " for ", options.epochs, " epochs",
         by_step ? concat(" of ", length, " steps") : "", done > 0 ? concat(", of which ", done, " are done") : "",
         ", got one with ", left, " of ", last, by_step ? " steps" : " epochs", " left");
  }

  // What is left of the epoch at position_, until stopped().
  template <class AfterBatch, class Stopped>
  PassResult continue_epoch(DataLoader<T>& loader, const StepOptions& options, const AfterBatch& after_batch, Stopped stopped) {
    const Stopwatch stopwatch;
    const Index epoch = position_.epoch;
    PartialEpoch& done = position_.done;
    const double seconds_before = done.seconds;
    if (done.batches == 0) done.learning_rate = optimizer_->lr();
    net_->train();
    std::optional<AnomalyDetector<T>> detector;
    if (options.detect_anomaly) detector.emplace(*net_);
    loader.start_epoch(epoch - 1);
    while (done.batches < loader.batches() && !stopped()) {
      const LabelledBatch<T>& batch = loader.load(done.batches);
      const Batch<T>& outputs = net_->forward(batch.images);
      const double loss = loss_->forward(outputs, batch.labels);
      if (!std::isfinite(loss)) {
        stop("the loss became " + to_text(loss), detector && detector->found() ? detector->found() : find_in(batch));
      }
      done.metrics.add(outputs, batch.labels, loss_->total());
      optimizer_->zero_grad();
      net_->backward(loss_->backward());
      if (detector && detector->found()) stop("detect_anomaly ends the training", detector->found());
      double norm = std::numeric_limits<double>::quiet_NaN();
      if (options.max_grad_norm) {
        norm = grad_norm(optimizer_->parameters());
        if (!std::isfinite(norm)) stop("the norm of the gradients became " + to_text(norm), find_in(batch));
        clip_grad_norm(optimizer_->parameters(), *options.max_grad_norm);
      }
      optimizer_->step();
      ++done.batches;
      done.seconds = seconds_before + stopwatch.seconds();
      after_batch({.epoch = epoch,
                   .batch = done.batches,
                   .images_done = done.metrics.images(),
                   .batch_loss = loss,
                   .running_loss = done.metrics.loss(),
                   .running_accuracy = done.metrics.accuracy(),
                   .grad_norm = norm});
    }
    return {.loss = done.metrics.loss(),
            .accuracy = done.metrics.accuracy(),
            .seconds = done.seconds,
            .images = done.metrics.images()};
  }

  EvaluationResult<T> evaluate(DataLoader<T>& loader) {
    const Stopwatch stopwatch;
    RunningMetrics metrics;
    const Dataset& data = loader.dataset();
    Tensor<T> all_outputs({data.size(), output_shape(data)[1]});
    std::vector<int> predictions(static_cast<std::size_t>(data.size()));
    for (Index i = 0; i < loader.batches(); ++i) {
      const LabelledBatch<T>& batch = loader.load(i);
      const Batch<T>& outputs = net_->inference(batch.images);
      loss_->forward(outputs, batch.labels);
      const Index first = metrics.images();
      metrics.add(outputs, batch.labels, loss_->total());
      const Tensor<T> dense = outputs.to_tensor();
      std::copy_n(dense.data(), dense.size(), all_outputs.data() + first * outputs.channels());
      const std::vector<int> predicted = predicted_classes(outputs);
      std::copy_n(predicted.data(), predicted.size(), predictions.data() + first);
    }
    return {{.loss = metrics.loss(), .accuracy = metrics.accuracy(), .seconds = stopwatch.seconds(), .images = metrics.images()},
            std::move(all_outputs),
            std::move(predictions)};
  }

  // Of one image.
  Shape output_shape(const Dataset& data) const { return net_->output_shape({1, data.channels(), data.height(), data.width()}); }

  void check_data(const Dataset& data, const char* which) const {
    if (data.empty()) fail("Trainer: expected at least one ", which, " image, got none");
    const Shape output = output_shape(data);
    const bool one_value_each = output.elements() == output[1];
    if (!one_value_each || output[1] < data.classes()) {
      fail("Trainer: expected a network with at least ", data.classes(), " outputs, one for each class of the ", which,
           " images, got an output of ", output);
    }
  }

  // Runs a batch whose forward pass is done once more.
  std::optional<Anomaly> find_in(const LabelledBatch<T>& batch) {
    net_->set_passes(net_->passes() - 1);  // drops the same units
    return find_anomaly(*net_, batch.images, *loss_, batch.labels);
  }

  // In a step.
  [[noreturn]] void stop(const std::string& what, const std::optional<Anomaly>& anomaly) const {
    throw NotFiniteError(concat("Trainer: ", what, " in epoch ", position_.epoch, ", step ", position_.done.batches + 1,
                                ", at learning rate ", optimizer_->lr(), "; ", where(anomaly)));
  }

  // After the tests of an epoch.
  [[noreturn]] void stop_after_tests(double loss, DataLoader<T>& loader) {
    std::optional<Anomaly> anomaly;
    Index batches = 0;
    net_->eval();
    while (batches < loader.batches() && !anomaly) anomaly = find_anomaly(*net_, loader.load(batches++).images);
    net_->train();
    throw NotFiniteError(concat("Trainer: the loss of the test images became ", to_text(loss), " after epoch ", position_.epoch,
                                "; ", where(anomaly), anomaly ? concat(" of test batch ", batches) : ""));
  }

  static std::string where(const std::optional<Anomaly>& anomaly) {
    return anomaly ? concat("the first value that is not finite is ", *anomaly) : "all outputs and gradients are finite";
  }

  static std::string to_text(double value) { return std::isnan(value) ? "nan" : to_exact(value); }

  Sequential<T>* net_;
  Optimizer<T>* optimizer_;
  std::unique_ptr<Loss<T>> loss_;
  TrainingPosition position_;
};

}  // namespace normnet::inline NORMNET_ABI
