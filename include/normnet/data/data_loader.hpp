// Batches of a data set, shuffled, augmented, normalised and packed into lanes.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/batch.hpp>
#include <normnet/core/error.hpp>
#include <normnet/core/in_use.hpp>
#include <normnet/core/parallel.hpp>
#include <normnet/core/random.hpp>
#include <normnet/data/dataset.hpp>
#include <normnet/data/transforms.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// Images with their labels and their indices in the data set.
template <class T>
struct LabelledBatch {
  Batch<T> images;
  std::vector<int> labels;
  std::vector<Index> indices;
};

/// Deals a data set out in batches:
///
///     DataLoader<float> loader(data.train, {.batch_size = 128, .shuffle = true, .seed = 1});
///     for (Index epoch = 0; epoch < 20; ++epoch) {
///       for (const auto& [images, labels, indices] : loader.epoch(epoch)) ...
///     }
///
/// The order of an epoch and the augmentation of its images are functions of the seed, the epoch and the image's index alone, so
/// a run that starts in the middle sees what it would have seen.
///
/// A loader serves one thread at a time, and uses several to fill a batch. Several loaders may read one data set.
template <class T>
class DataLoader {
 public:
  struct Options {
    Index batch_size = 128;
    /// Another order in each epoch; otherwise always that of the data set.
    bool shuffle = false;
    /// Leaves out the last batch of an epoch if it is not full.
    bool drop_last = false;
    std::uint64_t seed = 0;
    Normalize normalize{};
    Augmentation augment{};
    /// A border of zeros around the normalised images, for a model whose first layer asks for one (`net.input_halo()`).
    Halo halo{};
  };

  /// Keeps a reference to the data set. Stands at epoch 0. Throws Error when there are no images, when batch_size is below 1 or
  /// drop_last leaves no batch, and as Normalize and Augmentation do.
  DataLoader(const Dataset& data, Options options)
      : data_(&data), options_(std::move(options)), order_(static_cast<std::size_t>(data.size())) {
    if (data.empty()) fail("DataLoader: expected at least one image, got none");
    if (options_.batch_size < 1) fail("DataLoader: expected a batch_size of at least 1, got ", options_.batch_size);
    if (batches() == 0) {
      fail("DataLoader: expected at least ", options_.batch_size, " images (batch_size, with drop_last), got ", data.size());
    }
    options_.augment.check();
    tables_ = options_.normalize.template tables<T>(data.channels());
    start_epoch(0);
  }
  explicit DataLoader(const Dataset& data) : DataLoader(data, Options{}) {}
  explicit DataLoader(const Dataset&&) = delete;  // the data set would be gone
  DataLoader(const Dataset&&, Options) = delete;

  const Dataset& dataset() const { return *data_; }
  const Options& options() const { return options_; }

  /// The batches of an epoch.
  Index batches() const {
    return options_.drop_last ? data_->size() / options_.batch_size : 1 + (data_->size() - 1) / options_.batch_size;
  }

  /// Draws the order of an epoch and what its augmentation will be. Throws Error when it is negative.
  void start_epoch(Index epoch) {
    if (epoch < 0) fail("DataLoader: expected an epoch of at least 0, got ", epoch);
    random_ = Random(options_.seed).fork(static_cast<std::uint64_t>(epoch));
    std::iota(order_.begin(), order_.end(), Index{0});
    if (options_.shuffle) random_.shuffle(std::span(order_));
  }

