// Line charts: training curves, drawn so that they can be read at a glance.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/format.hpp>
#include <normnet/viz/image.hpp>
#include <normnet/viz/png.hpp>
#include <normnet/viz/polyline.hpp>
#include <normnet/viz/text.hpp>
#include <normnet/viz/ticks.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace normnet::viz {

/// Colour i of a palette that colour-blind readers can tell apart, repeated after seven.
/// Okabe and Ito, "Color universal design", 2008 (its yellow, unreadable on white, left out).
inline Color palette_color(Index i) {
  static constexpr std::array<Color, 7> colors{
      {{0, 114, 178}, {213, 94, 0}, {0, 158, 115}, {204, 121, 167}, {230, 159, 0}, {86, 180, 233}, {0, 0, 0}}};
  return colors[static_cast<std::size_t>(i) % colors.size()];
}

/// One line of a chart: points (x[i], y[i]) in the order in which they are joined. A point that is not finite breaks the line.
struct Series {
  std::string name = {};
  std::vector<double> x = {};
  std::vector<double> y = {};
  std::vector<double> spread = {};            ///< of each y, shown as a pale band from y - spread to y + spread; empty for none
  std::optional<Color> color = std::nullopt;  ///< by default the palette's colour at the series' place in the chart
  bool dashed = false;
};

/// A chart of one or more lines over common axes:
///
///     LineChart chart({.title = "Accuracy", .x_label = "epoch", .y_label = "accuracy (%)"});
///     chart.add({.name = "BN train", .x = epochs, .y = train, .color = palette_color(0), .dashed = true})
///         .add({.name = "BN test", .x = epochs, .y = test, .color = palette_color(0)});
///     chart.write("accuracy.png");
///
/// The legend stands to the right of the data: one entry a series with its last finite value, beside the end of its line and
/// moved only as far as the entries need room. Where there are at most twelve points, they are marked. A mean over several runs
/// carries its standard deviation as a band.
class LineChart {
 public:
  struct Options {
    std::string title = {};
    std::string x_label = {};
    std::string y_label = {};
    Index width = 1400;  ///< in pixels, as the height; letters and lines grow with them
    Index height = 900;
    std::optional<double> y_min = std::nullopt;  ///< by default the data's range with a margin; lines are cut at the frame
    std::optional<double> y_max = std::nullopt;
    bool x_log2 = false;  ///< equal steps in x where it doubles, with ticks at powers of two
    Font font = Font::system();
  };

  /// Throws Error when the size is below 280x180 pixels, or y_min is not below y_max.
  explicit LineChart(Options options) : options_(std::move(options)) {
    if (options_.width < 280 || options_.height < 180) {
      fail("LineChart: expected a size of at least 280x180 pixels, got ", options_.width, "x", options_.height);
    }
    const double low = options_.y_min.value_or(0);
    const double high = options_.y_max.value_or(options_.y_min ? low + 1 : 0);
    if (!std::isfinite(low) || !std::isfinite(high) || (options_.y_min && options_.y_max && low >= high)) {
      fail("LineChart: expected finite y_min < y_max, got ", low, " and ", high);
    }
  }

  /// Throws Error when the series has not as many x as y values, or a spread for each or none, and when an x is not above 0 on
  /// an axis of powers of two.
  LineChart& add(Series series) {
    if (series.x.size() != series.y.size()) {
      fail("LineChart: expected as many x as y values in series \"", series.name, "\", got ", series.x.size(), " x and ",
           series.y.size(), " y");
    }
    if (!series.spread.empty() && series.spread.size() != series.y.size()) {
      fail("LineChart: expected as many spreads as y values in series \"", series.name, "\", got ", series.spread.size(),
           " spreads and ", series.y.size(), " y");
    }
    for (const double x : series.x) {
      if (options_.x_log2 && !(x > 0)) {
        fail("LineChart: expected x above 0 in series \"", series.name, "\", on an axis of powers of two, got ", x);
      }
    }
    if (!series.color) series.color = palette_color(static_cast<Index>(series_.size()));
    series_.push_back(std::move(series));
    return *this;
  }

