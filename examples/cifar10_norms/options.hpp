// The command line of cifar10_norms.
#pragma once

#include "norms.hpp"
#include "recipes.hpp"

#include <normnet/normnet.hpp>

#include <CLI/CLI.hpp>

#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <vector>

namespace cifar10_norms {

/// The program was called in a way that makes no sense.
class UsageError : public normnet::Error {
 public:
  using Error::Error;
};

/// What to do; where nothing was said, what the recipe says.
struct Options {
  const Recipe* recipe = nullptr;
  std::vector<Norm> norms;
  std::vector<std::uint64_t> seeds;
  Index epochs = 0;
  Index batch_size = 0;
  double learning_rate = 0;
  std::optional<Index> limit = std::nullopt;  ///< training images, and at most as many for the test
  std::optional<std::filesystem::path> data = std::nullopt;
  bool synthetic = false;
  std::optional<int> threads = std::nullopt;
  std::filesystem::path out;
  bool progress = true;
};

/// The options of a command line; nothing when it asked for help, which is then on standard output. Throws UsageError, with one
/// line that says what is wrong.
inline std::optional<Options> parse_options(int argc, char** argv) {
  Options options;
  std::string recipe = "era", out;
  std::vector<std::string> norms;
  std::vector<std::string> seeds{"1"};
  std::optional<Index> epochs, batch_size;
  std::optional<double> learning_rate;
  std::optional<std::string> data;
  bool no_progress = false;

  CLI::App app("Trains a network on CIFAR-10 with each normalization and compares them: histories, charts, misclassified images",
               "cifar10_norms");
  app.get_formatter()->column_width(26);
  app.set_help_flag("-h,--help", "Print this and exit");
  app.add_option("--recipe", recipe, "The published experiment: " + recipe_names())->type_name("NAME")->capture_default_str();
  app.add_option("--norm", norms, all_norm_names() + "; several with commas [the recipe's]")
      ->type_name("NORM[,...]")
      ->delimiter(',');
  app.add_option("--data", data, "The folder of the CIFAR-10 .bin files [$NORMNET_DATA, or data/cifar-10-batches-bin]")
      ->type_name("DIR");
  app.add_flag("--synthetic", options.synthetic, "Computed textures in place of CIFAR-10; their accuracies mean nothing else");
  app.add_option("--epochs", epochs, "Times over the training images [the recipe's]")->type_name("N");
  app.add_option("--batch-size", batch_size, "Images in a training step [the recipe's]")->type_name("N");
  app.add_option("--lr", learning_rate, "Learning rate; of one cycle, the highest [the recipe's]")->type_name("X");
  app.add_option("--seed", seeds, "Draws parameters, order and dropout; several seeds give mean and spread [1]")
      ->type_name("S[,...]")
      ->delimiter(',');
  app.add_option("--threads", options.threads, "Threads; no result depends on them [all cores]")->type_name("N");
  app.add_option("--limit", options.limit,
                 "Only the first N training images, and the first N test images if there are more [all]")
      ->type_name("N");
  app.add_option("--out", out, "Where to write, every file whole or not at all [runs/RECIPE]")->type_name("DIR");
  app.add_flag("--no-progress", no_progress, "One line for each epoch also on a terminal");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp& help) {
    app.exit(help);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }

  const auto refuse = [](const auto&... parts) { throw UsageError(normnet::concat(parts...)); };
  const auto check_positive = [&](const char* name, const auto& value) {
    if (value && *value < 1) refuse(name, ": expected at least 1, got ", *value);
  };
  options.recipe = find_recipe(recipe);
  if (options.recipe == nullptr) refuse("--recipe: expected one of ", recipe_names(), ", got \"", recipe, "\"");
  if (norms.empty()) norms = options.recipe->norms;
  std::set<std::string> given;
  for (const std::string& name : norms) {
    const std::optional<Norm> norm = options.recipe->find_norm(name);
    if (!norm) refuse("--norm: expected ", options.recipe->norm_names(), ", got \"", name, "\"");
    if (!given.insert(name).second) refuse("--norm: ", name, " is given twice");
    options.norms.push_back(*norm);
  }
  given.clear();
  for (const std::string& text : seeds) {
    std::uint64_t seed = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, seed);
    if (error != std::errc{} || rest != end) refuse("--seed: expected whole numbers from 0 to 2^64 - 1, got \"", text, "\"");
    if (!given.insert(std::to_string(seed)).second) refuse("--seed: ", seed, " is given twice");
    options.seeds.push_back(seed);
  }
  check_positive("--epochs", epochs);
  check_positive("--batch-size", batch_size);
  check_positive("--threads", options.threads);
  check_positive("--limit", options.limit);
  if (learning_rate && !(*learning_rate > 0 && std::isfinite(*learning_rate))) {
    refuse("--lr: expected a finite number above 0, got ", *learning_rate);
  }
  if (data && options.synthetic) refuse("--data and --synthetic exclude each other");

  options.epochs = epochs.value_or(options.recipe->epochs);
  options.batch_size = batch_size.value_or(options.recipe->batch_size);
  options.learning_rate = learning_rate.value_or(options.recipe->learning_rate);
  if (data) options.data = *data;
  options.out = out.empty() ? std::filesystem::path("runs") / recipe : std::filesystem::path(out);
  options.progress = !no_progress;
  return options;
}

}  // namespace cifar10_norms
