// BlockSchedule: every step reaches every block and part once, in an order in which each finds what it waits for.
#include "support/catch.hpp"

#include <normnet/core/block_schedule.hpp>
#include <normnet/core/parallel.hpp>

#include <vector>

using namespace normnet;

namespace {

/// Passes through steps of every kind, each of which fails to compute its value when one before it is late, early or missing.
class Passes {
 public:
  Passes(Index blocks, Index channels)
      : blocks_(blocks), channels_(channels), value_(size()), total_(static_cast<std::size_t>(channels)) {}

  void run() {
    const Index cost = parallel_threshold;  // worth all threads
    BlockSchedule schedule(blocks_);
    schedule.each_block(3, cost, [&](Index block, Index part) {
      for (Index c = part; c < channels_; c += 3) at(block, c) = block + 10 * c;
    });
    schedule.at_end([&] { first_end_ = sum(); });
    schedule.each_channel(channels_, cost, [&](Index block, Index c) { at(block, c) += 1; });
    schedule.each_channel(
        channels_, cost, [&](Index block, Index c) { at(block, c) *= 2; },
        [&](Index c) {
          for (Index block = 0; block < blocks_; ++block) total_[static_cast<std::size_t>(c)] += at(block, c);
        });
    schedule.each_share(channels_, channels_ / 2, cost, [&](Index block, Index pair) {
      for (const Index c : {2 * pair, 2 * pair + 1}) at(block, c) += total_[static_cast<std::size_t>(c)];
    });
    schedule.at_end([&] { second_end_ = sum(); });
    schedule.each_block(1, cost, [&](Index block, Index) {
      for (Index c = 1; c < channels_; ++c) at(block, c) += at(block, c - 1);
    });
    schedule.then([&] { at_then_ = sum(); });
    schedule.each_channel(channels_, cost, [&](Index block, Index c) { at(block, c) += at_then_; });
    schedule.run();
  }

  void check() const {
    Index then = 0;
    std::vector<Index> expected(size());
    for (Index block = 0; block < blocks_; ++block) {
      Index below = 0;
      for (Index c = 0; c < channels_; ++c) {
        Index total = 0;
        for (Index other = 0; other < blocks_; ++other) total += 2 * (other + 10 * c + 1);
        below += 2 * (block + 10 * c + 1) + total;
        expected[static_cast<std::size_t>(block * channels_ + c)] = below;
        then += below;
      }
    }
    for (Index& value : expected) value += then;
    CHECK(at_then_ == then);
    CHECK(value_ == expected);
    CHECK(first_end_ > 0);
    CHECK(second_end_ >= first_end_);  // an end is not before an earlier one
  }

 private:
  std::size_t size() const { return static_cast<std::size_t>(blocks_ * channels_); }
  Index& at(Index block, Index c) { return value_[static_cast<std::size_t>(block * channels_ + c)]; }
  Index sum() const {
    Index sum = 0;
    for (const Index value : value_) sum += value;
    return sum;
  }

  Index blocks_, channels_;
  std::vector<Index> value_, total_;
  Index first_end_ = 0, second_end_ = 0, at_then_ = 0;
};

}  // namespace

TEST_CASE("steps find what they wait for, whichever way a run goes", "[schedule][threads]") {
  for (const int threads : {1, 2, 3, 16}) {
    set_num_threads(threads);
    for (const Index blocks : {1, 2, 5, 8, 17}) {
      for (const Index channels : {2, 6, 16}) {
        INFO(threads << " threads, " << blocks << " blocks, " << channels << " channels");
        Passes passes(blocks, channels);
        passes.run();
        passes.check();
      }
    }
  }
  set_num_threads(0);
}

TEST_CASE("what waits for the end of a stretch of channels is not overtaken by it", "[schedule]") {
  // The end was asked for after the first step: it must see it done, although the next step makes it go by channels.
  std::vector<int> value(4, 0);
  int seen = 0;
  BlockSchedule schedule(4);
  schedule.each_channel(1, 1, [&](Index block, Index) { value[static_cast<std::size_t>(block)] = 1; });
  schedule.at_end([&] { seen = value[0] + value[1] + value[2] + value[3]; });
  schedule.each_channel(
      1, 1, [](Index, Index) {}, [](Index) {});
  schedule.run();
  CHECK(seen == 4);
}

TEST_CASE("a separate step waits for all channels of its block", "[schedule]") {
  set_num_threads(1);
  for (const bool separate : {false, true}) {
    std::vector<Index> order;  // of the two steps at channel c: c and 10 + c
    BlockSchedule schedule(1);
    schedule.each_channel(3, 1, [&](Index, Index c) { order.push_back(c); });
    if (separate) schedule.separate();
    schedule.each_channel(3, 1, [&](Index, Index c) { order.push_back(10 + c); });
    schedule.run();
    CHECK(order == (separate ? std::vector<Index>{0, 1, 2, 10, 11, 12} : std::vector<Index>{0, 10, 1, 11, 2, 12}));
  }
  set_num_threads(0);
}

TEST_CASE("a schedule without blocks or steps does what waits for them", "[schedule]") {
  int done = 0;
  BlockSchedule schedule(0);
  schedule.each_channel(3, 1, [](Index, Index) { FAIL("no block"); });
  schedule.then([&] { ++done; });
  schedule.each_block(0, 1, [](Index, Index) { FAIL("no part"); });
  schedule.at_end([&] { ++done; });
  schedule.run();
  CHECK(done == 2);
}
