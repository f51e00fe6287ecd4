// The order of a pass through layers that work block by block.
#pragma once

#include <normnet/core/parallel.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace normnet {

/// What is to be done to the blocks of a batch, and what must wait for all of them. Layers add their steps in order; run() does
/// them.
///
///     each_block, each_channel    work on one block, which needs what the steps before did to that block alone
///     at_end                      done once, when the blocks of this run are through; the next steps do not wait for it
///     then                        done once, when all before it is done, and before anything after it: the end of a run
///
/// So a run is what lies between two calls of then(). It goes depth-first: a block passes through all steps of the run while it
/// is in the cache of one core, and neighbouring steps that are channel by channel pass a channel on while it is in the
/// first-level cache. Where the blocks are too few to feed the threads, a run goes step by step instead, over blocks and parts at
/// once. No result depends on which of the two it was.
class BlockSchedule {
 public:
  explicit BlockSchedule(Index blocks) : blocks_(blocks), runs_(1) {}
  BlockSchedule(const BlockSchedule&) = delete;
  BlockSchedule& operator=(const BlockSchedule&) = delete;

  /// work(block, part) for every block and every part in [0, parts), which do not depend on each other. The cost of one such call
  /// is in vector operations.
  template <class Work>
  void each_block(Index parts, Index cost, Work work) {
    add({parts, 0, cost, std::move(work)});
  }

  /// The same for steps whose parts are equal shares of the channels, in their order: part p of P reads and writes the channels
  /// [p C / P, (p + 1) C / P) of its batches and no others.
  template <class Work>
  void each_share(Index channels, Index parts, Index cost, Work work) {
    add({parts, channels, cost, std::move(work)});
  }

  /// The same for one channel a part.
  template <class Work>
  void each_channel(Index channels, Index cost, Work work) {
    each_share(channels, channels, cost, std::move(work));
  }

  /// job.run(x, y, block, part) for every block and every part in [0, job.parts()): a prepared computation of y from x.
  template <class Job, class Batch>
  void each_part(Job job, const Batch& x, Batch& y) {
    const Index parts = job.parts(), cost = job.cost();
    each_block(parts, cost, [&x, &y, job = std::move(job)](Index block, Index part) { job.run(x, y, block, part); });
  }

  /// work() once, when this run's steps are through all blocks; not before what was added so earlier.
  template <class Work>
  void at_end(Work work) {
    runs_.back().at_end.emplace_back(std::move(work));
  }

  /// work() once, between all that was added so far and all that will be.
  template <class Work>
  void then(Work work) {
    at_end(std::move(work));
    runs_.emplace_back();
  }

  /// Does it all. Exceptions of a step end the pass.
  void run() const {
    for (const Run& run : runs_) {
      if (blocks_fill_threads()) {
        Index cost = 0;
        for (const Stretch& stretch : run.stretches) {
          for (const Step& step : stretch.steps) cost += step.parts * step.cost;
        }
        parallel_for(blocks_, cost, [&](Index block) {
          for (const Stretch& stretch : run.stretches) stretch.run(block);
        });
      } else {
        for (const Stretch& stretch : run.stretches) {
          for (const Step& step : stretch.steps) parallel_for_2d(blocks_, step.parts, step.cost, step.work);
        }
      }
      for (const auto& work : run.at_end) work();
    }
  }

 private:
  struct Step {
    Index parts;
    Index channels;  // that the parts are equal shares of; 0 if they are not
    Index cost;
    std::function<void(Index block, Index part)> work;
  };

  // Steps that go through a block in so many pieces together: all steps the first piece, all steps the second, ...
  struct Stretch {
    Index pieces;
    std::vector<Step> steps;

    void run(Index block) const {
      for (Index piece = 0; piece < pieces; ++piece) {
        for (const Step& step : steps) {
          const Index at_once = step.parts / pieces;
          for (Index part = piece * at_once; part < (piece + 1) * at_once; ++part) step.work(block, part);
        }
      }
    }
  };

  struct Run {
    std::vector<Stretch> stretches;
    std::vector<std::function<void()>> at_end;
  };

  void add(Step step) {
    auto& stretches = runs_.back().stretches;
    if (step.parts < 1) return;
    if (step.channels > 0 && !stretches.empty() && stretches.back().steps.back().channels == step.channels) {
      Stretch& last = stretches.back();
      const Index fewer = std::min(last.pieces, step.parts), more = std::max(last.pieces, step.parts);
      if (more % fewer == 0) {
        last.pieces = fewer;
        last.steps.push_back(std::move(step));
        return;
      }
    }
    const Index pieces = step.channels > 0 ? step.parts : 1;
    stretches.push_back({pieces, {}});
    stretches.back().steps.push_back(std::move(step));
  }

  // With 9 blocks on 8 threads, seven would wait for the ninth: then threads had better share each block.
  bool blocks_fill_threads() const {
    const Index threads = num_threads(), rounds = (blocks_ + threads - 1) / threads;
    return 5 * rounds * threads <= 6 * blocks_;
  }

  Index blocks_;
  std::vector<Run> runs_;
};

}  // namespace normnet
