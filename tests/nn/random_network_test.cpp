// Random networks: a model that plans its memory and lets layers work for their neighbours computes what its layers compute one
// after the other.
//
//     NORMNET_NETWORKS=50000 build/release/tests/nn_tests "[random]"                             # so many networks
//     NORMNET_NETWORKS=1 NORMNET_NETWORKS_SEED=17 build/release/tests/nn_tests "[random]"        # the network of seed 17
//
// Without NORMNET_NETWORKS_SEED the seeds are other ones in each run. A network that fails is shrunk, and printed as code.
#include "nn/random_network.hpp"

#include <normnet/testing/gradient_check.hpp>

#include <cstdlib>
#include <ctime>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <sstream>

using namespace normnet;
using test::Description, test::Kind, test::Pass, test::Trial;

namespace {

template <class T>
constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();

template <class T>
Batch<T> with_halo(const Batch<T>& batch, Halo halo) {
  Batch<T> padded(batch.shape(), halo);
  padded.copy_from(batch);
  return padded;
}

template <class T>
Batch<T> sum_of(const Batch<T>& a, const Batch<T>& b) {
  Tensor<T> sum = a.to_tensor();
  const Tensor<T> other = b.to_tensor();
  for (Index i = 0; i < sum.size(); ++i) sum[i] += other[i];
  return Batch<T>::from(sum);
}

/// The layers of a network called one by one through Layer's interface, each with feature maps and gradients of its own, full of
/// NaN where nothing is promised.
template <class T>
class LayerByLayer {
 public:
  explicit LayerByLayer(bool records) : records_(records) {}

  std::map<std::string, Tensor<T>> outputs, input_gradients;  // of each layer of a chain, by its name, if it records them

  Batch<T> forward(Layer<T>& layer, const Batch<T>& x, const Mode& mode) {
    const auto mode_of = [&](std::uint64_t stream) { return Mode{mode.training, mode.random.fork(stream)}; };
    if (auto* const chain = layer.as_sequential()) {
      Batch<T> value = x;
      for (Index i = 0; i < chain->size(); ++i) {
        value = forward((*chain)[i], value, mode_of(static_cast<std::uint64_t>(i)));
        if (records_) outputs[(*chain)[i].name()] = value.to_tensor();
      }
      return value;
    }
    if (auto* const residual = layer.as_residual()) {
      const Batch<T> of_body = forward(residual->body(), x, mode_of(0));
      return sum_of(of_body, residual->projection() == nullptr ? x : forward(*residual->projection(), x, mode_of(1)));
    }
    Kept kept{with_halo(x, layer.input_halo()), Batch<T>(layer.output_shape(x.shape()), Halo{1, 2}), mode.training};
    kept.y.fill(not_a_number<T>);
    layer.forward(kept.x, kept.y, mode);
    if (!test::border_is_zero(kept.y)) fail(layer.label(), " writes to the border of its output");
    Batch<T> y = kept.y;
    const Keeps keeps = layer.keeps_for_backward();
    if (!keeps_input(keeps)) kept.x.fill(not_a_number<T>);
    if (!keeps_output(keeps)) kept.y.fill(not_a_number<T>);
    kept_[&layer] = std::move(kept);
    return y;
  }

  Batch<T> backward(Layer<T>& layer, const Batch<T>& dy) {
    if (auto* const chain = layer.as_sequential()) {
      Batch<T> gradient = dy;
      for (Index i = chain->size(); i-- > 0;) {
        const bool centered = i + 1 < chain->size() && takes_mean_away((*chain)[i + 1]);
        gradient = centered ? backward_without_bias((*chain)[i], gradient) : backward((*chain)[i], gradient);
        if (records_) input_gradients[(*chain)[i].name()] = gradient.to_tensor();
      }
      return gradient;
    }
    if (auto* const residual = layer.as_residual()) {
      const Batch<T> of_body = backward(residual->body(), dy);
      return sum_of(of_body, residual->projection() == nullptr ? dy : backward(*residual->projection(), dy));
    }
    const Kept& kept = kept_.at(&layer);
    Batch<T> dx(kept.x.shape(), Halo{2, 1});
    dx.fill(not_a_number<T>);
    layer.backward(kept.x, kept.y, with_halo(dy, layer.gradient_halo()), dx);
    if (!test::border_is_zero(dx)) fail(layer.label(), " writes to the border of dx");
    if (!dx.padding_lanes_are_zero()) fail(layer.label(), " writes to the padding lanes of dx");
    return dx;
  }

 private:
  struct Kept {
    Batch<T> x, y;
    bool training;
  };