  /// Throws Error when the chart has no series.
  Image render() const {
    if (series_.empty()) fail("LineChart: expected at least one series, got 0");
    Image image(options_.width, options_.height);
    const Layout layout = plan();
    draw_axes(image, layout);
    for (const Series& series : series_) draw_spread(image, layout, series);
    for (const Series& series : series_) draw_series(image, layout, series);
    draw_legend(image, layout);
    return image;
  }

  /// Renders the chart into a PNG file; see write_png.
  void write(const std::filesystem::path& path) const { write_png(render(), path); }

 private:
  static constexpr Color axis_color{140, 140, 140};
  static constexpr Color grid_color{232, 232, 232};

  struct Axis {
    double low = 0;  ///< of the logarithms on an axis of powers of two
    double high = 1;
    normnet_impl::Ticks ticks;
    bool log2 = false;

    /// Where a value lies between low (0) and high (1).
    double share(double value) const { return ((log2 ? std::log2(value) : value) - low) / (high - low); }
  };

  /// Where everything goes, in pixels.
  struct Layout {
    double unit = 1;  ///< what one pixel of the default size is in this size
    Rect frame;       ///< the data's area
    Axis x;
    Axis y;
    double entry_x = 0;      ///< the legend's left edge
    double entry_size = 0;   ///< its letters
    double entry_space = 0;  ///< from one entry to the next
    double name_width = 0;   ///< of the longest name

    double x_at(double value) const { return static_cast<double>(frame.x) + x.share(value) * static_cast<double>(frame.width); }
    double y_at(double value) const { return bottom() - y.share(value) * static_cast<double>(frame.height); }
    Point position(double x_value, double y_value) const { return {x_at(x_value), y_at(y_value)}; }
    double bottom() const { return static_cast<double>(frame.y + frame.height); }
    double right() const { return static_cast<double>(frame.x + frame.width); }
    double sample_length() const { return 2.4 * entry_size; }
    double text_gap() const { return 0.6 * entry_size; }
    double thickness() const { return 3.2 * unit; }
    double marker_radius() const { return 5.5 * unit; }
    double tick_size() const { return 20 * unit; }
    double label_size() const { return 22 * unit; }
    double title_size() const { return 30 * unit; }
  };

  static bool is_finite(const Series& series, std::size_t i) { return std::isfinite(series.x[i]) && std::isfinite(series.y[i]); }

  /// None where it is unknown.
  static double spread_at(const Series& series, std::size_t i) {
    return series.spread.empty() || !std::isfinite(series.spread[i]) ? 0 : std::abs(series.spread[i]);
  }

  /// Whether each point gets a dot: where they are so few that a reader wants to see them.
  static bool marked(const Series& series) { return series.x.size() <= 12; }

  /// The last finite point of a series.
  static std::optional<std::size_t> last_point(const Series& series) {
    for (std::size_t i = series.x.size(); i-- > 0;) {
      if (is_finite(series, i)) return i;
    }
    return std::nullopt;
  }

  static std::string last_value(const Series& series) {
    const auto last = last_point(series);
    return last ? normnet_impl::to_readable(series.y[*last]) : "no value";
  }

