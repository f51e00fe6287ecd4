// Trains a small network to the end, going on from its last checkpoint; kill_test.sh kills it again and again.
//
//   killed_training FOLDER
//
// The folder receives a checkpoint after every batch, and at the end weights.safetensors and history.txt, which depend on nothing
// but the program. Ends with 130 where SIGINT or SIGTERM asked it to stop.
#include <normnet/core/format.hpp>
#include <normnet/data/synthetic.hpp>
#include <normnet/nn/activation.hpp>
#include <normnet/nn/adaptive_avg_pool2d.hpp>
#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/cross_entropy_loss.hpp>
#include <normnet/nn/dropout.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/optim/one_cycle_lr.hpp>
#include <normnet/optim/sgd.hpp>
#include <normnet/train/checkpoint.hpp>
#include <normnet/train/checkpoint_folder.hpp>
#include <normnet/train/stop_on_signal.hpp>
#include <normnet/train/trainer.hpp>

#include <filesystem>
#include <iostream>
#include <string>

using namespace normnet;

int main(int argc, char** argv) try {
  if (argc != 2) fail("usage: killed_training FOLDER");
  const std::filesystem::path path = argv[1];
  constexpr Index epochs = 24, batch_size = 32, batches = 25;
  const Dataset train = synthetic_textures(batches * batch_size, Random(1)), test = synthetic_textures(64, Random(2));

  Sequential<float> net(3);
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 8, .kernel_size = 5, .stride = 2}))
      .add(BatchNorm2d<float>(8))
      .add(ReLU<float>())
      .add(Dropout<float>(0.2))
      .add(Conv2d<float>({.in_channels = 8, .out_channels = 16, .kernel_size = 3}))
      .add(ReLU<float>())
      .add(GlobalAvgPool2d<float>())
      .add(Linear<float>(16, 10));
  SGD<float> optimizer(net.parameters(), {.lr = 0.1, .momentum = 0.9});
  OneCycleLR<float> scheduler(optimizer, {.max_lr = 0.1, .total_steps = epochs * batches});
  Trainer<float> trainer(net, optimizer, CrossEntropyLoss<float>());
  const TrainingState<float> state{net, optimizer, &scheduler};
  const std::map<std::string, std::string> options{{"epochs", std::to_string(epochs)}};

  const StopOnSignal interrupted;
  CheckpointFolder folder(path, {.keep = 2});
  auto checkpoint = load_newest_checkpoint(path, state, options, &std::cerr).value_or(Checkpoint{.seed = 5, .options = options});
  const auto save = [&] {
    checkpoint.position = trainer.position();
    folder.save(state, checkpoint);
  };
  trainer.fit(train, test,
              {.epochs = epochs + 1 - checkpoint.position.epoch,
               .first_epoch = checkpoint.position.epoch,
               .first_epoch_done = checkpoint.position.done,
               .batch_size = batch_size,
               .seed = checkpoint.seed,
               .augment = {.crop_padding = 4, .flip_probability = 0.5},
               .scheduler = &scheduler,
               .scheduler_interval = SchedulerInterval::step,
               .on_batch_end = [&](const BatchReport&) { save(); },
               .on_epoch_end =
                   [&](const EpochRecord& epoch) {
                     checkpoint.history.epochs.push_back(epoch);
                     save();
                     return true;
                   },
               .stop = interrupted.flag(),
               .progress = {.out = nullptr}});
  if (interrupted) return 130;

  std::string history;
  for (const EpochRecord& e : checkpoint.history.epochs) {
    history += concat(e.epoch, ' ', to_exact(e.train_loss), ' ', to_exact(e.train_accuracy), ' ', to_exact(e.test_loss), ' ',
                      to_exact(e.learning_rate), '\n');
  }
  write_file_atomically(path / "history.txt", history);
  save_weights(path / "weights.safetensors", net);
} catch (const Error& error) {
  std::cerr << "killed_training: " << error.what() << "\n";
  return 1;
}
