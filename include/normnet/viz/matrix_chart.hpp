// A matrix as a table of shaded cells, such as a confusion matrix.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/format.hpp>
#include <normnet/viz/image.hpp>
#include <normnet/viz/png.hpp>
#include <normnet/viz/text.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace normnet::viz {

/// A table whose cells are the darker, the greater their numbers:
///
///     MatrixChart chart({.title = "Confusion", .row_label = "truth", .column_label = "predicted",
///                        .rows = names, .columns = names}, counts);
///     chart.write("confusion.png");
class MatrixChart {
 public:
  struct Options {
    std::string title = {};
    std::string row_label = {};     ///< what the rows are, written on the left
    std::string column_label = {};  ///< what the columns are, written above
    std::vector<std::string> rows = {};
    std::vector<std::string> columns = {};
    Color color = {0, 114, 178};  ///< of the greatest number; 0 and below is white
    double text_size = 18;        ///< in pixels per em
    Font font = Font::system();
  };

  /// The values are those of the first row, then those of the second, and so on. Throws Error when there are none, or not
  /// rows x columns.
  MatrixChart(Options options, std::vector<double> values) : options_(std::move(options)), values_(std::move(values)) {
    const std::size_t rows = options_.rows.size(), columns = options_.columns.size();
    if (values_.empty() || values_.size() != rows * columns) {
      fail("MatrixChart: expected ", rows, " x ", columns, " values, one at least, got ", values_.size());
    }
  }

  Image render() const {
    const Font& font = options_.font;
    const double size = options_.text_size, title_size = 1.5 * size;
    const auto widest = [&](const std::vector<std::string>& texts) {
      double width = 0;
      for (const std::string& text : texts) width = std::max(width, font.width(text, size));
      return static_cast<Index>(std::ceil(width));
    };
    const auto columns = static_cast<Index>(options_.columns.size()), rows = static_cast<Index>(options_.rows.size());
    const auto line = static_cast<Index>(std::lround(1.8 * size));
    std::vector<std::string> texts = options_.columns;
    for (const double value : values_) texts.push_back(to_exact(value));
    const Index cell_width = widest(texts) + 14;
    const auto cell_height = static_cast<Index>(std::lround(2.6 * size));
    const Index title_height = options_.title.empty() ? 0 : std::lround(font.line_height(title_size)) + margin / 2;
    const Index left = margin + (options_.row_label.empty() ? 0 : line) + widest(options_.rows) + 14;
    const Index top = margin + title_height + (options_.column_label.empty() ? 1 : 2) * line;
    const Index width = left + columns * cell_width + margin, height = top + rows * cell_height + margin;
    Image image(width, height);

    const auto at = [](Index i) { return static_cast<double>(i); };
    const std::string title = shorten(options_.title, font, title_size, at(width - 2 * margin));
    draw_text(image, at(margin), at(margin) + font.ascent(title_size), title, font, {.size = title_size, .color = ink});
    TextStyle style{.size = size, .color = soft_ink, .horizontal = HorizontalAlign::center, .vertical = VerticalAlign::middle};
    draw_text(image, at(left + columns * cell_width / 2), at(top - 3 * line / 2), options_.column_label, font, style);
    style.upwards = true;
    draw_text(image, at(margin + line / 2), at(top + rows * cell_height / 2), options_.row_label, font, style);
    style.upwards = false;
    style.color = ink;
    for (Index c = 0; c < columns; ++c) {
      draw_text(image, at(left + c * cell_width + cell_width / 2), at(top - line / 2),
                options_.columns[static_cast<std::size_t>(c)], font, style);
    }
    const double greatest = *std::max_element(values_.begin(), values_.end());
    for (Index r = 0; r < rows; ++r) {
      const Index y = top + r * cell_height;
      style.horizontal = HorizontalAlign::right;
      style.color = ink;
      draw_text(image, at(left - 14), at(y + cell_height / 2), options_.rows[static_cast<std::size_t>(r)], font, style);
      style.horizontal = HorizontalAlign::center;
      for (Index c = 0; c < columns; ++c) {
        const double value = values_[static_cast<std::size_t>(r * columns + c)];
        const double share = greatest > 0 ? std::clamp(value / greatest, 0.0, 1.0) : 0;
        const Rect cell{left + c * cell_width, y, cell_width - 1, cell_height - 1};
        // Small numbers are what a reader looks for: the square root makes them visible beside the large.
        image.fill_rect(cell, mix_colors(white, options_.color, std::sqrt(share)));
        style.color = share > 0.3 ? white : ink;
        draw_text(image, at(cell.x + cell.width / 2), at(y + cell_height / 2), to_exact(value), font, style);
      }
    }
    return image;
  }

  /// Renders the chart into a PNG file; see write_png.
  void write(const std::filesystem::path& path) const { write_png(render(), path); }

 private:
  static constexpr Index margin = 24;

  Options options_;
  std::vector<double> values_;
};

}  // namespace normnet::viz