  Layout plan() const {
    Layout layout;
    layout.unit = std::min(static_cast<double>(options_.width) / 1400, static_cast<double>(options_.height) / 900);
    const double unit = layout.unit;
    const Font& font = options_.font;
    plan_axes(layout);

    const double top = options_.title.empty() ? 40 * unit : 100 * unit;
    const double bottom = (options_.x_label.empty() ? 64 : 104) * unit;
    layout.frame.y = std::lround(top);
    layout.frame.height = options_.height - std::lround(bottom) - layout.frame.y;

    double tick_width = 0;
    for (const std::string& label : layout.y.ticks.labels) {
      tick_width = std::max(tick_width, font.width(label, layout.tick_size()));
    }
    layout.frame.x = std::lround(tick_width + (options_.y_label.empty() ? 46 : 94) * unit);

    layout.entry_space = std::min(32 * unit, static_cast<double>(layout.frame.height) / static_cast<double>(series_.size()));
    layout.entry_size = std::min(20 * unit, 0.8 * layout.entry_space);
    double value_width = 0;
    for (const Series& series : series_) {
      layout.name_width = std::max(layout.name_width, font.width(series.name, layout.entry_size));
      value_width = std::max(value_width, font.width(last_value(series), layout.entry_size));
    }
    layout.name_width = std::min(layout.name_width, 0.22 * static_cast<double>(options_.width));
    const double entry_width = layout.sample_length() + 2 * layout.text_gap() + layout.name_width + value_width;
    layout.entry_x = static_cast<double>(options_.width) - 36 * unit - entry_width;
    layout.frame.width = std::lround(layout.entry_x - 26 * unit) - layout.frame.x;
    return layout;
  }

  void plan_axes(Layout& layout) const {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    double x_low = infinity, x_high = -infinity, y_low = infinity, y_high = -infinity;
    bool whole = true;  // epochs have no ticks between them
    for (const Series& series : series_) {
      for (std::size_t i = 0; i < series.x.size(); ++i) {
        if (!is_finite(series, i)) continue;
        const double x = options_.x_log2 ? std::log2(series.x[i]) : series.x[i];
        x_low = std::min(x_low, x);
        x_high = std::max(x_high, x);
        y_low = std::min(y_low, series.y[i] - spread_at(series, i));
        y_high = std::max(y_high, series.y[i] + spread_at(series, i));
        whole = whole && x == std::floor(x);
      }
    }
    if (x_low > x_high) x_low = y_low = 0, x_high = y_high = 1;  // nothing finite: empty axes
    std::tie(layout.x.low, layout.x.high) = normnet_impl::padded_range(x_low, x_high, 0.025);
    std::tie(layout.y.low, layout.y.high) = normnet_impl::padded_range(y_low, y_high, 0.05);
    if (options_.y_min) layout.y.low = *options_.y_min;
    if (options_.y_max) layout.y.high = *options_.y_max;
    if (layout.y.low >= layout.y.high) {  // one bound was given and all the data lies beyond it
      if (options_.y_min) layout.y.high = layout.y.low + 1;
      if (options_.y_max) layout.y.low = layout.y.high - 1;
    }
    layout.x.log2 = options_.x_log2;
    layout.x.ticks = normnet_impl::nice_ticks(layout.x.low, layout.x.high, 11, whole || options_.x_log2);
    for (std::size_t i = 0; options_.x_log2 && i < layout.x.ticks.values.size(); ++i) {
      layout.x.ticks.values[i] = std::exp2(layout.x.ticks.values[i]);
      layout.x.ticks.labels[i] = to_exact(layout.x.ticks.values[i]);
    }
    layout.y.ticks = normnet_impl::nice_ticks(layout.y.low, layout.y.high, 9);
  }

