// Tests of the parts of examples/cifar10_norms.
#include "support/catch.hpp"
#include "support/files.hpp"

#include <cifar10_norms/options.hpp>
#include <cifar10_norms/recipes.hpp>
#include <cifar10_norms/report.hpp>
#include <cifar10_norms/table.hpp>

#include <cmath>
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

normnet::ModelSummary era_summary(const std::string& norm) { return summarize(*find_recipe("era"), *parse_norm(norm)); }

// As after two epochs.
Run run_of(std::uint64_t seed, double train, double test, double seconds) {
  return {.seed = seed,
          .history = {.labels = {{"recipe", "era"}, {"norm", "gn"}, {"seed", std::to_string(seed)}},
                      .epochs = {{.epoch = 1, .train_accuracy = 1, .test_accuracy = 2, .train_seconds = seconds},
                                 {.epoch = 2, .train_accuracy = train, .test_accuracy = test, .train_seconds = seconds + 2}}}};
}

Data tiny_data() { return {.images = normnet::synthetic_cifar10({.train = 10, .test = 10}), .source = "a test"}; }

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
                    "--norm gn:3: recipe era: layer \"norm1\": GroupNorm: expected groups that divide 10 channels, got 3");
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
  CHECK(defaults.command == Command::train);
  REQUIRE(defaults.plans.size() == 1);
  const Plan& era = defaults.plans.front();
  CHECK(era.recipe->name == "era");
  CHECK(era.norms.size() == 3);
  CHECK(era.epochs == 20);
  CHECK(era.batch_size == 128);
  CHECK(era.learning_rate == 0.01);
  CHECK_FALSE(era.augment.enabled());
  CHECK(era.out == std::filesystem::path("runs/era"));
  CHECK(defaults.seeds == std::vector<std::uint64_t>{1});
  CHECK(defaults.out == std::filesystem::path("runs/era"));
  CHECK(defaults.progress);
  CHECK_FALSE(defaults.synthetic);

  const Options given = *parse({"--norm",         "gn:5,none",
                                "--seed",         "7,0,18446744073709551615",
                                "--epochs",       "3",
                                "--batch-size",   "64",
                                "--lr",           "0.5",
                                "--flip",         "0.25",
                                "--crop-padding", "4",
                                "--limit",        "100",
                                "--threads",      "2",
                                "--out",          "a folder",
                                "--synthetic",    "--no-progress"});
  const Plan& plan = given.plans.front();
  REQUIRE(plan.norms.size() == 2);
  CHECK(plan.norms[0].groups == std::optional<Index>(5));
  CHECK(plan.norms[1].name == "none");
  CHECK(plan.epochs == 3);
  CHECK(plan.batch_size == 64);
  CHECK(plan.learning_rate == 0.5);
  CHECK(plan.augment.flip_probability == 0.25);
  CHECK(plan.augment.crop_padding == 4);
  CHECK(plan.out == std::filesystem::path("a folder"));
  CHECK(given.seeds == std::vector<std::uint64_t>{7, 0, 18446744073709551615u});
  CHECK(given.limit == std::optional<Index>(100));
  CHECK(given.threads == std::optional<int>(2));
  CHECK(given.synthetic);
  CHECK_FALSE(given.progress);
  CHECK(parse({"--lr", "0.5", "--out", "a folder"})->command_line == "cifar10_norms --lr 0.5 --out 'a folder'");
}

TEST_CASE("all recipes, one after the other", "[examples]") {
  const Options all = *parse({"--recipe", "all", "--epochs", "2", "--out", "here"});
  REQUIRE(all.plans.size() == recipes().size());
  for (std::size_t i = 0; i < all.plans.size(); ++i) {
    const Plan& plan = all.plans[i];
    INFO(plan.recipe->name);
    CHECK(plan.recipe == &recipes()[i]);
    CHECK(plan.norms.size() == plan.recipe->norms.size());
    CHECK(plan.epochs == 2);
    CHECK(plan.learning_rate == plan.recipe->learning_rate);
    CHECK(plan.out == std::filesystem::path("here") / plan.recipe->name);
  }
  CHECK(parse({"--recipe", "all"})->out == std::filesystem::path("runs/all"));
}

