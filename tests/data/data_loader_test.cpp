// Tests of the data loader: order, batches, and every packed value against the definition.
#include <normnet/data/data_loader.hpp>

#include <cstdint>
#include <cstring>
#include <numeric>
#include <optional>
#include <set>
#include <type_traits>
#include <vector>

#include "support/catch.hpp"

using namespace normnet;

namespace {

Dataset random_bytes(Index images, Index height = 6, Index width = 9) {
  const Random random(5);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(images * 3 * height * width));
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(random.below(i, 256));
  std::vector<int> labels;
  for (Index i = 0; i < images; ++i) labels.push_back(static_cast<int>(i % 4));
  return Dataset({.channels = 3, .height = height, .width = width, .class_names = {"a", "b", "c", "d"}}, bytes, labels);
}

const Normalize each_channel{.mean = {0.1, 0.5, 0.7}, .std = {0.5, 0.25, 1.5}};

template <class T>
std::vector<Index> order_of(DataLoader<T>& loader, Index epoch) {
  std::vector<Index> order;
  for (const auto& batch : loader.epoch(epoch)) order.insert(order.end(), batch.indices.begin(), batch.indices.end());
  return order;
}

// What the batch must hold at one place, from the definitions alone.
template <class T>
T expected_value(const Dataset& data, Index image, Index c, Index y, Index x, std::optional<Placement> placement) {
  std::uint8_t byte = 0;
  if (placement) {
    if (placement->flip) x = data.width() - 1 - x;
    y += placement->dy;
    x += placement->dx;
  }
  if (y >= 0 && y < data.height() && x >= 0 && x < data.width()) {
    byte = data.image(image)[static_cast<std::size_t>((c * data.height() + y) * data.width() + x)];
  }
  const auto channel = static_cast<std::size_t>(c);
  return static_cast<T>((byte / 255.0 - each_channel.mean[channel]) / each_channel.std[channel]);
}

// Every bit of a batch's images, borders and padding lanes included.
template <class T>
std::vector<T> raw(const Batch<T>& batch) {
  std::vector<T> values(static_cast<std::size_t>(batch.blocks() * batch.block_stride() * Batch<T>::lanes));
  std::memcpy(values.data(), batch.row(0, 0, -batch.halo().height) - batch.halo().width, values.size() * sizeof(T));
  return values;
}

}  // namespace

TEMPLATE_TEST_CASE("A loaded batch holds the normalised images of the data set", "", float, double) {
  const Dataset data = random_bytes(53);
  const Augmentation augmentation{.crop_padding = 3, .flip_probability = 0.5};
  for (const bool augment : {false, true}) {
    DataLoader<TestType> loader(data, {.batch_size = 19,
                                       .shuffle = true,
                                       .seed = 11,
                                       .normalize = each_channel,
                                       .augment = augment ? augmentation : Augmentation{},
                                       .halo = {2, 1}});
    const Random epoch_random = Random(11).fork(4).fork(~std::uint64_t{0});  // the table that the augmentation of epoch 4 reads
    int flips = 0, wrong = 0;
    for (const auto& [images, labels, indices] : loader.epoch(4)) {
      REQUIRE(images.shape() == Shape{static_cast<Index>(indices.size()), 3, 6, 9});
      REQUIRE(labels.size() == indices.size());
      CHECK(images.halo() == Halo{2, 1});
      for (Index n = 0; n < images.images(); ++n) {
        const Index image = indices[static_cast<std::size_t>(n)];
        CHECK(labels[static_cast<std::size_t>(n)] == data.label(image));
        std::optional<Placement> placement;
        if (augment) placement = augmentation.draw(epoch_random, image);
        flips += augment && placement->flip;
        for (Index c = 0; c < 3; ++c) {
          for (Index y = 0; y < 6; ++y) {
            for (Index x = 0; x < 9; ++x) {
              wrong += images.at(n, c, y, x) != expected_value<TestType>(data, image, c, y, x, placement);
            }
          }
        }
      }
      // The border, and the padding lanes of the last block, are zero.
      Index not_zero = 0, not_zero_inside = 0;
      for (const TestType value : raw(images)) not_zero += value != 0;
      const Tensor<TestType> inside = images.to_tensor();
      for (const TestType value : inside.span()) not_zero_inside += value != 0;
      CHECK(not_zero == not_zero_inside);
    }
    CHECK(wrong == 0);
    CHECK(augment == (flips > 0 && flips < 53));
  }
}

