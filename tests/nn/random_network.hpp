// Networks that are drawn from a seed, and shrunk for as long as they fail a test.
#pragma once

#include "nn/network_description.hpp"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

namespace normnet::test {

/// Draws networks. The same seed gives the same network for every scalar and SIMD width, but for the sizes of batches, which are a
/// few blocks of `lanes` images.
class NetworkGenerator {
 public:
  NetworkGenerator(std::uint64_t seed, Index lanes) : random_(seed), seed_(seed), lanes_(lanes) {}

  Trial trial() {
    Trial trial;
    trial.seed = seed_;
    large_ = chance(0.015);
    work_left_ = large_ ? 4'000'000 : 150'000;
    trial.input =
        chance(0.06) ? std::vector<Index>{between(1, 40)} : std::vector<Index>{large_ ? 128 : between(1, 10), extent(), extent()};
    Shape shape = trial.input_shape(images_);
    trial.layers = chain(shape, between(1, 9), 3, false);
    if (chance(0.5)) append_head(trial.layers, shape);
    if (trial.layers.empty()) trial.layers.push_back({.kind = Kind::relu});
    draw_passes(trial);
    return trial;
  }

 private:
  // What networks are drawn for; the passes have other numbers of images.
  static constexpr Index images_ = 2;

  Index between(Index low, Index high) {
    return low + static_cast<Index>(random_.below(next_++, static_cast<std::uint64_t>(high - low + 1)));
  }
  bool chance(double p) { return random_.uniform(next_++) < p; }
  template <class V>
  V pick(std::initializer_list<V> values) {
    return values.begin()[between(0, std::ssize(values) - 1)];
  }

  Index extent() { return large_ || chance(0.2) ? between(1, 4) : between(3, 11); }
  Pair pair(std::initializer_list<Index> values) {
    const Index both = pick(values);
    return chance(0.75) ? Pair(both) : Pair(both, pick(values));
  }

  // Appends up to `most` layers. Those of a chain that keeps planes have outputs of the input's extents.
  std::vector<Description> chain(Shape& shape, Index most, int depth, bool keeps_planes) {
    std::vector<Description> layers;
    for (Index tries = 0; std::ssize(layers) < most && tries < 4 * most; ++tries) {
      const Description next = layer(layers.empty() ? Kind::tanh : layers.back().kind, shape, depth, keeps_planes);
      if (take(next, shape)) layers.push_back(next);
    }
    return layers;
  }

