// Fnv1a against the vectors of its authors.
#include "support/catch.hpp"

#include <normnet/io/checksum.hpp>

#include <string_view>

using namespace normnet;

TEST_CASE("FNV-1a of 64 bits", "[io]") {
  const auto of = [](std::string_view bytes) {
    Fnv1a sum;
    sum.add(bytes);
    return sum.value();
  };
  CHECK(of("") == 0xcbf29ce484222325);
  CHECK(of("a") == 0xaf63dc4c8601ec8c);
  CHECK(of("foobar") == 0x85944171f73967e8);
}
