// The command line of cifar10_norms.
#pragma once

#include "norms.hpp"
#include "recipes.hpp"

#include <normnet/normnet.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <locale>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace cifar10_norms {

/// The program was called in a way that makes no sense.
class UsageError : public normnet::Error {
 public:
  using Error::Error;
};

/// What the program is to do: train, print the recipes, or train at many batch sizes.
enum class Command { train, recipes, batch_size_study };

/// One experiment: a recipe, with what the command line has in place of its own figures.
struct Plan {
  const Recipe* recipe = nullptr;
  std::vector<Norm> norms = {};
  Index epochs = 0;
  Index batch_size = 0;
  double learning_rate = 0;
  normnet::Augmentation augment = {};
  std::filesystem::path out = {};
};

/// What to do; where nothing was said, what the recipes say.
struct Options {
  Command command = Command::train;
  std::vector<Plan> plans;
  std::vector<std::uint64_t> seeds;
  std::vector<Index> batch_sizes;             ///< of the study, ascending
  std::optional<Index> limit = std::nullopt;  ///< training images, and at most as many for the test
  std::optional<std::filesystem::path> data = std::nullopt;
  bool synthetic = false;
  std::optional<int> threads = std::nullopt;
  std::filesystem::path out;
  Index keep_checkpoints = 2;  ///< of each training; 0: none
  bool resume = false;         ///< goes on with the run in the output folder
  bool restart = false;        ///< begins anew in its place
  bool progress = true;
  std::string command_line;    ///< as it was given: to be pasted into a shell, and so is the next
  std::string resume_command;  ///< the one that goes on where this one stops
};

/// The epochs of batch-size-study, where the command line says nothing: few, for small batches take long.
inline constexpr Index study_epochs = 2;

namespace command_line {

/// What was given, before it is understood.
struct Given {
  std::string recipe = "era";
  std::vector<std::string> norms = {};
  std::vector<std::string> seeds = {"1"};
  std::optional<Index> epochs = std::nullopt, batch_size = std::nullopt;
  std::optional<double> learning_rate = std::nullopt, flip = std::nullopt;
  std::optional<Index> crop_padding = std::nullopt;
  std::optional<std::string> data = std::nullopt;
  std::string out = {};
};

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  throw UsageError(normnet::concat(parts...));
}

template <class Value>
void check_positive(const char* name, const std::optional<Value>& value) {
  if (value && *value < 1) refuse(name, ": expected at least 1, got ", *value);
}

/// A decimal number, in every locale.
inline double parse_real(const char* name, const std::string& text) {
  std::istringstream in(text);
  in.imbue(std::locale::classic());
  double value = 0;
  if (!(in >> value) || in.peek() != std::istringstream::traits_type::eof()) {
    refuse(name, ": expected a number, got \"", text, "\"");
  }
  return value;
}

inline std::vector<std::uint64_t> parse_seeds(const std::vector<std::string>& texts) {
  std::vector<std::uint64_t> seeds;
  for (const std::string& text : texts) {
    std::uint64_t seed = 0;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, seed);
    if (error != std::errc{} || rest != end) refuse("--seed: expected whole numbers from 0 to 2^64 - 1, got \"", text, "\"");
    if (std::count(seeds.begin(), seeds.end(), seed) > 0) refuse("--seed: ", seed, " is given twice");
    seeds.push_back(seed);
  }
  return seeds;
}

inline std::vector<Norm> find_norms(const Recipe& recipe, const std::vector<std::string>& names) {
  std::vector<Norm> norms;
  std::set<std::string> given;
  for (const std::string& name : names) {
    const std::optional<Norm> norm = recipe.find_norm(name);
    if (!norm) refuse("--norm: recipe ", recipe.name, " expects ", recipe.norm_names(), ", got \"", name, "\"");
    if (!given.insert(name).second) refuse("--norm: ", name, " is given twice");
    norms.push_back(*norm);
  }
  return norms;
}

