// Shapes, tensors, packs, batches, parallel loops and random numbers.
#include "support/catch.hpp"
#include "support/compare.hpp"

#include <normnet/core/aligned_array.hpp>
#include <normnet/core/batch.hpp>
#include <normnet/core/pair.hpp>
#include <normnet/core/parallel.hpp>
#include <normnet/core/plain_vector.hpp>
#include <normnet/core/random.hpp>
#include <normnet/core/scratch.hpp>
#include <normnet/core/stopwatch.hpp>
#include <normnet/core/task.hpp>
#include <normnet/core/tensor.hpp>
#include <normnet/nn/init.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <numbers>
#include <numeric>
#include <set>
#include <span>
#include <type_traits>
#include <utility>

using namespace normnet;

// What must not compile: a scalar silently turned into a register, indices that are no numbers, a shape from one bare number.
static_assert(!std::is_convertible_v<float, Pack<float>>);
static_assert(!std::is_invocable_v<Tensor<float>&, const char*>);
static_assert(!std::is_convertible_v<int, Shape>);
static_assert(!std::is_convertible_v<Shape, Tensor<float>>);
static_assert(!std::is_convertible_v<Shape, Batch<float>>);

TEST_CASE("Shape", "[core]") {
  const Shape shape{128, 20, 14, 7};
  CHECK(shape.rank() == 4);
  CHECK(shape.elements() == 128 * 20 * 14 * 7);
  CHECK(shape[1] == 20);
  CHECK(shape[-1] == 7);
  CHECK(shape.to_string() == "128x20x14x7");
  CHECK(Shape{}.elements() == 1);
  CHECK(Shape{}.to_string() == "scalar");
  CHECK(Shape{3, 0}.elements() == 0);
  CHECK(Shape{3, 4} != Shape{4, 3});
  CHECK_THROWS_WITH(shape[4], "Shape 128x20x14x7: no extent 4 in a shape of rank 4");
  CHECK_THROWS_WITH((Shape{3, -1}), "Shape: expected extents of at least 0, got -1 in 3x-1");
  const Index huge = Index{1} << 40;
  CHECK_THROWS_WITH((Shape{huge, huge}), "Shape: the number of elements of 1099511627776x1099511627776 does not fit 63 bits");
  CHECK(concat(Pair(3), ' ', Pair(3, 5)) == "3x3 3x5");
}

TEST_CASE("AlignedArray", "[core]") {
  AlignedArray<float> array(5, 3.0F);
  CHECK(array.size() == 5);
  CHECK(std::count(array.begin(), array.end(), 3.0F) == 5);
  CHECK(reinterpret_cast<std::uintptr_t>(array.data()) % 64 == 0);
  array[1] = 1;
  const AlignedArray<float> copy = array;
  array[1] = 2;
  CHECK(copy[1] == 1);

  const float* const memory = array.data();
  array.reset(5);
  CHECK(array.data() == memory);
  CHECK(array[1] == 2);
  AlignedArray<float> moved = std::move(array);
  CHECK(moved.data() == memory);
  CHECK(array.empty());
  moved.reset(7);
  CHECK(std::count(moved.begin(), moved.end(), 0.0F) == 7);
  moved[0] = 1;
  moved.reset(2);
  CHECK(moved.size() == 2);
  CHECK(moved[0] == 0);
  moved = copy;
  CHECK(std::equal(moved.begin(), moved.end(), copy.begin(), copy.end()));
  const auto& self = moved;
  moved = self;
  CHECK(moved[4] == 3);
  moved = {};
  CHECK(moved.empty());
  CHECK(AlignedArray<Index>(std::span<const Index>()).empty());

  // Only what allocates may throw, and is not declared not to.
  STATIC_REQUIRE_FALSE(std::is_nothrow_copy_assignable_v<AlignedArray<float>>);
  STATIC_REQUIRE(std::is_nothrow_move_assignable_v<AlignedArray<float>>);

  // Large ones stand at the boundaries of huge pages.
  const auto large = AlignedArray<double>::for_overwrite(Index{1} << 19);
  CHECK(reinterpret_cast<std::uintptr_t>(large.data()) % (1 << 21) == 0);
  CHECK_THROWS_AS(AlignedArray<double>(std::numeric_limits<Index>::max() / 8 + 1), std::bad_array_new_length);
  CHECK_THROWS_AS(AlignedArray<double>(-1), std::bad_array_new_length);
}