  // A bias before a norm that subtracts the mean of each channel: its gradient is zero, and a chain does not add it up.
  Batch<T> backward_without_bias(Layer<T>& layer, const Batch<T>& dy) {
    auto* const conv = dynamic_cast<Conv2d<T>*>(&layer);
    if (conv == nullptr) return backward(layer, dy);
    const Tensor<T> before = conv->bias().grad;
    Batch<T> dx = backward(layer, dy);
    conv->bias().grad = before;
    return dx;
  }

  bool takes_mean_away(Layer<T>& layer) {
    const auto kept = kept_.find(&layer);
    if (const auto* const norm = dynamic_cast<BatchNorm2d<T>*>(&layer)) {
      return kept->second.training || !norm->options().track_running_stats;
    }
    if (const auto* const norm = dynamic_cast<InstanceNorm2d<T>*>(&layer)) {
      return kept->second.training || !norm->options().track_running_stats;
    }
    const auto* const norm = dynamic_cast<GroupNorm<T>*>(&layer);
    return norm != nullptr && norm->options().groups == norm->options().channels;
  }

  bool records_;
  std::map<const Layer<T>*, Kept> kept_;
};

/// What a watched model shows, by the names of the layers.
template <class T>
struct Recorder final : LayerWatcher<T> {
  std::map<std::string, Tensor<T>> outputs, input_gradients;

  void before_forward(const Batch<T>&) override {}
  void after_forward(Layer<T>& layer, const Batch<T>& y) override { outputs[layer.name()] = y.to_tensor(); }
  void before_backward(const Batch<T>&) override {}
  void after_backward(Layer<T>& layer, const Batch<T>* dx) override {
    if (dx != nullptr) input_gradients[layer.name()] = dx->to_tensor();
  }
};

/// Collects in what two models differ in their bits.
class Differences {
 public:
  template <class T>
  void compare(const std::string& what, const Tensor<T>& actual, const Tensor<T>& expected) {
    if (actual.shape() != expected.shape()) {
      text_ << "  " << what << " is of shape " << actual.shape() << " where " << expected.shape() << " is right\n";
      return;
    }
    const auto differ = [&](Index i) {
      return !(actual[i] == expected[i]) && !(actual[i] != actual[i] && expected[i] != expected[i]);
    };
    Index first = -1, count = 0;
    for (Index i = 0; i < actual.size(); ++i) {
      if (!differ(i)) continue;
      if (count++ == 0) first = i;
    }
    if (count == 0) return;
    text_ << "  " << what << ": " << count << " of " << actual.size() << " values differ, the first one at " << first << ": "
          << actual[first] << " where " << expected[first] << " is right\n";
  }

  template <class T>
  void compare(const std::string& what, const std::map<std::string, Tensor<T>>& actual,
               const std::map<std::string, Tensor<T>>& expected) {
    for (const auto& [name, value] : actual) compare(what + " of layer " + name, value, expected.at(name));
  }

  /// All layers must have been shown.
  template <class T>
  void require_all(const std::string& what, const std::map<std::string, Tensor<T>>& shown,
                   const std::map<std::string, Tensor<T>>& expected) {
    for (const auto& [name, value] : expected) {
      if (!shown.contains(name)) text_ << "  nobody is shown " << what << " of layer " << name << "\n";
    }
  }

  template <class T>
  void compare_state(Sequential<T>& actual, Sequential<T>& expected) {
    const auto parameters = expected.parameters();
    const auto buffers = expected.buffers();
    for (std::size_t i = 0; const auto& [name, parameter] : actual.parameters()) {
      compare("the gradient of " + name, parameter->grad, parameters[i++].parameter->grad);
    }
    for (std::size_t i = 0; const auto& [name, tensor] : actual.buffers()) compare(name, *tensor, *buffers[i++].tensor);
  }

  /// One line each; empty if there are none.
  std::string str() const { return text_.str(); }

