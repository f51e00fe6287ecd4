// A chain of layers, and the plan of the memory between them.
#pragma once

#include <normnet/core/in_use.hpp>
#include <normnet/core/unoptimized.hpp>
#include <normnet/nn/block_layer.hpp>
#include <normnet/nn/layer_watcher.hpp>
#include <normnet/nn/places.hpp>

#include <concepts>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// Layers applied one after the other; itself a layer, so that models nest.
///
///     Sequential<float> net(/*seed=*/1);
///     net.add(Conv2d<float>({.in_channels = 3, .out_channels = 16, .kernel_size = 3}), "conv1").add(ReLU<float>());
///     const Batch<float>& logits = net.forward(images);
///     net.backward(loss.backward());
///
/// Shapes are inferred and checked when the first input arrives; errors name the layer. At that moment it also plans the memory
/// between its layers: what no backward pass reads again is overwritten in place, and a layer that needs a border of zeros around
/// its input finds it there. A block of images passes through several layers at a time, while it is in the cache (`BlockSchedule`).
///
/// A model serves one thread at a time, in evaluation, too: a pass writes to its memory. A second thread gets an Error; give each
/// one a clone().
///
/// Layers are named by position, "0", "1", ..., unless add() is given a name; parameters and buffers carry dotted names,
/// "conv1.weight".
template <class T>
class Sequential final : public BlockLayer<T> {
 public:
  /// Models with the same seed and the same layers start from the same parameters and drop the same units.
  explicit Sequential(std::uint64_t seed = 0) : random_(seed) {}

  /// Appends a layer and draws its initial parameters from the model's seed and the layer's position: load weights after
  /// building. Throws Error when the name is taken or holds a dot.
  template <std::derived_from<Layer<T>> L>
  Sequential& add(L layer, std::string name = "") & {
    return add(owned(std::move(layer)), std::move(name));
  }
  template <std::derived_from<Layer<T>> L>
  Sequential&& add(L layer, std::string name = "") && {
    return std::move(add(owned(std::move(layer)), std::move(name)));
  }
  Sequential& add(std::unique_ptr<Layer<T>> layer, std::string name = "") & {
    if (name.empty()) name = std::to_string(size());
    if (name.find('.') != std::string::npos) fail("Sequential: expected a layer name without a dot, got \"", name, "\"");
    for (const auto& other : layers_) {
      if (local_name(*other) == name) fail("Sequential: the layer name \"", name, "\" is taken");
    }
    layer->reset_parameters(random_.fork(static_cast<std::uint64_t>(size())));
    layer->set_name(prefixed(name));
    layer->watch(watcher_);
    layers_.push_back(std::move(layer));
    shapes_.clear();
    kept_ = {};
    inferred_ = {};
    gradients_ = {};
    caller_input_ = nullptr;
    return *this;
  }

  Index size() const { return static_cast<Index>(layers_.size()); }

  /// Layer i. Throws Error out of range.
  Layer<T>& operator[](Index i) { return *layers_[checked(i)]; }
  const Layer<T>& operator[](Index i) const { return *layers_[checked(i)]; }

  /// Whether forward(x) trains (the default) or evaluates.
  void train(bool on = true) { training_ = on; }
  void eval() { train(false); }
  bool training() const { return training_; }

  /// The model's output, valid until the next call. x must stay as it is until backward() is done; a temporary is kept by the
  /// model. Throws Error when a layer cannot take its input.
  const Batch<T>& forward(const Batch<T>& x) {
    const InUse::Scope use = begin_use();
    own_input_ = nullptr;
    return forward_and_keep(x);
  }
  const Batch<T>& forward(Batch<T>&& x) {
    const InUse::Scope use = begin_use();
    own_input_ = std::unique_ptr<Batch<T>>(new Batch<T>(std::move(x)));
    return forward_and_keep(*own_input_);
  }
  const Batch<T>& forward(const Batch<T>&&) = delete;  // it would be gone

  /// The same in evaluation mode, whatever the model's mode is, and without a backward pass to follow: the feature maps of all
  /// layers share the memory of the largest two, which a block finds in the cache.
  const Batch<T>& inference(const Batch<T>& x) {
    const InUse::Scope use = begin_use();
    return infer(x);
  }