TEST_CASE("Tensor", "[core]") {
  Tensor<float> tensor({2, 3, 4});
  std::iota(tensor.span().begin(), tensor.span().end(), 0.0F);
  CHECK(tensor(1, 2, 3) == 23);
  CHECK(tensor(1, 0, 2) == 14);
  CHECK(tensor[5] == 5);
  CHECK(reinterpret_cast<std::uintptr_t>(tensor.data()) % 64 == 0);
  CHECK(tensor.matrix().rows() == 2);
  CHECK(tensor.matrix()(1, 7) == 19);
  tensor.matrix()(0, 1) = 100;
  CHECK(tensor(0, 0, 1) == 100);
  CHECK(tensor.reshaped({4, 6})(3, 5) == 23);
  Tensor<float> copy = tensor;
  CHECK(copy == tensor);
  copy(0, 0, 0) = -1;
  CHECK_FALSE(copy == tensor);
  CHECK_FALSE(tensor.reshaped({4, 6}) == tensor);
  CHECK(Tensor<double>({2}, {1, 2})[1] == 2);
  const Tensor<float> moved = std::move(copy);
  CHECK(moved(1, 2, 3) == 23);
  CHECK_FALSE(copy == Tensor<float>(Shape{}, 1));  // neither has extents, only one has an element
  CHECK(Tensor<float>().empty());
  CHECK(Tensor<float>({0, 3}).matrix().cols() == 0);
  CHECK_THROWS_WITH(tensor(0, 3, 0), "Tensor 2x3x4: index 3 is outside extent 1 of 3");
  CHECK_THROWS_WITH(tensor(0, -1, 0), "Tensor 2x3x4: index -1 is outside extent 1 of 3");
  CHECK_THROWS_WITH(tensor(0, 0), "Tensor 2x3x4: expected 3 indices, got 2");
  CHECK_THROWS_WITH(tensor[24], "Tensor 2x3x4: index 24 is outside its 24 elements");
  CHECK_THROWS_WITH(tensor.reshaped({5, 5}), "Tensor: cannot reshape 2x3x4 to 5x5: 24 elements against 25");
  CHECK_THROWS_WITH(Tensor<float>({3}, {1, 2}), "Tensor: expected 3 values for the shape 3, got 2");
}

