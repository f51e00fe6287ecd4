// Where rounding hurts: the error of normnet's float, from a reference in long double, beside that of PyTorch's float on the same
// input. Ours is at most twice theirs.
//
// numerics.py wrote vectors/numerics.json and says what it holds.
#include "parity/shared.hpp"
#include "support/catch.hpp"

#include <normnet/normnet.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace normnet;
using Json = nlohmann::json;
using Wide = long double;

namespace {

// By name: "y", "dx", "dweight", "running_mean", ...
using Exact = std::map<std::string, std::vector<Wide>>;
using Rounded = std::map<std::string, std::vector<float>>;

std::vector<float> values(const Tensor<float>& tensor) { return {tensor.span().begin(), tensor.span().end()}; }

// What goes into a layer; N x C x P, with the pixels P = 1 for features.
struct Input {
  Tensor<float> x, dy, weight, bias;

  std::size_t images() const { return static_cast<std::size_t>(x.shape()[0]); }
  std::size_t channels() const { return static_cast<std::size_t>(x.shape()[1]); }
  std::size_t pixels() const { return static_cast<std::size_t>(x.size()) / images() / channels(); }
  std::size_t channel(std::size_t i) const { return i / pixels() % channels(); }
  std::size_t image(std::size_t i) const { return i / pixels() / channels(); }
};

Wide at(const Tensor<float>& tensor, std::size_t i) { return static_cast<Wide>(tensor[static_cast<Index>(i)]); }

// y = weight[p] * (x - mean[g]) / sqrt(var[g] + eps) + bias[p] with the group g and the parameter p of every element.
Exact norm(const Input& in, double eps, const std::function<std::size_t(std::size_t)>& group_of,
           const std::function<std::size_t(std::size_t)>& parameter_of) {
  const auto size = static_cast<std::size_t>(in.x.size());
  const std::size_t groups = group_of(size - 1) + 1;
  std::vector<Wide> count(groups), mean(groups), var(groups), mean_g(groups), mean_g_xhat(groups);
  for (std::size_t i = 0; i < size; ++i) {
    count[group_of(i)] += 1;
    mean[group_of(i)] += at(in.x, i);
  }
  for (std::size_t g = 0; g < groups; ++g) mean[g] /= count[g];
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t g = group_of(i);
    var[g] += (at(in.x, i) - mean[g]) * (at(in.x, i) - mean[g]) / count[g];
  }
  const auto rstd = [&](std::size_t i) { return 1 / std::sqrt(var[group_of(i)] + static_cast<Wide>(eps)); };
  const auto xhat = [&](std::size_t i) { return (at(in.x, i) - mean[group_of(i)]) * rstd(i); };
  const auto g_of = [&](std::size_t i) { return at(in.weight, parameter_of(i)) * at(in.dy, i); };
  Exact exact{{"y", {}}, {"dx", {}}};
  exact["dweight"] = exact["dbias"] = std::vector<Wide>(static_cast<std::size_t>(in.weight.size()));
  for (std::size_t i = 0; i < size; ++i) {
    exact["y"].push_back(at(in.weight, parameter_of(i)) * xhat(i) + at(in.bias, parameter_of(i)));
    exact["dweight"][parameter_of(i)] += at(in.dy, i) * xhat(i);
    exact["dbias"][parameter_of(i)] += at(in.dy, i);
    mean_g[group_of(i)] += g_of(i) / count[group_of(i)];
    mean_g_xhat[group_of(i)] += g_of(i) * xhat(i) / count[group_of(i)];
  }
  for (std::size_t i = 0; i < size; ++i) {
    exact["dx"].push_back(rstd(i) * (g_of(i) - mean_g[group_of(i)] - xhat(i) * mean_g_xhat[group_of(i)]));
  }
  for (std::size_t g = 0; g < groups; ++g) {  // with a momentum of 0.1, from a mean of 0 and a variance of 1
    exact["running_mean"].push_back(Wide(0.1) * mean[g]);
    exact["running_var"].push_back(Wide(0.9) + Wide(0.1) * var[g] * count[g] / (count[g] - 1));
  }
  return exact;
}

