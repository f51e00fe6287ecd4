// Residual connections (He et al., 2015, https://arxiv.org/abs/1512.03385).
#pragma once

#include <normnet/nn/block_layer.hpp>
#include <normnet/nn/sequential.hpp>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace normnet::inline NORMNET_ABI {

/// Adds the output of a body to its input, or to a projection of its input where the shapes differ:
///
///     y = body(x) + x        or        y = body(x) + projection(x)
///
/// Shapes: those of the body, whose output must have the shape of the input, or of the projection's output.
/// Parameters: the body's as "body.0.weight", ..., the projection's as "projection.0.weight", ...
/// Throws Error when the two shapes differ.
template <class T>
class Residual final : public BlockLayer<T> {
 public:
  explicit Residual(Sequential<T> body) : body_(std::move(body)) { name_children(""); }
  Residual(Sequential<T> body, Sequential<T> projection) : body_(std::move(body)), projection_(std::move(projection)) {
    name_children("");
  }

  Sequential<T>& body() { return body_; }
  /// Null without a projection.
  Sequential<T>* projection() { return projection_ ? &*projection_ : nullptr; }

  std::string type() const override { return "Residual"; }
  Residual* as_residual() override { return this; }
  std::unique_ptr<Layer<T>> with_same_options() const override {
    const std::unique_ptr<Layer<T>> body = body_.with_same_options();
    if (!projection_) return std::unique_ptr<Layer<T>>(new Residual(std::move(*body->as_sequential())));
    const std::unique_ptr<Layer<T>> projection = projection_->with_same_options();
    return std::unique_ptr<Layer<T>>(new Residual(std::move(*body->as_sequential()), std::move(*projection->as_sequential())));
  }

  NamedOptions named_options() const override {
    NamedOptions all = normnet_impl::named_part("body", body_.type(), body_.named_options());
    if (projection_) all.merge(normnet_impl::named_part("projection", projection_->type(), projection_->named_options()));
    return all;
  }

  Shape output_shape(const Shape& input) const override {
    const Shape added = projection_ ? projection_->output_shape(input) : input;
    Shape output = body_.output_shape(input);
    if (output != added) {
      fail(this->label(), ": expected a body with an output of ", added, ", the shape of its ",
           projection_ ? "projection" : "input", ", got ", output);
    }
    return output;
  }

  void schedule_forward(const Batch<T>& x, Batch<T>& y, const Mode& mode, BlockSchedule& schedule) override {
    body_output_.reset(y.shape());
    body_.schedule_forward(x, body_output_, {mode.training, mode.random.fork(0), mode.gradient}, schedule);
    if (projection_) {
      projected_.reset(y.shape());
      projection_->schedule_forward(x, projected_, {mode.training, mode.random.fork(1), mode.gradient}, schedule);
    }
    schedule_sum(body_output_, projection_ ? projected_ : x, y, schedule);
  }

  /// dx = (d body / dx)^T dy + dy, or the projection's instead of the last term: a sum passes its gradient to both of its terms.
  void schedule_backward(const Batch<T>& x, const Batch<T>&, const Batch<T>& dy, Batch<T>* dx, BlockSchedule& schedule) override {
    if (dx != nullptr) body_gradient_.reset(x.shape());
    body_.schedule_backward(x, body_output_, dy, dx != nullptr ? &body_gradient_ : nullptr, schedule);
    if (projection_) {
      if (dx != nullptr) projection_gradient_.reset(x.shape());
      projection_->schedule_backward(x, projected_, dy, dx != nullptr ? &projection_gradient_ : nullptr, schedule);
    }
    if (dx != nullptr) schedule_sum(body_gradient_, projection_ ? projection_gradient_ : dy, *dx, schedule);
  }

  Keeps keeps_for_backward() const override { return Keeps::input; }
  Halo input_halo() const override {
    return projection_ ? max(body_.input_halo(), projection_->input_halo()) : body_.input_halo();
  }
  Halo gradient_halo() const override {
    return projection_ ? max(body_.gradient_halo(), projection_->gradient_halo()) : body_.gradient_halo();
  }

  std::vector<NamedParameter<T>> parameters() override {
    return collect<NamedParameter<T>>([](Sequential<T>& layers) { return layers.parameters(); });
  }
  std::vector<NamedBuffer<T>> buffers() override {
    return collect<NamedBuffer<T>>([](Sequential<T>& layers) { return layers.buffers(); });
  }

  void reset_parameters(const Random& random) override {
    body_.reset_parameters(random.fork(0));
    if (projection_) projection_->reset_parameters(random.fork(1));
  }

  std::int64_t multiply_adds(const Shape& input) const override {
    return body_.multiply_adds(input) + (projection_ ? projection_->multiply_adds(input) : 0);
  }

  std::size_t activation_bytes() const override {
    const std::size_t own = body_output_.bytes() + projected_.bytes() + body_gradient_.bytes() + projection_gradient_.bytes();
    return own + body_.activation_bytes() + (projection_ ? projection_->activation_bytes() : 0);
  }

  void set_name(std::string name) override {
    name_children(name.empty() ? "" : name + ".");
    Layer<T>::set_name(std::move(name));
  }

  void watch(LayerWatcher<T>* watcher) override {
    body_.watch(watcher);
    if (projection_) projection_->watch(watcher);
  }

 private:
  static void schedule_sum(const Batch<T>& a, const Batch<T>& b, Batch<T>& sum, BlockSchedule& schedule) {
    schedule.each_channel(sum.channels(), sum.plane(), [&](Index block, Index c) {
      for (Index y = 0; y < sum.height(); ++y) {
        const Pack<T>* first = a.row(block, c, y);
        const Pack<T>* second = b.row(block, c, y);
        Pack<T>* target = sum.row(block, c, y);
        for (Index x = 0; x < sum.width(); ++x) target[x] = first[x] + second[x];
      }
    });
  }

  void name_children(const std::string& prefix) {
    body_.set_name(prefix + "body");
    if (projection_) projection_->set_name(prefix + "projection");
  }

  template <class Named, class Of>
  std::vector<Named> collect(Of of) {
    std::vector<Named> all;
    for (const auto& [name, pointer] : of(body_)) all.push_back({"body." + name, pointer});
    if (projection_) {
      for (const auto& [name, pointer] : of(*projection_)) all.push_back({"projection." + name, pointer});
    }
    return all;
  }

  Sequential<T> body_;
  std::optional<Sequential<T>> projection_;
  Batch<T> body_output_, projected_, body_gradient_, projection_gradient_;
};

}  // namespace normnet::inline NORMNET_ABI
