// Mean and standard deviation of a data set's channels.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/parallel.hpp>
#include <normnet/data/dataset.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// What Normalize takes, of each channel, for pixels scaled to [0, 1].
struct ChannelStatistics {
  std::vector<double> mean;
  std::vector<double> std;
};

/// The mean and the population standard deviation of each channel over all images and pixels, of byte / 255:
///
///     mean = sum of h[v] v / (255 n),    std = sqrt(sum of h[v] (v - 255 mean)^2 / n) / 255
///
/// where h[v] counts the pixels of value v and n all pixels. The counts are integers, so the result is the same on any number of
/// threads. CIFAR-10's training images have mean 0.4914 0.4822 0.4465 and std 0.2470 0.2435 0.2616. Throws Error for a data set
/// without images.
inline ChannelStatistics channel_statistics(const Dataset& data) {
  if (data.empty()) fail("channel_statistics: expected at least one image, got none");
  using Histogram = std::array<std::uint64_t, 256>;
  constexpr Index chunk_images = 1024;
  const Index chunks = (data.size() + chunk_images - 1) / chunk_images;
  const Index channels = data.channels(), plane = data.height() * data.width();
  std::vector<Histogram> partial(static_cast<std::size_t>(chunks * channels), Histogram{});
  parallel_for_2d(chunks, channels, chunk_images * plane, [&](Index chunk, Index c) {
    Histogram& counts = partial[static_cast<std::size_t>(chunk * channels + c)];
    for (Index i = chunk * chunk_images; i < std::min(data.size(), (chunk + 1) * chunk_images); ++i) {
      const std::uint8_t* value = data.image(i).data() + c * plane;
      for (Index p = 0; p < plane; ++p) ++counts[value[p]];
    }
  });

  ChannelStatistics statistics;
  const double pixels = static_cast<double>(data.size()) * static_cast<double>(plane);
  for (Index c = 0; c < channels; ++c) {
    Histogram counts{};
    for (Index chunk = 0; chunk < chunks; ++chunk) {
      for (std::size_t v = 0; v < counts.size(); ++v) counts[v] += partial[static_cast<std::size_t>(chunk * channels + c)][v];
    }
    std::uint64_t sum = 0;
    for (std::size_t v = 0; v < counts.size(); ++v) sum += counts[v] * v;
    const double mean = static_cast<double>(sum) / pixels;
    double squares = 0;
    for (std::size_t v = 0; v < counts.size(); ++v) {
      const double distance = static_cast<double>(v) - mean;
      squares += static_cast<double>(counts[v]) * distance * distance;
    }
    statistics.mean.push_back(mean / 255);
    statistics.std.push_back(std::sqrt(squares / pixels) / 255);
  }
  return statistics;
}

}  // namespace normnet::inline NORMNET_ABI
