// Tests of core/out_of_memory.hpp: what does not fit into memory says what it is, and how much it needs.
#include "support/catch.hpp"

#include <normnet/core/batch.hpp>
#include <normnet/core/out_of_memory.hpp>
#include <normnet/core/tensor.hpp>
#include <normnet/data/synthetic.hpp>

#include <new>
#include <string>
#include <type_traits>

#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WITH_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WITH_SANITIZER
#endif
#endif

using namespace normnet;

TEST_CASE("An OutOfMemory says what needed how much", "[core]") {
  const OutOfMemory error("a batch of 2x3", 1234.5e6);
  CHECK(std::string(error.what()) == "out of memory: a batch of 2x3 needs 1,235 MB");
  STATIC_REQUIRE(std::is_nothrow_copy_constructible_v<OutOfMemory>);
  STATIC_REQUIRE(std::is_base_of_v<std::bad_alloc, OutOfMemory>);
}

#ifndef WITH_SANITIZER  // their allocators end the program instead
TEST_CASE("Data that do not fit into memory say so, and leave what there was", "[core]") {
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  rlimit limit = before;
  limit.rlim_cur = rlim_t{1} << 36;
  setrlimit(RLIMIT_AS, &limit);

  constexpr Index many = Index{1} << 20;
  CHECK_THROWS_WITH(AlignedArray<float>(many * many), "out of memory: an array needs 4,398,047 MB");
  CHECK_THROWS_WITH(Tensor<double>({many, many}), "out of memory: a tensor of 1048576x1048576 needs 8,796,094 MB");
  CHECK_THROWS_WITH(Batch<float>({many, 64, 128, 128}), Catch::Contains("out of memory: a batch of 1048576x64x128x128 needs "));
  CHECK_THROWS_WITH(synthetic_textures(Index{1} << 28, Random(1)), "out of memory: 268435456 synthetic images needs 824,634 MB");
  Batch<float> batch({2, 3});
  batch.set(1, 2, 0, 0, 5);
  CHECK_THROWS_AS(batch.reset({many, 64, 128, 128}), OutOfMemory);
  CHECK(batch.shape() == Shape{2, 3});
  CHECK(batch.at(1, 2) == 5);
  setrlimit(RLIMIT_AS, &before);
}
#endif
