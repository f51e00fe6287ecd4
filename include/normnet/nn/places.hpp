// The memory between the layers of a chain.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/batch.hpp>
#include <normnet/core/block_schedule.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace normnet::normnet_impl::inline NORMNET_ABI {

/// The places of a chain's feature maps, or of their gradients: place i stands between layer i - 1 and layer i. The first and the
/// last are the caller's; those that a layer writes in place are one slot.
template <class T>
struct Places {
  struct Slot {
    Halo halo;
    Batch<T> storage;  // of no use in the caller's
  };

  std::vector<std::size_t> slot;  // of each place
  std::vector<Slot> slot_table;
  /// The place that each layer reads: its own, unless it does the work of layers before it as it reads. Nobody writes the places
  /// between then, and they have no memory.
  std::vector<std::size_t> source;
  /// Whether feature maps are read by the next layer alone. They share two memories in turn then: block after block, so that one is
  /// still in the cache when its memory is written again.
  bool in_turn = false;
  std::array<AlignedArray<Pack<T>>, 2> memory;
  Shape input;  // that the storage is for

  bool is_callers(std::size_t place) const { return slot[place] == slot.front() || slot[place] == slot.back(); }

  /// The layer that does the work of layer i as it reads; i itself if there is none. A ReLU may stand between them.
  std::size_t reader_of(std::size_t i) const {
    for (std::size_t reader = i + 1; reader < std::min(i + 3, source.size()); ++reader) {
      if (source[reader] == i) return reader;
    }
    return i;
  }

  /// The feature map of a place, between those of the caller.
  const Batch<T>& at(std::size_t place, const Batch<T>& first, const Batch<T>& last) const {
    return slot[place] == slot.front() ? first : slot[place] == slot.back() ? last : slot_table[slot[place]].storage;
  }
  Batch<T>& writable(std::size_t place, Batch<T>& last) {
    return slot[place] == slot.back() ? last : slot_table[slot[place]].storage;
  }

  /// Whether the layer before a place writes it.
  bool is_written(std::size_t place) const {
    return place >= source.size() ||
           *std::min_element(source.begin() + static_cast<std::ptrdiff_t>(place), source.end()) >= place;
  }

  /// Takes the shapes of all places. Throws Error when they do not fit the memory; no shape is taken then.
  void reset(const std::vector<Shape>& shapes) {
    input = {0};  // until all memory is there
    if (in_turn) {
      share_memory(shapes);
    } else {
      for (std::size_t place = 1; place + 1 < shapes.size(); ++place) {
        Slot& at = slot_table[slot[place]];
        if (is_callers(place)) continue;
        if (is_written(place)) {
          at.storage.reset(shapes[place], at.halo);
        } else {
          at.storage = Batch<T>();
        }
      }
    }
    input = shapes.front();
  }

  /// To be called before a layer adds the steps that write a place from another one; `again` says whether such a layer was before,
  /// `reads_border` whether the layer that reads the place reads its border, too.
  ///
  /// In memories that are shared in turn, its place is in the one that the layer before read from, at other strides: it must not
  /// begin before that layer is through all channels of a block. And another feature map has left something where the place has its
  /// border, which is cleared.
  void schedule_change(std::size_t place, bool again, bool reads_border, BlockSchedule& schedule) {
    if (!in_turn) return;
    if (again) schedule.separate();
    if (!reads_border || is_callers(place) || slot_table[slot[place]].halo == Halo{}) return;
    Batch<T>& batch = slot_table[slot[place]].storage;
    schedule.each_channel(batch.channels(), batch.channel_stride() - batch.plane(),
                          [&batch](Index block, Index c) { batch.clear_border(block, c); });
  }

  /// The memory of all places but the caller's.
  std::size_t bytes() const {
    std::size_t bytes = 0;
    for (const Slot& at : slot_table) bytes += at.storage.bytes();
    for (const auto& packs : memory) bytes += packs.span().size_bytes();
    return bytes;
  }

 private:
  void share_memory(const std::vector<Shape>& shapes) {
    std::array<Index, 2> of_block{};
    for (std::size_t place = 1; place + 1 < shapes.size(); ++place) {
      Index& most = of_block[slot[place] % 2];
      if (!is_callers(place)) most = std::max(most, Batch<T>::packs_of_block(shapes[place], slot_table[slot[place]].halo));
    }
    const Index blocks = (shapes.front()[0] + Batch<T>::lanes - 1) / Batch<T>::lanes;
    for (std::size_t i = 0; i < 2; ++i) {
      const Index packs = blocks * of_block[i];
      if (packs > memory[i].size()) memory[i] = AlignedArray<Pack<T>>(packs, Pack<T>(T(0)));
    }
    for (std::size_t place = 1; place + 1 < shapes.size(); ++place) {
      const std::size_t s = slot[place];
      if (!is_callers(place))
        slot_table[s].storage.share(shapes[place], slot_table[s].halo, memory[s % 2].data(), of_block[s % 2]);
    }
  }
};

}  // namespace normnet::normnet_impl::inline NORMNET_ABI