inline Plan make_plan(const Recipe& recipe, const Given& given, const Options& options) {
  const bool study = options.command == Command::batch_size_study;
  const std::vector<std::string> usual{"bn", "gn", "ln"};
  return {.recipe = &recipe,
          .norms = find_norms(recipe, !given.norms.empty() ? given.norms
                                      : study              ? usual
                                                           : recipe.norms),
          .epochs = given.epochs.value_or(study ? study_epochs : recipe.epochs),
          .batch_size = given.batch_size.value_or(recipe.batch_size),
          .learning_rate = given.learning_rate.value_or(recipe.learning_rate),
          .augment = {.crop_padding = given.crop_padding.value_or(recipe.augment.crop_padding),
                      .flip_probability = given.flip.value_or(recipe.augment.flip_probability)},
          .out = given.recipe == "all" ? options.out / recipe.name : options.out};
}

inline void check_batch_sizes(std::vector<Index>& sizes) {
  std::sort(sizes.begin(), sizes.end());
  if (sizes.front() < 1) refuse("--batch-sizes: expected at least 1, got ", sizes.front());
  const auto twice = std::adjacent_find(sizes.begin(), sizes.end());
  if (twice != sizes.end()) refuse("--batch-sizes: ", *twice, " is given twice");
}

/// An argument as every POSIX shell takes it back: in quotes unless nothing in it means anything to a shell.
inline std::string quoted(const std::string& argument) {
  constexpr std::string_view harmless = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+:,./@%";
  const std::size_t odd = argument.find_first_not_of(harmless);
  const bool is_option = argument.starts_with("--") && odd != std::string::npos && argument[odd] == '=';  // --data=FOLDER
  if (!argument.empty() && argument.find_first_not_of(harmless, is_option ? odd + 1 : 0) == std::string::npos) return argument;
  std::string text = "'";
  for (const char c : argument) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

/// The program and its arguments in one line; without some.
inline std::string as_text(const std::string& program, int argc, char** argv, const std::set<std::string>& left_out = {}) {
  std::string text = quoted(program);
  for (int i = 1; i < argc; ++i) {
    if (left_out.count(argv[i]) == 0) text += " " + quoted(argv[i]);
  }
  return text;
}

/// What CLI11 took for nothing that it knows.
inline void refuse_unknown(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return;
  const std::string& first = arguments.front();
  if (first.starts_with('-')) refuse("unknown option ", first, "; --help lists those that there are");
  refuse("expected recipes, batch-size-study or options, got \"", first, "\"");
}

}  // namespace command_line

