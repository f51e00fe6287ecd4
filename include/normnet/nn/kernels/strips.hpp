// The parts of a batch that the partial sums of a weight gradient run over.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// Rows of some blocks of a batch: what one partial sum of a weight gradient runs over.
struct Strip {
  Index first_block, last_block;  // last is exclusive
  Index first_row, last_row;
};

/// A batch of planes cut into strips of whole rows, of at most about so many pixels or a row, and of nearly the same size, so that
/// threads have equal shares. They depend on the extents alone, never on the number of threads.
class Strips {
 public:
  Strips(Index blocks, Index rows, Index columns, Index pixels)
      : blocks_(blocks), rows_(rows), cuts_(std::clamp<Index>(rows * columns / pixels, 1, std::max<Index>(1, rows))) {
    const Index most_blocks = std::max<Index>(1, pixels / std::max<Index>(1, rows * columns));
    runs_ = (blocks + most_blocks - 1) / most_blocks;
  }

  Index count() const { return runs_ * cuts_; }

  Strip operator[](Index index) const {
    const Index run = index / cuts_, cut = index % cuts_;
    return {blocks_ * run / runs_, blocks_ * (run + 1) / runs_, rows_ * cut / cuts_, rows_ * (cut + 1) / cuts_};
  }

 private:
  Index blocks_, rows_;
  Index cuts_;  // of a plane
  Index runs_;  // of blocks
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
