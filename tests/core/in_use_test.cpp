// The flag of an object that serves one thread at a time.
#include "support/catch.hpp"

#include <normnet/core/in_use.hpp>

#include <string>
#include <utility>

using namespace normnet;

TEST_CASE("an object that is in use refuses a second user", "[core]") {
  normnet_impl::InUse flag;
  const auto name = [] { return "Thing"; };
  const char* const kind = "thing of its own";
  const std::string message =
      "Thing: is used by two threads at once, or from within its own work; give each thread a thing of its own";
  {
    const normnet_impl::InUse::Scope use(flag, name, kind);
    const auto again = [&] { normnet_impl::InUse::Scope(flag, name, kind); };
    CHECK_THROWS_WITH(again(), message);
    CHECK_THROWS_WITH(again(), message);  // the first refusal did not clear it
    CHECK_THROWS_WITH(flag.check(name, kind), message);
    const normnet_impl::InUse copy(flag), moved(std::move(flag));  // are of other objects
    CHECK_NOTHROW(copy.check(name, kind));
    CHECK_NOTHROW(moved.check(name, kind));
  }
  CHECK_NOTHROW(flag.check(name, kind));
  CHECK_NOTHROW(normnet_impl::InUse::Scope(flag, name, kind));
}