  void draw_axes(Image& image, const Layout& layout) const {
    const Font& font = options_.font;
    const double unit = layout.unit;
    const double thin = std::max(1.0, std::round(1.3 * unit));
    const double left = static_cast<double>(layout.frame.x);
    const double top = static_cast<double>(layout.frame.y);
    const auto sharp = [](double at) { return std::floor(at) + 0.5; };  // a line of one pixel fills exactly one pixel

    TextStyle tick_style{.size = layout.tick_size(), .color = soft_ink};
    tick_style.horizontal = HorizontalAlign::right;
    tick_style.vertical = VerticalAlign::middle;
    for (std::size_t i = 0; i < layout.y.ticks.values.size(); ++i) {
      const double y = sharp(layout.y_at(layout.y.ticks.values[i]));
      image.draw_line({left, y}, {layout.right(), y}, thin, grid_color);
      draw_text(image, left - 12 * unit, y, layout.y.ticks.labels[i], font, tick_style);
    }
    tick_style.horizontal = HorizontalAlign::center;
    tick_style.vertical = VerticalAlign::top;
    for (std::size_t i = 0; i < layout.x.ticks.values.size(); ++i) {
      const double x = sharp(layout.x_at(layout.x.ticks.values[i]));
      image.draw_line({x, top}, {x, layout.bottom()}, thin, grid_color);
      draw_text(image, x, layout.bottom() + 14 * unit, layout.x.ticks.labels[i], font, tick_style);
    }
    image.draw_line({left + 0.5, top}, {left + 0.5, layout.bottom() + 0.5}, thin, axis_color);
    image.draw_line({left + 0.5, layout.bottom() + 0.5}, {layout.right(), layout.bottom() + 0.5}, thin, axis_color);

    TextStyle label_style{.size = layout.label_size(), .color = ink, .horizontal = HorizontalAlign::center};
    const double label_y = static_cast<double>(options_.height) - 30 * unit;
    draw_text(image, (left + layout.right()) / 2, label_y, options_.x_label, font, label_style);
    label_style.vertical = VerticalAlign::top;
    label_style.upwards = true;
    draw_text(image, 32 * unit, (top + layout.bottom()) / 2, options_.y_label, font, label_style);
    const double title_x = 32 * unit;
    const std::string title =
        shorten(options_.title, font, layout.title_size(), static_cast<double>(options_.width) - 2 * title_x);
    draw_text(image, title_x, 62 * unit, title, font, {.size = layout.title_size(), .color = ink});
  }

  /// Column by column of the picture, between every two neighbouring points.
  static void draw_spread(Image& image, const Layout& layout, const Series& series) {
    if (series.spread.empty()) return;
    constexpr double share = 0.18;  // pale enough for the bands of several lines to show through each other
    const auto left = static_cast<double>(layout.frame.x), top = static_cast<double>(layout.frame.y);
    for (std::size_t i = 1; i < series.x.size(); ++i) {
      if (!is_finite(series, i - 1) || !is_finite(series, i)) continue;
      const double x0 = layout.x_at(series.x[i - 1]), x1 = layout.x_at(series.x[i]);
      const auto column_at = [&](double x) { return std::lround(std::clamp(x, left, layout.right())); };
      for (Index column = column_at(x0); column < column_at(x1); ++column) {
        const double t = std::clamp((static_cast<double>(column) + 0.5 - x0) / (x1 - x0), 0.0, 1.0);
        const auto row_at = [&](double sign) {
          const auto y_of = [&](std::size_t at) { return layout.y_at(series.y[at] + sign * spread_at(series, at)); };
          return std::lround(std::clamp(std::lerp(y_of(i - 1), y_of(i), t), top, layout.bottom()));
        };
        for (Index row = row_at(1); row < row_at(-1); ++row) image.blend(column, row, *series.color, share);
      }
    }
  }

  void draw_series(Image& image, const Layout& layout, const Series& series) const {
    const double radius = layout.marker_radius();
    const normnet_impl::DashPattern pattern =
        series.dashed ? normnet_impl::DashPattern{10 * layout.unit, 8 * layout.unit} : normnet_impl::DashPattern{};
    std::vector<Segment> strokes;
    std::vector<Point> run;  // finite points without a gap between them
    const auto finish_run = [&] {
      const std::vector<Segment> more = normnet_impl::polyline_strokes(run, pattern, layout.frame);
      strokes.insert(strokes.end(), more.begin(), more.end());
      if (run.size() == 1 || marked(series)) {
        for (const Point& point : run) {
          if (normnet_impl::visible_part({point, point}, layout.frame)) image.draw_disc(point, radius, *series.color);
        }
      }
      run.clear();
    };
    for (std::size_t i = 0; i < series.x.size(); ++i) {
      if (is_finite(series, i)) {
        run.push_back(layout.position(series.x[i], series.y[i]));
      } else {
        finish_run();
      }
    }
    finish_run();
    image.draw_segments(strokes, layout.thickness(), *series.color, layout.frame);
  }