 private:
  std::ostringstream text_;
};

/// Leaves NaN in all memory of the model, and its gradients, buffers and count of passes as they were.
template <class T>
void poison(Sequential<T>& net, const Shape& input) {
  std::vector<Tensor<T>> before;
  for (const auto& [name, parameter] : net.parameters()) before.push_back(parameter->grad);
  for (const auto& [name, tensor] : net.buffers()) before.push_back(*tensor);
  const std::uint64_t passes = net.passes();

  Batch<T> x(input), dx;
  x.fill(not_a_number<T>);
  net.train();
  Batch<T> dy(net.forward(x).shape());
  dy.fill(not_a_number<T>);
  dy.clear_padding_lanes();
  net.backward(dy, dx);
  net.backward(dy);
  net.inference(x);

  net.set_passes(passes);
  auto next = before.begin();
  for (const auto& [name, parameter] : net.parameters()) parameter->grad = *next++;
  for (const auto& [name, tensor] : net.buffers()) *tensor = *next++;
}

/// Has the convolutions that can computed by this algorithm, where it is not the automatic one.
template <class T>
void set_algorithm(Sequential<T>& net, ConvAlgorithm algorithm, const Shape& input) {
  if (algorithm == ConvAlgorithm::automatic) return;
  test::for_each_layer<T>(net, input, [algorithm](Layer<T>& layer, const Shape&) {
    auto* const conv = dynamic_cast<Conv2d<T>*>(&layer);
    if (conv == nullptr) return;
    const auto& o = conv->options();
    const bool winograd_applies = o.kernel_size == Pair(3) && o.stride == Pair(1) && o.dilation == Pair(1);
    if (algorithm != ConvAlgorithm::winograd || winograd_applies) conv->set_algorithm(algorithm);
  });
}

/// Random images, in the lanes past the last one, too, where they must not matter.
template <class T>
Batch<T> random_images(const Shape& shape, Halo halo, std::uint64_t seed) {
  std::vector<Index> extents = shape.extents();
  extents.front() = Batch<T>::lanes * Batch<T>(shape).blocks();
  auto batch = Batch<T>::from(test::random_tensor<T>(Shape(extents), seed), halo);
  batch.reset(shape, halo);
  return batch;
}

/// Makes one pass through the model and the same one layer by layer, and says in what they differ: "" if in nothing.
template <class T>
std::string compare_pass(Sequential<T>& net, Sequential<T>& plain, const Trial& trial, const Pass& pass, std::uint64_t seed) {
  const bool training = pass.kind == Pass::Kind::training, inference = pass.kind == Pass::Kind::inference;
  const auto x = random_images<T>(trial.input_shape(pass), pass.x_halo, seed);
  Random random = Random(trial.seed).fork(~std::uint64_t{0});  // what Sequential hands its layers
  if (training) random = random.fork(net.passes());
  Differences differences;
  LayerByLayer<T> reference(pass.watch != Pass::Watch::never);
  Recorder<T> recorder;

  set_algorithm(net, pass.algorithm, trial.input_shape(pass));
  set_algorithm(plain, pass.algorithm, trial.input_shape(pass));
  if (pass.watch == Pass::Watch::always) net.watch(&recorder);
  net.train(training);
  const Tensor<T> y = (inference ? net.inference(x) : pass.gives_x ? net.forward(Batch<T>(x)) : net.forward(x)).to_tensor();
  const Batch<T> expected = reference.forward(plain, Batch<T>::from(x.to_tensor()), {training, random});
  differences.compare("the output", y, expected.to_tensor());
  differences.compare("the output", recorder.outputs, reference.outputs);
  if (pass.watch == Pass::Watch::always) differences.require_all("the output", recorder.outputs, reference.outputs);
  if (pass.watch == Pass::Watch::backward) net.watch(&recorder);
  for (std::uint64_t i = 0; i < (inference ? 0U : pass.twice ? 2U : 1U); ++i) {
    const auto dy = Batch<T>::from(test::random_tensor<T>(y.shape(), seed + 1 + i), pass.dy_halo);
    const Tensor<T> expected_dx = reference.backward(plain, Batch<T>::from(dy.to_tensor())).to_tensor();
    if (pass.with_dx) {
      Batch<T> dx(x.shape(), pass.dx_halo);
      dx.fill(not_a_number<T>);
      net.backward(dy, dx);
      differences.compare("dx", dx.to_tensor(), expected_dx);
      if (!dx.padding_lanes_are_zero()) fail("dx is not zero in the padding lanes");
    } else {
      net.backward(dy);
    }
    differences.compare("dx", recorder.input_gradients, reference.input_gradients);
    if (pass.with_dx && pass.watch == Pass::Watch::always) {
      differences.require_all("dx", recorder.input_gradients, reference.input_gradients);
    }
  }
  net.watch(nullptr);
  differences.compare_state(net, plain);
  return differences.str();
}

/// Makes all passes of a trial. Returns "" when the model and its layers agree in every bit, else how they differ first; nothing
/// when the trial is no network.
template <class T>
std::optional<std::string> run(const Trial& trial) {
  std::optional<Sequential<T>> net, plain;
  try {
    net = test::build<T>(trial);
    plain = test::build<T>(trial);
  } catch (const Error&) {
    return std::nullopt;
  }
  std::string result;
  Index most = 0;
  for (const Pass& pass : trial.passes) most = std::max(most, pass.images);
  try {
    for (std::size_t i = 0; result.empty() && i < trial.passes.size(); ++i) {
      set_num_threads(trial.passes[i].threads);
      if (trial.passes[i].poisoned) poison(*net, trial.input_shape(most));
      if (trial.passes[i].cloned) net = net->clone();
      result = compare_pass(*net, *plain, trial, trial.passes[i], 3 * i);
      if (!result.empty()) result = concat("pass ", i + 1, ":\n", result);
    }
  } catch (const std::exception& error) {
    result = concat("an error: ", error.what(), "\n");
  }
  set_num_threads(0);
  return result;
}

std::optional<std::uint64_t> from_environment(const char* name) {
  const char* const text = std::getenv(name);
  return text == nullptr ? std::nullopt : std::optional<std::uint64_t>(std::strtoull(text, nullptr, 10));
}

/// Tries networks until one fails, or there were so many, or, unless the environment asks for a number, until they have taken the
/// processor so many seconds: under a sanitizer they are slow.
template <class T>
void try_networks(std::uint64_t standard_count, int seconds) {
  const auto asked = from_environment("NORMNET_NETWORKS"), asked_seed = from_environment("NORMNET_NETWORKS_SEED");
  const std::uint64_t count = asked.value_or(standard_count), first = asked_seed.value_or(std::random_device()());
  const std::clock_t end = std::clock() + seconds * CLOCKS_PER_SEC;
  for (std::uint64_t seed = first; seed < first + count && (asked || std::clock() < end); ++seed) {
    INFO("again: NORMNET_NETWORKS=1 NORMNET_NETWORKS_SEED=" << seed << " nn_tests '[random]'");
    const Trial trial = test::NetworkGenerator(seed, Batch<T>::lanes).trial();
    const auto difference = run<T>(trial);
    REQUIRE(difference);
    if (difference->empty()) continue;
    const Trial smallest = test::shrink(trial, [](const Trial& smaller) { return !run<T>(smaller).value_or("").empty(); });
    FAIL(test::describe<T>(smallest) << *run<T>(smallest) << "\nshrunk from\n" << test::describe<T>(trial) << *difference);
  }
}

}  // namespace

