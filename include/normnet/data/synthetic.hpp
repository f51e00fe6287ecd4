// Textures in ten classes, computed: a stand-in for CIFAR-10 where it cannot be downloaded.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/out_of_memory.hpp>
#include <normnet/core/parallel.hpp>
#include <normnet/core/random.hpp>
#include <normnet/data/cifar10.hpp>
#include <normnet/data/dataset.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// A texture of one of ten classes, at a random place, size and angle (within 15 degrees of the class's own).
class SyntheticTexture {
 public:
  enum Class {
    horizontal_stripes,
    vertical_stripes,
    rising_stripes,
    falling_stripes,
    checkerboard,
    dots,
    grid,
    rings,
    squares,
    diamonds
  };

  static std::vector<std::string> class_names() {
    return {"horizontal stripes",
            "vertical stripes",
            "rising stripes",
            "falling stripes",
            "checkerboard",
            "dots",
            "grid",
            "rings",
            "squares",
            "diamonds"};
  }

  /// Draws the texture from the random table of its image.
  SyntheticTexture(Class label, const Random& random) : class_(label) {
    constexpr std::array<double, 10> degrees{90, 0, 45, -45, 0, 0, 0, 0, 0, 45};
    const double angle = (degrees[static_cast<std::size_t>(label)] + random.uniform(0, -15, 15)) * std::numbers::pi / 180;
    const double period = random.uniform(1, 5, 12);  // pixels
    across_ = std::cos(angle) / period;
    down_ = std::sin(angle) / period;
    centre_x_ = random.uniform(2, 6, 26);
    centre_y_ = random.uniform(3, 6, 26);
  }

  /// Its value at a pixel, in [-1, 1].
  double operator()(Index y, Index x) const {
    const double right = static_cast<double>(x) - centre_x_, below = static_cast<double>(y) - centre_y_;
    const double u = right * across_ + below * down_, v = below * across_ - right * down_;  // in periods
    switch (class_) {
      case checkerboard: return wave(u) * wave(v);
      case dots: return edge(0.3 - std::sqrt(to_cell(u) * to_cell(u) + to_cell(v) * to_cell(v)));
      case grid: return edge(std::max(std::abs(to_cell(u)), std::abs(to_cell(v))) - 0.35);
      case rings: return wave(std::sqrt(u * u + v * v));
      case squares:
      case diamonds: return wave(std::max(std::abs(u), std::abs(v)));
      default: return wave(u);
    }
  }

 private:
  // Where u lies in its period: from -0.5 to 0.5.
  static double to_cell(double u) { return u - std::floor(u) - 0.5; }
  static double edge(double distance) { return std::clamp(8 * distance, -1.0, 1.0); }
  static double wave(double u) { return edge(std::abs(to_cell(u)) - 0.25); }

  Class class_;
  double across_, down_;  // a pixel to the right, and one down, in periods along the texture's first axis
  double centre_x_, centre_y_;
};

/// Noisy textures of 3x32x32 pixels in two random colours, equally many of each class (as far as their number allows) in random
/// order; the same for the same random table, on any number of threads:
///
///     byte = (A + B) / 2 + texture (A - B) / 2 + noise        per channel, clamped to [0, 255]
///
/// The colours A and B are uniform in each channel; the noise is uniform, up to an amplitude of the image's own between 0 and 63.
/// Each image is as likely as its negative, so the mean image of every class is flat grey, and among linear models none has a
/// lower expected cross-entropy than the constant one; a small convolutional network tells the classes apart. Throws Error when
/// the number of images is negative.
inline Dataset synthetic_textures(Index images, const Random& random) {
  if (images < 0) fail("synthetic_textures: expected a number of images of at least 0, got ", images);
  constexpr Index channels = Cifar10::channels, height = Cifar10::height, width = Cifar10::width;
  constexpr Index image_bytes = channels * height * width;
  auto bytes = normnet_impl::with_memory_for(
      {images, " synthetic images"}, static_cast<double>(images) * static_cast<double>(image_bytes),
      [&] { return std::vector<std::uint8_t>(static_cast<std::size_t>(images) * static_cast<std::size_t>(image_bytes)); });
  std::vector<int> labels(static_cast<std::size_t>(images));
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<int>(i % Cifar10::classes);
  random.shuffle(std::span(labels));

  parallel_for(images, image_bytes, [&](Index i) {
    const Random image = random.fork(static_cast<std::uint64_t>(i));
    const Random colours = image.fork(0), noise = image.fork(1);
    const auto label = static_cast<SyntheticTexture::Class>(labels[static_cast<std::size_t>(i)]);
    const SyntheticTexture texture(label, image);
    const auto amplitude = static_cast<double>(image.below(4, 64));
    std::array<double, height * width> values;
    for (Index y = 0; y < height; ++y) {
      for (Index x = 0; x < width; ++x) {
        // In steps of 1/256 all that follows is exact, so that no machine's rounding shows in the bytes.
        values[static_cast<std::size_t>(y * width + x)] = std::floor(256 * texture(y, x) + 0.5) / 256;
      }
    }
    std::uint8_t* byte = bytes.data() + i * image_bytes;
    std::uint64_t position = 0, word = 0;  // eight bytes of noise at a time
    for (std::uint64_t c = 0; c < channels; ++c) {
      const auto a = static_cast<double>(colours.below(2 * c, 256)), b = static_cast<double>(colours.below(2 * c + 1, 256));
      for (const double value : values) {
        word = position % 8 == 0 ? noise.bits(position / 8) : word >> 8;
        position += 1;
        const double speckle = (2 * static_cast<double>(word & 255) - 255) / 256 * amplitude;
        const double rounded = std::floor((a + b) / 2 + value * (a - b) / 2 + speckle + 0.5);
        *byte++ = static_cast<std::uint8_t>(std::clamp(rounded, 0.0, 255.0));
      }
    }
  });
  return Dataset(
      {.channels = channels, .height = height, .width = width, .class_names = SyntheticTexture::class_names(), .synthetic = true},
      std::move(bytes), std::move(labels));
}

/// How many images, and which.
struct SyntheticOptions {
  Index train = 50'000;
  Index test = 10'000;
  std::uint64_t seed = 0;
};

/// Textures in the place of CIFAR-10's training and test images, independent of each other.
inline Cifar10 synthetic_cifar10(const SyntheticOptions& options = {}) {
  const Random random(options.seed);
  return {.train = synthetic_textures(options.train, random.fork(0)), .test = synthetic_textures(options.test, random.fork(1))};
}

}  // namespace normnet::inline NORMNET_ABI
