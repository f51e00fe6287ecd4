// Galleries: small images in a grid, enlarged, with captions.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/viz/image.hpp>
#include <normnet/viz/png.hpp>
#include <normnet/viz/text.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace normnet::viz {

/// One image of a gallery.
struct Tile {
  std::span<const std::uint8_t> pixels = {};  ///< planar, channels x height x width, as in CIFAR's files; none: an empty place
  std::string caption = {};                   ///< lines separated by \n
  bool highlight = false;                     ///< a frame around the image and the caption's last line, both in the accent colour
};

/// Images of one size in rows, with a caption under each:
///
///     ImageGrid grid({.columns = 5, .title = "Misclassified"});
///     grid.add({.pixels = cat, .caption = "truth: cat\npredicted: dog", .highlight = true});
///     grid.write("misclassified.png");
///
/// A caption that is wider than its cell ends in an ellipsis. A grid without images shows its title and "no images".
class ImageGrid {
 public:
  struct Options {
    Index height = 32;
    Index width = 32;
    Index channels = 3;  ///< 3, or 1 for grey
    Index columns = 5;
    Index scale = 5;  ///< each pixel is shown as a square of scale x scale
    std::string title = {};
    std::vector<std::string> row_titles = {};  ///< written to the left of the rows, as many as there are
    Color accent = {213, 94, 0};
    double caption_size = 16;  ///< in pixels per em
    Font font = Font::system();
  };

  /// Throws Error when an extent, the columns or the scale is below 1 or there are neither 1 nor 3 channels.
  explicit ImageGrid(Options options) : options_(std::move(options)) {
    const Options& o = options_;
    if (o.height < 1 || o.width < 1) fail("ImageGrid: expected images of at least 1x1 pixels, got ", o.width, "x", o.height);
    if (o.channels != 1 && o.channels != 3) fail("ImageGrid: expected 1 or 3 channels, got ", o.channels);
    if (o.columns < 1) fail("ImageGrid: expected at least 1 column, got ", o.columns);
    if (o.scale < 1) fail("ImageGrid: expected a scale of at least 1, got ", o.scale);
  }

  /// Copies the tile. Throws Error when the number of its bytes is neither 0 nor channels * height * width.
  ImageGrid& add(const Tile& tile) {
    if (tile.pixels.empty()) {
      cells_.push_back({std::nullopt, lines_of(tile.caption), false});
      return *this;
    }
    const Shape shape{options_.channels, options_.height, options_.width};
    if (static_cast<Index>(tile.pixels.size()) != shape.elements()) {
      fail("ImageGrid: expected ", shape.elements(), " bytes (", shape, ") in tile ", cells_.size(), ", got ",
           tile.pixels.size());
    }
    Image image = planar_image(tile.pixels, options_.channels, options_.height, options_.width);
    cells_.push_back({std::move(image), lines_of(tile.caption), tile.highlight});
    return *this;
  }