TEST_CASE("the options of the study", "[examples]") {
  const Options study = *parse({"--data", "x", "batch-size-study", "--recipe", "dw", "--batch-sizes", "64,2", "--seed", "1,2"});
  CHECK(study.command == Command::batch_size_study);
  CHECK(study.batch_sizes == std::vector<Index>{2, 64});
  CHECK(study.data == std::optional<std::filesystem::path>("x"));
  CHECK(study.seeds.size() == 2);
  CHECK(study.out == std::filesystem::path("runs/dw-batch-sizes"));
  const Plan& plan = study.plans.front();
  CHECK(plan.recipe->name == "dw");
  CHECK(plan.norms.back().name == "ln");  // not the recipe's own lnet
  CHECK(plan.epochs == study_epochs);
  CHECK(learning_rate_at(plan, 64) == 0.2);  // twice that at 32
  CHECK(parse({"batch-size-study"})->batch_sizes == std::vector<Index>{2, 4, 8, 16, 32, 64, 128, 256});
  CHECK(parse({"recipes"})->command == Command::recipes);
}

TEST_CASE("wrong options are one clear line", "[examples]") {
  CHECK_THROWS_WITH(parse({"--recipe", "xyz"}),
                    "--recipe: expected one of era, tsai8, tsai8_head, eva6, dw, dw_residual, onecycle or all, got \"xyz\"");
  CHECK_THROWS_WITH(parse({"--norm", "bn,foo"}), "--norm: recipe era expects bn, gn, gn:GROUPS, ln, in or none, got \"foo\"");
  CHECK_THROWS_WITH(parse({"--norm", "bn,gn,bn"}), "--norm: bn is given twice");
  CHECK_THROWS_WITH(parse({"--epochs", "0"}), "--epochs: expected at least 1, got 0");
  CHECK_THROWS_WITH(parse({"--batch-size", "0"}), "--batch-size: expected at least 1, got 0");
  CHECK_THROWS_WITH(parse({"--limit", "0"}), "--limit: expected at least 1, got 0");
  CHECK_THROWS_WITH(parse({"--threads", "0"}), "--threads: expected at least 1, got 0");
  CHECK_THROWS_WITH(parse({"--threads", "-2"}), "--threads: expected at least 1, got -2");
  CHECK_THROWS_WITH(parse({"--lr", "0"}), "--lr: expected a finite number above 0, got 0");
  for (const char* const text : {"nan", "0,5", "0.5x", "1e999", ""}) {
    CHECK_THROWS_WITH(parse({"--lr", text}), "--lr: expected a number, got \"" + std::string(text) + "\"");
  }
  CHECK_THROWS_WITH(parse({"--flip", "1.5"}), "--flip: expected a number from 0 to 1, got 1.5");
  CHECK_THROWS_WITH(parse({"--flip", "nan"}), "--flip: expected a number, got \"nan\"");
  CHECK_THROWS_WITH(parse({"--crop-padding", "-1"}), "--crop-padding: expected at least 0, got -1");
  CHECK_THROWS_WITH(parse({"--seed", "1,x"}), "--seed: expected whole numbers from 0 to 2^64 - 1, got \"x\"");
  CHECK_THROWS_WITH(parse({"--seed", "-1"}), "--seed: expected whole numbers from 0 to 2^64 - 1, got \"-1\"");
  CHECK_THROWS_WITH(parse({"--seed", "1,01"}), "--seed: 1 is given twice");
  CHECK_THROWS_WITH(parse({"--data", "x", "--synthetic"}), "--data and --synthetic exclude each other");
  CHECK_THROWS_WITH(parse({"--recipe", "all", "--norm", "lnet"}),
                    "--norm: recipe era expects bn, gn, gn:GROUPS, ln, in or none, got \"lnet\"");
  CHECK_THROWS_WITH(parse({"batch-size-study", "--recipe", "all"}), "--recipe: batch-size-study expects one recipe, got all");
  CHECK_THROWS_WITH(parse({"batch-size-study", "--batch-size", "4"}), "--batch-size: batch-size-study expects --batch-sizes");
  CHECK_THROWS_WITH(parse({"batch-size-study", "--batch-sizes", "4,0"}), "--batch-sizes: expected at least 1, got 0");
  CHECK_THROWS_WITH(parse({"batch-size-study", "--batch-sizes", "4,2,4"}), "--batch-sizes: 4 is given twice");
  CHECK_THROWS_WITH(parse({"--batch-sizes", "4"}), "unknown option --batch-sizes; --help lists those that there are");
  CHECK_THROWS_WITH(parse({"recipes", "--epochs", "4"}), "unknown option --epochs; --help lists those that there are");
  CHECK_THROWS_WITH(parse({"study"}), "expected recipes, batch-size-study or options, got \"study\"");
  CHECK_THROWS_WITH(parse({"--foo"}), "unknown option --foo; --help lists those that there are");
  CHECK_THROWS_AS(parse({"--epochs", "many"}), UsageError);
}