TEMPLATE_TEST_CASE("Pack calculates lane by lane", "[core]", float, double) {
  using P = Pack<TestType>;
  P a(TestType(0)), b(TestType(0));
  for (int lane = 0; lane < P::lanes; ++lane) {
    a.set(lane, TestType(lane - 1));
    b.set(lane, TestType(2 - lane % 3));
  }
  TestType expected_sum = 0;
  for (int lane = 0; lane < P::lanes; ++lane) {
    CHECK((a + b)[lane] == a[lane] + b[lane]);
    CHECK((a - b)[lane] == a[lane] - b[lane]);
    CHECK((a * b)[lane] == a[lane] * b[lane]);
    CHECK((b / P(TestType(4)))[lane] == b[lane] / 4);
    CHECK(max(a, b)[lane] == std::max(a[lane], b[lane]));
    CHECK(min(a, b)[lane] == std::min(a[lane], b[lane]));
    CHECK(select_greater(a, b, P(TestType(1)), P(TestType(2)))[lane] == (a[lane] > b[lane] ? 1 : 2));
    CHECK(select_less(a, b, a, b)[lane] == (a[lane] < b[lane] ? a[lane] : b[lane]));
    CHECK(select_equal(a, b, P(TestType(1)), a)[lane] == (a[lane] == b[lane] ? 1 : a[lane]));
    CHECK(map(a, [](TestType x) { return 2 * x; })[lane] == 2 * a[lane]);
    expected_sum += a[lane];
  }
  CHECK(sum(a) == expected_sum);
  // Where neither is greater, the second: the same on every machine, and what is not a number passes max(0, x).
  const P nan(std::numeric_limits<TestType>::quiet_NaN()), one(TestType(1)), zero(TestType(0)), negative_zero(TestType(-0.0));
  for (int lane = 0; lane < P::lanes; ++lane) {
    CHECK(max(nan, one)[lane] == 1);
    CHECK(min(nan, one)[lane] == 1);
    CHECK(std::isnan(max(one, nan)[lane]));
    CHECK(std::isnan(min(one, nan)[lane]));
    CHECK(std::signbit(max(zero, negative_zero)[lane]));
    CHECK_FALSE(std::signbit(max(negative_zero, zero)[lane]));
    CHECK(std::signbit(min(zero, negative_zero)[lane]));
    CHECK_FALSE(std::signbit(min(negative_zero, zero)[lane]));
  }
  P many[2 * P::lanes + 3];
  TestType sums_of_many[2 * P::lanes + 3];
  for (int i = 0; i < 2 * P::lanes + 3; ++i) many[i] = map(a, [&](TestType x) { return x * TestType(0.3) + TestType(i); });
  normnet_impl::sums(many, sums_of_many);
  for (int i = 0; i < 2 * P::lanes + 3; ++i) CHECK(sums_of_many[i] == sum(many[i]));
  P rows[P::lanes];
  for (int row = 0; row < P::lanes; ++row) {
    for (int lane = 0; lane < P::lanes; ++lane) rows[row].set(lane, TestType(100 * row + lane));
  }
  normnet_impl::transpose(rows);
  for (int row = 0; row < P::lanes; ++row) {
    for (int lane = 0; lane < P::lanes; ++lane) CHECK(rows[row][lane] == TestType(100 * lane + row));
  }
  P of_pairs[P::lanes / 2];
  for (int row = 0; row < P::lanes / 2; ++row) {
    for (int lane = 0; lane < P::lanes; ++lane) of_pairs[row].set(lane, TestType(100 * row + lane));
  }
  normnet_impl::transpose<2>(of_pairs);
  for (int row = 0; row < P::lanes / 2; ++row) {
    for (int lane = 0; lane < P::lanes; ++lane) CHECK(of_pairs[row][lane] == TestType(100 * (lane / 2) + 2 * row + lane % 2));
  }
  // Bits that arithmetic could change; values that stand where no pack would.
  const TestType values[] = {0, TestType(-0.0), std::numeric_limits<TestType>::denorm_min()};
  constexpr int together = normnet_impl::most_repeated<TestType>;
  for (int lane = 0; lane < P::lanes; ++lane) {
    CHECK(normnet_impl::repeat<1>(values + 2)[lane] == values[2]);
    CHECK(normnet_impl::repeat<together>(values + 1)[lane] == values[1 + lane % together]);
    CHECK(std::signbit(normnet_impl::repeat<together>(values + 1)[lane]) == (lane % together == 0));
  }
  CHECK(std::signbit(P(TestType(-0.0))[0]));
  P poisoned = a;
  poisoned.set(P::lanes - 1, std::numeric_limits<TestType>::quiet_NaN());
  CHECK(keep_lanes(poisoned, P::lanes - 1)[P::lanes - 1] == 0);
  CHECK(keep_lanes(poisoned, P::lanes - 1)[0] == a[0]);
  CHECK(sizeof(P) == NORMNET_PACK_BYTES);
}

TEST_CASE("the plain vector does what a register does", "[core]") {
  normnet_impl::PlainVector<float, 4> a{{1, -2, 3, 0}}, b{{2, -2, 1, 4}};
  CHECK((a + b).lane == std::array<float, 4>{3, -4, 4, 4});
  CHECK((a - b).lane == std::array<float, 4>{-1, 0, 2, -4});
  CHECK((a * b).lane == std::array<float, 4>{2, 4, 3, 0});
  CHECK((a / b).lane == std::array<float, 4>{0.5, 1, 3, 0});
  CHECK((a < b).lane == std::array<int, 4>{-1, 0, 0, -1});
  CHECK((a > b).lane == std::array<int, 4>{0, 0, -1, 0});
  CHECK((a == b).lane == std::array<int, 4>{0, -1, 0, 0});
}

