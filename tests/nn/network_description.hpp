// Networks as data, that can be built and printed as code.
#pragma once

#include "support/compare.hpp"

#include <normnet/nn/activation.hpp>
#include <normnet/nn/adaptive_avg_pool2d.hpp>
#include <normnet/nn/avg_pool2d.hpp>
#include <normnet/nn/batch_norm2d.hpp>
#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/dropout.hpp>
#include <normnet/nn/flatten.hpp>
#include <normnet/nn/group_norm.hpp>
#include <normnet/nn/instance_norm2d.hpp>
#include <normnet/nn/layer_norm.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/nn/log_softmax.hpp>
#include <normnet/nn/max_pool2d.hpp>
#include <normnet/nn/residual.hpp>
#include <normnet/nn/sequential.hpp>
#include <normnet/nn/softmax.hpp>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

namespace normnet::test {

/// A layer of a user's own that reads borders in both passes:
///
///     y[p, q] = weight[0] * x[p, q] + weight[1] * x[p - 1, q] + weight[2] * x[p, q + 2]
template <class T>
class CrossSum final : public Layer<T> {
 public:
  CrossSum() : weight_(Shape{3}) {}

  std::string type() const override { return "CrossSum"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::make_unique<CrossSum>(); }
  Shape output_shape(const Shape& input) const override { return input; }
  Keeps keeps_for_backward() const override { return Keeps::input; }
  Halo input_halo() const override { return {1, 2}; }
  Halo gradient_halo() const override { return {1, 2}; }
  std::vector<NamedParameter<T>> parameters() override { return {{"weight", &weight_}}; }

  void forward(const Batch<T>& x, Batch<T>& y, const Mode&) override { combine(x, y, 1); }

  void backward(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy, Batch<T>& dx) override {
    combine(dy, dx, -1);
    backward_parameters(x, y, dy);
  }

  void backward_parameters(const Batch<T>& x, const Batch<T>&, const Batch<T>& dy) override {
    for (Index tap = 0; tap < 3; ++tap) {
      Pack<T> total(T(0));
      for_each_row(dy, [&](Index block, Index c, Index row) {
        const Pack<T>* const gradient = dy.row(block, c, row);
        const Pack<T>* const pixel = x.row(block, c, row - (tap == 1 ? 1 : 0)) + (tap == 2 ? 2 : 0);
        for (Index i = 0; i < dy.width(); ++i) total += gradient[i] * pixel[i];
      });
      weight_.grad[tap] += sum(total);
    }
  }

 private:
  // The sum over the pixel, the one above and the second to the right; with direction -1 over the opposite ones, which is what
  // the gradient of the input is.
  void combine(const Batch<T>& from, Batch<T>& to, Index direction) const {
    for_each_row(to, [&](Index block, Index c, Index row) {
      const Pack<T>*here = from.row(block, c, row), *above = from.row(block, c, row - direction);
      Pack<T>* const out = to.row(block, c, row);
      for (Index i = 0; i < to.width(); ++i) {
        out[i] = Pack<T>(weight_.value[0]) * here[i] + Pack<T>(weight_.value[1]) * above[i] +
                 Pack<T>(weight_.value[2]) * here[i + 2 * direction];
      }
    });
  }

  template <class F>
  static void for_each_row(const Batch<T>& batch, F f) {
    for (Index block = 0; block < batch.blocks(); ++block) {
      for (Index c = 0; c < batch.channels(); ++c) {
        for (Index row = 0; row < batch.height(); ++row) f(block, c, row);
      }
    }
  }

  Parameter<T> weight_;
};

/// A layer of a user's own that works in place: y = factor * x. With a parameter it reads its input again, and leaves
/// backward_parameters() to Layer; without one it keeps nothing.
template <class T>
class Gain final : public Layer<T> {
 public:
  explicit Gain(bool learned) : learned_(learned), factor_(Shape{1}, T(0.5)) {}

  std::string type() const override { return "Gain"; }
  std::unique_ptr<Layer<T>> with_same_options() const override { return std::make_unique<Gain>(learned_); }
  Shape output_shape(const Shape& input) const override { return input; }
  Keeps keeps_for_backward() const override { return learned_ ? Keeps::input : Keeps::nothing; }
  bool in_place() const override { return true; }
  std::vector<NamedParameter<T>> parameters() override {
    if (!learned_) return {};
    return {{"factor", &factor_}};
  }

  void forward(const Batch<T>& x, Batch<T>& y, const Mode&) override { multiply(x, y); }

