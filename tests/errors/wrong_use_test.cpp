// Wrong use, all rooms in one table: each case beside the exact message that it gets.
#include "support/catch.hpp"
#include "support/files.hpp"

#include "cifar10_norms/options.hpp"
#include "cifar10_norms/report.hpp"

#include <normnet/normnet.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

using namespace normnet;

namespace {

struct WrongUse {
  const char* what;
  std::function<void()> use;
  std::string message;
};

const test::TemporaryFolder temporary;
const std::filesystem::path& folder = temporary.path();

/// A folder with a data set of one record per file, in which one file has `bytes` instead.
std::filesystem::path data_with(const std::string& file, const std::string& bytes) {
  const std::string record(3073, '\0');
  for (const char* name :
       {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}) {
    std::ofstream(folder / name, std::ios::binary) << (file == name ? bytes : record);
  }
  return folder;
}

std::string in_folder(const std::string& file) { return "\"" + (folder / file).string() + "\""; }

/// A gray data set of n images in ten classes.
Dataset images(Index n, int label = 0) {
  Dataset::Options options{
      .channels = 3, .height = 32, .width = 32, .class_names = std::vector<std::string>(10, "a class"), .synthetic = true};
  return Dataset(options, std::vector<std::uint8_t>(static_cast<std::size_t>(n * 3 * 32 * 32)),
                 std::vector<int>(static_cast<std::size_t>(n), label));
}

Sequential<float> small_net() {
  Sequential<float> net;
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 10, .kernel_size = 3, .stride = 2}), "conv1");
  net.add(BatchNorm2d<float>(10), "norm1").add(GlobalAvgPool2d<float>(), "gap");
  return net;
}

void command_line(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "cifar10_norms");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  cifar10_norms::parse_options(static_cast<int>(pointers.size()), pointers.data());
}

void fit(Trainer<float>::FitOptions options, const Dataset& train, const Dataset& test) {
  auto net = small_net();
  SGD<float> optimizer(net.parameters(), {.lr = 0.01});
  options.progress = {.out = nullptr};
  Trainer<float>(net, optimizer, CrossEntropyLoss<float>()).fit(train, test, options);
}

void train_on(const Tensor<float>& x) {
  auto net = small_net();
  net.forward(x);
}

void loss_of(const Shape& prediction, std::vector<int> labels, CrossEntropyLoss<float>::Options options = {}) {
  CrossEntropyLoss<float>(options).forward(Batch<float>(prediction), labels);
}

