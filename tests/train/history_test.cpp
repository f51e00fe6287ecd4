// Tests of train/history.hpp.
#include "support/catch.hpp"
#include "support/files.hpp"

#include <normnet/train/history.hpp>

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

  const test::TemporaryFolder folder;
  write_csv(runs, folder / "history.csv");
  CHECK(test::content(folder / "history.csv") == expected);
}

TEST_CASE("a label that goes over several lines is one cell of the CSV", "[train]") {
  const std::vector<History> runs{{.labels = {{"note", "two\nlines"}, {"more\r", "x"}}, .epochs = {record(1, 60)}}};
  CHECK(to_csv(runs).starts_with("note,\"more\r\",epoch,"));
  CHECK(to_csv(runs).find("\n\"two\nlines\",x,1,0.3") != std::string::npos);
}

TEST_CASE("the CSV of no run is a heading, and runs must have the same labels", "[train]") {
  CHECK(to_csv({}) == "epoch,train_loss,train_acc,test_loss,test_acc,lr,train_seconds,images_per_second,test_seconds\n");
  const std::vector<History> fewer{{.labels = {{"norm", "bn"}}}, {}};
  CHECK_THROWS_WITH(to_csv(fewer), "to_csv: expected runs with the same labels");
  const std::vector<History> other{{.labels = {{"norm", "bn"}}}, {.labels = {{"seed", "1"}}}};
  CHECK_THROWS_WITH(to_csv(other), "to_csv: expected runs with the same labels, got \"seed\" in place of \"norm\"");
}