  /// forward() for a tensor of shape N x C x H x W or N x F; keeps no state for backward().
  Tensor<T> forward(const Tensor<T>& x) {
    const InUse::Scope use = begin_use();
    const Batch<T> batch = Batch<T>::from(x, input_halo());
    if (!training_) return infer(batch).to_tensor();
    Tensor<T> y = forward_and_keep(batch).to_tensor();
    caller_input_ = nullptr;
    return y;
  }

  /// Adds the gradients of all parameters, given that of the loss with respect to the output of the last forward(x).
  /// Throws Error without such a pass, when dy has another shape than its output, or when its lanes past the last image are not
  /// zero, as after Batch::fill(): clear_padding_lanes() makes them so.
  void backward(const Batch<T>& dy) {
    const InUse::Scope use = begin_use();
    backward_from_top(dy, nullptr);
  }

  /// The same, and the gradient with respect to the input.
  void backward(const Batch<T>& dy, Batch<T>& dx) {
    const InUse::Scope use = begin_use();
    if (caller_input_ != nullptr) dx.reset(caller_input_->shape(), dx.halo());
    backward_from_top(dy, &dx);
  }

  /// What it was made with.
  std::uint64_t seed() const { return random_.key(); }

  /// Training passes so far: with the seed, it decides what dropout drops next. A resumed run sets it to where it was.
  std::uint64_t passes() const { return passes_; }
  void set_passes(std::uint64_t passes) { passes_ = passes; }

  /// Shows every feature map and gradient to a watcher, which must live until another, or null, takes its place. Layers run one at
  /// a time then, as slowly as they do alone.
  void watch(LayerWatcher<T>* watcher) override {
    watcher_ = watcher;
    for (const auto& layer : layers_) layer->watch(watcher);
  }
  LayerWatcher<T>* watcher() const { return watcher_; }

  /// Sets all gradients of the parameters to zero.
  void zero_grad() {
    for (auto& [name, parameter] : parameters()) parameter->grad.fill(T(0));
  }

  /// A model that equals this one and shares nothing with it: layers, names, parameters with their gradients, buffers, mode,
  /// seed() and passes(). It trains to the same bits. No watcher sees it, and it needs an optimizer of its own; its first pass is
  /// a forward() or inference(). Throws Error as Layer::clone() does, and while this model is in use.
  Sequential clone() {
    in_use_.check([this] { return this->label(); }, own_model);
    return std::move(*Layer<T>::clone()->as_sequential());
  }

  // The interface of a layer.

  std::string type() const override { return "Sequential"; }
  Sequential* as_sequential() override { return this; }
  std::unique_ptr<Layer<T>> with_same_options() const override {
    Sequential copy(seed());
    copy.training_ = training_;
    copy.passes_ = passes_;
    for (const auto& layer : layers_) {
      copy.layers_.push_back(layer->with_same_options());
      copy.layers_.back()->set_name(layer->name());
    }
    return owned(std::move(copy));
  }

  NamedOptions named_options() const override {
    NamedOptions all;
    for (const auto& layer : layers_) {
      all.merge(normnet_impl::named_part(local_name(*layer), layer->type(), layer->named_options()));
    }
    return all;
  }

  Shape output_shape(const Shape& input) const override {
    Shape shape = input;
    for (const auto& layer : layers_) shape = layer->output_shape(shape);
    return shape;
  }

