// The pictures that show images: of the data set, and of what a network gets wrong.
#pragma once

#include "charts.hpp"
#include "data.hpp"
#include "results.hpp"

#include <normnet/normnet.hpp>
#include <normnet/viz/channel_picture.hpp>
#include <normnet/viz/image_grid.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace cifar10_norms {

/// The name of a class; a network may have outputs that are none.
inline std::string class_name(const normnet::Dataset& data, int label) {
  return label < data.classes() ? data.class_names()[static_cast<std::size_t>(label)] : "output " + std::to_string(label);
}

/// samples.png, classes.png and channels.png: twenty random training images with their labels, some of each class, and one beside
/// its red, green and blue channels with their values. The same in every run on the same data.
inline std::vector<Picture> write_data_pictures(const Data& data, const Charts& charts, const std::filesystem::path& folder) {
  const normnet::Dataset& images = data.images.train;
  std::vector<Picture> pictures;
  const auto add = [&](const char* kind, std::string title) {
    pictures.push_back(
        {.experiment = "", .norm = "", .kind = kind, .title = title + charts.warning(), .file = std::string(kind) + ".png"});
    return pictures.back();
  };
  std::vector<Index> order(static_cast<std::size_t>(images.size()));
  std::iota(order.begin(), order.end(), Index{0});
  normnet::Random(/*seed=*/1).shuffle(std::span(order));

  const Picture samples = add("samples", "Random training images");
  normnet::viz::ImageGrid random({.columns = 5, .scale = 4, .title = samples.title, .font = charts.font()});
  for (std::size_t i = 0; i < std::min<std::size_t>(20, order.size()); ++i) {
    random.add({.pixels = images.image(order[i]), .caption = class_name(images, images.label(order[i]))});
  }
  random.write(folder / samples.file);

  constexpr Index of_each = 8;
  const Picture classes = add("classes", "Training images of each class");
  normnet::viz::ImageGrid rows(
      {.columns = of_each, .scale = 3, .title = classes.title, .row_titles = images.class_names(), .font = charts.font()});
  for (int label = 0; label < images.classes(); ++label) {
    Index found = 0;
    for (const Index i : order) {
      if (found == of_each || images.label(i) != label) continue;
      rows.add({.pixels = images.image(i)});
      ++found;
    }
    for (; found < of_each; ++found) rows.add({});
  }
  rows.write(folder / classes.file);

  const std::string label = class_name(images, images.label(order.front()));
  const Picture channels = add("channels", "A training image and its channels: " + label);
  normnet::viz::ChannelPicture(
      images.image(order.front()),
      {.height = images.height(), .width = images.width(), .title = channels.title, .font = charts.font()})
      .write(folder / channels.file);
  return pictures;
}

/// misclassified_<norm>.png: ten test images that the network of the first seed takes for something else.
inline Picture write_mistakes(const ExperimentResult& experiment, const NormResult& result, const Data& data,
                              const Charts& charts, const std::filesystem::path& out) {
  const normnet::Dataset& test = data.images.test;
  const std::filesystem::path file = experiment.plan.out / ("misclassified_" + result.norm.file_name() + ".png");
  Picture picture{.experiment = experiment.plan.recipe->name,
                  .norm = result.norm.name,
                  .kind = "misclassified",
                  .title = result.norm.title() + ": misclassified test images" + charts.warning(),
                  .file = file.lexically_relative(out).generic_string()};
  normnet::viz::ImageGrid grid({.columns = 5, .title = picture.title, .font = charts.font()});
  for (const normnet::Misclassified& mistake : result.mistakes) {
    grid.add({.pixels = test.image(mistake.index),
              .caption = "truth: " + class_name(test, mistake.label) + "\npredicted: " + class_name(test, mistake.predicted),
              .highlight = true});
  }
  grid.write(file);
  return picture;
}

}  // namespace cifar10_norms
