// Fonts: a TrueType file found on the system, or the letters that stb brings along.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/viz/stb_truetype.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace normnet::viz {

/// A rasterised line of text: how much of each pixel the letters cover, 0 to 1, row by row. The text starts at column `origin`
/// on row `baseline`; the border around it leaves room for letters that lean out.
struct TextMask {
  Index width = 0;
  Index height = 0;
  Index origin = 0;
  Index baseline = 0;
  std::vector<float> coverage;

  /// Adds to the coverage of a pixel; nothing outside the mask.
  void add(Index x, Index y, float share) {
    if (x < 0 || x >= width || y < 0 || y >= height) return;
    float& pixel = coverage[static_cast<std::size_t>(y * width + x)];
    pixel = std::min(1.0F, pixel + share);
  }
};

/// A sans-serif font. Sizes are in pixels per em, as in CSS; text is UTF-8, in one line. Copies share the font's data.
class Font {
 public:
  /// A TrueType or OpenType file. Throws Error when it cannot be read or is no whole font.
  static Font load(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file || !std::filesystem::is_regular_file(path)) fail("cannot read the font \"", path.string(), "\"");
    auto data = std::make_shared<TrueType>();
    data->bytes.assign(std::istreambuf_iterator<char>(file), {});
    if (!is_whole_font(data->bytes) || normnet_impl::truetype_InitFont(&data->info, data->bytes.data(), 0) == 0 ||
        normnet_impl::truetype_FindGlyphIndex(&data->info, 'A') == 0) {
      fail("expected a TrueType font in \"", path.string(), "\", got something else or a damaged one");
    }
    Font font;
    font.true_type_ = std::move(data);
    font.name_ = path.string();
    return font;
  }

  /// The plain letters of stb_easy_font (ASCII only), which need no file.
  static Font builtin() { return Font(); }

  /// The font of the charts: the file that the environment variable NORMNET_FONT names; else DejaVu Sans, Liberation Sans or
  /// Noto Sans from the system's font folders; else builtin(). Throws Error when NORMNET_FONT names no readable font.
  static Font system() {
    if (const char* chosen = std::getenv("NORMNET_FONT"); chosen != nullptr && *chosen != '\0') {
      try {
        return load(chosen);
      } catch (const Error& error) {
        fail("NORMNET_FONT: ", error.what());
      }
    }
    static const Font found = search();
    return found;
  }

  /// The file's path, or "stb_easy_font".
  const std::string& name() const { return name_; }

  /// How far the text advances, in pixels.
  double width(std::string_view text, double size) const {
    check_size(size);
    if (!true_type_) return size / builtin_em * builtin_width(builtin_text(text));
    double advance = 0;
    each_glyph(text, size, [&](int, double, double end) { advance = end; });
    return advance;
  }

  /// The height of capitals and digits above the baseline, in pixels.
  double cap_height(double size) const {
    check_size(size);
    if (!true_type_) return size / builtin_em * builtin_cap;
    int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
    normnet_impl::truetype_GetCodepointBox(&true_type_->info, 'H', &x0, &y0, &x1, &y1);
    return scale(size) * y1;
  }

  /// How far letters reach above the baseline, in pixels.
  double ascent(double size) const {
    check_size(size);
    return true_type_ ? scale(size) * vertical_metrics()[0] : size / builtin_em * builtin_ascent;
  }

  /// How far letters reach below the baseline, in pixels, positive.
  double descent(double size) const {
    check_size(size);
    return true_type_ ? -scale(size) * vertical_metrics()[1] : size / builtin_em * builtin_descent;
  }

  /// From one baseline to the next, in pixels.
  double line_height(double size) const { return 1.2 * (ascent(size) + descent(size)); }

  /// The text as a mask to draw with.
  TextMask rasterize(std::string_view text, double size) const {
    const auto border = static_cast<Index>(std::ceil(size / 4));
    TextMask mask;
    mask.origin = border;
    mask.baseline = border + static_cast<Index>(std::ceil(ascent(size)));
    mask.width = 2 * border + static_cast<Index>(std::ceil(width(text, size)));
    mask.height = border + mask.baseline + static_cast<Index>(std::ceil(descent(size)));
    mask.coverage.assign(static_cast<std::size_t>(mask.width * mask.height), 0.0F);
    if (true_type_) {
      paint_true_type(mask, text, size);
    } else {
      paint_builtin(mask, text, size);
    }
    return mask;
  }

 private:
  struct TrueType {
    std::vector<unsigned char> bytes;
    normnet_impl::stbtt_fontinfo info = {};
  };

  // The letters of stb_easy_font, in its own units: capitals fill rows 0 to 7, a line is 12 rows.
  static constexpr double builtin_cap = 7;
  static constexpr double builtin_ascent = 9;
  static constexpr double builtin_descent = 3;
  static constexpr double builtin_em = 10;  // so that its capitals are about as high as DejaVu's

  Font() = default;

  static void check_size(double size) {
    if (!(size > 0 && size < 10000)) fail("Font: expected a size between 0 and 10000 pixels, got ", size);
  }

  double scale(double size) const {
    return static_cast<double>(normnet_impl::truetype_ScaleForMappingEmToPixels(&true_type_->info, static_cast<float>(size)));
  }

  /// Ascent and (negative) descent, in the font's units.
  std::array<int, 2> vertical_metrics() const {
    std::array<int, 2> metrics{};
    int line_gap = 0;
    normnet_impl::truetype_GetFontVMetrics(&true_type_->info, &metrics[0], &metrics[1], &line_gap);
    return metrics;
  }

  /// True when the bytes begin with a font's table directory and every table lies within them: stb trusts the directory.
  static bool is_whole_font(const std::vector<unsigned char>& bytes) {
    const auto number = [&bytes](std::size_t at, std::size_t length) {
      std::size_t value = 0;
      for (std::size_t i = 0; i < length; ++i) value = value << 8 | bytes[at + i];
      return value;
    };
    if (bytes.size() < 12 || normnet_impl::truetype_GetFontOffsetForIndex(bytes.data(), 0) != 0) return false;
    const std::size_t tables = number(4, 2);
    if (bytes.size() < 12 + 16 * tables) return false;
    for (std::size_t table = 0; table < tables; ++table) {
      if (number(12 + 16 * table + 8, 4) + number(12 + 16 * table + 12, 4) > bytes.size()) return false;
    }
    return true;
  }

  static Font search() {
    namespace fs = std::filesystem;
    static constexpr std::array names{"DejaVuSans.ttf", "LiberationSans-Regular.ttf", "NotoSans-Regular.ttf"};
    std::vector<fs::path> folders{"/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts"};
    if (const char* home = std::getenv("HOME")) {
      folders.push_back(fs::path(home) / ".local/share/fonts");
      folders.push_back(fs::path(home) / ".fonts");
    }
    std::vector<std::pair<std::size_t, fs::path>> candidates;  // best name first, then by path
    for (const fs::path& folder : folders) {
      std::error_code error;
      fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error);
      for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
        const auto name = std::find(names.begin(), names.end(), entry->path().filename());
        if (name != names.end()) candidates.emplace_back(name - names.begin(), entry->path());
      }
    }
    std::sort(candidates.begin(), candidates.end());
    for (const auto& candidate : candidates) {
      try {
        return load(candidate.second);
      } catch (const Error&) {
        continue;  // nobody asked for this very file
      }
    }
    return builtin();
  }

  /// The code points of UTF-8 text; a byte that fits nowhere becomes U+FFFD.
  static std::u32string code_points(std::string_view text) {
    std::u32string points;
    for (std::size_t i = 0; i < text.size();) {
      const auto first = static_cast<unsigned char>(text[i]);
      const std::size_t length = first < 0x80 ? 1 : first >> 5 == 0x6 ? 2 : first >> 4 == 0xE ? 3 : first >> 3 == 0x1E ? 4 : 0;
      char32_t point = length == 1 ? first : first & (0x7FU >> length);
      std::size_t read = 1;
      for (; read < length && i + read < text.size(); ++read) {
        const auto next = static_cast<unsigned char>(text[i + read]);
        if (next >> 6 != 0x2) break;
        point = point << 6 | (next & 0x3FU);
      }
      points.push_back(length == 0 || read < length ? U'\uFFFD' : point < 0x20 ? U' ' : point);
      i += read;
    }
    return points;
  }

  /// Calls visit(glyph, start, end) for every letter, in pixels from the text's start.
  template <class Visit>
  void each_glyph(std::string_view text, double size, Visit visit) const {
    const double pixels = scale(size);
    double at = 0;
    int previous = 0;
    for (const char32_t point : code_points(text)) {
      const int glyph = normnet_impl::truetype_FindGlyphIndex(&true_type_->info, static_cast<int>(point));
      int advance = 0;
      int bearing = 0;
      normnet_impl::truetype_GetGlyphHMetrics(&true_type_->info, glyph, &advance, &bearing);
      if (previous != 0) at += pixels * normnet_impl::truetype_GetGlyphKernAdvance(&true_type_->info, previous, glyph);
      visit(glyph, at, at + pixels * advance);
      at += pixels * advance;
      previous = glyph;
    }
  }

  void paint_true_type(TextMask& mask, std::string_view text, double size) const {
    const auto pixels = static_cast<float>(scale(size));
    const normnet_impl::stbtt_fontinfo* info = &true_type_->info;
    std::vector<unsigned char> bitmap;
    each_glyph(text, size, [&](int glyph, double start, double) {
      const double whole = std::floor(start);
      const auto shift = static_cast<float>(start - whole);
      int x0 = 0, y0 = 0, x1 = 0, y1 = 0;
      normnet_impl::truetype_GetGlyphBitmapBoxSubpixel(info, glyph, pixels, pixels, shift, 0, &x0, &y0, &x1, &y1);
      const int columns = x1 - x0;
      const int rows = y1 - y0;
      if (columns <= 0 || rows <= 0) return;  // a space
      bitmap.assign(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows), 0);
      normnet_impl::truetype_MakeGlyphBitmapSubpixel(info, bitmap.data(), columns, rows, columns, pixels, pixels, shift, 0,
                                                     glyph);
      for (int y = 0; y < rows; ++y) {
        for (int x = 0; x < columns; ++x) {
          const float share = static_cast<float>(bitmap[static_cast<std::size_t>(Index{y} * columns + x)]) / 255.0F;
          mask.add(mask.origin + static_cast<Index>(whole) + x0 + x, mask.baseline + y0 + y, share);
        }
      }
    });
  }

  /// The nearest text in printable ASCII, the only letters that stb_easy_font has.
  static std::string builtin_text(std::string_view text) {
    std::string ascii;
    for (const char32_t point : code_points(text)) {
      switch (point) {
        case U'\u2026': ascii += "..."; break;
        case U'\u00D7': ascii += 'x'; break;
        case U'\u2212':
        case U'\u2013':
        case U'\u2014': ascii += '-'; break;
        default: ascii += point < 0x7F ? static_cast<char>(point) : '?';
      }
    }
    return ascii;
  }

  static double builtin_width(std::string text) { return normnet_impl::stb_easy_font_width(text.data()); }

  /// stb_easy_font draws with rectangles; each adds to a pixel the area that it covers of it.
  static void paint_builtin(TextMask& mask, std::string_view text, double size) {
    struct Vertex {
      float x, y, z;
      std::array<unsigned char, 4> color;
    };
    std::string ascii = builtin_text(text);
    constexpr std::size_t most_quads_per_letter = 16;  // the font's own letters need at most 11
    std::vector<Vertex> vertices(4 * most_quads_per_letter * (ascii.size() + 1));
    const auto buffer_size = static_cast<int>(vertices.size() * sizeof(Vertex));
    const int quads = normnet_impl::stb_easy_font_print(0, 0, ascii.data(), nullptr, vertices.data(), buffer_size);
    const double pixels = size / builtin_em;
    for (std::size_t quad = 0; quad < static_cast<std::size_t>(quads); ++quad) {
      const Vertex& top_left = vertices[4 * quad];
      const Vertex& bottom_right = vertices[4 * quad + 2];
      const double left = static_cast<double>(mask.origin) + pixels * static_cast<double>(top_left.x);
      const double right = static_cast<double>(mask.origin) + pixels * static_cast<double>(bottom_right.x);
      const double top = static_cast<double>(mask.baseline) + pixels * (static_cast<double>(top_left.y) - builtin_cap);
      const double bottom = static_cast<double>(mask.baseline) + pixels * (static_cast<double>(bottom_right.y) - builtin_cap);
      for (auto y = static_cast<Index>(std::floor(top)); static_cast<double>(y) < bottom; ++y) {
        for (auto x = static_cast<Index>(std::floor(left)); static_cast<double>(x) < right; ++x) {
          const double wide = std::min(right, static_cast<double>(x + 1)) - std::max(left, static_cast<double>(x));
          const double high = std::min(bottom, static_cast<double>(y + 1)) - std::max(top, static_cast<double>(y));
          mask.add(x, y, static_cast<float>(wide * high));
        }
      }
    }
  }

  std::shared_ptr<const TrueType> true_type_;  // none: stb_easy_font
  std::string name_ = "stb_easy_font";
};

}  // namespace normnet::viz