// y[n, o, p] = bias[o] + sum over i of weight[o, i] * x[n, i, p].
Exact linear(const Input& in) {
  const auto outputs = static_cast<std::size_t>(in.bias.size());
  Exact exact{{"y", std::vector<Wide>(in.images() * outputs * in.pixels())}, {"dbias", std::vector<Wide>(outputs)}};
  exact["dx"] = std::vector<Wide>(static_cast<std::size_t>(in.x.size()));
  exact["dweight"] = std::vector<Wide>(static_cast<std::size_t>(in.weight.size()));
  for (std::size_t n = 0; n < in.images(); ++n)
    for (std::size_t o = 0; o < outputs; ++o)
      for (std::size_t p = 0; p < in.pixels(); ++p) {
        const std::size_t to = (n * outputs + o) * in.pixels() + p;
        exact["y"][to] = at(in.bias, o);
        exact["dbias"][o] += at(in.dy, to);
      }
  auto &y = exact["y"], &dx = exact["dx"], &dweight = exact["dweight"];
  for (std::size_t n = 0; n < in.images(); ++n)
    for (std::size_t o = 0; o < outputs; ++o)
      for (std::size_t i = 0; i < in.channels(); ++i)
        for (std::size_t p = 0; p < in.pixels(); ++p) {
          const std::size_t to = (n * outputs + o) * in.pixels() + p, from = (n * in.channels() + i) * in.pixels() + p;
          const std::size_t w = o * in.channels() + i;
          y[to] += at(in.weight, w) * at(in.x, from);
          dx[from] += at(in.weight, w) * at(in.dy, to);
          dweight[w] += at(in.dy, to) * at(in.x, from);
        }
  return exact;
}

// The logarithms of the probabilities of one image.
std::vector<Wide> log_softmax(const Tensor<float>& x, std::size_t image) {
  const auto classes = static_cast<std::size_t>(x.shape()[1]);
  std::vector<Wide> result;
  for (std::size_t k = 0; k < classes; ++k) result.push_back(at(x, image * classes + k));
  const Wide greatest = *std::max_element(result.begin(), result.end());
  Wide total = 0;
  for (const Wide value : result) total += std::exp(value - greatest);
  for (Wide& value : result) value = value - greatest - std::log(total);
  return result;
}

Exact softmax(const Input& in, bool logarithm) {
  Exact exact;
  for (std::size_t n = 0; n < in.images(); ++n) {
    const std::vector<Wide> log_p = log_softmax(in.x, n);
    Wide sum = 0;  // of dy, or of dy * p
    for (std::size_t k = 0; k < log_p.size(); ++k) {
      sum += at(in.dy, n * log_p.size() + k) * (logarithm ? 1 : std::exp(log_p[k]));
    }
    for (std::size_t k = 0; k < log_p.size(); ++k) {
      const Wide p = std::exp(log_p[k]), dy = at(in.dy, n * log_p.size() + k);
      exact["y"].push_back(logarithm ? log_p[k] : p);
      exact["dx"].push_back(logarithm ? dy - p * sum : p * (dy - sum));
    }
  }
  return exact;
}

Exact global_average(const Input& in) {
  const auto count = static_cast<Wide>(in.pixels());
  Exact exact{{"y", std::vector<Wide>(in.images() * in.channels())}, {"dx", {}}};
  for (std::size_t i = 0; i < static_cast<std::size_t>(in.x.size()); ++i) {
    exact["y"][i / in.pixels()] += at(in.x, i) / count;
    exact["dx"].push_back(at(in.dy, i / in.pixels()) / count);
  }
  return exact;
}

