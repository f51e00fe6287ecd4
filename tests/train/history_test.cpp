// Tests of train/history.hpp and train/format.hpp.
#include "support/catch.hpp"

#include <normnet/train/format.hpp>
#include <normnet/train/history.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

using namespace normnet;

namespace {

EpochRecord record(Index epoch, double test_accuracy) {
  return {.epoch = epoch,
          .train_loss = 0.1 + 0.2,  // needs 17 digits
          .train_accuracy = 50.5,
          .test_loss = 2.0 / 3,
          .test_accuracy = test_accuracy,
          .learning_rate = 0.01,
          .train_seconds = 9.87654,
          .images_per_second = 5062.4999,
          .test_seconds = 0.5};
}

}  // namespace

TEST_CASE("numbers as text", "[train]") {
  CHECK(exact(0.1) == "0.1");
  CHECK(exact(0.1 + 0.2) == "0.30000000000000004");
  CHECK(exact(1e-300) == "1e-300");
  CHECK(fixed(2.345, 1) == "2.3");
  CHECK(fixed(-0.5, 3) == "-0.500");
  CHECK(fixed(1e300, 2).size() == 304);
  CHECK(with_commas(0) == "0");
  CHECK(with_commas(999) == "999");
  CHECK(with_commas(39490) == "39,490");
  CHECK(with_commas(-123456) == "-123,456");
  CHECK(with_commas(std::numeric_limits<std::int64_t>::min()) == "-9,223,372,036,854,775,808");
  CHECK(duration(0) == "0:00");
  CHECK(duration(59.6) == "1:00");
  CHECK(duration(754) == "12:34");
  CHECK(duration(3723) == "1:02:03");
  CHECK(duration(36000) == "10:00:00");
  CHECK(duration(-1) == "?");
  CHECK(duration(std::numeric_limits<double>::quiet_NaN()) == "?");
  CHECK(duration(std::numeric_limits<double>::infinity()) == "?");
}

TEST_CASE("a history knows its last and its best epoch", "[train]") {
  History history;
  CHECK_THROWS_WITH(history.last(), "History: expected at least one epoch, got none");
  CHECK_THROWS_WITH(history.best(), "History: expected at least one epoch, got none");
  history.epochs = {record(1, 60), record(2, 70), record(3, 70), record(4, 65)};
  CHECK(history.last().epoch == 4);
  CHECK(history.best().epoch == 2);
}

TEST_CASE("the CSV of several runs, to the letter", "[train]") {
  const std::vector<History> runs{
      {.labels = {{"norm", "bn"}, {"note", "a \"b\", c"}}, .epochs = {record(1, 60), record(2, 74.71)}},
      {.labels = {{"norm", "gn:8"}, {"note", ""}}, .epochs = {record(1, 61)}}};
  const std::string expected =
      "norm,note,epoch,train_loss,train_acc,test_loss,test_acc,lr,train_seconds,images_per_second,test_seconds\n"
      "bn,\"a \"\"b\"\", c\",1,0.30000000000000004,50.5,0.6666666666666666,60,0.01,9.877,5062.5,0.500\n"
      "bn,\"a \"\"b\"\", c\",2,0.30000000000000004,50.5,0.6666666666666666,74.71,0.01,9.877,5062.5,0.500\n"
      "gn:8,,1,0.30000000000000004,50.5,0.6666666666666666,61,0.01,9.877,5062.5,0.500\n";
  CHECK(to_csv(runs) == expected);

  const auto path = std::filesystem::temp_directory_path() / "normnet_history_test.csv";
  write_csv(runs, path);
  std::ifstream file(path);
  CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == expected);
  std::filesystem::remove(path);
}

TEST_CASE("the CSV of no run is a heading, and runs must have the same labels", "[train]") {
  CHECK(to_csv({}) == "epoch,train_loss,train_acc,test_loss,test_acc,lr,train_seconds,images_per_second,test_seconds\n");
  const std::vector<History> fewer{{.labels = {{"norm", "bn"}}}, {}};
  CHECK_THROWS_WITH(to_csv(fewer), "to_csv: expected runs with the same labels");
  const std::vector<History> other{{.labels = {{"norm", "bn"}}}, {.labels = {{"seed", "1"}}}};
  CHECK_THROWS_WITH(to_csv(other), "to_csv: expected runs with the same labels, got \"seed\" in place of \"norm\"");
}
