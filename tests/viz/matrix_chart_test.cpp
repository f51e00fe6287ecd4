// Matrices as tables of shaded cells.
#include "support/catch.hpp"
#include "viz/support.hpp"

#include <normnet/viz/matrix_chart.hpp>

#include <string>

namespace normnet::viz {
namespace {

TEST_CASE("a greater number has a darker cell", "[viz]") {
  const Color blue{0, 114, 178};
  const MatrixChart::Options options{.title = "Confusion",
                                     .row_label = "truth",
                                     .column_label = "predicted",
                                     .rows = {"cat", "dog"},
                                     .columns = {"cat", "dog", "x"}};
  MatrixChart::Options plain = options;
  plain.font = Font::builtin();
  const Image image = MatrixChart(plain, {100, 25, 0, 4, 100, 0}).render();
  const auto cells = [&](double share) { return count(image, image.bounds(), mix_colors(white, blue, share)); };
  // A cell is its whole area but for the digits in it; two are of the darkest colour.
  CHECK(cells(0.5) > 1000);
  CHECK(cells(0.2) > 1000);
  CHECK(cells(1) > cells(0.5) + 1000);
  CHECK(count(image, image.bounds(), {38, 38, 38}) > 20);
}

TEST_CASE("digits are white on dark cells", "[viz]") {
  const Color ink{38, 38, 38};
  const auto dark_digits = [&](double value) {
    const Image image = MatrixChart({.rows = {""}, .columns = {"", ""}, .font = Font::builtin()}, {100, value}).render();
    return count(image, image.bounds(), ink);
  };
  CHECK(dark_digits(100) == 0);
  CHECK(dark_digits(31) == 0);
  CHECK(dark_digits(29) > 20);
}

TEST_CASE("a matrix without a number above 0 is white", "[viz]") {
  const Image image = MatrixChart({.rows = {"a"}, .columns = {"b"}, .font = Font::builtin()}, {0}).render();
  CHECK(count(image, image.bounds(), {0, 114, 178}) == 0);
  CHECK(count(image, image.bounds(), {38, 38, 38}) > 5);
}

TEST_CASE("a matrix says what is wrong", "[viz]") {
  CHECK(message_of([] {
          MatrixChart({.rows = {"a"}, .columns = {"b", "c"}, .font = Font::builtin()}, {1});
        }) == "MatrixChart: expected 1 x 2 values, one at least, got 1");
  CHECK(message_of([] { MatrixChart({.font = Font::builtin()}, {}); }) ==
        "MatrixChart: expected 0 x 0 values, one at least, got 0");
  const test::TemporaryFolder folder;
  MatrixChart({.rows = {"a"}, .columns = {"b"}, .font = Font::builtin()}, {3}).write(folder / "matrix.png");
  CHECK(test::content(folder / "matrix.png").substr(0, 8) == "\x89PNG\r\n\x1a\n");
}

}  // namespace
}  // namespace normnet::viz