  /// The nearest positions to the wanted ones (ascending) that are `space` apart and within [low, high]: least squares, by
  /// pooling neighbours that are too close (Robertson, Wright and Dykstra, "Order restricted statistical inference", 1988).
  static std::vector<double> spread(const std::vector<double>& wanted, double space, double low, double high) {
    struct Pool {
      double sum;
      double count;
      double mean() const { return sum / count; }
    };
    std::vector<Pool> pools;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      pools.push_back({wanted[i] - space * static_cast<double>(i), 1});
      while (pools.size() > 1 && pools[pools.size() - 2].mean() > pools.back().mean()) {
        const Pool last = pools.back();
        pools.pop_back();
        pools.back().sum += last.sum;
        pools.back().count += last.count;
      }
    }
    std::vector<double> positions;
    const double highest = std::max(low, high - space * static_cast<double>(wanted.size() - 1));
    for (const Pool& pool : pools) {
      for (double i = 0; i < pool.count; ++i) {
        positions.push_back(std::clamp(pool.mean(), low, highest) + space * static_cast<double>(positions.size()));
      }
    }
    return positions;
  }

  void draw_legend(Image& image, const Layout& layout) const {
    const double top = static_cast<double>(layout.frame.y);
    std::vector<double> ends;  // the height at which each line ends; the bottom for one without a point
    for (const Series& series : series_) {
      const auto last = last_point(series);
      ends.push_back(last ? layout.position(series.x[*last], series.y[*last]).y : layout.bottom());
    }
    std::vector<std::size_t> order(series_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return ends[a] < ends[b]; });
    std::vector<double> wanted;
    wanted.reserve(order.size());
    for (const std::size_t i : order) wanted.push_back(ends[i]);
    const std::vector<double> positions = spread(wanted, layout.entry_space, top, layout.bottom());
    for (std::size_t rank = 0; rank < order.size(); ++rank) draw_entry(image, layout, series_[order[rank]], positions[rank]);
  }

  void draw_entry(Image& image, const Layout& layout, const Series& series, double y) const {
    const double start = layout.entry_x;
    const double end = start + layout.sample_length();
    const double dash = layout.sample_length() / 3.8;  // three dashes and two gaps
    const std::array<Point, 2> sample{{{start, y}, {end, y}}};
    const auto strokes = normnet_impl::polyline_strokes(
        sample, series.dashed ? normnet_impl::DashPattern{dash, 0.4 * dash} : normnet_impl::DashPattern{}, image.bounds());
    image.draw_segments(strokes, layout.thickness(), *series.color, image.bounds());
    if (marked(series)) image.draw_disc({(start + end) / 2, y}, layout.marker_radius(), *series.color);
    TextStyle style{.size = layout.entry_size, .color = ink, .vertical = VerticalAlign::middle};
    const std::string name = shorten(series.name, options_.font, style.size, layout.name_width);
    draw_text(image, end + layout.text_gap(), y, name, options_.font, style);
    style.color = soft_ink;
    draw_text(image, end + 2 * layout.text_gap() + layout.name_width, y, last_value(series), options_.font, style);

    // A thin line leads from the last point to its entry, where there is nothing in between that it could cross.
    const auto last = last_point(series);
    if (!last) return;
    const Point point = layout.position(series.x[*last], series.y[*last]);
    const bool ends_at_the_right = point.x > layout.right() - 0.06 * static_cast<double>(layout.frame.width);
    if (ends_at_the_right && normnet_impl::visible_part({point, point}, layout.frame)) {
      image.draw_line({point.x + 6 * layout.unit, point.y}, {start - 6 * layout.unit, y}, 1.3 * layout.unit,
                      mix_colors(white, *series.color, 0.6));
    }
  }

  Options options_;
  std::vector<Series> series_;
};

}  // namespace normnet::viz
