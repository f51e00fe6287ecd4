// Tests of the parts of examples/cifar10_norms.
#include "support/catch.hpp"
#include "support/files.hpp"

#include <cifar10_norms/options.hpp>
#include <cifar10_norms/recipes.hpp>
#include <cifar10_norms/report.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

using namespace cifar10_norms;

namespace {

std::optional<Options> parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "cifar10_norms");
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  return parse_options(static_cast<int>(pointers.size()), pointers.data());
}

normnet::ModelSummary era_summary(const std::string& norm) { return summarize(*parse({"--norm", norm}), *parse_norm(norm)); }

}  // namespace

TEST_CASE("the network of the recipe era, to the letter", "[examples]") {
  CHECK(era_summary("bn").to_string() ==
        "Layer    Type         Output shape  Params  Multiply-adds\n"
        "=========================================================\n"
        "conv1    Conv2d           10x30x30     270        243,000\n"
        "relu1    ReLU             10x30x30       0              0\n"
        "norm1    BatchNorm2d      10x30x30      20              0\n"
        "drop1    Dropout          10x30x30       0              0\n"
        "conv2    Conv2d           20x28x28   1,800      1,411,200\n"
        "relu2    ReLU             20x28x28       0              0\n"
        "norm2    BatchNorm2d      20x28x28      40              0\n"
        "drop2    Dropout          20x28x28       0              0\n"
        "trans3   Conv2d           10x28x28     200        156,800\n"
        "pool1    MaxPool2d        10x14x14       0              0\n"
        "conv4    Conv2d           20x14x14   1,800        352,800\n"
        "relu4    ReLU             20x14x14       0              0\n"
        "norm4    BatchNorm2d      20x14x14      40              0\n"
        "drop4    Dropout          20x14x14       0              0\n"
        "conv5    Conv2d           30x14x14   5,400      1,058,400\n"
        "relu5    ReLU             30x14x14       0              0\n"
        "norm5    BatchNorm2d      30x14x14      60              0\n"
        "drop5    Dropout          30x14x14       0              0\n"
        "conv6    Conv2d           40x14x14  10,800      2,116,800\n"
        "relu6    ReLU             40x14x14       0              0\n"
        "norm6    BatchNorm2d      40x14x14      80              0\n"
        "drop6    Dropout          40x14x14       0              0\n"
        "trans7   Conv2d           10x14x14     400         78,400\n"
        "pool2    MaxPool2d          10x7x7       0              0\n"
        "conv8    Conv2d             20x5x5   1,800         45,000\n"
        "relu8    ReLU               20x5x5       0              0\n"
        "norm8    BatchNorm2d        20x5x5      40              0\n"
        "drop8    Dropout            20x5x5       0              0\n"
        "conv9    Conv2d             30x3x3   5,400         48,600\n"
        "relu9    ReLU               30x3x3       0              0\n"
        "norm9    BatchNorm2d        30x3x3      60              0\n"
        "drop9    Dropout            30x3x3       0              0\n"
        "conv10   Conv2d             40x1x1  10,800         10,800\n"
        "relu10   ReLU               40x1x1       0              0\n"
        "norm10   BatchNorm2d        40x1x1      80              0\n"
        "drop10   Dropout            40x1x1       0              0\n"
        "gap      AvgPool2d          40x1x1       0              0\n"
        "trans11  Conv2d             10x1x1     400            400\n"
        "=========================================================\n"
        "Total params: 39,490\n"
        "Trainable params: 39,490\n"
        "Non-trainable params: 0\n"
        "Total multiply-adds: 5,522,200\n"
        "---------------------------------------------------------\n"
        "Input size (MB): 0.01\n"
        "Forward/backward pass size (MB): 1.41\n"
        "Params size (MB): 0.15\n"
        "Estimated Total Size (MB): 1.57\n");
  for (const char* norm : {"gn", "gn:5", "ln", "in"}) CHECK(era_summary(norm).parameters() == 39490);
  CHECK(era_summary("none").parameters() == 39490 - 2 * (10 + 20 + 20 + 30 + 40 + 20 + 30 + 40));
  CHECK_THROWS_WITH(era_summary("gn:3"),
                    "--norm gn:3: layer \"norm1\": GroupNorm: expected groups that divide 10 channels, got 3");
}

