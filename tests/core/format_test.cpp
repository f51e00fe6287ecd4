// Tests of core/format.hpp.
#include "support/catch.hpp"

#include <normnet/core/format.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using namespace normnet;

TEST_CASE("numbers as text", "[core]") {
  CHECK(to_exact(0.1) == "0.1");
  CHECK(to_exact(0.1 + 0.2) == "0.30000000000000004");
  CHECK(to_exact(1e-300) == "1e-300");
  CHECK(to_fixed(2.345, 1) == "2.3");
  CHECK(to_fixed(-0.5, 3) == "-0.500");
  CHECK(to_fixed(1e300, 2).size() == 304);
  CHECK(with_commas(0) == "0");
  CHECK(with_commas(999) == "999");
  CHECK(with_commas(39490) == "39,490");
  CHECK(with_commas(-123456) == "-123,456");
  CHECK(with_commas(std::numeric_limits<std::int64_t>::min()) == "-9,223,372,036,854,775,808");
  CHECK(format_duration(0) == "0:00");
  CHECK(format_duration(59.6) == "1:00");
  CHECK(format_duration(754) == "12:34");
  CHECK(format_duration(3723) == "1:02:03");
  CHECK(format_duration(36000) == "10:00:00");
  CHECK(format_duration(-1) == "?");
  CHECK(format_duration(std::numeric_limits<double>::quiet_NaN()) == "?");
  CHECK(format_duration(std::numeric_limits<double>::infinity()) == "?");
}

TEST_CASE("a table has columns as wide as their widest cells", "[core]") {
  using Lines = std::vector<std::string>;
  CHECK(aligned_table({{"norm", "accuracy", "s"}, {"bn", "74.71", "123.4"}}, 1) ==
        Lines{"norm  accuracy      s", "bn       74.71  123.4"});
  CHECK(aligned_table({{"a", "b"}, {"", "long"}}, 2) == Lines{"a  b   ", "   long"});
  CHECK(aligned_table({{"a"}, {"long"}}, 0) == Lines{"   a", "long"});
  CHECK(aligned_table({}, 1).empty());
  CHECK_THROWS_WITH(aligned_table({{"a", "b"}, {"c"}}, 1), "aligned_table: expected rows of 2 cells, got 1");
}
