// Ticks, number formats and line charts.
#include "support/catch.hpp"
#include "viz/support.hpp"

#include <normnet/viz/line_chart.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace normnet::viz {
namespace {

using namespace normnet_impl;

using Values = std::vector<double>;
using Labels = std::vector<std::string>;
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

TEST_CASE("ticks are multiples of 1, 2 or 5 times a power of ten", "[viz]") {
  // Values are compared exactly: each is the double nearest to its label.
  const auto check = [](const Ticks& ticks, const Values& values, const Labels& labels) {
    CHECK(ticks.values == values);
    CHECK(ticks.labels == labels);
  };
  check(nice_ticks(0, 1, 5), {0, 0.2, 0.4, 0.6, 0.8, 1}, {"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"});
  check(nice_ticks(0, 1, 4), {0, 0.5, 1}, {"0.0", "0.5", "1.0"});
  check(nice_ticks(0.2, 0.8, 6), {0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8}, {"0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8"});
  check(nice_ticks(37.2, 74.7, 8), {40, 45, 50, 55, 60, 65, 70}, {"40", "45", "50", "55", "60", "65", "70"});
  check(nice_ticks(-3.1, 2.2, 6), {-3, -2, -1, 0, 1, 2}, {"-3", "-2", "-1", "0", "1", "2"});
  check(nice_ticks(-0.93, -0.71, 5), {-0.9, -0.85, -0.8, -0.75}, {"-0.90", "-0.85", "-0.80", "-0.75"});
  check(nice_ticks(0, 1e-6, 5), {0, 2e-7, 4e-7, 6e-7, 8e-7, 1e-6}, {"0", "2e-7", "4e-7", "6e-7", "8e-7", "1e-6"});
  check(nice_ticks(0, 3e6, 3), {0, 1e6, 2e6, 3e6}, {"0", "1e6", "2e6", "3e6"});
  check(nice_ticks(1, 3, 10, true), {1, 2, 3}, {"1", "2", "3"});
  check(nice_ticks(0.5, 20.5, 10, true), {2, 4, 6, 8, 10, 12, 14, 16, 18, 20},
        {"2", "4", "6", "8", "10", "12", "14", "16", "18", "20"});
  check(nice_ticks(99.97, 100.02, 5), {99.97, 99.98, 99.99, 100, 100.01, 100.02},
        {"99.97", "99.98", "99.99", "100.00", "100.01", "100.02"});
  CHECK(message_of([] { nice_ticks(2, 2, 5); }) == "nice_ticks: expected a finite range, got 2 to 2");
  CHECK(message_of([] { nice_ticks(0, infinity, 5); }) == "nice_ticks: expected a finite range, got 0 to inf");
  CHECK(message_of([] { nice_ticks(0, 1, 0); }) == "nice_ticks: expected at least 1 interval, got 0");
}

TEST_CASE("an axis leaves a margin around its data", "[viz]") {
  CHECK(padded_range(0, 100, 0.05) == std::pair{-5.0, 105.0});
  CHECK(padded_range(0, 0, 0.05) == std::pair{-1.0, 1.0});
  CHECK(padded_range(50, 50, 0.05) == std::pair{45.0, 55.0});
  CHECK(padded_range(-50, -50, 0.05) == std::pair{-55.0, -45.0});
  const double next = std::nextafter(50, 51);  // what rounding makes of a constant
  CHECK(padded_range(50, next, 0.05) == std::pair{50 - 0.1 * next, next + 0.1 * next});
}

TEST_CASE("values are written with at least four digits", "[viz]") {
  CHECK(to_readable(74.708) == "74.71");
  CHECK(to_readable(0.73123) == "0.7312");
  CHECK(to_readable(100) == "100.0");
  CHECK(to_readable(9.99999) == "10.00");
  CHECK(to_readable(-2.5) == "-2.500");
  CHECK(to_readable(12345.6) == "12346");
  CHECK(to_readable(1.2345e-5) == "1.234e-5");
  CHECK(to_readable(2.5e12) == "2.5e12");
  CHECK(to_readable(0) == "0");
  CHECK(to_readable(not_a_number) == "nan");
  CHECK(to_readable(-infinity) == "-inf");
}

// A chart of 1400x900 with the built-in font, the data's area well inside; its borders are found in the picture.
LineChart::Options plain() { return {.font = Font::builtin()}; }

TEST_CASE("lines run where their values are", "[viz]") {
  LineChart::Options options = plain();
  options.y_min = 0;
  options.y_max = 10;
  const Color red{255, 0, 0}, green{0, 200, 0};
  LineChart chart(options);
  chart.add({.name = "level", .x = {0, 40}, .y = {5, 5}, .color = red});
  chart.add({.name = "beyond", .x = {0, 40}, .y = {20, 20}, .color = green});
  const Image image = chart.render();
  CHECK(image.width() == 1400);
  CHECK(image.height() == 900);
  // Title and labels are absent, so the frame is 40 pixels from the top and 64 from the bottom; 5 is in its middle.
  const Index middle = 40 + (900 - 40 - 64) / 2;
  CHECK(image.get(600, middle) == red);
  CHECK(image.get(600, middle - 4) == white);
  CHECK(image.get(600, middle + 4) == white);
  // What lies beyond the given range shows in the legend only, to the right of the data.
  CHECK(count(image, {0, 0, 1150, 900}, green) == 0);
  CHECK(count(image, {1150, 0, 250, 900}, green) > 50);
}

TEST_CASE("dashes, gaps and single points", "[viz]") {
  const Color red{255, 0, 0}, green{0, 200, 0}, blue{0, 0, 255};
  Values x, constant, rising;
  for (int i = 0; i <= 20; ++i) {
    x.push_back(i);
    constant.push_back(i == 10 || i == 12 ? not_a_number : 1);
    rising.push_back(2);
  }
  LineChart chart(plain());
  chart.add({.name = "", .x = x, .y = constant, .color = red});
  chart.add({.name = "", .x = x, .y = rising, .color = green, .dashed = true});
  chart.add({.name = "", .x = {10}, .y = {3}, .color = blue});
  chart.add({.name = "", .x = {1, 2}, .y = {not_a_number, infinity}, .color = black});
  const Image image = chart.render();
  const Rect data{0, 0, 1170, 900};
  CHECK(count(image, data, black) == 0);
  // The disc has a radius of 5.5 pixels: an area of 95, of which the rim is mixed with white.
  CHECK(count(image, data, blue) > 60);
  CHECK(count(image, data, blue) <= 95);

  const auto row_of = [&](Color color) {
    Index best = 0;
    for (Index row = 0; row < 900; ++row) {
      if (count(image, {0, row, 1170, 1}, color) > count(image, {0, best, 1170, 1}, color)) best = row;
    }
    return best;
  };
  const auto runs_of = [&](Color color) {
    const Index row = row_of(color);
    Index runs = 0;
    for (Index i = 1; i < 1170; ++i) runs += image.get(i, row) == color && image.get(i - 1, row) != color;
    return runs;
  };
  CHECK(runs_of(red) == 1 + 1 + 1);  // 0 to 9, the lone point 11 as a dot, 13 to 20
  CHECK(runs_of(green) > 40);        // dashes of 10 pixels with gaps of 8 over about 1000 pixels
  CHECK(runs_of(green) < 70);
}

TEST_CASE("up to twelve points are marked", "[viz]") {
  LineChart::Options options = plain();
  options.y_min = 0;
  options.y_max = 10;
  const Color red{255, 0, 0};
  const Index beside_the_line = 40 + (900 - 40 - 64) / 2 + 4;  // within a mark of 5.5 pixels
  for (const int points : {12, 13}) {
    Values x;
    for (int i = 0; i < points; ++i) x.push_back(i);
    LineChart chart(options);
    chart.add({.name = "", .x = x, .y = Values(x.size(), 5.0), .color = red});
    CHECK((count(chart.render(), {0, beside_the_line, 1150, 1}, red) > 0) == (points == 12));
  }
}

TEST_CASE("equal steps where x doubles", "[viz]") {
  LineChart::Options options = plain();
  options.y_min = 0;
  options.y_max = 10;
  const Color red{255, 0, 0}, green{0, 200, 0}, blue{0, 0, 255};
  const auto column_of = [](const Image& image, Color color) {
    Index column = 0;
    while (column < 1400 && count(image, {column, 0, 1, 900}, color) == 0) ++column;
    return column;
  };
  options.x_log2 = true;
  LineChart chart(options);
  chart.add({.name = "", .x = {2}, .y = {2}, .color = red});
  chart.add({.name = "", .x = {16}, .y = {5}, .color = green});
  chart.add({.name = "", .x = {128}, .y = {8}, .color = blue});
  const Image image = chart.render();
  const Index first = column_of(image, red), second = column_of(image, green), third = column_of(image, blue);
  CHECK(third > first + 600);
  CHECK(std::abs(second - (first + third) / 2) <= 1);
  CHECK(message_of([&] {
          LineChart(options).add({.name = "BN", .x = {0, 1}, .y = {1, 2}});
        }) == "LineChart: expected x above 0 in series \"BN\", on an axis of powers of two, got 0");
}

TEST_CASE("a spread is a band around its line", "[viz]") {
  LineChart::Options options = plain();
  options.y_min = 0;
  options.y_max = 10;
  const Color red{255, 0, 0}, pale = mix_colors(white, red, 0.18);
  LineChart chart(options);
  chart.add({.name = "", .x = {0, 20, 40}, .y = {5, 5, 5}, .spread = {1, 1, not_a_number}, .color = red});
  const Image image = chart.render();
  const Index pixels_per_unit = (900 - 40 - 64) / 10, middle = 40 + (900 - 40 - 64) / 2;
  Index line = 0;  // a column of the chart's left half without a grid line
  while (image.get(300 + line, 45) != white) ++line;
  const Index column = 300 + line;
  CHECK(image.get(column, middle) == red);
  CHECK(image.get(column, middle + pixels_per_unit - 3) == pale);
  CHECK(image.get(column, middle - pixels_per_unit + 3) == pale);
  CHECK(image.get(column, middle + pixels_per_unit + 3) != pale);
  // Beyond the middle the band narrows to nothing.
  CHECK(count(image, {column, 0, 1, 900}, pale) > 5 * count(image, {1100, 0, 1, 900}, pale));
  // Without a given range the axis holds the whole band: as much of it is below the line as above.
  LineChart whole(plain());
  whole.add({.name = "", .x = {0, 40}, .y = {5, 5}, .spread = {1, 1}, .color = red});
  const Image both = whole.render();
  const Index above = count(both, {column, 0, 1, middle}, pale), below = count(both, {column, middle, 1, 900 - middle}, pale);
  CHECK(above > 300);
  CHECK(std::abs(above - below) <= 4);
  CHECK(message_of([] {
          LineChart(plain()).add({.name = "BN", .x = {1, 2}, .y = {1, 2}, .spread = {1}});
        }) == "LineChart: expected as many spreads as y values in series \"BN\", got 1 spreads and 2 y");
}

TEST_CASE("the legend stands beside the ends of the lines, in their order", "[viz]") {
  LineChart chart(plain());
  std::vector<Color> colors;
  for (int i = 0; i < 6; ++i) {
    colors.push_back(palette_color(i));
    // All six end within 0.01 of each other, so that their entries must be moved apart.
    chart.add({.name = "series " + std::to_string(i), .x = {1, 2}, .y = {i * 10.0, 50 + 0.001 * i}});
  }
  const Image image = chart.render();
  std::vector<Index> rows;
  for (const Color color : colors) {
    Index row = 0;
    while (row < 900 && count(image, {1170, row, 70, 1}, color) < 30) ++row;
    REQUIRE(row < 900);
    rows.push_back(row);
  }
  for (std::size_t i = 1; i < rows.size(); ++i) CHECK(rows[i - 1] - rows[i] == 32);  // the last series ends highest
}

TEST_CASE("charts of any content are drawn", "[viz]") {
  const auto draws = [](const Series& series) {
    LineChart chart({.title = "t", .x_label = "x", .y_label = "y", .width = 280, .height = 180, .font = Font::builtin()});
    const Image image = chart.add(series).render();
    return image.width() == 280 && count(image, image.bounds(), white) < 280 * 180;
  };
  CHECK(draws({}));
  CHECK(draws({.name = "one", .x = {3}, .y = {4}}));
  CHECK(draws({.name = "tiny", .x = {1, 2}, .y = {1e-6, 2e-6}}));
  CHECK(draws({.name = "huge", .x = {1, 2}, .y = {1, 1e30}}));
  CHECK(draws({.name = "diverged", .x = {1, 2, 3}, .y = {2.3, infinity, not_a_number}}));
  CHECK(draws({.name = std::string(500, 'n'), .x = {1e9, 1e9 + 1}, .y = {-1, 1}}));

  LineChart many({.width = 400, .height = 200, .font = Font::builtin()});
  for (int i = 0; i < 40; ++i) many.add({.name = "s", .x = {0, 1}, .y = {0, 1.0 * i}});
  CHECK(many.render().height() == 200);

  LineChart beyond({.y_max = -5.0, .font = Font::builtin()});
  CHECK(beyond.add({.name = "positive", .x = {0, 1}, .y = {1, 2}}).render().width() == 1400);
}

TEST_CASE("a chart says what is wrong", "[viz]") {
  CHECK(message_of([] { LineChart(plain()).render(); }) == "LineChart: expected at least one series, got 0");
  CHECK(message_of([] {
          LineChart(plain()).add({.name = "BN test", .x = {1, 2, 3}, .y = {1, 2}});
        }) == "LineChart: expected as many x as y values in series \"BN test\", got 3 x and 2 y");
  CHECK(message_of([] { LineChart({.width = 100, .height = 900, .font = Font::builtin()}); }) ==
        "LineChart: expected a size of at least 280x180 pixels, got 100x900");
  CHECK(message_of([] { LineChart({.y_min = 2.0, .y_max = 2.0, .font = Font::builtin()}); }) ==
        "LineChart: expected finite y_min < y_max, got 2 and 2");
  CHECK(message_of([] { LineChart({.y_min = not_a_number, .font = Font::builtin()}); }) ==
        "LineChart: expected finite y_min < y_max, got nan and nan");

  const test::TemporaryFolder folder;
  LineChart chart(plain());
  chart.add({.name = "a", .x = {0, 1}, .y = {0, 1}}).write(folder / "chart.png");
  CHECK(test::content(folder / "chart.png").substr(0, 8) == "\x89PNG\r\n\x1a\n");
}

}  // namespace
}  // namespace normnet::viz