TEST_CASE("the groups of each normalization", "[examples]") {
  const auto groups = [](const std::string& norm) {
    auto net = era_network(*parse_norm(norm), 0);
    return dynamic_cast<const normnet::GroupNorm<float>&>(net[2]).options().groups;
  };
  CHECK(groups("gn") == 2);
  CHECK(groups("gn:5") == 5);
  CHECK(groups("ln") == 1);
  CHECK(groups("in") == 10);
}

TEST_CASE("the names of normalizations", "[examples]") {
  CHECK(parse_norm("gn:8")->file_name() == "gn8");
  CHECK(parse_norm("gn:8")->title() == "GN8");
  CHECK(parse_norm("bn")->title() == "BN");
  CHECK(parse_norm("none")->title() == "no norm");
  for (const char* wrong : {"", "BN", "gn:", "gn:0", "gn:-1", "gn:2x", "gn2", "bn:2"}) CHECK_FALSE(parse_norm(wrong));
}

TEST_CASE("options that are not given are the recipe's", "[examples]") {
  const Options defaults = *parse({});
  CHECK(defaults.recipe->name == "era");
  CHECK(defaults.norms.size() == 3);
  CHECK(defaults.seeds == std::vector<std::uint64_t>{1});
  CHECK(defaults.epochs == 20);
  CHECK(defaults.batch_size == 128);
  CHECK(defaults.learning_rate == 0.01);
  CHECK(defaults.out == std::filesystem::path("runs/era"));
  CHECK(defaults.progress);
  CHECK_FALSE(defaults.synthetic);

  const Options given =
      *parse({"--norm", "gn:5,none", "--seed", "7,0,18446744073709551615", "--epochs", "3", "--batch-size", "64", "--lr", "0.5",
              "--limit", "100", "--threads", "2", "--out", "here", "--synthetic", "--no-progress"});
  REQUIRE(given.norms.size() == 2);
  CHECK(given.norms[0].groups == std::optional<Index>(5));
  CHECK(given.norms[1].name == "none");
  CHECK(given.seeds == std::vector<std::uint64_t>{7, 0, 18446744073709551615u});
  CHECK(given.epochs == 3);
  CHECK(given.batch_size == 64);
  CHECK(given.learning_rate == 0.5);
  CHECK(given.limit == std::optional<Index>(100));
  CHECK(given.threads == std::optional<int>(2));
  CHECK(given.out == std::filesystem::path("here"));
  CHECK(given.synthetic);
  CHECK_FALSE(given.progress);
}

TEST_CASE("wrong options are one clear line", "[examples]") {
  CHECK_THROWS_WITH(parse({"--recipe", "xyz"}),
                    "--recipe: expected one of era, tsai8, tsai8_head, eva6, dw, onecycle, got \"xyz\"");
  CHECK_THROWS_WITH(parse({"--norm", "bn,foo"}), "--norm: expected bn, gn, gn:GROUPS, ln, in or none, got \"foo\"");
  CHECK_THROWS_WITH(parse({"--norm", "bn,gn,bn"}), "--norm: bn is given twice");
  CHECK_THROWS_WITH(parse({"--epochs", "0"}), "--epochs: expected at least 1, got 0");
  CHECK_THROWS_WITH(parse({"--batch-size", "0"}), "--batch-size: expected at least 1, got 0");
  CHECK_THROWS_WITH(parse({"--limit", "0"}), "--limit: expected at least 1, got 0");
  CHECK_THROWS_WITH(parse({"--threads", "0"}), "--threads: expected at least 1, got 0");
  CHECK_THROWS_WITH(parse({"--threads", "-2"}), "--threads: expected at least 1, got -2");
  CHECK_THROWS_WITH(parse({"--lr", "0"}), "--lr: expected a finite number above 0, got 0");
  CHECK_THROWS_WITH(parse({"--lr", "nan"}), "--lr: expected a finite number above 0, got nan");
  CHECK_THROWS_WITH(parse({"--seed", "1,x"}), "--seed: expected whole numbers from 0 to 2^64 - 1, got \"x\"");
  CHECK_THROWS_WITH(parse({"--seed", "-1"}), "--seed: expected whole numbers from 0 to 2^64 - 1, got \"-1\"");
  CHECK_THROWS_WITH(parse({"--seed", "1,01"}), "--seed: 1 is given twice");
  CHECK_THROWS_WITH(parse({"--data", "x", "--synthetic"}), "--data and --synthetic exclude each other");
  CHECK_THROWS_AS(parse({"--foo"}), UsageError);
  CHECK_THROWS_AS(parse({"--epochs", "many"}), UsageError);
}