TEST_CASE("the table of recipes", "[examples]") {
  const std::string table = recipe_table();
  const auto has = [&](const std::string& line) { return ("\n" + table).find("\n" + line + "\n") != std::string::npos; };
  CHECK(has("recipe       norm     parameters  epochs  published train / test %  at epoch"));
  CHECK(has("era          bn           39,490      20             74.53 / 74.71        20"));
  CHECK(has("tsai8        ln           57,866      11                     52.27         9"));
  CHECK(has("tsai8_head   ln_body      53,290      11                         -         -"));
  CHECK(has("dw           lnet         73,770      20                         -         -"));
  CHECK(has("dw_residual  gn            5,882      20                         -         -"));
  CHECK(has("onecycle     bn           47,876      20             71.31 / 72.91        11"));
  CHECK(has("era          ten convolutions, dropout 0.1, constant learning rate"));
}

TEST_CASE("mean and spread over seeds", "[examples]") {
  NormResult result{.norm = *parse_norm("gn"), .runs = {run_of(1, 70, 72, 9), run_of(2, 71, 72.5, 10), run_of(3, 72, 73, 11)}};
  result.runs.back().history.epochs.pop_back();
  using normnet::EpochRecord;
  CHECK(at_epoch(result, 1, &EpochRecord::train_accuracy)->to_string(2) == "1.00 +- 0.00");
  CHECK(at_epoch(result, 2, &EpochRecord::train_accuracy)->to_string(2) == "70.50 +- 0.71");  // of those that have come so far
  CHECK_FALSE(at_epoch(result, 3, &EpochRecord::train_accuracy));
  CHECK(spread({5}).to_string(1) == "5.0");
  const Spread seconds = over_epochs(result, &EpochRecord::train_seconds);  // 9 and 11, 10 and 12, 11
  CHECK(seconds.mean == Approx((10 + 11 + 11) / 3.0));
  CHECK(seconds.std.value() == Approx(std::sqrt(1 / 3.0)));  // of the seeds, as everywhere
  result.runs.resize(1);
  CHECK(over_epochs(result, &EpochRecord::train_seconds).to_string(1) == "10.0");
}

TEST_CASE("the table at the end compares with what was published at its epoch", "[examples]") {
  Recipe recipe = *find_recipe("era");
  recipe.published = {{"gn", {.train = 72, .test = 70.55, .epoch = 1}}, {"ln", {.test = 52.27, .epoch = 9}}};
  const Plan plan{.recipe = &recipe, .norms = {*parse_norm("gn"), *parse_norm("ln"), *parse_norm("none")}};
  const std::vector<NormResult> norms{{.norm = plan.norms[0],
                                       .parameters = 39490,
                                       .activation_bytes = 3 << 19,
                                       .runs = {run_of(1, 70, 72, 9), run_of(2, 71, 72.5, 10), run_of(3, 72, 73, 11)}},
                                      {.norm = plan.norms[1], .parameters = 39490, .runs = {run_of(1, 60.125, 61, 8)}},
                                      {.norm = plan.norms[2], .parameters = 39070, .runs = {run_of(1, 60.125, 61, 8)}}};
  const std::vector<ExperimentResult> experiments{{.plan = plan, .norms = norms}};
  CHECK(result_table(experiments, /*synthetic=*/false) ==
        "recipe  norm  parameters        train %         test %  epoch    published %           here at that epoch  s/epoch  "
        "activations MB\n"
        "era     gn        39,490  71.00 +- 1.00  72.50 +- 0.50      1  72.00 / 70.55  1.00 +- 0.00 / 2.00 +- 0.00     11.0      "
        "       1.5\n"
        "era     ln        39,490          60.12          61.00      9          52.27                            -      9.0      "
        "       0.0\n"
        "era     none      39,070          60.12          61.00      -              -                            -      9.0      "
        "       0.0\n");
  CHECK(result_table(experiments, /*synthetic=*/true).find("52.27") == std::string::npos);
}