  /// A batch of the epoch, valid until the next call and as long as the loader lives; padding lanes are zero. Throws Error out of
  /// range.
  const LabelledBatch<T>& load(Index batch) & {
    const normnet_impl::InUse::Scope use(
        in_use_, [] { return "DataLoader"; }, "loader of its own");
    if (batch < 0 || batch >= batches()) fail("DataLoader: no batch ", batch, " among ", batches());
    const Index begin = batch * options_.batch_size;
    const Index images = std::min(options_.batch_size, data_->size() - begin);
    const auto count = static_cast<std::size_t>(images);
    batch_.indices = std::vector<Index>(count);
    batch_.labels = std::vector<int>(count);
    placements_.reset(options_.augment.enabled() ? images : 0);
    for (Index i = 0; i < images; ++i) {
      const Index image = order_[static_cast<std::size_t>(begin + i)];
      batch_.indices[static_cast<std::size_t>(i)] = image;
      batch_.labels[static_cast<std::size_t>(i)] = data_->label(image);
      if (options_.augment.enabled()) placements_[i] = options_.augment.draw(random_.fork(augmentation_stream), image);
    }
    batch_.images.reset({images, data_->channels(), data_->height(), data_->width()}, options_.halo);
    const Index lookups = batch_.images.plane() * Batch<T>::lanes;
    parallel_for_2d(batch_.images.blocks(), batch_.images.channels(), lookups,
                    [&](Index block, Index c) { pack_planes(block, c); });
    batch_.images.clear_padding_lanes();
    return batch_;
  }

  /// The batches of an epoch for a range-for loop; each is valid until the next.
  class Epoch {
   public:
    explicit Epoch(DataLoader& loader) : loader_(&loader) {}

    struct Iterator {
      DataLoader* loader;
      Index batch;
      const LabelledBatch<T>& operator*() const { return loader->load(batch); }
      Iterator& operator++() { return ++batch, *this; }
      friend bool operator==(const Iterator&, const Iterator&) = default;
    };

    Iterator begin() const { return {loader_, 0}; }
    Iterator end() const { return {loader_, loader_->batches()}; }

   private:
    DataLoader* loader_;
  };

  /// Calls start_epoch and returns its batches, which live as long as the loader.
  Epoch epoch(Index epoch) & {
    start_epoch(epoch);
    return Epoch(*this);
  }

 private:
  // The last stream, which no model comes to: its passes and layers take the first ones, perhaps with the same seed.
  static constexpr std::uint64_t augmentation_stream = ~std::uint64_t{0};

  // One channel of a block: row by row, which stays in the cache while each image goes into its lane.
  void pack_planes(Index block, Index channel) {
    const std::array<T, 256>& value = tables_[channel];
    const auto plane_bytes = static_cast<std::size_t>(batch_.images.plane());
    const auto width = static_cast<std::size_t>(batch_.images.width());
    const auto first = static_cast<std::size_t>(block * Batch<T>::lanes);
    const auto images = static_cast<std::size_t>(batch_.images.images_in(block));
    std::array<std::span<const std::uint8_t>, static_cast<std::size_t>(Batch<T>::lanes)> planes;
    for (std::size_t i = 0; i < images; ++i) {
      planes[i] = data_->image(batch_.indices[first + i]).subspan(static_cast<std::size_t>(channel) * plane_bytes, plane_bytes);
    }
    std::vector<std::uint8_t> placed(width);
    for (Index y = 0; y < batch_.images.height(); ++y) {
      Pack<T>* const row = batch_.images.row(block, channel, y);
      for (std::size_t i = 0; i < images; ++i) {
        const std::uint8_t* bytes = planes[i].data() + static_cast<std::size_t>(y) * width;
        normnet_impl::prefetch(bytes + 128);  // what so many images read in turn, the processor does not foresee
        if (!placements_.empty()) {
          placements_[static_cast<Index>(first + i)].copy_row(planes[i], y, placed);
          bytes = placed.data();
        }
        for (std::size_t x = 0; x < width; ++x) row[x].set(static_cast<int>(i), value[bytes[x]]);
      }
    }
  }

  const Dataset* data_;
  Options options_;
  std::vector<Index> order_;
  Random random_;
  AlignedArray<std::array<T, 256>> tables_;  // of each channel
  AlignedArray<Placement> placements_;       // of each image of the batch; none without augmentation
  LabelledBatch<T> batch_;
  normnet_impl::InUse in_use_;  // by load()
};

}  // namespace normnet::inline NORMNET_ABI