  void backward(const Batch<T>& x, const Batch<T>&, const Batch<T>& dy, Batch<T>& dx) override {
    Pack<T> total(T(0));
    for (Index block = 0; learned_ && block < x.blocks(); ++block) {
      for (Index c = 0; c < x.channels(); ++c) {
        for (Index row = 0; row < x.height(); ++row) {
          for (Index i = 0; i < x.width(); ++i) total += dy.row(block, c, row)[i] * x.row(block, c, row)[i];
        }
      }
    }
    factor_.grad[0] += sum(total);
    multiply(dy, dx);
  }

 private:
  void multiply(const Batch<T>& from, Batch<T>& to) const {
    for (Index block = 0; block < to.blocks(); ++block) {
      for (Index c = 0; c < to.channels(); ++c) {
        for (Index row = 0; row < to.height(); ++row) {
          for (Index i = 0; i < to.width(); ++i)
            to.row(block, c, row)[i] = Pack<T>(factor_.value[0]) * from.row(block, c, row)[i];
        }
      }
    }
  }

  bool learned_;
  Parameter<T> factor_;
};

/// The layers of random networks.
enum class Kind {
  conv,
  linear,
  flatten,
  batch_norm,
  group_norm,
  layer_norm,
  instance_norm,
  relu,
  leaky_relu,
  relu6,
  elu,
  silu,
  gelu,
  sigmoid,
  tanh,
  softplus,
  softmax,
  log_softmax,
  dropout,
  max_pool,
  avg_pool,
  adaptive_pool,
  global_pool,
  cross_sum,
  gain,
  sequential,
  residual
};

/// A layer, without the numbers that follow from its input: any description fits most inputs, so that a network stays one when
/// something of it is taken away.
struct Description {
  Kind kind{};
  Index channels = 1;  // of the output of a convolution or Linear
  Pair kernel = 1;     // of a convolution or pooling; the output size of adaptive pooling
  Pair stride = 1, padding = 0, dilation = 1;
  Index groups = 1;      // or the greatest number of them that divides the channels
  bool plain = false;    // no bias, not affine, no parameter
  bool variant = false;  // BatchNorm2d without, InstanceNorm2d with running statistics; pooling with ceil_mode
  ConvAlgorithm algorithm = ConvAlgorithm::automatic;
  double p = 0.25;                       // of dropout
  Index extents = 1;                     // that LayerNorm normalizes
  std::vector<Description> layers = {};  // of a container; the body of a residual connection
  bool projects = false;                 // a residual connection with a projection, of these layers
  std::vector<Description> projection = {};
};

/// One use of the network in a series of them.
struct Pass {
  enum class Kind { training, evaluation, inference };
  enum class Watch { never, always, backward };

  Kind kind = Kind::training;
  Index images = 1;
  Pair crop = 0;  // so many rows and columns less than the network's input has
  bool with_dx = true;
  bool twice = false;  // two backward passes
  Watch watch = Watch::never;
  ConvAlgorithm algorithm = ConvAlgorithm::automatic;  // another one from here on, of all convolutions that it can compute
  bool poisoned = false;                               // another pass before it leaves NaN in all memory
  bool cloned = false;                                 // by a clone, which takes the network's place
  bool gives_x = false;                                // the network keeps x
  Halo x_halo = {}, dy_halo = {}, dx_halo = {};        // of the caller's batches
  int threads = 1;
};

/// A network and what is done with it.
struct Trial {
  std::vector<Index> input;  // channels, height and width, or features
  std::vector<Description> layers;
  std::vector<Pass> passes;
  std::uint64_t seed = 0;  // of all numbers

  /// Throws Error when nothing is left of the planes.
  Shape input_shape(Index images, Pair crop = 0) const {
    if (input.size() == 1) return {images, input[0]};
    if (crop.height >= input[1] || crop.width >= input[2]) fail("an empty input");
    return {images, input[0], input[1] - crop.height, input[2] - crop.width};
  }
  Shape input_shape(const Pass& pass) const { return input_shape(pass.images, pass.crop); }
};

/// "Conv2d<float>({.in_channels = 3, .kernel_size = {3, 1}})", option by option.
class CallText {
 public:
  explicit CallText(std::string layer) : text_(std::move(layer)) {}

  template <class V>
  CallText& option(const char* name, const V& value) {
    text_ += concat(options_++ == 0 ? "({." : ", .", name, " = ", value);
    return *this;
  }
  CallText& option(const char* name, bool value) { return option(name, value ? "true" : "false"); }
  CallText& option(const char* name, const Pair& value) {
    if (value.height == value.width) return option(name, value.height);
    return option(name, concat("{", value.height, ", ", value.width, "}"));
  }
  /// The same where it is not the default.
  template <class V>
  CallText& option(const char* name, const V& value, const V& standard) {
    return value == standard ? *this : option(name, value);
  }