/// The options of a command line; nothing when it asked for help, which is then on standard output. Throws UsageError, with one
/// line that says what is wrong.
inline std::optional<Options> parse_options(int argc, char** argv) {
  using namespace command_line;
  Options options;
  Given given;
  bool no_progress = false;
  options.command_line = as_text(argv[0], argc, argv);
  options.resume_command = as_text(argv[0], argc, argv, {"--resume", "--restart"}) + " --resume";

  CLI::App app(
      "Trains a network on CIFAR-10 with each normalization and compares them: histories, charts, misclassified images.\n"
      "Without a subcommand, it reproduces a published experiment",
      "cifar10_norms");
  app.get_formatter()->column_width(26);
  app.set_help_flag("-h,--help", "Print this and exit");
  app.allow_extras();
  app.add_option("--recipe", given.recipe, "The published experiment: " + recipe_names() + "; or all of them: all")
      ->type_name("NAME")
      ->capture_default_str();
  app.add_option("--norm", given.norms, all_norm_names() + "; several with commas [the recipe's]")
      ->type_name("NORM[,...]")
      ->delimiter(',');
  app.add_option("--data", given.data, "The folder of the CIFAR-10 .bin files [$NORMNET_DATA, or data/cifar-10-batches-bin]")
      ->type_name("DIR");
  app.add_flag("--synthetic", options.synthetic, "Computed textures in place of CIFAR-10; their accuracies mean nothing else");
  app.add_option("--epochs", given.epochs, "Times over the training images [the recipe's]")->type_name("N");
  app.add_option("--batch-size", given.batch_size, "Images in a training step [the recipe's]")->type_name("N");
  const auto add_real = [&](const char* name, std::optional<double>& value, const char* description) {
    return app.add_option_function<std::string>(
        name, [&value, name](const std::string& text) { value = parse_real(name, text); }, description);
  };
  add_real("--lr", given.learning_rate, "Learning rate; of one cycle, the highest [the recipe's]")->type_name("X");
  add_real("--flip", given.flip, "How probably a training image is mirrored, left for right, from 0 to 1 [the recipe's]")
      ->type_name("P");
  app.add_option("--crop-padding", given.crop_padding,
                 "Training images are moved at random by up to N pixels each way, zeros beyond their edge [the recipe's]")
      ->type_name("N");
  app.add_option("--seed", given.seeds, "Draws parameters, order and dropout; several seeds give mean and spread [1]")
      ->type_name("S[,...]")
      ->delimiter(',');
  app.add_option("--threads", options.threads, "Threads; no result depends on them [all cores]")->type_name("N");
  app.add_option("--limit", options.limit,
                 "Only the first N training images, and the first N test images if there are more [all]")
      ->type_name("N");
  app.add_option("--out", given.out, "Where to write, every file whole or not at all [runs/RECIPE]")->type_name("DIR");
  app.add_option("--keep-checkpoints", options.keep_checkpoints,
                 "The last N checkpoints of each training, until the run has finished; 0: none")
      ->type_name("N")
      ->capture_default_str();
  app.add_flag("--resume", options.resume, "Go on with the run in --out, which was stopped or killed, with the same options");
  app.add_flag("--restart", options.restart, "Begin anew, even if --out holds a run that has not finished");
  app.add_flag("--no-progress", no_progress, "One line for each epoch also on a terminal");

  app.add_subcommand("recipes", "Print the recipes: normalizations, parameters, published figures");
  CLI::App& study = *app.add_subcommand(
      "batch-size-study",
      normnet::concat("Train --norm [bn,gn,ln] at several batch sizes, with learning rates in proportion, for --epochs [",
                      study_epochs, "]; into [runs/RECIPE-batch-sizes]"));
  study.fallthrough();
  options.batch_sizes = {2, 4, 8, 16, 32, 64, 128, 256};
  study.add_option("--batch-sizes", options.batch_sizes, "Images in a training step [2,4,8,16,32,64,128,256]")
      ->type_name("N[,...]")
      ->delimiter(',');
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
    refuse_unknown(app.remaining(/*recurse=*/true));
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help("", CLI::AppFormatMode::All);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what());
  }

  if (app.got_subcommand("recipes")) options.command = Command::recipes;
  if (app.got_subcommand(&study)) options.command = Command::batch_size_study;
  const bool is_study = options.command == Command::batch_size_study;
  const bool all = given.recipe == "all";
  const Recipe* const recipe = find_recipe(given.recipe);
  if (recipe == nullptr && !all) {
    refuse("--recipe: expected one of ", recipe_names(), " or all, got \"", given.recipe, "\"");
  }
  if (is_study && all) refuse("--recipe: batch-size-study expects one recipe, got all");
  if (is_study && given.batch_size) refuse("--batch-size: batch-size-study expects --batch-sizes");
  options.seeds = parse_seeds(given.seeds);
  check_positive("--epochs", given.epochs);
  check_positive("--batch-size", given.batch_size);
  check_batch_sizes(options.batch_sizes);
  check_positive("--threads", options.threads);
  check_positive("--limit", options.limit);
  if (given.learning_rate && !(*given.learning_rate > 0 && std::isfinite(*given.learning_rate))) {
    refuse("--lr: expected a finite number above 0, got ", *given.learning_rate);
  }
  if (given.flip && !(*given.flip >= 0 && *given.flip <= 1)) refuse("--flip: expected a number from 0 to 1, got ", *given.flip);
  if (given.crop_padding && *given.crop_padding < 0) refuse("--crop-padding: expected at least 0, got ", *given.crop_padding);
  if (given.data && options.synthetic) refuse("--data and --synthetic exclude each other");
  if (options.keep_checkpoints < 0) refuse("--keep-checkpoints: expected at least 0, got ", options.keep_checkpoints);
  if (options.resume && options.restart) refuse("--resume and --restart exclude each other");
  if (options.resume && options.keep_checkpoints == 0) refuse("--resume and --keep-checkpoints 0 exclude each other");

  if (given.data) options.data = *given.data;
  options.out = !given.out.empty() ? std::filesystem::path(given.out)
                                   : std::filesystem::path("runs") / (given.recipe + (is_study ? "-batch-sizes" : ""));
  options.progress = !no_progress;
  for (const Recipe& one : recipes()) {
    if (all || recipe == &one) options.plans.push_back(make_plan(one, given, options));
  }
  return options;
}

}  // namespace cifar10_norms