TEST_CASE("Batch holds images side by side in the lanes", "[core]") {
  constexpr Index lanes = Batch<float>::lanes;
  const Shape shape{lanes + 3, 3, 4, 5};
  const Tensor<float> tensor = test::random_tensor<float>(shape, 1);
  const auto batch = Batch<float>::from(tensor, {2, 1});
  CHECK(batch.blocks() == 2);
  CHECK(batch.images_in(0) == lanes);
  CHECK(batch.images_in(1) == 3);
  CHECK(batch.to_tensor() == tensor);
  CHECK(batch.row(1, 2, 3)[4][2] == tensor(lanes + 2, 2, 3, 4));
  CHECK(batch.at(lanes + 2, 2, 3, 4) == tensor(lanes + 2, 2, 3, 4));
  CHECK(test::border_is_zero(batch));
  CHECK(&batch.row(0, 1, 0)[0] - &batch.row(0, 0, 0)[0] == batch.channel_stride());
  CHECK(batch.channel_stride() == (4 + 2 * 2) * (5 + 2) + 1);  // odd
  const Tensor<float> features = test::random_tensor<float>({5, 7}, 2);
  CHECK(Batch<float>::from(features).to_tensor() == features);

  Batch<float> filled(shape);
  filled.fill(7);
  CHECK(filled.row(1, 0, 0)[0][lanes - 1] == 7);
  CHECK_FALSE(filled.padding_lanes_are_zero());
  filled.clear_padding_lanes();
  CHECK(filled.padding_lanes_are_zero());
  CHECK(filled.row(1, 0, 0)[0][lanes - 1] == 0);
  CHECK(filled.to_tensor() == Tensor<float>(shape, 7));
  filled.copy_from(batch);
  CHECK(filled.to_tensor() == tensor);
  filled.set(1, 2, 3, 4, -1);
  CHECK(filled.at(1, 2, 3, 4) == -1);

  // Fewer images keep what stands in the memory, other planes clear it.
  const Pack<float>* memory = filled.row(0, 0, 0);
  filled.reset({2, 3, 4, 5});
  CHECK(filled.row(0, 0, 0) == memory);
  filled.reset({2, 3, 5, 4});
  CHECK(filled.to_tensor() == Tensor<float>({2, 3, 5, 4}));
  filled.reset({lanes + 4, 3, 5, 4});
  CHECK(filled.to_tensor() == Tensor<float>({lanes + 4, 3, 5, 4}));

  CHECK_THROWS_WITH(Batch<float>(Shape{3, 4, 5}), "Batch: expected a shape N x C x H x W or N x F, got 3x4x5");
  for (const auto& [n, c, y, x] : {std::array<Index, 4>{lanes + 3, 0, 0, 0},
                                   {0, 3, 0, 0},
                                   {0, 0, 4, 0},
                                   {0, 0, 0, 5},
                                   {-1, 0, 0, 0},
                                   {0, -1, 0, 0},
                                   {0, 0, -1, 0},
                                   {0, 0, 0, -1}}) {
    CHECK_THROWS_WITH(batch.at(n, c, y, x), concat("Batch ", shape, ": no element (", n, ", ", c, ", ", y, ", ", x, ")"));
  }
  CHECK_THROWS_WITH(filled.copy_from(batch), "Batch: cannot copy " + shape.to_string() + " to " + filled.shape().to_string());
}

TEST_CASE("Borders of a batch hold each other, and are cleared", "[core]") {
  CHECK(Halo{2, 1}.holds({2, 1}));
  CHECK(Halo{2, 1}.holds({0, 1}));
  CHECK_FALSE(Halo{2, 1}.holds({2, 2}));
  CHECK_FALSE(Halo{2, 1}.holds({3, 0}));
  CHECK(max(Halo{2, 1}, Halo{1, 3}) == Halo{2, 3});

  // In memory that others have used, everything is something.
  const Shape shape{Batch<float>::lanes + 1, 2, 3, 4};
  const Halo halo{2, 3};
  const Index of_block = Batch<float>::packs_of_block(shape, halo) + 5;
  AlignedArray<Pack<float>> memory(2 * of_block, Pack<float>(7.0F));
  Batch<float> batch;
  batch.share(shape, halo, memory.data(), of_block);
  for (Index block = 0; block < 2; ++block) {
    for (Index c = 0; c < 2; ++c) batch.clear_border(block, c);
  }
  CHECK(test::border_is_zero(batch));
  CHECK(batch.to_tensor() == Tensor<float>(shape, 7));
  const Batch<float> copy = batch;
  CHECK(copy.row(0, 0, 0) != batch.row(0, 0, 0));
  CHECK(test::border_is_zero(copy));
  CHECK(copy.to_tensor() == batch.to_tensor());

  // A batch that had its place in such memory takes some of its own.
  batch.reset(shape, halo);
  CHECK(batch.to_tensor() == Tensor<float>(shape));
  CHECK(memory[0][0] == 0);
  CHECK(memory[of_block - 1][0] == 7);
}

TEST_CASE("A batch without images has a shape, and one too large for any memory is refused", "[core]") {
  const Batch<float> none({0, 3, 4, 5}), copy = none;
  CHECK(copy.shape() == Shape{0, 3, 4, 5});
  CHECK(copy.channels() == 3);
  CHECK(copy.blocks() == 0);

  // Two pixels of a channel stand in three packs: these channels would fit, were it not for the third.
  const Index channels = std::numeric_limits<Index>::max() / static_cast<Index>(sizeof(Pack<float>)) / 2;
  CHECK_THROWS_WITH(Batch<float>({1, channels, 1, 2}),
                    concat("Batch: 1x", channels, "x1x2 with a border of 0x0 does not fit the memory of any machine"));
}

