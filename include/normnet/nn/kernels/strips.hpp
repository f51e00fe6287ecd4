// The parts of a batch that the partial sums of a weight gradient run over.
#pragma once

#include <normnet/core/pack.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <vector>

namespace normnet::inline NORMNET_ABI::kernels {

/// Rows of some blocks of a batch: what one partial sum of a weight gradient runs over.
struct Strip {
  Index first_block, last_block;  // last is exclusive
  Index first_row, last_row;
};

/// Cuts a batch of planes into strips of whole rows, of at most about so many pixels or a row, and of nearly the same size, so that
/// threads have equal shares. They depend on the extents alone, never on the number of threads.
inline std::vector<Strip> strips(Index blocks, Index rows, Index columns, Index pixels) {
  const Index most_blocks = std::max<Index>(1, pixels / std::max<Index>(1, rows * columns));
  const Index runs = (blocks + most_blocks - 1) / most_blocks;
  const Index cuts = std::clamp<Index>(rows * columns / pixels, 1, std::max<Index>(1, rows));
  std::vector<Strip> all;
  for (Index run = 0; run < runs; ++run) {
    for (Index cut = 0; cut < cuts; ++cut) {
      all.push_back({blocks * run / runs, blocks * (run + 1) / runs, rows * cut / cuts, rows * (cut + 1) / cuts});
    }
  }
  return all;
}

}  // namespace normnet::inline NORMNET_ABI::kernels
