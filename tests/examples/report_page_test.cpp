// Tests of examples/cifar10_norms/report_page.hpp: the text of the page. What a browser makes of it, tests/browser tests.
#include "support/catch.hpp"
#include "support/files.hpp"

#include <cifar10_norms/report_page.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

using namespace cifar10_norms;
using Json = nlohmann::ordered_json;

namespace {

/// What stands in the page's script element of that id.
std::string element(const std::string& page, const std::string& id) {
  const std::string open = "<script type=\"application/json\" id=\"" + id + "\">";
  const std::size_t begin = page.find(open);
  REQUIRE(begin != std::string::npos);
  const std::size_t end = page.find("</script>", begin);
  return page.substr(begin + open.size(), end - begin - open.size());
}

}  // namespace

TEST_CASE("base64 to the letter of RFC 4648", "[examples]") {
  CHECK(base64("").empty());
  CHECK(base64("f") == "Zg==");
  CHECK(base64("fo") == "Zm8=");
  CHECK(base64("foo") == "Zm9v");
  CHECK(base64("foob") == "Zm9vYg==");
  CHECK(base64("fooba") == "Zm9vYmE=");
  CHECK(base64("foobar") == "Zm9vYmFy");
  CHECK(base64(std::string("\0\xff\xfe", 3)) == "AP/+");
}

TEST_CASE("the page holds the results as they are, whatever is in them", "[examples]") {
  const Json results{{"finished", false},
                     {"data", "CIFAR-10 from \"</script><!-- {{style}} \\ \xc3\xa4\""},
                     {"experiments", Json::array()},
                     {"loss", std::numeric_limits<double>::quiet_NaN()}};
  const std::string page = report_page(results, {});
  Json expected = results;
  expected["loss"] = nullptr;
  CHECK(Json::parse(element(page, "results")) == expected);

  const std::string folder_of_no_encoding = "\xff";
  CHECK(Json::parse(element(report_page({{"data", folder_of_no_encoding}}, {}), "results")) == Json{{"data", "\xef\xbf\xbd"}});
}

TEST_CASE("every part of the page is in its place", "[examples]") {
  const std::string page = report_page(Json::object(), {}, "/* a library with {{script}} and }} in it */");
  CHECK(page.starts_with("<!doctype html>"));
  CHECK(page.ends_with("</html>\n"));
  CHECK(page.find("/* a library with {{script}} and }} in it */") != std::string::npos);
  for (const auto& part : {report_page_parts::css(), report_page_parts::script()}) {
    CHECK_FALSE(part.empty());
    CHECK(page.find(part) != std::string::npos);
    CHECK(part.find("</script") == std::string::npos);
  }
  CHECK(report_page_parts::chart_library().find("</script") == std::string::npos);
  for (const char* name : {"{{style}}", "{{results}}", "{{pictures}}", "{{chart_library}}"}) {
    CHECK(page.find(name) == std::string::npos);
  }
  for (const char* address : {"src=\"http", "href=\"http", "url(http", "@import"}) CHECK(page.find(address) == std::string::npos);
  CHECK(page == report_page(Json::object(), {}, "/* a library with {{script}} and }} in it */"));
}

TEST_CASE("the pictures are in the page", "[examples]") {
  const std::string page = report_page(Json::object(), {{"a.png", "foo"}, {"era/b<.png", "fo"}});
  CHECK(Json::parse(element(page, "pictures")) ==
        Json{{"a.png", "data:image/png;base64,Zm9v"}, {"era/b<.png", "data:image/png;base64,Zm8="}});
  CHECK(element(page, "pictures").find('<') == std::string::npos);
}

TEST_CASE("the page is written with the pictures that are there", "[examples]") {
  const normnet::test::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "era");
  std::ofstream(folder / "era/there.png") << "foo";
  std::ofstream(folder / "unnamed.png") << "foo";
  const Json pictures{{{"file", "era/there.png"}}, {{"file", "not_yet.png"}}, {{"kind", "samples"}}};
  write_report_page({{"finished", true}, {"pictures", pictures}}, folder.path());
  const std::string page = normnet::test::content(folder / "report.html");
  CHECK(Json::parse(element(page, "pictures")) == Json{{"era/there.png", "data:image/png;base64,Zm9v"}});

  write_report_page({{"finished", true}}, folder.path());  // in its place
  CHECK(element(normnet::test::content(folder / "report.html"), "pictures") == "{}");
  CHECK(folder.entries() == 3);

  CHECK_THROWS_WITH(write_report_page({{"finished", true}}, folder / "nowhere"),
                    "cannot write \"" + (folder / "nowhere/report.html").string() + "\": No such file or directory");
}
