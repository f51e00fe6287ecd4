// The order of a pass through layers that work block by block, or channel by channel.
#pragma once

#include <normnet/core/parallel.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/core/task.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// What is to be done to the blocks of a batch, and what must wait for all of them. Layers add their steps in order; run() does
/// them, each where its data are still in the cache.
///
///     each_block, each_channel    work on one block, which needs what the steps before did to that block alone
///     finish of each_channel      done once for a channel, when it is through that step in all blocks; the next steps wait for it
///     at_end                      done once, when the blocks are through the steps before; the next steps may not wait for it
///     then                        done once, when all before it is done, and before anything after it
///     outside                     the same, on the calling thread alone, when the other threads have been let go
///
/// Steps without a finish make a depth-first run: a block passes through all of them while it is in the cache of one core, and
/// neighbouring steps that are channel by channel pass each channel on in turn. Steps with a finish, and their neighbours that are
/// channel by channel, make a run by channels: one channel of all blocks passes through all of them. Where the blocks or the
/// channels are too few to feed the threads, these share the pieces of each block, too, and wait for each other oftener; so they do
/// where a block has but one step to go through. No result depends on which of the ways it was.
class BlockSchedule {
 public:
  explicit BlockSchedule(Index blocks) : blocks_(blocks) { runs_.emplace_back(); }
  BlockSchedule(const BlockSchedule&) = delete;
  BlockSchedule& operator=(const BlockSchedule&) = delete;

  /// work(block, part) for every block and every part in [0, parts), which do not depend on each other. The cost of one such call
  /// is in vector operations.
  void each_block(Index parts, Index cost, Task<Index, Index> work) { add({parts, 0, cost, std::move(work), nullptr}); }

  /// The same for steps whose parts are equal shares of the channels, in their order: part p of P reads and writes the channels
  /// [p C / P, (p + 1) C / P) of its batches and no others.
  void each_share(Index channels, Index parts, Index cost, Task<Index, Index> work) {
    add({parts, channels, cost, std::move(work), nullptr});
  }

  /// The same for one channel a part; and finish(channel) once, when work(block, channel) is done for all blocks.
  void each_channel(Index channels, Index cost, Task<Index, Index> work, Task<Index> finish = nullptr) {
    add({channels, channels, cost, std::move(work), std::move(finish)});
  }

  /// job.run(x, y, block, part) for every block and every part in [0, job.parts()): a prepared computation of y from x.
  template <class Job, class Batch>
  void each_part(Job job, const Batch& x, Batch& y) {
    const Index parts = job.parts(), cost = job.cost();
    each_block(parts, cost, [&x, &y, job = std::move(job)](Index block, Index part) { job.run(x, y, block, part); });
  }

  /// Lets the next step begin with a block when the steps so far are through all of its channels: for one that writes to other
  /// channels' places in the memory that they read.
  void separate() { separated_ = true; }

  /// work() once, some time after the steps so far are through all blocks; not before what was added so earlier.
  void at_end(Task<> work) { runs_.back().at_end.push_back(std::move(work)); }

  /// work() once, between all that was added so far and all that will be. The cost is that of the parallel loops in it.
  void then(Task<> work, Index cost = 0) {
    at_end(std::move(work));
    runs_.back().at_end_cost += cost;
    runs_.emplace_back();
  }

  /// The same, outside of the pass: for a user's code, which may have parallel regions of its own.
  void outside(Task<> work) {
    runs_.back().outside = std::move(work);
    runs_.emplace_back();
  }

  /// Does it all.
  void run() const {
    for (auto first = runs_.begin(); first != runs_.end();) {
      auto last = first;
      Index cost = 0;
      do {
        cost += last->cost() * blocks_ + last->at_end_cost;
      } while (last++->outside == nullptr && last != runs_.end());
      normnet_impl::in_pass(cost, [&] {
        for (auto run = first; run != last; ++run) do_run(*run);
      });
      if (const Task<>& outside = (last - 1)->outside; outside != nullptr) outside();
      first = last;
    }
  }

 private:
  struct Step {
    Index parts;
    Index channels;  // that the parts are equal shares of; 0 if they are not
    Index cost;
    Task<Index, Index> work;  // of a block and a part
    Task<Index> finish;       // of a part; null if the step has none
  };

  // Of all parts of a block.
  template <class Iterator>
  static Index total_cost(Iterator first, Iterator last) {
    Index cost = 0;
    for (auto step = first; step != last; ++step) cost += step->parts * step->cost;
    return cost;
  }

  // Steps that take a block in so many pieces together: all steps the first piece, all steps the second, ...
  struct Stretch {
    Index pieces;
    std::vector<Step> steps;

    // Calls f for every part of a step that belongs to a piece.
    template <class F>
    void for_parts(const Step& step, Index piece, const F& f) const {
      const Index at_once = step.parts / pieces;
      for (Index part = piece * at_once; part < (piece + 1) * at_once; ++part) f(part);
    }

    // Calls f with the first and the last (exclusive) of the steps up to a finish, or to the end; then with the next ones.
    template <class F>
    void for_sections(const F& f) const {
      for (auto first = steps.begin(); first != steps.end();) {
        auto last = std::find_if(first, steps.end(), [](const Step& step) { return step.finish != nullptr; });
        if (last != steps.end()) ++last;
        f(first, last);
        first = last;
      }
    }