std::vector<WrongUse> wrong_uses() {
  const std::string record(3073, '\0'),
      hint = "; get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it";
  std::string bad_label = record + record;
  bad_label[3073] = static_cast<char>(200);
  return {
      // Shapes.
      {"wrong channels",
       [] {
         train_on(Tensor<float>({2, 4, 32, 32}));
       },
       "Conv2d \"conv1\": expected 3 input channels, got 4 (input 2x4x32x32)"},
      {"kernel larger than its input",
       [] {
         train_on(Tensor<float>({2, 3, 2, 9}));
       },
       "Conv2d \"conv1\": expected an input of at least 3x3 pixels with its padding, got 2x9 (input 2x3x2x9, padding 0x0)"},
      {"features for images",
       [] {
         train_on(Tensor<float>({2, 3}));
       },
       "Conv2d \"conv1\": expected an input N x C x H x W, got 2x3"},
      {"batch norm on one value per channel",
       [] {
         train_on(Tensor<float>({1, 3, 3, 3}));
       },
       "BatchNorm2d \"norm1\": expected more than one value per channel in training, got 1 (input 1x10x1x1); where a last batch "
       "that is not full is the cause, drop_last leaves it out"},
      {"wrong features",
       [] {
         Linear<float>(40, 10).output_shape({8, 41});
       },
       "Linear: expected 40 input features, got 41 (input 8x41)"},
      {"layer norm of another shape",
       [] {
         LayerNorm<float>({10, 3, 4}).output_shape({2, 10, 4, 3});
       },
       "LayerNorm: expected an input that ends in 10x3x4, got 2x10x4x3"},
      {"pool larger than its input",
       [] {
         MaxPool2d<float>(4).output_shape({2, 3, 3, 8});
       },
       "MaxPool2d: expected an input of at least 4x4 pixels with its padding, got 3x8 (input 2x3x3x8, padding 0x0)"},
      {"residual of another shape",
       [] {
         Sequential<float> body;
         body.add(Conv2d<float>({.in_channels = 3, .out_channels = 4, .kernel_size = 1}));
         Residual<float>(std::move(body)).output_shape({2, 3, 4, 5});
       },
       "Residual: expected a body with an output of 2x3x4x5, the shape of its input, got 2x4x4x5"},
      {"a gradient of another shape",
       [] {
         auto net = small_net();
         const Batch<float> x(Shape{2, 3, 8, 8}), dy(Shape{2, 9});
         net.forward(x);
         net.backward(dy);
       },
       "Sequential: expected a gradient of shape 2x10x1x1, got 2x9"},
      {"backward before forward",
       [] {
         small_net().backward(Batch<float>(Shape{2, 10}));
       },
       "Sequential: backward() without a forward() before it"},
      {"a tensor of rank 3",
       [] {
         Batch<float>::from(Tensor<float>({2, 3, 4}));
       },
       "Batch: expected a shape N x C x H x W or N x F, got 2x3x4"},
      {"an index out of range",
       [] {
         Tensor<float>({2, 3})(1, 3);
       },
       "Tensor 2x3: index 3 is outside extent 1 of 3"},
      // Options of layers.
      {"groups that do not divide", [] { GroupNorm<float>(3, 10); }, "GroupNorm: expected groups that divide 10 channels, got 3"},
      {"convolution groups that do not divide", [] { Conv2d<float>({.in_channels = 4, .out_channels = 6, .groups = 4}); },
       "Conv2d: expected channels that 4 groups divide, got 4 to 6"},
      {"no channels", [] { Conv2d<float>({.in_channels = 3}); }, "Conv2d: expected out_channels of at least 1, got 0"},
      {"stride zero", [] { Conv2d<float>({.in_channels = 3, .out_channels = 4, .stride = 0}); },
       "Conv2d: expected a stride of at least 1, got 0x0"},
      {"padding of more than half a pool", [] { AvgPool2d<float>({.kernel_size = 2, .padding = 2}); },
       "AvgPool2d: expected a padding of at most half of the kernel, got padding 2x2 and kernel 2x2"},
      {"dropout of more than all", [] { Dropout<float>(1.5); }, "Dropout: expected p in [0, 1], got 1.5"},
      {"a name twice", [] { Sequential<float>().add(ReLU<float>(), "a").add(ReLU<float>(), "a"); },
       "Sequential: the layer name \"a\" is taken"},
      {"no layers",
       [] {
         Sequential<float>().forward(Tensor<float>({2, 3, 4, 5}));
       },
       "Sequential: expected at least one layer, got none"},
      // Losses, optimizers, schedulers.
      {"label out of range",
       [] {
         loss_of({4, 10}, {0, 9, 3, 10});
       },
       "CrossEntropyLoss: expected labels in [0, 10), got 10 at position 3"},
      {"negative label",
       [] {
         loss_of({2, 10}, {-1, 0});
       },
       "CrossEntropyLoss: expected labels in [0, 10), got -1 at position 0"},
      {"too few labels",
       [] {
         loss_of({4, 10}, {0, 9, 3});
       },
       "CrossEntropyLoss: expected 4 labels for predictions 4x10, got 3"},
      {"a loss of feature maps",
       [] {
         loss_of({2, 10, 3, 3}, {0, 1});
       },
       "CrossEntropyLoss: expected predictions N x C or N x C x 1 x 1, got 2x10x3x3"},
      {"class weights for other classes",
       [] {
         loss_of({2, 10}, {0, 1}, {.weight = {1, 2, 3}});
       },
       "CrossEntropyLoss: expected 10 weights for predictions 2x10, got 3"},
      {"negative learning rate",
       [] {
         auto net = small_net();
         SGD<float>(net.parameters(), {.lr = -0.1});
       },
       "Optimizer: expected a finite lr of at least 0, got -0.1"},
      {"a learning rate forgotten",
       [] {
         auto net = small_net();
         SGD<float>(net.parameters(), {.momentum = 0.9});
       },
       "Optimizer: expected a finite lr of at least 0, got nan"},
      {"nesterov without momentum",
       [] {
         auto net = small_net();
         SGD<float>(net.parameters(), {.lr = 0.1, .nesterov = true});
       },
       "SGD: expected a momentum above 0 and no dampening for nesterov, got momentum 0 and dampening 0"},
      {"no parameters", [] { SGD<float>(std::vector<NamedParameter<float>>{}, {.lr = 0.1}); },
       "Optimizer: expected at least one parameter, got none"},
      {"a schedule without steps",
       [] {
         auto net = small_net();
         SGD<float> optimizer(net.parameters(), {.lr = 0.1});
         StepLR<float>(optimizer, {.step_size = 0});
       },
       "StepLR: expected step_size of at least 1, got 0"},
      {"a negative norm",
       [] {
         auto net = small_net();
         clip_grad_norm(net.parameters(), -1);
       },
       "clip_grad_norm: expected a max_norm of at least 0, got -1"},
      {"a gradient that is not finite",
       [] {
         auto net = small_net();
         net.parameters()[2].parameter->grad[3] = std::numeric_limits<float>::infinity();
         clip_grad_norm(net.parameters(), 1);
       },
       "clip_grad_norm: the gradient of \"norm1.weight\" is not finite"},
      // Data.
      {"no folder", [] { Cifar10::load("/nowhere"); }, "Cifar10: no folder \"/nowhere\"" + hint},
      {"a file missing",
       [&] {
         data_with("", "");
         std::filesystem::remove(folder / "data_batch_3.bin");
         Cifar10::load(folder);
       },
       "Cifar10: no file " + in_folder("data_batch_3.bin") + hint},
      {"an empty file", [] { Cifar10::load(data_with("data_batch_1.bin", "")); },
       "Cifar10: " + in_folder("data_batch_1.bin") + ": expected records of 3073 bytes, got an empty file"},
      {"a truncated file", [=] { Cifar10::load(data_with("test_batch.bin", record + record.substr(0, 1000))); },
       "Cifar10: " + in_folder("test_batch.bin") +
           ": expected records of 3073 bytes, got 1000 bytes in the last, at offset 3073"},
      {"an oversized file",
       [] {
         data_with("", "");
         std::filesystem::resize_file(folder / "data_batch_5.bin", 10001 * 3073);
         Cifar10::load(folder);
       },
       "Cifar10: " + in_folder("data_batch_5.bin") + ": expected at most 10000 records of 3073 bytes, got 30733073 bytes"},
      {"a label byte of 200", [=] { Cifar10::load(data_with("data_batch_2.bin", bad_label)); },
       "Cifar10: " + in_folder("data_batch_2.bin") + ": expected a label below 10 at offset 3073, got 200"},
      {"a label without a class", [] { images(1, 10); },
       "Dataset: expected labels of at least 0 and below 10 (the class names), got 10 for image 0"},
      {"no image to load",
       [] {
         const Dataset none;
         DataLoader<float> loader(none);
       },
       "DataLoader: expected at least one image, got none"},
      {"a std of zero",
       [] {
         const Dataset one = images(1);
         DataLoader<float>(one, {.normalize = {.mean = {0.5}, .std = {0}}});
       },
       "Normalize: expected a finite std above 0, got 0 for channel 0"},
      // Training.
      {"empty training data", [] { fit({}, Dataset(), images(2)); }, "Trainer: expected at least one training image, got none"},
      {"an epoch zero", [] { fit({.first_epoch = 0}, images(2), images(2)); },
       "Trainer: expected a first_epoch of at least 1, got 0"},
      {"a batch size of zero", [] { fit({.batch_size = 0}, images(2), images(2)); },
       "DataLoader: expected a batch_size of at least 1, got 0"},
      {"a negative norm of gradients", [] { fit({.max_grad_norm = -0.5}, images(2), images(2)); },
       "Trainer: expected a max_grad_norm of at least 0, got -0.5"},
      {"a learning rate that explodes",
       [] {
         auto net = small_net();
         net.parameters()[0].parameter->value[0] = std::numeric_limits<float>::infinity();
         SGD<float> optimizer(net.parameters(), {.lr = 0.5});
         const Dataset data = images(4);
         Trainer<float>(net, optimizer, CrossEntropyLoss<float>()).fit(data, data, {.progress = {.out = nullptr}});
       },
       "Trainer: the loss became nan in epoch 1, step 1, at learning rate 0.5; the first value that is not finite is the output "
       "of Conv2d \"conv1\" in the forward pass, -inf at image 0, channel 0, y 0, x 0; its weight was not finite before"},
      {"negative threads", [] { set_num_threads(-2); }, "set_num_threads: expected at least 0 threads, got -2"},
      // Files.
      {"an unwritable file", [] { write_file_atomically("/nowhere/history.csv", "x"); },
       "cannot write \"/nowhere/history.csv\": No such file or directory"},
      {"an unwritable picture", [] { viz::write_png(viz::Image(2, 2), "/nowhere/loss.png"); },
       "cannot write \"/nowhere/loss.png\": No such file or directory"},
      {"an unwritable output folder",
       [] {
         const cifar10_norms::Data data{.images = {.train = images(1), .test = images(1)}, .source = "a test"};
         cifar10_norms::Options options;
         options.out = "/dev/null/runs";
         cifar10_norms::Report(options, data);
       },
       "cannot write to \"/dev/null/runs\": Not a directory"},
      // The main job's command line.
      {"unknown option", [] { command_line({"--epocs"}); }, "unknown option --epocs; --help lists those that there are"},
      {"unknown command", [] { command_line({"batch-study"}); },
       "expected recipes, batch-size-study or options, got \"batch-study\""},
      {"a study of all recipes",
       [] {
         command_line({"batch-size-study", "--recipe", "all"});
       },
       "--recipe: batch-size-study expects one recipe, got all"},
      {"unknown recipe",
       [] {
         command_line({"--recipe", "resnet"});
       },
       "--recipe: expected one of era, tsai8, tsai8_head, eva6, dw, dw_residual, onecycle or all, got \"resnet\""},
      {"unknown norm",
       [] {
         command_line({"--norm", "bn,xn"});
       },
       "--norm: recipe era expects bn, gn, gn:GROUPS, ln, in or none, got \"xn\""},
      {"no epochs",
       [] {
         command_line({"--epochs", "0"});
       },
       "--epochs: expected at least 1, got 0"},
      {"no images in a batch",
       [] {
         command_line({"--batch-size", "0"});
       },
       "--batch-size: expected at least 1, got 0"},
      {"no threads",
       [] {
         command_line({"--threads", "-1"});
       },
       "--threads: expected at least 1, got -1"},
      {"a learning rate of zero",
       [] {
         command_line({"--lr", "0"});
       },
       "--lr: expected a finite number above 0, got 0"},
      {"a seed that is no number",
       [] {
         command_line({"--seed", "1,x"});
       },
       "--seed: expected whole numbers from 0 to 2^64 - 1, got \"x\""},
      {"data twice",
       [] {
         command_line({"--data", "a", "--synthetic"});
       },
       "--data and --synthetic exclude each other"},
  };
}

}  // namespace

TEST_CASE("every wrong use gets its message", "[errors]") {
  const std::vector<WrongUse> table = wrong_uses();
  CHECK(table.size() >= 30);
  for (const WrongUse& wrong : table) {
    INFO(wrong.what);
    CHECK_THROWS_WITH(wrong.use(), wrong.message);
    CHECK_THROWS_AS(wrong.use(), Error);
  }
}