  using BlockLayer<T>::forward;
  using BlockLayer<T>::backward;

  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode& mode, BlockSchedule& schedule) override {
    if (layers_.empty()) return schedule_copy(x, y, schedule);
    plan(x.shape());
    normnet_impl::Places<T>& places = mode.gradient ? kept_ : inferred_;
    prepare(places, sources(mode));
    const auto mode_of = [&](std::size_t i) { return Mode{mode.training, mode.random.fork(i), mode.gradient}; };
    bool changed_place = false;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      const Batch<T>& in = places.at(places.source[i], x, y);
      Batch<T>& out = places.writable(i + 1, y);
      const Mode of_layer = mode_of(i);
      if (places.slot[i] != places.slot[i + 1]) {
        places.schedule_change(i + 1, changed_place, someone_reads_input_border(places, i + 1), schedule);
        changed_place = true;
      }
      auto* const block_layer = block_layer_at(i);
      if (block_layer != nullptr && places.source[i] == i) block_layer->set_prologue({});
      if (const std::size_t reader = places.reader_of(i); reader != i) {
        normnet_impl::Prologue<T> prologue = block_layer->schedule_prologue(in, of_layer, schedule);
        prologue.relu = reader == i + 2;
        block_layer_at(reader)->set_prologue(prologue);
        i = reader - 1;
        continue;
      }
      if (block_layer != nullptr && watcher_ == nullptr && block_layer->applies_pointwise(in)) {
        // Layers that would overwrite its output at once, value by value, are computed with it.
        normnet_impl::Pointwise<T> after;
        while (i + 1 < layers_.size() && places.slot[i + 1] == places.slot[i + 2]) {
          auto* const next = block_layer_at(i + 1);
          if (next == nullptr || !next->append_to(after, mode_of(i + 1))) break;
          ++i;
        }
        block_layer->schedule_forward_then(in, out, of_layer, schedule, after);
      } else if (block_layer != nullptr) {
        block_layer->schedule_forward(in, out, of_layer, schedule);
      } else {
        schedule.outside([&layer = *layers_[i], &in, &out, of_layer] { layer.forward(in, out, of_layer); });
      }
      if (watcher_ != nullptr) {
        schedule.outside([watcher = watcher_, &layer = *layers_[i], &out] { watcher->after_forward(layer, out); });
      }
    }
  }

  // Without dx, the gradient goes no further down than the first layer that has parameters.
  void schedule_backward(const Batch<T>& x, const Batch<T>& y, const Batch<T>& dy, Batch<T>* dx,
                         BlockSchedule& schedule) override {
    if (layers_.empty()) {
      if (dx != nullptr) schedule_copy(dy, *dx, schedule);
      return;
    }
    prepare(gradients_, {});
    const bool parameters_only = dx == nullptr;
    std::size_t lowest = 0;
    if (parameters_only) {
      while (lowest < layers_.size() && layers_[lowest]->parameters().empty()) ++lowest;
      dx = &unasked_gradient(lowest + 1);
    }
    const auto& slot = gradients_.slot;
    const auto writable = [&](std::size_t place) -> Batch<T>& {
      return slot[place] == slot.front() ? *dx : gradients_.slot_table[slot[place]].storage;
    };
    const auto is_left_to_neighbour = [&](std::size_t i) {
      return is_relu_in_place(i) && (watcher_ == nullptr || !kept_.is_written(i + 1));
    };
    bool changed_place = false;
    for (std::size_t i = layers_.size(); i-- > lowest;) {
      const Batch<T>& of_output = slot[i + 1] == slot.back() ? dy : writable(i + 1);
      normnet_impl::Rectified rectified;
      if (i > lowest && rectified_at(i - 1).output && is_left_to_neighbour(i)) {
        rectified.output = true;
        --i;
      }
      const Batch<T>&in = kept_.at(kept_.source[i], x, y), &out = kept_.at(i + 1, x, y);
      Batch<T>* of_input = parameters_only && i == lowest ? nullptr : &writable(i);
      if (of_input != nullptr && slot[i] != slot[i + 1]) {
        gradients_.schedule_change(i, changed_place, someone_reads_gradient_border(i, lowest, parameters_only), schedule);
        changed_place = true;
      }
      if (auto* block_layer = block_layer_at(i)) {
        rectified.input =
            of_input != nullptr && i > lowest && block_layer->takes_rectified().input && is_left_to_neighbour(i - 1);
        if (is_centered(i + 1) && !rectified.input && !rectified.output) {
          block_layer->schedule_backward_centered(in, out, of_output, of_input, schedule);
        } else {
          block_layer->schedule_backward_rectified(in, out, of_output, of_input, schedule, rectified);
        }
        if (rectified.input) --i;
      } else {
        schedule.outside([&layer = *layers_[i], &in, &out, &of_output, of_input] {
          if (of_input != nullptr) return layer.backward(in, out, of_output, *of_input);
          layer.backward_parameters(in, out, of_output);
        });
      }
      if (watcher_ != nullptr) {
        schedule.outside([watcher = watcher_, &layer = *layers_[i], of_input] { watcher->after_backward(layer, of_input); });
      }
    }
  }

  Halo input_halo() const override { return layers_.empty() ? Halo{} : layers_.front()->input_halo(); }
  Halo gradient_halo() const override { return layers_.empty() ? Halo{} : layers_.back()->gradient_halo(); }

  std::vector<NamedParameter<T>> parameters() override {
    return collect<NamedParameter<T>>([](Layer<T>& layer) { return layer.parameters(); });
  }
  std::vector<NamedBuffer<T>> buffers() override {
    return collect<NamedBuffer<T>>([](Layer<T>& layer) { return layer.buffers(); });
  }

  void reset_parameters(const Random& random) override {
    random_ = random;
    for (std::size_t i = 0; i < layers_.size(); ++i) layers_[i]->reset_parameters(random_.fork(i));
  }

  std::int64_t multiply_adds(const Shape& input) const override {
    std::int64_t total = 0;
    Shape shape = input;
    for (const auto& layer : layers_) {
      total += layer->multiply_adds(shape);
      shape = layer->output_shape(shape);
    }
    return total;
  }

  /// Of all feature maps and gradients between the layers, and of what the layers hold.
  std::size_t activation_bytes() const override {
    std::size_t bytes = padded_input_.bytes() + padded_gradient_.bytes() + top_output_.bytes();
    if (own_input_ != nullptr) bytes += own_input_->bytes();
    bytes += kept_.bytes() + inferred_.bytes() + gradients_.bytes();
    for (const auto& layer : layers_) bytes += layer->activation_bytes();
    return bytes;
  }

  void set_name(std::string name) override {
    Layer<T>::set_name(std::move(name));
    for (const auto& layer : layers_) layer->set_name(prefixed(local_name(*layer)));
  }

 private:
  using InUse = normnet_impl::InUse;

  static constexpr const char* own_model = "model of its own, see clone()";
  static constexpr std::uint64_t pass_stream = ~std::uint64_t{0};  // apart from the streams of the layers' positions

  // Without std::make_unique, whose pointer has a type of its own for each layer: those took longer to compile than all else here.
  template <class L>
  static std::unique_ptr<Layer<T>> owned(L layer) {
    return std::unique_ptr<Layer<T>>(new L(std::move(layer)));
  }

  // Shapes and slots, when the model meets an input of another shape.
  void plan(const Shape& input) {
    if (!shapes_.empty() && shapes_.front() == input) return;
    normnet_impl::warn_if_unoptimized(NORMNET_WARNS_UNOPTIMIZED);
    std::vector<Shape> shapes(layers_.size() + 1);
    shapes[0] = input;
    for (std::size_t i = 0; i < layers_.size(); ++i) shapes[i + 1] = layers_[i]->output_shape(shapes[i]);
    if (kept_.slot.empty()) plan_slots();
    shapes_ = std::move(shapes);
  }

  void prepare(normnet_impl::Places<T>& places, std::vector<std::size_t> sources) {
    if (places.input == shapes_.front() && places.source == sources) return;
    places.source = std::move(sources);
    places.reset(shapes_);
  }

  // The place that each layer reads. Where there is a backward pass to follow, a layer that can reads the input of a
  // normalization before it in place of its output: writing feature maps takes longer than computing them twice.
  std::vector<std::size_t> sources(const Mode& mode) const {
    std::vector<std::size_t> sources(layers_.size());
    for (std::size_t i = 0; i < layers_.size(); ++i) sources[i] = i;
    if (!mode.gradient || watcher_ != nullptr) return sources;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      if (block_layer_at(i) == nullptr || !block_layer_at(i)->has_prologue()) continue;
      const std::size_t reader = i + 1 < layers_.size() && is_relu_in_place(i + 1) ? i + 2 : i + 1;
      if (reader >= layers_.size() || block_layer_at(reader) == nullptr) continue;
      if (block_layer_at(reader)->takes_prologue(shapes_[reader])) sources[reader] = i;
    }
    return sources;
  }

  // A layer overwrites its input where it can and, if there will be a backward pass, where neither it nor the layer before reads
  // that again; a gradient is overwritten wherever the layer can. The caller's input, and the caller's gradient of the output, are
  // never written.
  void plan_slots() {
    const std::size_t count = layers_.size();
    const auto overwrites_input = [&](std::size_t i) { return i > 0 && layers_[i]->in_place(); };
    const auto nobody_reads_again = [&](std::size_t i) {
      return !keeps_input(layers_[i]->keeps_for_backward()) && !keeps_output(layers_[i - 1]->keeps_for_backward());
    };
    const auto overwrites_gradient = [&](std::size_t i) { return i + 1 < count && layers_[i]->in_place(); };
    kept_ = make_places([&](std::size_t i) { return overwrites_input(i) && nobody_reads_again(i); }, &Layer<T>::input_halo, 0);
    inferred_ = make_places(overwrites_input, &Layer<T>::input_halo, 0);
    gradients_ = make_places(overwrites_gradient, &Layer<T>::gradient_halo, 1);
    inferred_.in_turn = gradients_.in_turn = true;
  }

  template <class Shares>
  normnet_impl::Places<T> make_places(Shares shares, Halo (Layer<T>::*halo)() const, std::size_t reads) const {
    normnet_impl::Places<T> places;
    places.input = {0};
    places.slot = std::vector<std::size_t>(layers_.size() + 1);
    for (std::size_t i = 0; i < layers_.size(); ++i) places.slot[i + 1] = places.slot[i] + (shares(i) ? 0 : 1);
    places.slot_table = std::vector<typename normnet_impl::Places<T>::Slot>(places.slot.back() + 1);
    for (std::size_t i = 0; i < layers_.size(); ++i) {
      Halo& of_slot = places.slot_table[places.slot[i + reads]].halo;
      of_slot = max(of_slot, ((*layers_[i]).*halo)());
    }
    return places;
  }

  // Null if it is no such layer.
  BlockLayer<T>* block_layer_at(std::size_t i) const { return layers_[i]->as_block_layer(); }

  // The ReLUs whose backward passes a layer can do.
  normnet_impl::Rectified rectified_at(std::size_t i) const {
    return block_layer_at(i) == nullptr ? normnet_impl::Rectified{} : block_layer_at(i)->takes_rectified();
  }

  // Whether layer i is a ReLU that overwrites the gradient of its output, so that a neighbour may do its backward pass.
  bool is_relu_in_place(std::size_t i) const {
    return gradients_.slot[i] == gradients_.slot[i + 1] && block_layer_at(i) != nullptr && block_layer_at(i)->is_relu();
  }

  // Whether the gradient at that place, which is not the caller's, sums up to zero in every channel.
  bool is_centered(std::size_t place) const {
    return place < layers_.size() && block_layer_at(place) != nullptr && block_layer_at(place)->centers_gradient();
  }

  // Whether a layer reads the border of a feature map in that place's memory.
  bool someone_reads_input_border(const normnet_impl::Places<T>& places, std::size_t place) const {
    for (std::size_t i = place; i < layers_.size() && places.slot[i] == places.slot[place]; ++i) {
      if (layers_[i]->input_halo() == Halo{}) continue;
      if (block_layer_at(i) == nullptr || block_layer_at(i)->reads_input_border(shapes_[i])) return true;
    }
    return false;
  }

  // Whether a layer, from `lowest` on, reads the border of a gradient in that place's memory. With parameters_only the lowest layer
  // computes no dx.
  bool someone_reads_gradient_border(std::size_t place, std::size_t lowest, bool parameters_only) const {
    for (std::size_t i = place; i-- > lowest && gradients_.slot[i + 1] == gradients_.slot[place];) {
      if (layers_[i]->gradient_halo() == Halo{}) continue;
      const bool with_dx = !parameters_only || i > lowest;
      if (block_layer_at(i) == nullptr || block_layer_at(i)->reads_gradient_border(shapes_[i], with_dx)) return true;
    }
    return false;
  }

  InUse::Scope begin_use() {
    return {in_use_, [this] { return this->label(); }, own_model};
  }

  // forward(x), and what backward() needs of it.
  const Batch<T>& forward_and_keep(const Batch<T>& x) {
    Mode mode{.training = training_, .random = random_.fork(pass_stream)};
    if (training_) mode.random = mode.random.fork(passes_++);
    forward_from_top(x, mode);
    caller_input_ = &x;
    return top_output_;
  }

  const Batch<T>& infer(const Batch<T>& x) {
    own_input_ = nullptr;
    forward_from_top(x, {.training = false, .random = random_.fork(pass_stream), .gradient = false});
    return top_output_;
  }

  // Writes top_output_.
  void forward_from_top(const Batch<T>& x, const Mode& mode) {
    if (layers_.empty()) fail("Sequential: expected at least one layer, got none");
    plan(x.shape());
    top_output_.reset(shapes_.back());
    caller_input_ = nullptr;  // a pass that fails leaves nothing to go back from
    const bool fits = x.halo().holds(input_halo());
    if (!fits) {
      padded_input_.reset(x.shape(), input_halo());
      padded_input_.copy_from(x);
    }
    if (watcher_ != nullptr) watcher_->before_forward(x);
    forward(fits ? x : padded_input_, top_output_, mode);
  }

  const Batch<T>& top_input() const { return caller_input_->halo().holds(input_halo()) ? *caller_input_ : padded_input_; }

  void backward_from_top(const Batch<T>& dy, Batch<T>* dx) {
    if (caller_input_ == nullptr) fail(this->label(), ": backward() without a forward() before it");
    if (dy.shape() != top_output_.shape()) {
      fail(this->label(), ": expected a gradient of shape ", top_output_.shape(), ", got ", dy.shape());
    }
    if (!dy.padding_lanes_are_zero()) {
      fail(this->label(), ": expected a gradient with zeros in the lanes past image ", dy.images() - 1);
    }
    const Batch<T>* gradient = &dy;
    if (!dy.halo().holds(gradient_halo())) {
      padded_gradient_.reset(dy.shape(), gradient_halo());
      padded_gradient_.copy_from(dy);
      gradient = &padded_gradient_;
    }
    if (watcher_ != nullptr) watcher_->before_backward(dy);
    BlockSchedule schedule(top_output_.blocks());
    schedule_backward(top_input(), top_output_, *gradient, dx, schedule);
    schedule.run();
  }

  static void schedule_copy(const Batch<T>& from, Batch<T>& to, BlockSchedule& schedule) {
    schedule.each_channel(from.channels(), from.plane(), [&](Index block, Index c) { to.copy_channel_from(from, block, c); });
  }

  // Layers that work in place may pass the gradient of the output of layer `place` - 1 through the caller's dx; without one it
  // needs a place.
  Batch<T>& unasked_gradient(std::size_t place) {
    const std::size_t first = gradients_.slot.front();
    auto& [halo, gradient] = gradients_.slot_table[first];
    if (place < gradients_.slot.size() && gradients_.slot[place] == first) gradient.reset(shapes_[place], halo);
    return gradient;
  }

  template <class Named, class Of>
  std::vector<Named> collect(Of of) {
    std::vector<Named> all;
    for (const auto& layer : layers_) {
      for (const auto& [name, pointer] : of(*layer)) all.push_back({local_name(*layer) + "." + name, pointer});
    }
    return all;
  }

  std::string prefixed(const std::string& local) const { return this->name().empty() ? local : this->name() + "." + local; }
  static std::string local_name(const Layer<T>& layer) { return layer.name().substr(layer.name().rfind('.') + 1); }

  std::size_t checked(Index i) const {
    if (i < 0 || i >= size()) fail(this->label(), ": no layer ", i, " among ", size());
    return static_cast<std::size_t>(i);
  }

  Random random_;
  std::vector<std::unique_ptr<Layer<T>>> layers_;
  bool training_ = true;
  std::uint64_t passes_ = 0;
  LayerWatcher<T>* watcher_ = nullptr;
  std::vector<Shape> shapes_;  // of each place
  normnet_impl::Places<T> kept_, inferred_, gradients_;
  const Batch<T>* caller_input_ = nullptr;
  std::unique_ptr<Batch<T>> own_input_;  // the caller's, where that was a temporary
  Batch<T> top_output_, padded_input_, padded_gradient_;
  InUse in_use_;  // by a pass
};

}  // namespace normnet::inline NORMNET_ABI