TEST_CASE("random networks compute what their layers compute one by one", "[sequential][residual][random]") {
  try_networks<float>(500, 6);
}

TEST_CASE("random networks of doubles compute what their layers compute one by one", "[sequential][residual][random]") {
  try_networks<double>(200, 3);
}

TEST_CASE("the layers of random networks that are a user's own have the gradients of their formulas", "[random][gradient]") {
  test::CrossSum<double> cross_sum;
  cross_sum.parameters()[0].parameter->value = test::random_tensor<double>({3}, 1);
  CHECK(gradient_check(cross_sum, {11, 3, 4, 5}).ok(1e-7));
  for (const bool learned : {false, true}) {
    test::Gain<double> gain(learned);
    CHECK(gradient_check(gain, {11, 3, 4, 5}).ok(1e-7));
  }
}

TEST_CASE("a network that fails is shrunk to what it fails for", "[random]") {
  const Trial trial{.input = {4, 7, 6},
                    .layers = {{.kind = Kind::conv, .channels = 6, .kernel = {3, 5}, .padding = 1, .groups = 2},
                               {.kind = Kind::max_pool, .kernel = 2, .stride = 2},
                               {.kind = Kind::residual,
                                .layers = {{.kind = Kind::conv, .channels = 3, .kernel = 3, .dilation = 2},
                                           {.kind = Kind::batch_norm},
                                           {.kind = Kind::sequential, .layers = {{.kind = Kind::dropout}, {.kind = Kind::tanh}}}},
                                .projects = true,
                                .projection = {{.kind = Kind::relu}}},
                               {.kind = Kind::flatten},
                               {.kind = Kind::linear, .channels = 10}},
                    .passes = {{.images = 19, .threads = 7}, {.kind = Pass::Kind::evaluation, .images = 35, .x_halo = {1, 2}}},
                    .seed = 5};
  const auto fails = [](const Trial& tried) {
    try {
      test::build<float>(tried);
    } catch (const Error&) {
      return false;
    }
    const std::string text = test::describe<float>(tried);
    return text.find("Residual") < text.find("Tanh") && text.find("Tanh") < text.find("// evaluation");
  };
  CHECK(test::describe<float>(test::shrink(trial, fails)) ==
        "Sequential<float> net(5);\n"
        "net\n"
        "    .add(Residual<float>(Sequential<float>()\n"
        "        .add(Tanh<float>())));\n"
        "draw_parameters(net);\n"
        "// evaluation with 1x1x1x1, with dx, threads: 1\n");
}