TEST_CASE("the table at the end, with the spread of several seeds", "[examples]") {
  const normnet::test::TemporaryFolder folder;
  const Options options = *parse({"--norm", "gn,none", "--synthetic", "--limit", "10", "--out", folder.path().string()});
  const Data data = load_data(options);
  const Report report(options, data);
  const auto run = [](double train, double test, double seconds) {
    return normnet::History{
        .epochs = {{.epoch = 1, .train_accuracy = 1, .test_accuracy = 2, .train_seconds = seconds},
                   {.epoch = 2, .train_accuracy = train, .test_accuracy = test, .train_seconds = seconds + 2}}};
  };
  const std::vector<NormResult> results{
      {.norm = options.norms[0], .parameters = 39490, .runs = {run(70, 72, 9), run(71, 72.5, 10), run(72, 73, 11)}},
      {.norm = options.norms[1], .parameters = 39070, .runs = {run(60.125, 61, 8)}}};
  CHECK(report.table(results) ==
        "norm  parameters        train %         test %  published test %  s/epoch\n"
        "gn        39,490  71.00 +- 1.00  72.50 +- 0.50             72.93     11.0\n"
        "none      39,070          60.12          61.00                 -      9.0\n");
}

TEST_CASE("a report removes what an earlier run left, and nothing else", "[examples]") {
  const normnet::test::TemporaryFolder folder;
  const auto exists = [&](const char* file) { return std::filesystem::exists(folder / file); };
  for (const char* file : {"summary.json", "misclassified_xn.png", "misclassified.txt", "photo.png"}) {
    std::ofstream(folder / file) << "x";
  }
  const Options options = *parse({"--synthetic", "--limit", "10", "--out", folder.path().string()});
  const Data data = load_data(options);

  setenv("NORMNET_FONT", "nowhere", 1);
  CHECK_THROWS_WITH(Report(options, data), "NORMNET_FONT: cannot read the font \"nowhere\"");
  unsetenv("NORMNET_FONT");
  CHECK(exists("summary.json"));  // a run that cannot start changes nothing

  const Report report(options, data);
  CHECK_FALSE(exists("summary.json"));
  CHECK_FALSE(exists("misclassified_xn.png"));
  CHECK(exists("misclassified.txt"));
  CHECK(exists("photo.png"));
  CHECK(folder.entries() == 2);
}

TEST_CASE("the summary is JSON while a run is under way, and from a folder of any name", "[examples]") {
  const normnet::test::TemporaryFolder folder;
  const Options options = *parse({"--epochs", "9", "--synthetic", "--limit", "10", "--out", folder.path().string()});
  Data data = load_data(options);
  data.source = "CIFAR-10 from \"caf\xe9\"";  // Latin-1
  const normnet::History first_epoch{.labels = {{"seed", "1"}}, .epochs = {{.epoch = 1, .test_accuracy = 42}}};
  const std::vector<NormResult> results{{.norm = options.norms[0], .runs = {first_epoch}}};
  Report(options, data).write_summary(results, 1);
  const auto summary = nlohmann::json::parse(normnet::test::content(folder / "summary.json"));
  CHECK(summary.at("data").at("source") == "CIFAR-10 from \"caf\xef\xbf\xbd\"");
  CHECK(summary.at("options").at("epochs") == 9);
  CHECK(summary.at("norms").at(0).at("runs").at(0).at("epochs") == 1);
  CHECK(summary.at("norms").at(0).at("runs").at(0).at("final_test_acc") == 42);
}