TEST_CASE("What threads share is no working memory of the calling thread's own", "[core]") {
  Pack<float>* const shared = normnet_impl::shared_scratch<float>(8);
  shared[7] = Pack<float>(3.0F);
  for (const Index packs : {8, 1000}) {
    Pack<float>* const own = normnet_impl::scratch<float>(packs);
    for (Index i = 0; i < packs; ++i) own[i] = Pack<float>(5.0F);
    CHECK(normnet_impl::scratch<float>(1) == own);  // it never shrinks
  }
  CHECK(shared[7][0] == 3);
  CHECK(normnet_impl::shared_scratch<float>(8) == shared);
}

TEST_CASE("A task is moved, not copied, and frees what it holds", "[core]") {
  const auto held = std::make_shared<int>(0);
  {
    Task<int> task([held](int by) { *held += by; });
    CHECK(held.use_count() == 2);
    const Task<int> moved = std::move(task);
    moved(2);
    moved(3);
    CHECK(held.use_count() == 2);
    CHECK_FALSE(moved == nullptr);
  }
  CHECK(*held == 5);
  CHECK(held.use_count() == 1);
  CHECK(Task<int>(nullptr) == nullptr);
  STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<Task<int>>);
}

TEST_CASE("A stopwatch runs forwards", "[core]") {
  const Stopwatch stopwatch;
  double before = 0;
  for (int i = 0; i < 1000; ++i) {
    const double now = stopwatch.seconds();
    CHECK(now >= before);
    before = now;
  }
  CHECK(before < 60);
}

TEST_CASE("parallel loops call every index once", "[core][threads]") {
  for (const int threads : {1, 2, 3, 7}) {
    set_num_threads(threads);
    std::vector<std::atomic<int>> calls(1000);
    parallel_for(1000, 1000, [&](Index i) { ++calls[static_cast<std::size_t>(i)]; });
    CHECK(std::all_of(calls.begin(), calls.end(), [](const auto& count) { return count == 1; }));
    std::vector<std::atomic<int>> pairs(35);
    parallel_for_2d(5, 7, 100000, [&](Index i, Index j) { ++pairs[static_cast<std::size_t>(i * 7 + j)]; });
    CHECK(std::all_of(pairs.begin(), pairs.end(), [](const auto& count) { return count == 1; }));
    CHECK_THROWS_WITH(parallel_for(100, 100000,
                                   [](Index i) {
                                     if (i == 57) fail("item ", i);
                                   }),
                      "item 57");
    // A loop inside of a loop stays on its thread.
    std::atomic<int> inner = 0;
    parallel_for(4, 100000, [&](Index) { parallel_for(4, 100000, [&](Index) { ++inner; }); });
    CHECK(inner == 16);
  }
  set_num_threads(0);
}

TEST_CASE("Philox gives the published numbers", "[core][random]") {
  // Known answers of the authors' library, Random123, kat_vectors.
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}) == std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("random numbers have the moments that they should", "[core][random]") {
  const Random random(42);
  constexpr int count = 100000;
  double mean = 0, square = 0, normal_mean = 0, normal_square = 0;
  std::vector<int> bins(7);
  for (std::uint64_t i = 0; i < count; ++i) {
    const double u = random.uniform(i), z = random.normal(i);
    CHECK_FALSE((u < 0 || u >= 1));
    mean += u / count;
    square += u * u / count;
    normal_mean += z / count;
    normal_square += z * z / count;
    ++bins[random.below(i, 7)];
  }
  // Five standard errors of each estimate.
  const double error = 5 / std::sqrt(count);
  CHECK(std::abs(mean - 0.5) < error * std::sqrt(1 / 12.0));
  CHECK(std::abs(square - 1 / 3.0) < error * std::sqrt(4 / 45.0));
  CHECK(std::abs(normal_mean) < error);
  CHECK(std::abs(normal_square - 1) < error * std::sqrt(2.0));
  for (const int bin : bins) CHECK(std::abs(bin - count / 7.0) < 5 * std::sqrt(count * 6 / 49.0));
  CHECK_THROWS_WITH(random.below(0, 0), "Random::below: expected a bound of at least 1, got 0");
}

