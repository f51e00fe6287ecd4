// Tests of the synthetic textures: reproducible, balanced, too hard for a linear model, learnable from neighbourhoods.
#include <normnet/data/cifar10.hpp>
#include <normnet/data/synthetic.hpp>
#include <normnet/io/checksum.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace normnet;

namespace {

using Features = std::vector<std::vector<float>>;  // of each image

Features pixels_of(const Dataset& data) {
  Features features;
  for (Index i = 0; i < data.size(); ++i) {
    auto& of_image = features.emplace_back();
    for (const std::uint8_t byte : data.image(i)) of_image.push_back(static_cast<float>(byte) / 127.5f - 1);
  }
  return features;
}

// The autocorrelation at even shifts of up to 6 pixels, a nonlinear feature of neighbours, relative to the variance.
Features autocorrelation_of(const Dataset& data) {
  constexpr Index reach = 6, size = 32;
  Features features;
  for (Index i = 0; i < data.size(); ++i) {
    const auto bytes = data.image(i);
    std::vector<float> sums;
    for (Index dy = 0; dy <= reach; dy += 2) {
      for (Index dx = dy == 0 ? 0 : -reach; dx <= reach; dx += 2) {
        float sum = 0;
        for (Index c = 0; c < 3; ++c) {
          float mean = 0;
          for (Index p = 0; p < size * size; ++p)
            mean += static_cast<float>(bytes[static_cast<std::size_t>(c * size * size + p)]);
          mean /= size * size;
          const auto at = [&](Index y, Index x) {
            return static_cast<float>(bytes[static_cast<std::size_t>((c * size + y) * size + x)]) - mean;
          };
          for (Index y = 0; y < size - reach; ++y) {
            for (Index x = reach; x < size - reach; ++x) sum += at(y, x) * at(y + dy, x + dx);
          }
        }
        sums.push_back(sum);
      }
    }
    const float variance = sums.front();
    for (float& sum : sums) sum /= variance;
    features.push_back(std::move(sums));
  }
  return features;
}

// Softmax regression by stochastic gradient descent.
class LinearModel {
 public:
  LinearModel(const Features& features, std::span<const int> labels, float lr, int epochs)
      : weights_(10 * (features[0].size() + 1)) {
    for (int epoch = 0; epoch < epochs; ++epoch) {
      for (std::size_t i = 0; i < features.size(); ++i) {
        std::vector<float> p = scores(features[i]);
        float sum = 0;
        const float highest = *std::ranges::max_element(p);
        for (float& value : p) sum += value = std::exp(value - highest);
        for (std::size_t k = 0; k < 10; ++k) {
          const float step = lr * (p[k] / sum - (static_cast<int>(k) == labels[i] ? 1.f : 0.f));
          float* row = &weights_[k * (features[i].size() + 1)];
          for (std::size_t f = 0; f < features[i].size(); ++f) row[f] -= step * features[i][f];
          row[features[i].size()] -= step;
        }
      }
    }
  }

  double accuracy(const Features& features, std::span<const int> labels) const {
    int right = 0;
    for (std::size_t i = 0; i < features.size(); ++i) {
      const std::vector<float> p = scores(features[i]);
      right += std::ranges::max_element(p) - p.begin() == labels[i];
    }
    return right / static_cast<double>(features.size());
  }

 private:
  std::vector<float> scores(const std::vector<float>& features) const {
    std::vector<float> result;
    for (std::size_t k = 0; k < 10; ++k) {
      const float* row = &weights_[k * (features.size() + 1)];
      float sum = row[features.size()];
      for (std::size_t f = 0; f < features.size(); ++f) sum += row[f] * features[f];
      result.push_back(sum);
    }
    return result;
  }

  std::vector<float> weights_;  // per class: of each feature, and the bias
};

bool equal(const Dataset& a, const Dataset& b) {
  if (a.size() != b.size() || !std::ranges::equal(a.labels(), b.labels())) return false;
  for (Index i = 0; i < a.size(); ++i) {
    if (!std::ranges::equal(a.image(i), b.image(i))) return false;
  }
  return true;
}

}  // namespace

