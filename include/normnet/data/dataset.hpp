// Labelled images in memory, kept as the bytes that they are.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/out_of_memory.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace normnet {

/// Images of one size, a label for each, and the names of the classes. A regular value; its images never change, so any
/// number of threads may read them.
class Dataset {
 public:
  struct Options {
    Index channels = 3;
    Index height = 32;
    Index width = 32;
    std::vector<std::string> class_names;
    /// True when the images were computed rather than photographed, so that a report can say so.
    bool synthetic = false;
  };

  /// No images, of 0x0x0.
  Dataset() = default;

  /// Takes N images, planar and one after the other: N x C x H x W bytes. Throws Error when an extent is below 1, when their
  /// number is not N x C x H x W, or when a label has no class name.
  Dataset(Options options, std::vector<std::uint8_t> bytes, std::vector<int> labels)
      : options_(std::move(options)), bytes_(std::move(bytes)), labels_(std::move(labels)) {
    if (channels() < 1 || height() < 1 || width() < 1) {
      fail("Dataset: expected extents of at least 1, got images of ", channels(), "x", height(), "x", width());
    }
    const Shape shape{size(), channels(), height(), width()};
    if (static_cast<Index>(bytes_.size()) != shape.elements()) {
      fail("Dataset: expected ", shape.elements(), " bytes for images of shape ", shape, ", got ", bytes_.size());
    }
    for (Index i = 0; i < size(); ++i) {
      if (label(i) < 0 || label(i) >= classes()) {
        fail("Dataset: expected labels of at least 0 and below ", classes(), " (the class names), got ", label(i), " for image ",
             i);
      }
    }
  }

  Index size() const { return static_cast<Index>(labels_.size()); }
  bool empty() const { return labels_.empty(); }
  Index channels() const { return options_.channels; }
  Index height() const { return options_.height; }
  Index width() const { return options_.width; }

  /// The bytes of one image: C x H x W.
  Index image_bytes() const { return channels() * height() * width(); }

  /// Image i, planar C x H x W, as long as the data set lives; of a temporary, a copy. Throws Error out of range.
  std::span<const std::uint8_t> image(Index i) const& {
    const auto count = static_cast<std::size_t>(image_bytes());
    return std::span(bytes_).subspan(checked(i) * count, count);
  }
  std::vector<std::uint8_t> image(Index i) const&& {
    const std::span<const std::uint8_t> pixels = image(i);
    return {pixels.begin(), pixels.end()};
  }

  /// The class of image i. Throws Error out of range.
  int label(Index i) const { return labels_[checked(i)]; }
  std::span<const int> labels() const& { return labels_; }
  std::vector<int> labels() && { return std::move(labels_); }

  const std::vector<std::string>& class_names() const& { return options_.class_names; }
  std::vector<std::string> class_names() && { return std::move(options_.class_names); }
  int classes() const { return static_cast<int>(options_.class_names.size()); }
  bool synthetic() const { return options_.synthetic; }

  /// A copy of the first n images. Throws Error when there are fewer, or n is negative.
  Dataset first(Index n) const {
    if (n < 0 || n > size()) fail("Dataset: expected a number of images from 0 to ", size(), " to take, got ", n);
    const auto copied = [&] { return std::vector<std::uint8_t>(bytes_.begin(), bytes_.begin() + n * image_bytes()); };
    auto bytes = normnet_impl::with_memory_for({"a copy of ", n, " images"}, static_cast<double>(n * image_bytes()), copied);
    return {options_, std::move(bytes), {labels_.begin(), labels_.begin() + n}};
  }

 private:
  std::size_t checked(Index i) const {
    if (i < 0 || i >= size()) fail("Dataset: no image ", i, " among ", size());
    return static_cast<std::size_t>(i);
  }

  Options options_{.channels = 0, .height = 0, .width = 0, .class_names = {}};
  std::vector<std::uint8_t> bytes_;
  std::vector<int> labels_;
};

}  // namespace normnet