  // Whether the layer can follow, and is no more work than is left.
  bool take(const Description& next, Shape& shape) {
    try {
      Sequential<double> net;
      Shape output = shape;
      add_layers<double>({next}, output, net, "");
      check_statistics(net, shape);
      if (output.elements() > 4000) return false;
      const std::int64_t work = net.multiply_adds(shape) / images_;
      if (work > work_left_) return false;
      work_left_ -= work;
      shape = output;
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  // One that often stands behind `last`, so that what layers do for their neighbours is tried.
  Description layer(Kind last, const Shape& shape, int depth, bool keeps_planes) {
    const bool computes = last == Kind::conv || last == Kind::linear || last == Kind::max_pool;
    const bool norms = last == Kind::batch_norm || last == Kind::group_norm || last == Kind::layer_norm;
    const Index dice = between(0, 99);
    if (depth > 0 && dice >= 92) return container(shape, depth, keeps_planes);
    if (computes && dice < 45) return chance(0.6) ? norm() : activation();
    if (norms && dice < 55) return chance(0.6) ? Description{.kind = Kind::relu} : next_reader(shape, keeps_planes);
    if (last == Kind::relu && dice < 50) return chance(0.6) ? next_reader(shape, keeps_planes) : norm();
    const Index kind = between(0, 99);
    if (kind < 24) return conv(shape, keeps_planes);
    if (kind < 38) return norm();
    if (kind < 53) return activation();
    if (kind < 60) return {.kind = Kind::dropout, .p = pick({0.25, 0.25, 0.5, 0.0, 1.0})};
    if (kind < 71) return pool(keeps_planes);
    if (kind < 76) return {.kind = Kind::cross_sum};
    if (kind < 81) return {.kind = Kind::gain, .plain = chance(0.5)};
    if (kind < 84) return {.kind = shape.rank() == 2 ? Kind::linear : Kind::flatten, .channels = between(1, 20)};
    return depth == 0 ? activation() : container(shape, depth, keeps_planes);
  }

  Description container(const Shape& shape, int depth, bool keeps_planes) {
    return chance(0.5) ? sequential(shape, depth, keeps_planes) : residual(shape, depth, keeps_planes);
  }

  // What reads through a normalization, and others.
  Description next_reader(const Shape& shape, bool keeps_planes) {
    if (!keeps_planes && chance(0.25)) return {.kind = Kind::max_pool, .kernel = 2, .stride = 2};
    Description d = conv(shape, keeps_planes);
    if (chance(0.4)) {
      d.kernel = d.dilation = 1, d.padding = 0;
      d.channels += 3;
    }
    return d;
  }

  Description norm() {
    const Kind kind = pick({Kind::batch_norm, Kind::batch_norm, Kind::group_norm, Kind::layer_norm, Kind::instance_norm});
    return {.kind = kind,
            .groups = pick<Index>({1, 2, 3, 4, 60}),
            .plain = chance(0.2),
            .variant = chance(0.2),
            .extents = between(1, 3)};
  }

  Description activation() {
    if (chance(0.5)) return {.kind = Kind::relu};
    return {.kind = pick({Kind::leaky_relu, Kind::relu6, Kind::elu, Kind::silu, Kind::gelu, Kind::sigmoid, Kind::tanh, Kind::tanh,
                          Kind::softplus, Kind::softmax, Kind::log_softmax})};
  }

  Description conv(const Shape& shape, bool keeps_planes) {
    Description d{.kind = Kind::conv};
    if (shape.rank() == 2) {
      d.kind = Kind::linear;
    } else if (chance(0.35)) {
      d.kernel = 3;
    } else if (chance(0.7)) {
      d.kernel = pair({1, 1, 2, 3, 3, 5});
    }
    d.channels = chance(0.25) ? shape[1] : large_ ? 128 : chance(0.06) ? between(13, 40) : between(1, 10);
    if (keeps_planes) d.kernel = {d.kernel.height | 1, d.kernel.width | 1};
    if (chance(0.12)) d.dilation = pair({1, 2, 3});
    const Pair same{d.dilation.height * (d.kernel.height - 1) / 2, d.dilation.width * (d.kernel.width - 1) / 2};
    d.padding = keeps_planes || chance(0.5) ? same : chance(0.6) ? Pair(0) : pair({0, 1, 2, 3});
    if (!keeps_planes && chance(0.2)) d.stride = pair({1, 2, 2, 3});
    if (chance(0.3)) {
      d.groups = chance(0.5) ? shape[1] : between(2, 4);
      if (d.groups == shape[1]) d.channels = shape[1] * between(1, 2);
    }
    d.plain = chance(0.3);
    const bool winograd = d.kernel == Pair(3) && d.stride == Pair(1) && d.dilation == Pair(1);
    d.algorithm = pick({ConvAlgorithm::automatic, ConvAlgorithm::automatic, ConvAlgorithm::direct, ConvAlgorithm::im2col,
                        winograd ? ConvAlgorithm::winograd : ConvAlgorithm::automatic});
    return d;
  }

  Description pool(bool keeps_planes) {
    Description d{.kind = pick({Kind::max_pool, Kind::max_pool, Kind::avg_pool, Kind::adaptive_pool, Kind::global_pool})};
    d.kernel = d.stride = 2;
    d.plain = chance(0.5);
    if (d.kind == Kind::adaptive_pool) {
      d.kernel = {between(1, 9), between(1, 9)};
    } else if (keeps_planes) {
      d.kind = d.kind == Kind::avg_pool ? Kind::avg_pool : Kind::max_pool;
      d.kernel = 3, d.stride = d.padding = 1;
    } else if (chance(0.6)) {
      d.kernel = pair({1, 2, 3, 4});
      d.stride = chance(0.4) ? d.kernel : pair({1, 2, 3});
      d.padding = {between(0, d.kernel.height / 2), between(0, d.kernel.width / 2)};
      if (chance(0.2)) d.dilation = pair({1, 2});
      d.variant = chance(0.3);
    }
    return d;
  }

  Description sequential(const Shape& shape, int depth, bool keeps_planes) {
    Shape output = shape;
    const std::int64_t work_left = work_left_;
    Description d{.kind = Kind::sequential, .layers = chain(output, between(0, 5), depth - 1, keeps_planes)};
    work_left_ = work_left;  // take() counts the container's work
    return d;
  }

  Description residual(const Shape& shape, int depth, bool keeps_planes) {
    Description d{.kind = Kind::residual};
    const bool same = keeps_planes || chance(0.6);
    Shape output = shape, projected = shape;
    const std::int64_t work_left = work_left_;
    d.layers = chain(output, between(0, 5), depth - 1, same);
    if (same && output.rank() == 4 && output[1] != shape[1] && chance(0.5)) {
      d.layers.push_back({.kind = Kind::conv, .channels = shape[1], .kernel = 3, .padding = 1});
    } else if (output.rank() == 4 && (chance(0.3) || !same)) {
      d.projects = true;
      if (chance(0.3)) {
        d.projection = chain(projected, between(1, 3), depth - 1, same);
      } else {  // as in a ResNet
        const auto stride = [&](Index axis) { return std::max<Index>(1, (shape[axis] + output[axis] - 1) / output[axis]); };
        d.projection.push_back({.kind = Kind::conv, .channels = output[1], .stride = {stride(2), stride(3)}});
      }
    }
    work_left_ = work_left;
    return d;
  }

  void append_head(std::vector<Description>& layers, Shape& shape) {
    const auto append = [&](const Description& next) {
      if (take(next, shape)) layers.push_back(next);
    };
    if (shape.rank() == 4) append({.kind = chance(0.5) ? Kind::flatten : Kind::global_pool});
    append({.kind = Kind::linear, .channels = between(1, 12), .plain = chance(0.3)});
    if (chance(0.4)) append(activation());
    if (chance(0.3)) append({.kind = Kind::linear, .channels = between(1, 12), .plain = chance(0.3)});
    if (chance(0.2)) append({.kind = pick({Kind::softmax, Kind::log_softmax})});
  }

  // Each kind of backward pass, evaluation and inference once, in any order and mostly of other numbers of images.
  void draw_passes(Trial& trial) {
    trial.passes = {{.kind = Pass::Kind::training, .with_dx = true},
                    {.kind = Pass::Kind::training, .with_dx = false},
                    {.kind = Pass::Kind::training, .with_dx = chance(0.5), .watch = Pass::Watch::always},
                    {.kind = chance(0.5) ? Pass::Kind::training : Pass::Kind::evaluation,
                     .with_dx = chance(0.5),
                     .watch = Pass::Watch::backward},
                    {.kind = Pass::Kind::evaluation, .with_dx = chance(0.5)},
                    {.kind = Pass::Kind::inference, .watch = chance(0.2) ? Pass::Watch::always : Pass::Watch::never}};
    random_.fork(1).shuffle(std::span<Pass>(trial.passes));
    const Index full = pick<Index>({1, 1, 2, 3}) * lanes_;
    const auto halo = [&] { return chance(0.6) ? Halo{} : Halo{between(0, 3), between(0, 3)}; };
    for (Pass& pass : trial.passes) {
      pass.images = std::max<Index>(1, pick({Index{1}, between(1, lanes_), full, full - 1, full - between(1, lanes_), full}));
      if (chance(0.15)) pass.crop = {between(0, 2), between(0, 3)};
      pass.twice = chance(0.1);
      pass.poisoned = chance(0.3);
      pass.cloned = chance(0.1);
      pass.gives_x = chance(0.2);
      if (chance(0.3)) pass.algorithm = pick({ConvAlgorithm::direct, ConvAlgorithm::im2col, ConvAlgorithm::winograd});
      pass.x_halo = halo(), pass.dy_halo = halo(), pass.dx_halo = halo();
      pass.threads = static_cast<int>(pick<Index>({1, 1, 2, 3, 7}));
    }
    if (!is_network(trial)) {
      for (Pass& pass : trial.passes) pass.crop = 0;
    }
    if (!is_network(trial)) {  // batch norm of a single value
      for (Pass& pass : trial.passes) pass.images = std::max(pass.images, images_);
    }
  }

  static bool is_network(const Trial& trial) {
    try {
      build<double>(trial);
      return true;
    } catch (const Error&) {
      return false;
    }
  }

  Random random_;
  std::uint64_t seed_, next_ = 0;
  Index lanes_;
  bool large_ = false;          // so many channels that Winograd's convolution goes through the whole batch at once
  std::int64_t work_left_ = 0;  // multiplications for an image
};

/// Smaller values, the smallest first.
inline std::vector<Index> smaller_values(Index value, Index least) {
  std::vector<Index> all;
  for (const Index smaller : {least, value / 2, value - 1}) {
    if (smaller >= least && smaller < value && std::find(all.begin(), all.end(), smaller) == all.end()) all.push_back(smaller);
  }
  return all;
}

/// Calls use(smaller) with each of what is a little smaller than the object: with the member set to each of those values.
template <class Object, class Member, class Use>
void with_each(const Object& object, Member Object::*member, const std::vector<Member>& values, const Use& use) {
  for (const Member& value : values) {
    Object smaller = object;
    smaller.*member = value;
    use(smaller);
  }
}

/// The same with one value, if the member has another.
template <class Object, class Member, class Use>
void with_value(const Object& object, Member Object::*member, const Member& value, const Use& use) {
  if (!(object.*member == value)) with_each(object, member, std::vector<Member>{value}, use);
}

inline std::vector<std::vector<Description>> smaller_chains(const std::vector<Description>& layers);

/// The layer with a smaller number, without an option, or with a smaller chain inside.
inline std::vector<Description> smaller_layers(const Description& layer) {
  std::vector<Description> all;
  const auto use = [&](const Description& smaller) { all.push_back(smaller); };
  const auto pairs = [&](Pair Description::*member, Index least) {
    const Pair pair = layer.*member;
    for (const Index value : smaller_values(std::max(pair.height, pair.width), least)) {
      with_value(layer, member, Pair(value), use);
    }
    for (const Index value : smaller_values(pair.height, least)) with_value(layer, member, Pair(value, pair.width), use);
    for (const Index value : smaller_values(pair.width, least)) with_value(layer, member, Pair(pair.height, value), use);
  };
  if (layer.kind == Kind::residual) with_value(layer, &Description::kind, Kind::sequential, use);
  with_value(layer, &Description::projects, false, use);
  with_each(layer, &Description::layers, smaller_chains(layer.layers), use);
  if (layer.projects) with_each(layer, &Description::projection, smaller_chains(layer.projection), use);
  pairs(&Description::stride, 1);
  pairs(&Description::dilation, 1);
  pairs(&Description::padding, 0);
  pairs(&Description::kernel, 1);
  with_each(layer, &Description::channels, smaller_values(layer.channels, 1), use);
  with_each(layer, &Description::groups, smaller_values(layer.groups, 1), use);
  with_each(layer, &Description::extents, smaller_values(layer.extents, 1), use);
  with_value(layer, &Description::plain, true, use);
  with_value(layer, &Description::variant, false, use);
  with_value(layer, &Description::algorithm, ConvAlgorithm::automatic, use);
  return all;
}

/// The chain without some layers, with the layers of a container in its place, or with a smaller layer.
inline std::vector<std::vector<Description>> smaller_chains(const std::vector<Description>& layers) {
  std::vector<std::vector<Description>> all;
  const auto replaced = [&](std::size_t first, std::size_t last, const std::vector<Description>& by) {
    std::vector<Description> chain(layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(first));
    chain.insert(chain.end(), by.begin(), by.end());
    chain.insert(chain.end(), layers.begin() + static_cast<std::ptrdiff_t>(last), layers.end());
    all.push_back(chain);
  };
  for (std::size_t count = layers.size(); count > 0; count /= 2) {
    for (std::size_t first = 0; first + count <= layers.size(); ++first) replaced(first, first + count, {});
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].kind == Kind::sequential || layers[i].kind == Kind::residual) replaced(i, i + 1, layers[i].layers);
    if (layers[i].projects) replaced(i, i + 1, layers[i].projection);
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    for (const Description& smaller : smaller_layers(layers[i])) replaced(i, i + 1, {smaller});
  }
  return all;
}

/// The pass with fewer images, or without one of the things that make it special.
inline std::vector<Pass> smaller_passes(const Pass& pass) {
  std::vector<Pass> all;
  const auto use = [&](const Pass& smaller) { all.push_back(smaller); };
  with_value(pass, &Pass::watch, Pass::Watch::never, use);
  with_value(pass, &Pass::algorithm, ConvAlgorithm::automatic, use);
  with_value(pass, &Pass::twice, false, use);
  with_value(pass, &Pass::poisoned, false, use);
  with_value(pass, &Pass::cloned, false, use);
  with_value(pass, &Pass::gives_x, false, use);
  with_value(pass, &Pass::crop, Pair(0), use);
  with_value(pass, &Pass::threads, 1, use);
  with_value(pass, &Pass::x_halo, Halo{}, use);
  with_value(pass, &Pass::dy_halo, Halo{}, use);
  with_value(pass, &Pass::dx_halo, Halo{}, use);
  with_each(pass, &Pass::images, smaller_values(pass.images, 1), use);
  return all;
}

/// All trials that are a little smaller than this one. Some of them are no networks.
inline std::vector<Trial> smaller_trials(const Trial& trial) {
  std::vector<Trial> all;
  const auto use = [&](const Trial& smaller) { all.push_back(smaller); };
  for (std::size_t i = 0; trial.passes.size() > 1 && i < trial.passes.size(); ++i) {
    all.push_back(trial);
    all.back().passes.erase(all.back().passes.begin() + static_cast<std::ptrdiff_t>(i));
  }
  with_each(trial, &Trial::layers, smaller_chains(trial.layers), use);
  for (std::size_t i = 0; i < trial.input.size(); ++i) {
    for (const Index value : smaller_values(trial.input[i], 1)) {
      all.push_back(trial);
      all.back().input[i] = value;
    }
  }
  for (std::size_t i = 0; i < trial.passes.size(); ++i) {
    for (const Pass& pass : smaller_passes(trial.passes[i])) {
      all.push_back(trial);
      all.back().passes[i] = pass;
    }
  }
  return all;
}

/// The trial with everything taken away without which it still fails; fails(trial) is called for at most so many others.
template <class Fails>
Trial shrink(Trial trial, const Fails& fails, int tries = 5000) {
  const auto step = [&] {
    for (const Trial& smaller : smaller_trials(trial)) {
      if (tries-- <= 0) return false;
      if (!fails(smaller)) continue;
      trial = smaller;
      return true;
    }
    return false;
  };
  while (step()) {
  }
  return trial;
}

}  // namespace normnet::test