TEST_CASE("Synthetic images are a function of the seed") {
  const Cifar10 data = synthetic_cifar10({.train = 130, .test = 40, .seed = 1});
  CHECK(data.train.size() == 130);
  CHECK(data.test.size() == 40);
  CHECK(data.train.synthetic());
  CHECK(data.test.synthetic());
  CHECK(data.train.class_names() == SyntheticTexture::class_names());
  for (int label = 0; label < 10; ++label) {
    CHECK(std::ranges::count(data.train.labels(), label) == 13);
    CHECK(std::ranges::count(data.test.labels(), label) == 4);
  }
  for (const int threads : {1, 2, 3, 4, 7, 16}) {
    set_num_threads(threads);
    const Cifar10 again = synthetic_cifar10({.train = 130, .test = 40, .seed = 1});
    CHECK(equal(again.train, data.train));
    CHECK(equal(again.test, data.test));
  }
  set_num_threads(0);
  CHECK_FALSE(equal(synthetic_cifar10({.train = 130, .test = 40, .seed = 2}).train, data.train));
  CHECK_FALSE(equal(data.train.first(40), data.test));
  CHECK(synthetic_textures(0, Random(1)).empty());
  CHECK_THROWS_WITH(synthetic_textures(-1, Random(1)), "synthetic_textures: expected a number of images of at least 0, got -1");

  // A checksum of all bytes and labels, so that another compiler or instruction set shows if it draws other images.
  Fnv1a checksum;
  for (Index i = 0; i < data.train.size(); ++i) {
    checksum.add(static_cast<std::uint8_t>(data.train.label(i)));
    for (const std::uint8_t byte : data.train.image(i)) checksum.add(byte);
  }
  CHECK(checksum.value() == 0xa5e31e734a7f16a4);
}

TEST_CASE("Synthetic images survive CIFAR-10's file format") {
  const Cifar10 data = synthetic_cifar10({.train = 12, .test = 3});
  const test::TemporaryFolder folder;
  data.save(folder.path());
  const Cifar10 loaded = Cifar10::load(folder.path());
  CHECK(equal(loaded.train, data.train));
  CHECK(equal(loaded.test, data.test));
  CHECK(loaded.test.class_names() == SyntheticTexture::class_names());
}

TEST_CASE("The mean synthetic image of every class is flat grey") {
  const Dataset data = synthetic_textures(5000, Random(3));
  for (int label = 0; label < 10; ++label) {
    std::vector<double> mean(static_cast<std::size_t>(data.image_bytes()));
    for (Index i = 0; i < data.size(); ++i) {
      if (data.label(i) != label) continue;
      for (std::size_t p = 0; p < mean.size(); ++p) mean[p] += data.image(i)[p] / 500.0;
    }
    // Each pixel is a mean of 500 values of a standard deviation of at most 80: six standard deviations for 3072 pixels.
    const auto [low, high] = std::ranges::minmax(mean);
    CHECK(low > 127.5 - 6 * 80 / std::sqrt(500.0));
    CHECK(high < 127.5 + 6 * 80 / std::sqrt(500.0));
  }
}

TEST_CASE("A linear model cannot tell synthetic images apart, but their autocorrelation can") {
  const Cifar10 data = synthetic_cifar10({.train = 1500, .test = 500});
  const Features pixels = pixels_of(data.train);
  const LinearModel linear(pixels, data.train.labels(), 1e-3f, 6);
  CHECK(linear.accuracy(pixels, data.train.labels()) > 0.45);  // it learns what can be learnt: these images, one by one
  CHECK(linear.accuracy(pixels_of(data.test), data.test.labels()) < 0.2);

  const Features neighbours = autocorrelation_of(data.train);
  const LinearModel local(neighbours, data.train.labels(), 1e-1f, 20);
  CHECK(local.accuracy(autocorrelation_of(data.test), data.test.labels()) > 0.6);
}