  Image render() const {
    const Font& font = options_.font;
    const double size = options_.caption_size;
    const Index columns = std::clamp<Index>(static_cast<Index>(cells_.size()), 1, options_.columns);
    const Index rows = std::max<Index>(1, (static_cast<Index>(cells_.size()) + columns - 1) / columns);
    const Index picture_width = options_.width * options_.scale;
    const Index picture_height = options_.height * options_.scale;

    // A cell grows with its captions, but not so far that the images lose their neighbours.
    double caption_width = 0;
    std::size_t caption_lines = 0;
    for (const Cell& cell : cells_) {
      caption_lines = std::max(caption_lines, cell.caption.size());
      for (const std::string& line : cell.caption) caption_width = std::max(caption_width, font.width(line, size));
    }
    const double widest = std::max(1.6 * static_cast<double>(picture_width), 6 * size);
    const Index cell_width = std::max(picture_width, static_cast<Index>(std::ceil(std::min(caption_width, widest))));
    const Index line_height = std::lround(font.line_height(size));
    const Index caption_height = caption_lines == 0 ? 0 : gap / 2 + static_cast<Index>(caption_lines) * line_height;
    const Index cell_height = picture_height + caption_height;

    const double title_size = 1.5 * size;
    const Index title_height = options_.title.empty() ? 0 : std::lround(font.line_height(title_size)) + gap;
    double row_title_width = 0;
    for (const std::string& row_title : options_.row_titles) {
      row_title_width = std::max(row_title_width, font.width(row_title, size));
    }
    const Index before_grid = row_title_width > 0 ? static_cast<Index>(std::ceil(row_title_width)) + gap : 0;
    const Index grid_width = before_grid + columns * cell_width + (columns - 1) * gap;
    const auto title_width = static_cast<Index>(std::ceil(font.width(options_.title, title_size)));
    const Index width = 2 * margin + std::max(grid_width, std::min<Index>(title_width, 640));
    Image image(width, 2 * margin + title_height + rows * cell_height + (rows - 1) * gap);

    const std::string title = shorten(options_.title, font, title_size, static_cast<double>(width - 2 * margin));
    draw_text(image, static_cast<double>(margin), static_cast<double>(margin) + font.ascent(title_size), title, font,
              {.size = title_size, .color = ink});
    const Index left = (width - grid_width) / 2 + before_grid;
    const Index top = margin + title_height;
    for (std::size_t row = 0; row < options_.row_titles.size(); ++row) {
      const Index middle = top + static_cast<Index>(row) * (cell_height + gap) + picture_height / 2;
      draw_text(image, static_cast<double>(left - gap), static_cast<double>(middle), options_.row_titles[row], font,
                {.size = size, .color = ink, .horizontal = HorizontalAlign::right, .vertical = VerticalAlign::middle});
    }
    if (cells_.empty()) {
      const TextStyle style{
          .size = size, .color = soft_ink, .horizontal = HorizontalAlign::center, .vertical = VerticalAlign::middle};
      const Index middle = top + cell_height / 2;
      draw_text(image, static_cast<double>(width) / 2, static_cast<double>(middle), "no images", font, style);
    }
    for (std::size_t i = 0; i < cells_.size(); ++i) {
      const Index column = static_cast<Index>(i) % columns;
      const Index row = static_cast<Index>(i) / columns;
      const Index x = left + column * (cell_width + gap) + (cell_width - picture_width) / 2;
      const Index y = top + row * (cell_height + gap);
      const Cell& cell = cells_[i];
      if (cell.highlight) {
        image.fill_rect({x - frame_width, y - frame_width, picture_width + 2 * frame_width, picture_height + 2 * frame_width},
                        options_.accent);
      }
      if (cell.image) image.blit(*cell.image, x, y, options_.scale);
      const double centre = static_cast<double>(x) + static_cast<double>(picture_width) / 2;
      const Index top_of_caption = y + picture_height + gap / 2;
      double baseline = static_cast<double>(top_of_caption) + font.ascent(size);
      for (std::size_t line = 0; line < cell.caption.size(); ++line) {
        const bool accented = cell.highlight && line + 1 == cell.caption.size();
        const std::string text = shorten(cell.caption[line], font, size, static_cast<double>(cell_width));
        draw_text(image, centre, baseline, text, font,
                  {.size = size, .color = accented ? options_.accent : ink, .horizontal = HorizontalAlign::center});
        baseline += static_cast<double>(line_height);
      }
    }
    return image;
  }

  /// Renders the gallery into a PNG file; see write_png.
  void write(const std::filesystem::path& path) const { write_png(render(), path); }

 private:
  static constexpr Index margin = 24;
  static constexpr Index gap = 20;
  static constexpr Index frame_width = 4;

  struct Cell {
    std::optional<Image> image;
    std::vector<std::string> caption;
    bool highlight;
  };

  static std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
      const std::size_t end = text.find('\n');
      lines.emplace_back(text.substr(0, end));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
  }

  Options options_;
  std::vector<Cell> cells_;
};

}  // namespace normnet::viz