  std::string str() const { return text_ + (options_ == 0 ? "()" : "})"); }

 private:
  std::string text_;
  int options_ = 0;
};

/// A layer, and the code that makes it.
template <class T>
struct Made {
  std::unique_ptr<Layer<T>> layer;
  std::string code;
};

template <class T>
std::string add_layers(const std::vector<Description>& layers, Shape& shape, Sequential<T>& net, const std::string& indent);

template <class T, class L>
Made<T> made(L layer, std::string code) {
  return {std::unique_ptr<Layer<T>>(new L(std::move(layer))), std::move(code)};
}

/// The layers that turn a shape into another one.
inline std::vector<Description> fitting_layers(const Shape& from, const Shape& to) {
  std::vector<Description> layers;
  if (from.rank() != to.rank()) fail("no layer fits ", from, " to ", to);
  if (from.rank() == 4 && (from[2] != to[2] || from[3] != to[3])) {
    layers.push_back({.kind = Kind::adaptive_pool, .kernel = {to[2], to[3]}});
  }
  const Kind kind = from.rank() == 4 ? Kind::conv : Kind::linear;
  if (from[1] != to[1]) layers.push_back({.kind = kind, .channels = to[1], .plain = true});
  return layers;
}

/// A residual connection whose body, or projection, ends with what else it takes for the shapes to be the same.
template <class T>
Made<T> make_residual(const Description& d, const Shape& input, const std::string& scalar, const std::string& indent) {
  const std::string chain = "Sequential<" + scalar + ">()";
  Sequential<T> body, projection;
  Shape output = input, projected = input;
  std::string of_body = add_layers(d.layers, output, body, indent), of_projection;
  if (!d.projects) {
    of_body += add_layers(fitting_layers(output, input), output, body, indent);
    return made<T>(Residual<T>(std::move(body)), "Residual<" + scalar + ">(" + chain + of_body + ")");
  }
  of_projection = add_layers(d.projection, projected, projection, indent);
  of_projection += add_layers(fitting_layers(projected, output), projected, projection, indent);
  return made<T>(Residual<T>(std::move(body), std::move(projection)),
                 "Residual<" + scalar + ">(" + chain + of_body + ", " + chain + of_projection + ")");
}

inline std::string algorithm_name(ConvAlgorithm algorithm) {
  const char* const names[] = {"automatic", "direct", "im2col", "winograd"};
  return std::string("ConvAlgorithm::") + names[static_cast<int>(algorithm)];
}

template <class T>
Made<T> make_conv(const Description& d, Index inputs, CallText text) {
  typename Conv2d<T>::Options options{.in_channels = inputs,
                                      .out_channels = d.channels,
                                      .kernel_size = d.kernel,
                                      .stride = d.stride,
                                      .padding = d.padding,
                                      .dilation = d.dilation,
                                      .groups = std::gcd(d.groups, std::gcd(inputs, d.channels)),
                                      .bias = !d.plain,
                                      .algorithm = d.algorithm};
  text.option("in_channels", inputs).option("out_channels", d.channels).option("kernel_size", d.kernel);
  text.option("stride", d.stride, Pair(1)).option("padding", d.padding, Pair(0)).option("dilation", d.dilation, Pair(1));
  text.option("groups", options.groups, Index{1}).option("bias", options.bias, true);
  if (d.algorithm != ConvAlgorithm::automatic) {
    text.option("algorithm", algorithm_name(d.algorithm));
  }
  return made<T>(Conv2d<T>(options), text.str());
}

/// The layer for an input of that shape. Throws Error when there is none.
template <class T>
Made<T> make(const Description& d, const Shape& input, const std::string& indent) {
  const std::string scalar = sizeof(T) == 4 ? "float" : "double";
  const auto text = [&](const char* type) { return CallText(concat(type, "<", scalar, ">")); };
  const auto simple = [&]<class L>(const char* type, L layer) { return made<T>(std::move(layer), text(type).str()); };
  const Index channels = input[1];
  switch (d.kind) {
    case Kind::conv: return make_conv<T>(d, channels, text("Conv2d"));
    case Kind::linear:
      return made<T>(
          Linear<T>(channels, d.channels, !d.plain),
          text("Linear").option("in_features", channels).option("out_features", d.channels).option("bias", !d.plain, true).str());
    case Kind::flatten: return simple("Flatten", Flatten<T>());
    case Kind::batch_norm:
      return made<T>(BatchNorm2d<T>({.channels = channels, .affine = !d.plain, .track_running_stats = !d.variant}),
                     text("BatchNorm2d")
                         .option("channels", channels)
                         .option("affine", !d.plain, true)
                         .option("track_running_stats", !d.variant, true)
                         .str());
    case Kind::group_norm: {
      const Index groups = std::gcd(d.groups, channels);
      return made<T>(
          GroupNorm<T>({.groups = groups, .channels = channels, .affine = !d.plain}),
          text("GroupNorm").option("groups", groups).option("channels", channels).option("affine", !d.plain, true).str());
    }
    case Kind::layer_norm: {
      const auto& all = input.extents();
      const auto extents = std::min<std::ptrdiff_t>(d.extents, std::ssize(all) - 1);
      const Shape normalized(std::vector<Index>(all.end() - extents, all.end()));
      std::string list;
      for (const Index extent : normalized.extents()) list += concat(list.empty() ? "{" : ", ", extent);
      return made<T>(LayerNorm<T>({.normalized_shape = normalized, .elementwise_affine = !d.plain}),
                     text("LayerNorm").option("normalized_shape", list + "}").option("elementwise_affine", !d.plain, true).str());
    }
    case Kind::instance_norm:
      return made<T>(InstanceNorm2d<T>({.channels = channels, .affine = !d.plain, .track_running_stats = d.variant}),
                     text("InstanceNorm2d")
                         .option("channels", channels)
                         .option("affine", !d.plain, false)
                         .option("track_running_stats", d.variant, false)
                         .str());
    case Kind::relu: return simple("ReLU", ReLU<T>());
    case Kind::leaky_relu: return simple("LeakyReLU", LeakyReLU<T>());
    case Kind::relu6: return simple("ReLU6", ReLU6<T>());
    case Kind::elu: return simple("ELU", ELU<T>());
    case Kind::silu: return simple("SiLU", SiLU<T>());
    case Kind::gelu: return simple("GELU", GELU<T>());
    case Kind::sigmoid: return simple("Sigmoid", Sigmoid<T>());
    case Kind::tanh: return simple("Tanh", Tanh<T>());
    case Kind::softplus: return simple("Softplus", Softplus<T>());
    case Kind::softmax: return simple("Softmax", Softmax<T>());
    case Kind::log_softmax: return simple("LogSoftmax", LogSoftmax<T>());
    case Kind::dropout: return made<T>(Dropout<T>(d.p), concat("Dropout<", scalar, ">(", d.p, ")"));
    case Kind::max_pool:
      return made<T>(MaxPool2d<T>({.kernel_size = d.kernel,
                                   .stride = d.stride,
                                   .padding = d.padding,
                                   .dilation = d.dilation,
                                   .ceil_mode = d.variant}),
                     text("MaxPool2d")
                         .option("kernel_size", d.kernel)
                         .option("stride", d.stride, d.kernel)
                         .option("padding", d.padding, Pair(0))
                         .option("dilation", d.dilation, Pair(1))
                         .option("ceil_mode", d.variant, false)
                         .str());
    case Kind::avg_pool:
      return made<T>(AvgPool2d<T>({.kernel_size = d.kernel,
                                   .stride = d.stride,
                                   .padding = d.padding,
                                   .ceil_mode = d.variant,
                                   .count_include_pad = !d.plain}),
                     text("AvgPool2d")
                         .option("kernel_size", d.kernel)
                         .option("stride", d.stride, d.kernel)
                         .option("padding", d.padding, Pair(0))
                         .option("ceil_mode", d.variant, false)
                         .option("count_include_pad", !d.plain, true)
                         .str());
    case Kind::adaptive_pool:
      return made<T>(AdaptiveAvgPool2d<T>(d.kernel),
                     concat("AdaptiveAvgPool2d<", scalar, ">({", d.kernel.height, ", ", d.kernel.width, "})"));
    case Kind::global_pool: return simple("GlobalAvgPool2d", GlobalAvgPool2d<T>());
    case Kind::cross_sum: return simple("CrossSum", CrossSum<T>());
    case Kind::gain: return made<T>(Gain<T>(!d.plain), concat("Gain<", scalar, ">(", d.plain ? "false" : "true", ")"));
    case Kind::residual: return make_residual<T>(d, input, scalar, indent);
    default: break;
  }
  Sequential<T> chain;
  Shape shape = input;
  const std::string code = "Sequential<" + scalar + ">()" + add_layers(d.layers, shape, chain, indent);
  return made<T>(std::move(chain), code);
}

/// Adds the layers to a chain, and returns the code that does. `shape` becomes that of their output. Throws Error when a layer
/// cannot take its input.
template <class T>
std::string add_layers(const std::vector<Description>& layers, Shape& shape, Sequential<T>& net, const std::string& indent) {
  std::string code;
  for (const Description& d : layers) {
    Made<T> next = make<T>(d, shape, indent + "    ");
    shape = next.layer->output_shape(shape);
    if (shape.elements() == 0) fail("an empty output");
    code += concat("\n", indent, "    .add(", next.code, ")");
    net.add(std::move(next.layer));
  }
  return code;
}

/// Parameters of either sign, also in norms, so that the halves of a ReLU are not those of what is normalized.
template <class T>
void draw_parameters(Sequential<T>& net) {
  std::uint64_t seed = 1;
  for (auto& [name, parameter] : net.parameters()) {
    ++seed;
    if (parameter->value.shape().rank() < 4) parameter->value = random_tensor<T>(parameter->value.shape(), seed);
  }
}

/// Calls f(layer, input) with each layer that holds no others and the shape of its input.
template <class T, class F>
void for_each_layer(Layer<T>& layer, const Shape& input, const F& f) {
  if (auto* const chain = layer.as_sequential()) {
    Shape shape = input;
    for (Index i = 0; i < chain->size(); ++i) {
      for_each_layer((*chain)[i], shape, f);
      shape = (*chain)[i].output_shape(shape);
    }
  } else if (auto* const residual = layer.as_residual()) {
    for_each_layer<T>(residual->body(), input, f);
    if (residual->projection() != nullptr) for_each_layer<T>(*residual->projection(), input, f);
  } else {
    f(layer, input);
  }
}

/// Throws Error when batch or instance norm would have a single value per channel.
template <class T>
void check_statistics(Sequential<T>& net, const Shape& input) {
  for_each_layer<T>(net, input, [](Layer<T>& layer, const Shape& shape) {
    const bool of_batch = dynamic_cast<BatchNorm2d<T>*>(&layer) != nullptr;
    if (!of_batch && dynamic_cast<InstanceNorm2d<T>*>(&layer) == nullptr) return;
    if ((of_batch ? shape[0] : 1) * shape[2] * shape[3] < 2) fail("a single value per channel");
  });
}

/// The network of a trial. Throws Error when it is none.
template <class T>
Sequential<T> build(const Trial& trial) {
  if (trial.layers.empty()) fail("no layers");
  Sequential<T> net(trial.seed);
  Shape shape = trial.input_shape(2);
  add_layers<T>(trial.layers, shape, net, "");
  for (const Pass& pass : trial.passes) {
    net.output_shape(trial.input_shape(pass));
    check_statistics(net, trial.input_shape(pass));
  }
  draw_parameters(net);
  return net;
}

/// The trial as code and words.
template <class T>
std::string describe(const Trial& trial) {
  Sequential<T> net;
  Shape shape = trial.input_shape(2);
  const std::string scalar = sizeof(T) == 4 ? "float" : "double";
  std::string text = concat("Sequential<", scalar, "> net(", trial.seed, ");\nnet", add_layers<T>(trial.layers, shape, net, ""),
                            ";\ndraw_parameters(net);\n");
  const auto border = [](const char* of, Halo halo) {
    return halo == Halo{} ? "" : concat(", a border of ", halo.height, "x", halo.width, " around ", of);
  };
  for (const Pass& pass : trial.passes) {
    const bool backward = pass.kind != Pass::Kind::inference;
    const char* const kinds[] = {"training", "evaluation", "inference"};
    const char* const watchers[] = {"", ", watched", ", watched in the backward pass"};
    text += concat("// ", kinds[static_cast<int>(pass.kind)], " with ", trial.input_shape(pass),
                   backward ? pass.with_dx ? ", with dx" : ", without dx" : "", backward && pass.twice ? ", twice" : "",
                   watchers[static_cast<int>(pass.watch)], pass.poisoned ? ", after a pass with NaN" : "",
                   pass.cloned ? ", by a clone" : "", backward && pass.gives_x ? ", with an x that the network keeps" : "",
                   pass.algorithm == ConvAlgorithm::automatic ? "" : ", by " + algorithm_name(pass.algorithm),
                   border("x", pass.x_halo), border("dy", pass.dy_halo), border("dx", pass.dx_halo), ", threads: ", pass.threads,
                   "\n");
  }
  return text;
}

}  // namespace normnet::test