TEST_CASE("a report removes what an earlier run left, and nothing else", "[examples]") {
  const normnet::test::TemporaryFolder folder;
  const auto exists = [&](const char* file) { return std::filesystem::exists(folder / file); };
  const std::vector<const char*> ours{"results.json",
                                      "report.html",
                                      "study.csv",
                                      "misclassified_xn.png",
                                      "loss_xn.png",
                                      "confusion_xn.png",
                                      ".results.json.12-3.part",
                                      ".report.html.7-10.part",
                                      ".accuracy_gn5.png.99-1.part",
                                      ".cifar10_norms.probe.1-1.part"};
  const std::vector<const char*> others{"misclassified.txt",     "photo.png",          "accuracies.png",
                                        ".notes.12-3.part",      ".results.json.part", "results.json.12-3.part",
                                        ".results.json.x-3.part"};
  for (const auto& files : {ours, others}) {
    for (const char* file : files) std::ofstream(folder / file) << "x";
  }
  const Options options = *parse({"--synthetic", "--out", folder.path().string()});
  const Data data = tiny_data();

  setenv("NORMNET_FONT", "nowhere", 1);
  CHECK_THROWS_WITH(Report(options, data), "NORMNET_FONT: cannot read the font \"nowhere\"");
  unsetenv("NORMNET_FONT");
  CHECK(exists("results.json"));  // a run that cannot start changes nothing

  const Report report(options, data);
  for (const char* file : ours) CHECK_FALSE(exists(file));
  for (const char* file : others) CHECK(exists(file));
}

TEST_CASE("the results as JSON, from the first epoch to the end", "[examples]") {
  const normnet::test::TemporaryFolder folder;
  const Options options = *parse({"--norm", "bn", "--epochs", "9", "--synthetic", "--out", folder.path().string()});
  Data data = tiny_data();
  data.source = "CIFAR-10 from \"caf\xe9\"";  // Latin-1
  const Report report(options, data);
  const auto written = [&] { return nlohmann::json::parse(normnet::test::content(folder / "results.json")); };

  Results results{.version = "1.2.3", .command_line = options.command_line};
  report.begin(results);
  CHECK(written().at("experiments").empty());
  CHECK(written().at("pictures").size() == 3);
  for (const char* picture : {"samples.png", "classes.png", "channels.png"}) CHECK(std::filesystem::exists(folder / picture));

  Run run = run_of(7, 40, 42, 3);
  run.history.epochs.pop_back();
  results.experiments = {
      {.plan = options.plans.front(), .norms = {{.norm = *parse_norm("bn"), .parameters = 39490, .runs = {run}}}}};
  report.after_epoch(results);
  const nlohmann::json first = written();
  CHECK(first.at("version") == "1.2.3");
  CHECK(first.at("command") == options.command_line);
  CHECK(first.at("finished") == false);
  CHECK(first.at("started").get<std::string>().size() == 20);
  CHECK(first.at("data") == "CIFAR-10 from \"caf\xef\xbf\xbd\"");
  CHECK(first.at("synthetic") == true);
  CHECK(first.at("classes").size() == 10);
  CHECK_FALSE(first.contains("study"));
  const nlohmann::json experiment = first.at("experiments").at(0), norm = experiment.at("norms").at(0);
  CHECK(experiment.at("recipe") == "era");
  CHECK(experiment.at("epochs") == 9);
  CHECK(experiment.at("schedule") == "constant");
  CHECK(norm.at("title") == "BN");
  CHECK(norm.at("published") == nlohmann::json{{"train_acc", 74.53}, {"test_acc", 74.71}, {"epoch", 20}});
  CHECK(norm.at("seconds_per_epoch") == nlohmann::json{{"mean", 3.0}, {"std", nullptr}});
  CHECK(norm.at("runs").at(0).at("seed") == 7);
  CHECK(norm.at("runs").at(0).at("epochs").at(0).at("test_acc") == 2);
  CHECK_FALSE(norm.contains("confusion"));

  // A network of twelve outputs, which took a cat for none of the classes; the last output was never the greatest.
  NormResult& result = results.experiments[0].norms[0];
  result.confusion.emplace(12);
  for (const int predicted : {3, 3, 3, 10}) result.confusion->add(3, predicted);
  result.mistakes = {{.index = 0, .label = 3, .predicted = 10}};
  report.after_training(results);
  report.after_first_seed(results);
  results.finished = true;
  report.write_results(results);
  const nlohmann::json last = written(), trained = last.at("experiments").at(0).at("norms").at(0);
  CHECK(last.at("finished") == true);
  CHECK(trained.at("confusion").size() == 10);
  CHECK(trained.at("confusion").at(3) == nlohmann::json{0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 1});
  CHECK(trained.at("class_accuracy").at(3) == 75);
  CHECK(trained.at("class_accuracy").at(4) == nullptr);
  CHECK(last.at("pictures").at(3).at("file") == "misclassified_bn.png");
  CHECK(last.at("pictures").at(3).at("norm") == "bn");
  for (const char* file : {"history.csv", "accuracy.png", "loss.png", "accuracy_bn.png", "loss_bn.png", "confusion_bn.png",
                           "misclassified_bn.png"}) {
    CHECK(std::filesystem::exists(folder / file));
  }
}