TEST_CASE("The batches of an epoch hold every image once") {
  const Dataset data = random_bytes(53, 2, 3);
  DataLoader<float> loader(data, {.batch_size = 16});
  CHECK(loader.batches() == 4);
  CHECK(loader.load(3).indices == std::vector<Index>{48, 49, 50, 51, 52});
  CHECK(loader.load(0).indices.size() == 16);  // any order of batches
  std::vector<Index> in_order(53);
  std::iota(in_order.begin(), in_order.end(), Index{0});
  CHECK(order_of(loader, 0) == in_order);
  CHECK(order_of(loader, 9) == in_order);

  DataLoader<float> shuffled(data, {.batch_size = 16, .shuffle = true, .seed = 3});
  const std::vector<Index> order = order_of(shuffled, 1);
  CHECK(order.size() == 53);
  CHECK(std::set<Index>(order.begin(), order.end()).size() == 53);
  CHECK(order != in_order);

  DataLoader<float> full_only(data, {.batch_size = 16, .shuffle = true, .drop_last = true, .seed = 3});
  CHECK(full_only.batches() == 3);
  CHECK(order_of(full_only, 1) == std::vector<Index>(order.begin(), order.begin() + 48));
  CHECK(DataLoader<float>(data, {.batch_size = 53}).batches() == 1);
  CHECK(DataLoader<float>(data, {.batch_size = 53, .drop_last = true}).batches() == 1);
  CHECK(DataLoader<float>(data).batches() == 1);  // 128 by default
}

TEST_CASE("An epoch is a function of the seed and its number") {
  const Dataset data = random_bytes(53);
  const DataLoader<float>::Options options{
      .batch_size = 53, .shuffle = true, .seed = 3, .augment = {.crop_padding = 4, .flip_probability = 0.5}};
  DataLoader<float> trained(data, options), resumed(data, options);
  std::vector<std::vector<Index>> orders;
  for (Index epoch = 0; epoch < 3; ++epoch) orders.push_back(order_of(trained, epoch));
  CHECK(orders[0] != orders[1]);
  CHECK(orders[1] != orders[2]);
  CHECK(order_of(resumed, 2) == orders[2]);
  CHECK(raw(resumed.load(0).images) == raw(trained.load(0).images));
  CHECK(order_of(trained, 0) == orders[0]);

  auto other_seed = options;
  other_seed.seed = 4;
  DataLoader<float> other(data, other_seed);
  CHECK(order_of(other, 0) != orders[0]);

  // The same image is placed anew in each epoch.
  DataLoader<float> unshuffled(data, {.batch_size = 53, .augment = options.augment});
  const std::vector<float> first = raw(unshuffled.load(0).images);
  unshuffled.start_epoch(1);
  CHECK(raw(unshuffled.load(0).images) != first);
  unshuffled.start_epoch(0);
  CHECK(raw(unshuffled.load(0).images) == first);
}

TEST_CASE("Images are flipped without being cropped") {
  const Dataset data = random_bytes(5);
  DataLoader<float> plain(data, {.batch_size = 5}), flipped(data, {.batch_size = 5, .augment = {.flip_probability = 1}});
  const Tensor<float> images = plain.load(0).images.to_tensor(), mirrored = flipped.load(0).images.to_tensor();
  for (Index n = 0; n < 5; ++n) {
    for (Index x = 0; x < 9; ++x) CHECK(mirrored(n, 1, 2, x) == images(n, 1, 2, 8 - x));
  }
}

TEST_CASE("A batch has the same bits on any number of threads") {
  const Dataset data = random_bytes(70, 16, 12);
  std::vector<float> on_one;
  for (const int threads : {1, 2, 3, 4, 7, 16}) {
    set_num_threads(threads);
    DataLoader<float> loader(data, {.batch_size = 70, .shuffle = true, .augment = {.crop_padding = 2, .flip_probability = 0.5}});
    const std::vector<float> values = raw(loader.load(0).images);
    if (threads == 1) on_one = values;
    CHECK(values == on_one);
  }
  set_num_threads(0);
}

TEST_CASE("A data loader refuses wrong options and wrong batches") {
  const Dataset data = random_bytes(5);
  const Dataset none = data.first(0);
  CHECK_THROWS_WITH(DataLoader<float>(none), "DataLoader: expected at least one image, got none");
  const auto make = [&](DataLoader<float>::Options options) { DataLoader<float>(data, options); };
  CHECK_THROWS_WITH(make({.batch_size = 0}), "DataLoader: expected a batch_size of at least 1, got 0");
  CHECK_THROWS_WITH(make({.batch_size = 6, .drop_last = true}),
                    "DataLoader: expected at least 6 images (batch_size, with drop_last), got 5");
  CHECK_THROWS_WITH(make({.normalize = {{0.5, 0.5}, {0.5, 0.5}}}),
                    "Normalize: expected 1 or 3 means and as many stds for images of 3 channels, got 2 and 2");
  CHECK_THROWS_WITH(make({.augment = {.crop_padding = -2}}), "Augmentation: expected a crop_padding of at least 0, got -2");

  DataLoader<float> loader(data, {.batch_size = 2});
  CHECK_THROWS_WITH(loader.load(3), "DataLoader: no batch 3 among 3");
  CHECK_THROWS_WITH(loader.load(-1), "DataLoader: no batch -1 among 3");
  CHECK_THROWS_WITH(loader.start_epoch(-1), "DataLoader: expected an epoch of at least 0, got -1");
  STATIC_REQUIRE_FALSE(std::is_constructible_v<DataLoader<float>, Dataset>);  // a temporary would be gone
  STATIC_REQUIRE(std::is_constructible_v<DataLoader<float>, const Dataset&>);
}