    template <class Iterator>
    void run_steps(Iterator first, Iterator last, Index block, Index piece) const {
      for (auto step = first; step != last; ++step) {
        for_parts(*step, piece, [&](Index part) { step->work(block, part); });
      }
    }

    void run_block(Index block) const {
      for (Index piece = 0; piece < pieces; ++piece) run_steps(steps.begin(), steps.end(), block, piece);
    }

    void run_piece(Index piece, Index blocks) const {
      for_sections([&](auto first, auto last) {
        for (Index block = 0; block < blocks; ++block) run_steps(first, last, block, piece);
        const Step& step = *(last - 1);
        if (step.finish != nullptr) for_parts(step, piece, step.finish);
      });
    }
  };

  struct Run {
    std::vector<Stretch> stretches;
    bool by_channels = false;  // then it has one stretch
    std::vector<Task<>> at_end;
    std::size_t at_end_before = 0;  // how many of those were there when the last stretch began
    Index at_end_cost = 0;
    Task<> outside = nullptr;  // after all of these

    // Then nothing is gained by keeping a block together, and a thread that is done can take part of one from another.
    bool is_single_step() const { return !by_channels && stretches.size() == 1 && stretches.front().steps.size() == 1; }

    Index cost() const {
      Index cost = 0;
      for (const Stretch& stretch : stretches) cost += total_cost(stretch.steps.begin(), stretch.steps.end());
      return cost;
    }
  };

  void do_run(const Run& run) const {
    const Index shares = run.by_channels ? run.stretches.front().pieces : blocks_;
    if (run.is_single_step() || !feeds_threads(shares, run.by_channels ? 1 : 4)) {
      for (const Stretch& stretch : run.stretches) run_by_parts(stretch);
    } else if (run.by_channels) {
      const Stretch& stretch = run.stretches.front();
      parallel_for(shares, run.cost() * blocks_ / shares, [&](Index piece) { stretch.run_piece(piece, blocks_); });
    } else {
      parallel_for(shares, run.cost(), [&](Index block) {
        for (const Stretch& stretch : run.stretches) stretch.run_block(block);
      });
    }
    for (const auto& work : run.at_end) work();
  }

  // Shares out each block among threads: by the pieces of a stretch or, where these are too few, by the parts of each step.
  void run_by_parts(const Stretch& stretch) const {
    stretch.for_sections([&](auto first, auto last) {
      if (feeds_threads(blocks_ * stretch.pieces)) {
        parallel_for_2d(blocks_, stretch.pieces, total_cost(first, last) / stretch.pieces,
                        [&](Index block, Index piece) { stretch.run_steps(first, last, block, piece); });
      } else {
        for (auto step = first; step != last; ++step) parallel_for_2d(blocks_, step->parts, step->cost, step->work);
      }
      const Step& step = *(last - 1);
      for (Index part = 0; step.finish != nullptr && part < step.parts; ++part) step.finish(part);
    });
  }

  void add(Step step) {
    if (step.parts < 1) return;
    const bool joins = !std::exchange(separated_, false) && joins_last_stretch(step), finishes = step.finish != nullptr;
    if (finishes && !runs_.back().by_channels) {
      begin_run_by_channels(joins);
    } else if (!joins && runs_.back().by_channels) {
      runs_.emplace_back();
    }
    Run& run = runs_.back();
    if (joins && !run.stretches.empty()) {
      run.stretches.back().pieces = std::min(run.stretches.back().pieces, step.parts);
    } else {
      run.at_end_before = run.at_end.size();
      run.stretches.push_back({step.parts, {}});
    }
    run.by_channels = run.by_channels || finishes;
    run.stretches.back().steps.push_back(std::move(step));
  }

  // Whether the step takes the same channels in pieces that fit those of the steps before it.
  bool joins_last_stretch(const Step& step) const {
    const auto& stretches = runs_.back().stretches;
    if (step.channels == 0 || stretches.empty() || stretches.back().steps.back().channels != step.channels) return false;
    const Index pieces = stretches.back().pieces;
    return pieces % step.parts == 0 || step.parts % pieces == 0;
  }

  // A run of its own for the last stretch, if that is to go by channels, too, and nothing else waits for its end already.
  void begin_run_by_channels(bool with_last_stretch) {
    Run& by_channels = runs_.emplace_back();
    Run& before = runs_[runs_.size() - 2];
    by_channels.by_channels = true;
    if (with_last_stretch && before.at_end.size() == before.at_end_before) {
      by_channels.stretches.push_back(std::move(before.stretches.back()));
      before.stretches.pop_back();
    }
  }

  // Whether threads get at least so many shares each, and about as many as the others: with 9 blocks on 8 threads, seven would wait
  // for the ninth. Of less than four blocks each, a thread that is done can take little off a slower one. Then threads had better
  // share each block: era trains a tenth faster so, with 8 blocks on 8 threads.
  static bool feeds_threads(Index shares, Index least = 1) {
    const Index threads = normnet_impl::loop_threads(), rounds = (shares + threads - 1) / threads;
    return threads == 1 || (rounds >= least && 5 * rounds * threads <= 6 * shares);
  }

  Index blocks_;
  std::vector<Run> runs_;
  bool separated_ = false;
};

}  // namespace normnet::inline NORMNET_ABI