TEST_CASE("normal numbers are finite, and do not follow the uniform ones", "[core][random]") {
  for (const std::uint32_t word : {0U, 1U, ~0U}) {
    for (const std::uint32_t direction : {0U, ~0U}) CHECK(std::isfinite(normnet_impl::box_muller(word, direction)));
  }
  // The greatest value that there is: a distance of sqrt(2 * 32 log 2).
  CHECK(normnet_impl::box_muller(0, 0) == Approx(std::sqrt(64 * std::log(2.0))).epsilon(1e-14));
  CHECK(normnet_impl::box_muller(~0U, 0) == 0);

  const Random random(42);
  constexpr int count = 100000;
  double with_value = 0, with_cosine = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const double u = random.uniform(i), z = random.normal(i);
    with_value += (u - 0.5) * z / count;
    with_cosine += std::cos(2 * std::numbers::pi * u) * z / count;
  }
  CHECK(std::abs(with_value) < 5 * std::sqrt(1 / 12.0 / count));
  CHECK(std::abs(with_cosine) < 5 * std::sqrt(0.5 / count));
}

TEST_CASE("random numbers below a bound of more than 32 bits fill its range", "[core][random]") {
  const Random random(7);
  constexpr std::uint64_t bound = (std::uint64_t{3} << 40) + 12345;
  double mean = 0;
  for (std::uint64_t i = 0; i < 10000; ++i) {
    const std::uint64_t number = random.below(i, bound);
    CHECK(number < bound);
    mean += static_cast<double>(number) / static_cast<double>(bound) / 10000;
  }
  CHECK(std::abs(mean - 0.5) < 5 * std::sqrt(1 / 12.0 / 10000));
}

TEST_CASE("forked random tables are apart and shuffles permute", "[core][random]") {
  const Random random(1);
  std::set<std::uint64_t> seen;
  for (std::uint64_t stream = 0; stream < 20; ++stream) {
    for (std::uint64_t index = 0; index < 20; ++index) seen.insert(random.fork(stream).bits(index));
  }
  CHECK(seen.size() == 400);
  for (std::uint64_t stream = 0; stream < 20; ++stream) CHECK(random.fork(stream).key() != random.bits(stream));
  CHECK(random.fork(3).bits(4) == Random(1).fork(3).bits(4));
  std::vector<int> items(100);
  std::iota(items.begin(), items.end(), 0);
  const std::vector<int> ordered = items;
  random.shuffle(std::span<int>(items));
  CHECK(items != ordered);
  std::sort(items.begin(), items.end());
  CHECK(items == ordered);
}

TEST_CASE("a shuffle gives every order equally often", "[core][random]") {
  constexpr int count = 12000;
  std::map<std::array<int, 3>, int> found;
  for (std::uint64_t seed = 0; seed < count; ++seed) {
    std::array<int, 3> items{0, 1, 2};
    Random(seed).shuffle(std::span<int>(items));
    ++found[items];
  }
  REQUIRE(found.size() == 6);
  for (const auto& [order, times] : found) CHECK(std::abs(times - count / 6.0) < 5 * std::sqrt(count * 5 / 36.0));
}

TEST_CASE("initial values have the spread of their formulas", "[core][init]") {
  const Shape shape{200, 30, 3, 3};
  CHECK(normnet_impl::fans(shape).in == 270);
  CHECK(normnet_impl::fans(shape).out == 1800);
  CHECK_THROWS_WITH(normnet_impl::fans(Shape{3}), "fans: expected a weight of at least two extents, got 3");
  const auto spread = [&](auto initialize) {
    Tensor<double> weight(shape);
    initialize(weight);
    double square = 0;
    for (const double value : weight.span()) square += value * value / static_cast<double>(weight.size());
    return std::sqrt(square);
  };
  // 54,000 draws: five standard errors of a standard deviation are within 1.6 %.
  CHECK(spread([](auto& w) { kaiming_uniform(w, Random(1)); }) == Approx(1 / std::sqrt(3 * 270.0)).epsilon(0.016));
  CHECK(spread([](auto& w) { kaiming_uniform(w, Random(1), 0); }) == Approx(std::sqrt(2 / 270.0)).epsilon(0.016));
  CHECK(spread([](auto& w) { kaiming_normal(w, Random(1)); }) == Approx(std::sqrt(2 / 270.0)).epsilon(0.016));
  CHECK(spread([](auto& w) { xavier_uniform(w, Random(1)); }) == Approx(std::sqrt(2 / 2070.0)).epsilon(0.016));
  CHECK(spread([](auto& w) { xavier_normal(w, Random(1), 3); }) == Approx(3 * std::sqrt(2 / 2070.0)).epsilon(0.016));
}