TEST_CASE("a run that an error ends says so in its files", "[examples]") {
  const normnet::test::TemporaryFolder folder;
  const Options options = *parse({"--norm", "bn,gn", "--epochs", "9", "--synthetic", "--out", folder.path().string()});
  const Data data = tiny_data();
  const Report report(options, data);
  const auto written = [&] { return nlohmann::json::parse(normnet::test::content(folder / "results.json")); };
  const auto page = [&] { return normnet::test::content(folder / "report.html"); };

  Results results{.version = "1.2.3", .command_line = options.command_line};
  report.watch(results, [&] { report.begin(results); });
  CHECK(written().at("failed") == nullptr);
  CHECK(written().at("resume") == nullptr);
  CHECK(page().find("\"failed\":null") != std::string::npos);
  const auto train_and_fail = [&] {
    results.experiments = {{.plan = options.plans.front(),
                            .norms = {{.norm = *parse_norm("bn"), .parameters = 39490, .runs = {run_of(7, 40, 42, 3)}},
                                      {.norm = *parse_norm("gn"), .parameters = 39490}}}};
    normnet::fail("the \"disk\" burns");
  };
  CHECK_THROWS_WITH(report.watch(results, train_and_fail), "the \"disk\" burns");
  CHECK(written().at("failed") == "the \"disk\" burns");
  CHECK(written().at("finished") == false);
  CHECK(written().at("resume") == options.resume_command);
  CHECK(written().at("experiments").at(0).at("norms").size() == 1);  // the other has no epoch to show
  CHECK(page().find("\"failed\":\"the \\\"disk\\\" burns\"") != std::string::npos);

  const auto diverge = [] { throw normnet::NotFiniteError("the loss became nan"); };
  CHECK_THROWS_WITH(report.watch(results, diverge), "the loss became nan");
  CHECK(written().at("failed") == "the loss became nan");
  CHECK(written().at("resume") == nullptr);  // it would come to the same

  // A disk that is too full for another file: each is told where it stands, and is otherwise as it was.
  results = {.version = "1.2.3", .command_line = "\"failed\":null \"failed\": null"};
  report.begin(results);
  const nlohmann::json before = written();
  const std::string page_before = page();
  const auto fill_the_disk = [&] {
    const normnet::test::FileSizeLimit full(page_before.size() - 1);
    report.watch(results, [&]() { normnet::fail("the \"disk\" burns"); });
  };
  CHECK_THROWS_WITH(fill_the_disk(), "the \"disk\" burns");
  CHECK(written().at("failed") == "the \"disk\" burns");  // there was room for this one
  std::string expected = page_before;
  const std::string key = "\"failed\":";
  expected.replace(expected.find(key + "null") + key.size(), 4, "true");
  CHECK(page() == expected);

  results = {.version = "1.2.3", .command_line = ""};
  report.begin(results);
  const auto fill_it_more = [&] {
    const normnet::test::FileSizeLimit full(normnet::test::content(folder / "results.json").size() - 1);
    report.watch(results, [&]() { normnet::fail("the \"disk\" burns"); });
  };
  CHECK_THROWS_WITH(fill_it_more(), "the \"disk\" burns");
  CHECK(written().at("failed") == true);
  CHECK(written().at("version") == before.at("version"));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), std::filesystem::directory_iterator()) == 5);
}

TEST_CASE("the schedules in words", "[examples]") {
  const auto schedule = [](const char* recipe) { return describe(find_recipe(recipe)->training.schedule); };
  CHECK(schedule("era") == "constant");
  CHECK(schedule("eva6") == "times 0.1 every 6 epochs");
  CHECK(schedule("dw") == "one cycle");
}
