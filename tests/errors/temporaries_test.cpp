// What keeps a reference to its argument takes no temporary, or keeps the argument itself; what a temporary gives outlives it.
#include "support/catch.hpp"

#include <normnet/normnet.hpp>
#include <normnet/train/checkpoint.hpp>
#include <normnet/viz/image.hpp>

#include <concepts>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace normnet;

namespace {

// Each template asks whether an expression compiles, so that a test can say that it does not.

template <class X>
concept a_model_takes = requires(Sequential<float>& net, X&& x) {
  net.forward(std::forward<X>(x));
};
static_assert(a_model_takes<Batch<float>&> && a_model_takes<const Batch<float>&>);
static_assert(a_model_takes<Batch<float>>);         // which it keeps
static_assert(!a_model_takes<const Batch<float>>);  // which cannot be moved to it
static_assert(a_model_takes<Tensor<float>>);        // of which it keeps nothing

using Loader = DataLoader<float>;
static_assert(std::constructible_from<Loader, const Dataset&> && !std::constructible_from<Loader, Dataset>);
static_assert(std::constructible_from<Loader, const Dataset&, Loader::Options> &&
              !std::constructible_from<Loader, Dataset, Loader::Options>);
template <class L>
concept deals_an_epoch = requires(L&& loader) {
  std::forward<L>(loader).epoch(0);
};
template <class L>
concept deals_a_batch = requires(L&& loader) {
  std::forward<L>(loader).load(0);
};
static_assert(deals_an_epoch<Loader&> && !deals_an_epoch<Loader>);
static_assert(deals_a_batch<Loader&> && !deals_a_batch<Loader>);

using Loss = CrossEntropyLoss<float>;
static_assert(std::constructible_from<Trainer<float>, Sequential<float>&, SGD<float>&, Loss>);
static_assert(!std::constructible_from<Trainer<float>, Sequential<float>, SGD<float>&, Loss>);
static_assert(!std::constructible_from<Trainer<float>, Sequential<float>&, SGD<float>, Loss>);
static_assert(std::constructible_from<AnomalyDetector<float>, Sequential<float>&> &&
              !std::constructible_from<AnomalyDetector<float>, Sequential<float>>);

template <class Scheduler>
constexpr bool needs_a_lasting_optimizer = std::constructible_from<Scheduler, SGD<float>&, typename Scheduler::Options> &&
                                           !std::constructible_from<Scheduler, SGD<float>, typename Scheduler::Options>;
static_assert(needs_a_lasting_optimizer<StepLR<float>> && needs_a_lasting_optimizer<MultiStepLR<float>> &&
              needs_a_lasting_optimizer<OneCycleLR<float>> && needs_a_lasting_optimizer<CosineAnnealingLR<float>>);

template <class Net, class Optimizer>
concept has_a_state = requires(Net&& net, Optimizer&& optimizer) {
  TrainingState<float>{std::forward<Net>(net), std::forward<Optimizer>(optimizer)};
};
static_assert(has_a_state<Sequential<float>&, SGD<float>&> && !has_a_state<Sequential<float>, SGD<float>&> &&
              !has_a_state<Sequential<float>&, SGD<float>>);

template <class T>
concept gives_a_span = requires(T&& tensor) {
  std::forward<T>(tensor).span();
};
template <class T>
concept gives_a_pointer = requires(T&& tensor) {
  std::forward<T>(tensor).data();
};
static_assert(gives_a_span<Tensor<float>&> && gives_a_span<const Tensor<float>&> && !gives_a_span<Tensor<float>>);
static_assert(gives_a_pointer<Tensor<float>&> && gives_a_pointer<const Tensor<float>&> && !gives_a_pointer<Tensor<float>>);

// What a range-for goes over must be a value where its owner is gone before the first item.
static_assert(std::same_as<decltype(std::declval<Tensor<float>>().matrix()), Tensor<float>::OwnMatrix>);
static_assert(std::same_as<decltype(std::declval<Tensor<float>>().shape()), Shape>);
static_assert(std::same_as<decltype(std::declval<Batch<float>>().shape()), Shape>);
static_assert(std::same_as<decltype(std::declval<Shape>().extents()), std::vector<Index>>);
static_assert(std::same_as<decltype(std::declval<Dataset>().image(0)), std::vector<std::uint8_t>>);
static_assert(std::same_as<decltype(std::declval<Dataset>().labels()), std::vector<int>>);
static_assert(std::same_as<decltype(std::declval<Dataset>().class_names()), std::vector<std::string>>);
static_assert(std::same_as<decltype(std::declval<History>().last()), EpochRecord>);
static_assert(std::same_as<decltype(std::declval<History>().best()), EpochRecord>);
static_assert(std::same_as<decltype(std::declval<ModelSummary>().rows()), std::vector<ModelSummary::Row>>);
static_assert(std::same_as<decltype(std::declval<SafeTensors>().entries()), std::map<std::string, SafeTensors::Entry>>);
static_assert(std::same_as<decltype(std::declval<viz::Image>().bytes()), std::vector<std::uint8_t>>);

}  // namespace

TEST_CASE("what a temporary gives outlives it", "[errors]") {
  const auto tensor = [] { return Tensor<float>({2, 3}, {1, 2, 3, 4, 5, 6}); };
  const auto matrix = tensor().matrix();
  CHECK((matrix.rows() == 2 && matrix.cols() == 3 && matrix(1, 0) == 4));
  Index elements = 1;
  for (const Index extent : tensor().shape().extents()) elements *= extent;
  CHECK(elements == 6);

  const auto data = [] {
    return Dataset({.channels = 1, .height = 1, .width = 2, .class_names = {"cat", "dog"}}, {1, 2, 3, 4}, {1, 0});
  };
  std::vector<int> values;
  for (const std::uint8_t value : data().image(1)) values.push_back(value);
  for (const int label : data().labels()) values.push_back(label);
  CHECK(values == std::vector<int>{3, 4, 1, 0});
  std::string names;
  for (const std::string& name : data().class_names()) names += name;
  CHECK(names == "catdog");

  Sequential<float> net;
  net.add(ReLU<float>(), "a").add(ReLU<float>(), "b");
  for (const ModelSummary::Row& row : ModelSummary(net, {3, 4, 5}).rows()) names += row.name;
  CHECK(names == "catdogab");
  const EpochRecord& last = History{.epochs = {{.epoch = 7}}}.last();
  CHECK(last.epoch == 7);
}

TEST_CASE("a pass that finds no anomaly leaves nothing behind that is gone", "[errors]") {
  Sequential<float> net;
  net.add(Linear<float>(3, 2));
  const auto x = [] { return Batch<float>::from(Tensor<float>({2, 3}, {1, 2, 3, 4, 5, 6})); };
  CHECK_FALSE(find_anomaly(net, x()));
  Batch<float> dy(Shape{2, 2});
  dy.set(0, 0, 0, 0, 1);
  net.backward(dy);
  CHECK(net.parameters()[0].parameter->grad == Tensor<float>({2, 3}, {1, 2, 3, 0, 0, 0}));
}
