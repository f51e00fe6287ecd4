// Tests of train/progress_bar.hpp, with a clock of their own.
#include "support/catch.hpp"

#include <normnet/train/progress_bar.hpp>

#include <sstream>
#include <string>

using namespace normnet;

namespace {

const std::string erase = "\r\x1b[K";
const EpochRecord result{.epoch = 3,
                         .train_loss = 0.98124,
                         .train_accuracy = 65.614,
                         .test_loss = 0.9034,
                         .test_accuracy = 68.2,
                         .train_seconds = 9.3,
                         .images_per_second = 5120.4,
                         .test_seconds = 0.51};
const std::string result_text =
    "epoch  3/20  train loss 0.9812  accuracy 65.61%  test loss 0.9034  accuracy 68.20%  9.8 s  5120 images/s\n";

// Two epochs were done in 20 seconds, and a half of the third, of 1000 images, in 5 more.
std::string half_an_epoch(Index width) {
  double now = 100;
  std::ostringstream out;
  {
    ProgressBar bar({.out = &out, .title = "bn", .terminal = true, .width = width, .clock = [&] { return now; }}, 20, 1000);
    now = 120;
    bar.begin_epoch(3);
    now = 125;
    bar.update(500, 0.98765, 65.432);
  }
  return out.str();
}

}  // namespace

TEST_CASE("elsewhere than on a terminal there is one line for each epoch", "[train]") {
  std::ostringstream out;
  {
    ProgressBar bar({.out = &out, .title = "bn"}, 20, 1000);
    bar.begin_epoch(3);
    bar.update(500, 1, 50);
    bar.end_epoch(result);
  }
  CHECK(out.str() == "bn  " + result_text);
}

TEST_CASE("on a terminal a line moves, at most ten times a second", "[train]") {
  double now = 0;
  std::ostringstream out;
  {
    ProgressBar bar({.out = &out, .terminal = true, .width = 120, .clock = [&] { return now; }}, 20, 1000);
    bar.begin_epoch(3);
    bar.update(0, 2.5, 10);
    const std::string first =
        erase + "epoch  3/20  [>-----------------------------]    0%  loss 2.5000  accuracy 10.00%  0 images/s  0:00 left";
    CHECK(out.str() == first);
    now = 0.09;
    bar.update(10, 2.4, 11);
    CHECK(out.str() == first);
    now = 0.11;
    bar.update(20, 2.3, 12);
    CHECK(out.str() ==
          first + erase +
              "epoch  3/20  [>-----------------------------]    2%  loss 2.3000  accuracy 12.00%  182 images/s  0:01 left");
    out.str("");
    bar.end_epoch(result);
    CHECK(out.str() == erase + result_text);
    out.str("");
  }
  CHECK(out.str().empty());  // a finished line stays
}

TEST_CASE("the moving line leaves out what does not fit", "[train]") {
  const auto line = [](const std::string& text) { return erase + text + erase; };
  const std::string figures = "   50%  loss 0.9877  accuracy 65.43%  100 images/s  2:55 left";
  CHECK(half_an_epoch(120) == line("bn  epoch  3/20  [===============>--------------]" + figures));
  CHECK(half_an_epoch(90) == line("bn  epoch  3/20  [====>----]" + figures));
  CHECK(half_an_epoch(86) == line("bn  epoch  3/20  [==>--]" + figures));
  CHECK(half_an_epoch(85) == line("bn  epoch  3/20" + figures));
  CHECK(half_an_epoch(77) == line("bn  epoch  3/20" + figures));
  CHECK(half_an_epoch(76) == line("bn  epoch  3/20  [===>--]   50%  loss 0.9877  accuracy 65.43%  100 images/s"));
  CHECK(half_an_epoch(34) == line("bn  epoch  3/20  [====>---]   50%"));
  CHECK(half_an_epoch(22) == line("bn  epoch  3/20   50%"));
  CHECK(half_an_epoch(11) == line("bn  epoch "));
  CHECK(half_an_epoch(1) == line(""));
}

TEST_CASE("a run that goes on counts its epochs from where it was, and the time from its start", "[train]") {
  double now = 100;
  std::ostringstream out;
  ProgressBar bar({.out = &out, .terminal = true, .width = 75, .clock = [&] { return now; }}, 2, 1000, 3);
  bar.begin_epoch(3);
  now = 105;
  bar.update(500, 0.98765, 65.432);  // half an epoch in 5 seconds, one and a half are left
  CHECK(out.str() == erase + "epoch 3/4   50%  loss 0.9877  accuracy 65.43%  100 images/s  0:15 left");
  bar.end_epoch(result);
  CHECK(out.str().find("epoch 3/4  train loss 0.9812") != std::string::npos);
}

TEST_CASE("an error leaves no moving line behind, and silence is silent", "[train]") {
  CHECK(half_an_epoch(80).ends_with(erase));
  ProgressBar bar({.out = nullptr, .terminal = true}, 1, 10);
  bar.begin_epoch(1);
  bar.update(5, 1, 1);
  bar.end_epoch(result);
}

TEST_CASE("what a run found done counts neither for its speed nor for the time that is left", "[train]") {
  double now = 0;
  std::ostringstream out;
  ProgressBar bar({.out = &out, .terminal = true, .width = 120, .clock = [&] { return now; }}, 2, 1000, 3);
  bar.begin_epoch(3, 500);
  now = 5;
  bar.update(750, 1, 50);  // a quarter of an epoch in 5 seconds
  CHECK(out.str().ends_with("75%  loss 1.0000  accuracy 50.00%  50 images/s  0:25 left"));
  now = 15;
  bar.begin_epoch(4);
  now = 25;
  bar.update(500, 1, 50);  // one epoch in 25 seconds
  CHECK(out.str().ends_with("50%  loss 1.0000  accuracy 50.00%  50 images/s  0:13 left"));
}
