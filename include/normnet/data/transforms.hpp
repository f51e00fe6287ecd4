// What happens to an image between the data set and the model: random crop, random flip, normalization.
#pragma once

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/error.hpp>
#include <normnet/core/random.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

namespace normnet {

/// Scales the bytes of an image, channel by channel, as torchvision's ToTensor and Normalize do:
///
///     value = (byte / 255 - mean[c]) / std[c]
///
/// One mean and std serve all channels, or there is one for each. The default maps to [-1, 1].
struct Normalize {
  std::vector<double> mean{0.5};
  std::vector<double> std{0.5};

  /// The values of the 256 bytes of each of the channels. Throws Error when there is neither one mean and std nor one for each
  /// channel, when a mean is not finite, or when a std is not above zero.
  template <class T>
  AlignedArray<std::array<T, 256>> tables(Index channels) const {
    const Index means = static_cast<Index>(mean.size()), stds = static_cast<Index>(std.size());
    if (means != stds || (means != 1 && means != channels)) {
      fail("Normalize: expected 1 or ", channels, " means and as many stds for images of ", channels, " channels, got ", means,
           " and ", stds);
    }
    AlignedArray<std::array<T, 256>> all(channels);
    for (Index c = 0; c < channels; ++c) {
      const auto of_channel = static_cast<std::size_t>(means == 1 ? 0 : c);
      const double m = mean[of_channel], s = std[of_channel];
      if (!std::isfinite(m)) fail("Normalize: expected a finite mean, got ", m, " for channel ", c);
      if (!(s > 0) || !std::isfinite(s)) fail("Normalize: expected a finite std above 0, got ", s, " for channel ", c);
      for (std::size_t v = 0; v < 256; ++v) all[c][v] = static_cast<T>((static_cast<double>(v) / 255 - m) / s);
    }
    return all;
  }
};

/// Where a crop takes its pixels from: pixel (y, x) is the image's pixel (y + dy, x + dx), zero outside of it; then, if `flip`,
/// columns run from right to left.
struct Placement {
  Index dy = 0;
  Index dx = 0;
  bool flip = false;

  friend bool operator==(const Placement&, const Placement&) = default;

  /// Writes row y of the placed plane, which is H x W bytes: `row` has W.
  void copy_row(std::span<const std::uint8_t> plane, Index y, std::span<std::uint8_t> row) const {
    const Index width = static_cast<Index>(row.size());
    const Index height = static_cast<Index>(plane.size()) / width;
    const Index from = y + dy;
    const Index begin = std::max<Index>(0, -dx), end = std::min(width, width - dx);
    std::fill(row.begin(), row.end(), std::uint8_t{0});
    if (from < 0 || from >= height || begin >= end) return;
    const std::uint8_t* const source = plane.data() + (from * width + begin + dx);
    if (flip) {
      std::reverse_copy(source, source + (end - begin), row.data() + (width - end));
    } else {
      std::copy_n(source, end - begin, row.data() + begin);
    }
  }
};

/// Random changes of a training image, drawn anew in each epoch; none by default. Means torchvision's RandomCrop(size, padding)
/// with the size of the image, then RandomHorizontalFlip(p), both before Normalize: the padding is black.
struct Augmentation {
  Index crop_padding = 0;
  double flip_probability = 0;

  bool enabled() const { return crop_padding != 0 || flip_probability != 0; }

  /// Throws Error when the padding is negative or the probability outside [0, 1].
  void check() const {
    if (crop_padding < 0) fail("Augmentation: expected a crop_padding of at least 0, got ", crop_padding);
    if (!(flip_probability >= 0 && flip_probability <= 1)) {
      fail("Augmentation: expected a flip_probability from 0 to 1, got ", flip_probability);
    }
  }

  /// The placement of an image of the data set, given the random table of the epoch: offsets uniform in [-crop_padding,
  /// crop_padding].
  Placement draw(const Random& epoch, Index image) const {
    const std::uint64_t first = 3 * static_cast<std::uint64_t>(image);
    const auto offsets = static_cast<std::uint64_t>(2 * crop_padding + 1);
    return {.dy = static_cast<Index>(epoch.below(first, offsets)) - crop_padding,
            .dx = static_cast<Index>(epoch.below(first + 1, offsets)) - crop_padding,
            .flip = epoch.uniform(first + 2) < flip_probability};
  }
};

}  // namespace normnet
