// What a program's own code finds when a model calls it.
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <normnet/nn/conv2d.hpp>
#include <normnet/nn/layer_watcher.hpp>
#include <normnet/nn/linear.hpp>
#include <normnet/nn/sequential.hpp>

#include <memory>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

using namespace normnet;

namespace {

/// The threads that a region of two finds; 2 if nothing is in its way.
int threads_of_own_region() {
#ifdef _OPENMP
  int threads = 0;
#pragma omp parallel num_threads(2)
  {
#pragma omp single
    threads = omp_get_num_threads();
  }
  return threads;
#else
  return 2;
#endif
}

/// A layer of a program's own: y = x, with parallel code in both passes.
class OwnLayer final : public Layer<float> {
 public:
  explicit OwnLayer(std::shared_ptr<std::vector<int>> threads) : threads_(std::move(threads)) {}
  std::string type() const override { return "OwnLayer"; }
  Shape output_shape(const Shape& input) const override { return input; }
  void forward(const Batch<float>& x, Batch<float>& y, const Mode&) override {
    threads_->push_back(threads_of_own_region());
    y.copy_from(x);
  }
  void backward(const Batch<float>&, const Batch<float>&, const Batch<float>& dy, Batch<float>& dx) override {
    threads_->push_back(threads_of_own_region());
    dx.copy_from(dy);
  }

 private:
  std::shared_ptr<std::vector<int>> threads_;
};

class OwnWatcher final : public LayerWatcher<float> {
 public:
  void before_forward(const Batch<float>&) override { look(); }
  void after_forward(Layer<float>&, const Batch<float>&) override { look(); }
  void before_backward(const Batch<float>&) override { look(); }
  void after_backward(Layer<float>&, const Batch<float>*) override { look(); }

  std::vector<int> threads;

 private:
  void look() { threads.push_back(threads_of_own_region()); }
};

}  // namespace

TEST_CASE("a program's own layers and watchers run outside of the library's parallel regions", "[sequential][threads]") {
  set_num_threads(3);
  const auto threads = std::make_shared<std::vector<int>>();
  Sequential<float> net;
  net.add(Conv2d<float>({.in_channels = 3, .out_channels = 8, .kernel_size = 3}))
      .add(OwnLayer(threads))
      .add(Conv2d<float>({.in_channels = 8, .out_channels = 8, .kernel_size = 3}))
      .add(OwnLayer(threads));
  OwnWatcher watcher;
  const auto x = Batch<float>::from(test::random_tensor<float>({67, 3, 13, 11}, 1));
  for (LayerWatcher<float>* const watching :
       {static_cast<LayerWatcher<float>*>(nullptr), static_cast<LayerWatcher<float>*>(&watcher)}) {
    net.watch(watching);
    const auto dy = Batch<float>::from(net.forward(x).to_tensor());
    net.backward(dy);
  }
  CHECK(*threads == std::vector<int>(8, 2));
  CHECK(watcher.threads == std::vector<int>(10, 2));
  set_num_threads(0);
}