Exact cross_entropy(const Tensor<float>& x, const std::vector<int>& labels, double label_smoothing) {
  const auto images = static_cast<Wide>(labels.size()), classes = static_cast<Wide>(x.shape()[1]);
  Exact exact{{"value", {0}}, {"dx", {}}};
  for (std::size_t n = 0; n < labels.size(); ++n) {
    const std::vector<Wide> log_p = log_softmax(x, n);
    for (std::size_t k = 0; k < log_p.size(); ++k) {
      const bool right = static_cast<int>(k) == labels[n];
      const Wide q = (right ? 1 - static_cast<Wide>(label_smoothing) : 0) + static_cast<Wide>(label_smoothing) / classes;
      exact["value"][0] -= q * log_p[k] / images;
      exact["dx"].push_back((std::exp(log_p[k]) - q) / images);
    }
  }
  return exact;
}

// The layer with PyTorch's options, and what it should give.
struct Case {
  std::unique_ptr<Layer<float>> layer;
  std::function<Exact(const Input&)> exact;
};

Case make_case(const std::string& type, const Json& o) {
  const auto channel = [](const Input& in) { return [&in](std::size_t i) { return in.channel(i); }; };
  const double eps = o.value("eps", 1e-5);
  if (type == "BatchNorm2d") {
    const Index channels = o.at("num_features");
    return {std::make_unique<BatchNorm2d<float>>(BatchNorm2d<float>::Options{.channels = channels, .eps = eps}),
            [=](const Input& in) { return norm(in, eps, channel(in), channel(in)); }};
  }
  if (type == "GroupNorm") {
    const Index groups = o.at("num_groups"), channels = o.at("num_channels");
    const auto share = static_cast<std::size_t>(channels / groups);
    return {std::make_unique<GroupNorm<float>>(GroupNorm<float>::Options{.groups = groups, .channels = channels, .eps = eps}),
            [=](const Input& in) {
              return norm(
                  in, eps, [&](std::size_t i) { return i / in.pixels() / share; }, channel(in));
            }};
  }
  if (type == "LayerNorm") {
    const Shape shape(o.at("normalized_shape").get<std::vector<Index>>());
    return {std::make_unique<LayerNorm<float>>(LayerNorm<float>::Options{.normalized_shape = shape, .eps = eps}),
            [=](const Input& in) {
              const std::size_t image = in.channels() * in.pixels();
              return norm(
                  in, eps, [&](std::size_t i) { return in.image(i); }, [=](std::size_t i) { return i % image; });
            }};
  }
  if (type == "InstanceNorm2d") {
    const InstanceNorm2d<float>::Options options{.channels = o.at("num_features"), .eps = eps, .affine = true};
    return {std::make_unique<InstanceNorm2d<float>>(options), [=](const Input& in) {
              return norm(
                  in, eps, [&](std::size_t i) { return i / in.pixels(); }, channel(in));
            }};
  }
  if (type == "Softmax") {
    return {std::make_unique<Softmax<float>>(), [](const Input& in) { return softmax(in, /*logarithm=*/false); }};
  }
  if (type == "LogSoftmax") {
    return {std::make_unique<LogSoftmax<float>>(), [](const Input& in) { return softmax(in, /*logarithm=*/true); }};
  }
  if (type == "Linear") return {std::make_unique<Linear<float>>(Index{o.at("in_features")}, Index{o.at("out_features")}), linear};
  if (type == "Conv2d") {
    REQUIRE(o.at("kernel_size") == 1);
    return {std::make_unique<Conv2d<float>>(
                Conv2d<float>::Options{.in_channels = o.at("in_channels"), .out_channels = o.at("out_channels")}),
            linear};
  }
  REQUIRE(type == "AdaptiveAvgPool2d");
  return {std::make_unique<GlobalAvgPool2d<float>>(), global_average};
}

// The input of a case, as numerics.py makes it.
Tensor<float> input(const Json& c, test::Integers& numbers) {
  Tensor<float> x(Shape(c.at("shape").get<std::vector<Index>>()));
  const auto fractions = numbers.fractions<double>(x.shape());
  const double center = c.at("center"), spread = c.at("spread");
  for (Index i = 0; i < x.size(); ++i) x[i] = static_cast<float>(center + spread * fractions[i]);
  return x;
}

