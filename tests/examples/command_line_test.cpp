// Tests of examples/cifar10_norms/options.hpp: the commands that are shown can be pasted, and no locale changes what is read.
#include "support/catch.hpp"
#include "support/files.hpp"
#include "support/locale.hpp"

#include <cifar10_norms/error_text.hpp>
#include <cifar10_norms/options.hpp>

#include <cstdlib>
#include <new>
#include <optional>
#include <string>
#include <vector>

using namespace cifar10_norms;

namespace {

Options parse(std::vector<std::string> arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  return parse_options(static_cast<int>(pointers.size()), pointers.data()).value();
}

/// The arguments that a shell makes of a text.
std::vector<std::string> as_shell_sees(const std::string& text) {
  const normnet::test::TemporaryFolder folder;
  const std::string script =
      "set -- " + text + "\nfor a; do printf '%s\\0' \"$a\"; done >'" + (folder / "arguments").string() + "'\n";
  normnet::write_file_atomically(folder / "script", script);
  REQUIRE(std::system(("sh '" + (folder / "script").string() + "'").c_str()) == 0);
  std::vector<std::string> arguments(1);
  for (const char c : normnet::test::content(folder / "arguments")) {
    if (c == '\0') {
      arguments.emplace_back();
    } else {
      arguments.back() += c;
    }
  }
  arguments.pop_back();
  return arguments;
}

}  // namespace

TEST_CASE("commands that are shown can be pasted into a shell", "[examples]") {
  const std::vector<std::string> given{"./my scripts/it's.sh",
                                       "--out=a;b",
                                       "--norm",
                                       "gn:5,bn",
                                       "--data",
                                       "a&b;c | $(x) `y` $HOME \\ \"z\" '' !! #1 *?[a]{b,c} ~ \t\n<>()\xc3\xa4\xff"};
  CHECK(as_shell_sees(parse(given).command_line) == given);
  std::vector<std::string> resumed = given;
  resumed.push_back("--resume");
  CHECK(as_shell_sees(parse(given).resume_command) == resumed);
  for (const char* text : {"", "~", "a=b", "=a", "it's", "'", "''", "-", "--", "%1", "^", "#", "a\nb", "--data=it's", "--x=$y"}) {
    CHECK(as_shell_sees(command_line::quoted(text)) == std::vector<std::string>{text});
  }
  // What needs no quotes has none.
  for (const char* text : {"runs/era", "--data=/my/data", "gn:5,bn", "1e-3", "user@host:x"}) {
    CHECK(command_line::quoted(text) == text);
  }
  CHECK(parse({"scripts/experiments.sh", "--epochs", "2"}).command_line == "scripts/experiments.sh --epochs 2");
}

TEST_CASE("options are read alike in every locale", "[examples]") {
  const normnet::test::GermanLocale german;
  const Plan plan = parse({"cifar10_norms", "--lr", "0.125", "--flip", "0.5", "--epochs", "1500"}).plans.front();
  CHECK(plan.learning_rate == 0.125);
  CHECK(plan.augment.flip_probability == 0.5);
  CHECK(plan.epochs == 1500);
  CHECK_THROWS_WITH(parse({"cifar10_norms", "--lr", "0,125"}), "--lr: expected a number, got \"0,125\"");
  CHECK_THROWS_WITH(parse({"cifar10_norms", "--crop-padding", "-1000"}), "--crop-padding: expected at least 0, got -1000");
}

TEST_CASE("an error without a message of its own has one", "[examples]") {
  CHECK(error_text(std::bad_alloc()) == "out of memory");
  CHECK(error_text(normnet::OutOfMemory("a tensor of 2x3", 5e6)) == "out of memory: a tensor of 2x3 needs 5 MB");
  CHECK(error_text(normnet::Error("as it is")) == "as it is");
}