void set_parameters(Layer<float>& layer, test::Integers& numbers, Input& in) {
  for (const auto& [name, parameter] : layer.parameters()) {
    Tensor<float>& value = parameter->value;
    value = numbers.fractions<float>(value.shape());
    if (value.shape().rank() == 1 || layer.type() == "LayerNorm") {
      for (float& element : value.span()) element = element / 4 + (name.ends_with("weight") ? 1.0F : 0.0F);
    }
    (name.ends_with("weight") ? in.weight : in.bias) = value;
  }
}

struct Outcome {
  Exact exact;
  Rounded rounded;
};

Outcome run_layer(const Json& c) {
  test::Integers numbers(1);
  Case of_type = make_case(c.at("layer"), c.at("options"));
  Sequential<float> net;
  net.add(std::move(of_type.layer));
  Input in;
  set_parameters(net[0], numbers, in);
  in.x = input(c, numbers);
  in.dy = numbers.fractions<float>(net.output_shape(in.x.shape()));
  const auto x = Batch<float>::from(in.x);
  Rounded rounded{{"y", values(net.forward(x).to_tensor())}};
  Batch<float> dx(in.x.shape());
  net.backward(Batch<float>::from(in.dy), dx);
  rounded["dx"] = values(dx.to_tensor());
  for (const auto& [name, parameter] : net[0].parameters()) rounded["d" + name] = values(parameter->grad);
  for (const auto& [name, buffer] : net[0].buffers()) rounded[name] = values(*buffer);
  return {of_type.exact(in), rounded};
}

Outcome run_loss(const Json& c) {
  test::Integers numbers(1);
  const double label_smoothing = c.at("options").at("label_smoothing");
  const Tensor<float> x = input(c, numbers);
  const std::vector<int> labels = numbers.labels(x.shape()[0], static_cast<std::uint32_t>(x.shape()[1]));
  CrossEntropyLoss<float> loss({.label_smoothing = label_smoothing});
  const auto value = static_cast<float>(loss.forward(Batch<float>::from(x), labels));
  return {cross_entropy(x, labels, label_smoothing), {{"value", {value}}, {"dx", values(loss.backward().to_tensor())}}};
}

}  // namespace

TEST_CASE("Float is no more than twice as far off as PyTorch's where rounding hurts") {
  for (const Json& c : test::vectors("numerics")) {
    INFO(c.at("layer").get<std::string>() << " " << c.at("options").dump() << ", input " << c.at("shape").dump() << " of "
                                          << c.at("center") << " +- " << c.at("spread"));
    const auto [exact, rounded] = c.at("layer") == "CrossEntropyLoss" ? run_loss(c) : run_layer(c);
    REQUIRE(c.at("errors").size() == rounded.size());
    for (const auto& [name, error] : c.at("errors").items()) {
      INFO(name);
      const std::vector<Wide>& expected = exact.at(name);
      const std::vector<float>& actual = rounded.at(name);
      REQUIRE(actual.size() == expected.size());
      Wide greatest = 0, ours = 0;
      for (std::size_t i = 0; i < actual.size(); ++i) {
        greatest = std::max(greatest, std::abs(expected[i]));
        const Wide difference = std::abs(static_cast<Wide>(actual[i]) - expected[i]);
        if (!(difference <= ours)) ours = std::isnan(difference) ? std::numeric_limits<Wide>::infinity() : difference;
      }
      const Wide theirs = error.is_null() ? std::numeric_limits<Wide>::infinity() : error.get<Wide>();
      // Where both are right to the last place, the factor decides nothing.
      const Wide place = std::numeric_limits<float>::epsilon() * greatest;
      CHECK(ours <= 2 * theirs + place);
    }
  }
}
