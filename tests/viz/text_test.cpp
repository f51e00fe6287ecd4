// Fonts and text: measures, alignment, rotation, shortening, and the font that NORMNET_FONT names.
#include "support/catch.hpp"
#include "viz/support.hpp"

#include <normnet/viz/text.hpp>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace normnet::viz {
namespace {

/// The built-in font, and a TrueType font where the system has one.
std::vector<Font> fonts() {
  std::vector<Font> all{Font::builtin()};
  if (Font::system().name() != Font::builtin().name()) all.push_back(Font::system());
  return all;
}

/// The smallest rectangle around everything that is not white.
Rect ink(const Image& image) {
  Index left = image.width(), top = image.height(), right = 0, bottom = 0;
  for (Index y = 0; y < image.height(); ++y) {
    for (Index x = 0; x < image.width(); ++x) {
      if (image.get(x, y) == white) continue;
      left = std::min(left, x);
      top = std::min(top, y);
      right = std::max(right, x + 1);
      bottom = std::max(bottom, y + 1);
    }
  }
  return {left, top, right - left, bottom - top};
}

/// Sets NORMNET_FONT for as long as it lives.
class ChosenFont {
 public:
  explicit ChosenFont(const std::string& path) {
    if (const char* value = std::getenv("NORMNET_FONT")) before_ = value;
    setenv("NORMNET_FONT", path.c_str(), 1);
  }
  ~ChosenFont() { setenv("NORMNET_FONT", before_.c_str(), 1); }
  ChosenFont(const ChosenFont&) = delete;
  ChosenFont& operator=(const ChosenFont&) = delete;

 private:
  std::string before_;
};

TEST_CASE("text is as wide as its letters", "[viz]") {
  // stb_easy_font: H, 0 and the space advance by 6, i by 3, in ems of 10; exact but for the one rounding of the factor.
  CHECK(Font::builtin().width("H0 i", 20) == Approx(2 * (6 + 6 + 6 + 3)).epsilon(1e-15));
  CHECK(Font::builtin().cap_height(20) == Approx(14).epsilon(1e-15));
  CHECK(Font::builtin().width("…×−\t\xff", 10) == Font::builtin().width("...x- ?", 10));
  CHECK(Font::builtin().width("\xe2\x82i", 10) == Font::builtin().width("?i", 10));  // a letter without its last byte, and an i
  for (const Font& font : fonts()) {
    INFO(font.name());
    CHECK(font.width("", 16) == 0);
    if (font.name().ends_with("DejaVuSans.ttf")) CHECK(font.width("AV", 100) < font.width("A", 100) + font.width("V", 100) - 1);
    CHECK(font.width("accuracy", 32) == Approx(2 * font.width("accuracy", 16)).epsilon(1e-6));  // scales are floats
    CHECK(font.cap_height(20) > 12);
    CHECK(font.cap_height(20) < 16);
    CHECK(font.ascent(20) >= font.cap_height(20));
    CHECK(font.descent(20) > 0);
    CHECK(font.width("ä", 20) > 0);
    CHECK(message_of([&] { font.width("a", 0); }) == "Font: expected a size between 0 and 10000 pixels, got 0");
    CHECK(message_of([&] { font.rasterize("a", -1); }) == "Font: expected a size between 0 and 10000 pixels, got -1");
  }
}

TEST_CASE("a pixel of text is covered once at most", "[viz]") {
  TextMask mask{.width = 3, .height = 2, .origin = 0, .baseline = 0, .coverage = std::vector<float>(6)};
  mask.add(1, 1, 0.75F);
  CHECK(mask.coverage[4] == 0.75F);
  mask.add(1, 1, 0.75F);
  mask.add(3, 0, 1);
  mask.add(-1, 1, 1);
  CHECK(mask.coverage == std::vector<float>{0, 0, 0, 0, 1, 0});
}

TEST_CASE("text stands where it is aligned", "[viz]") {
  const TextStyle style{.size = 40, .color = {200, 0, 0}};
  for (const Font& font : fonts()) {
    INFO(font.name());
    const auto width = static_cast<Index>(font.width("HH", style.size));
    const auto cap = std::lround(font.cap_height(style.size));
    const auto drawn = [&](HorizontalAlign horizontal, VerticalAlign vertical, bool upwards) {
      Image image(300, 200);
      TextStyle aligned = style;
      aligned.horizontal = horizontal;
      aligned.vertical = vertical;
      aligned.upwards = upwards;
      draw_text(image, 150, 100, "HH", font, aligned);
      CHECK(count(image, image.bounds(), style.color) > 100);
      return ink(image);
    };
    // The letters' own margins are within 12 % of an em, and edges that fall between pixels touch one more.
    const Rect left = drawn(HorizontalAlign::left, VerticalAlign::baseline, false);
    CHECK(left.x >= 150);
    CHECK(left.x <= 155);
    CHECK(std::abs(left.y + left.height - 100) <= 1);
    CHECK(std::abs(left.height - cap) <= 1);
    CHECK(left.width <= width);
    CHECK(left.width >= width - 10);
    const Rect right = drawn(HorizontalAlign::right, VerticalAlign::top, false);
    CHECK(std::abs(right.x - (left.x - width)) <= 1);
    CHECK(std::abs(right.y - 100) <= 1);
    const Rect center = drawn(HorizontalAlign::center, VerticalAlign::middle, false);
    CHECK(std::abs(center.x - (left.x - width / 2)) <= 1);
    CHECK(std::abs(center.y - (100 - cap / 2)) <= 1);

    const Rect upwards = drawn(HorizontalAlign::left, VerticalAlign::baseline, true);
    CHECK(upwards.width == left.height);
    CHECK(upwards.height == left.width);
    CHECK(upwards.y + upwards.height == 100 - (left.x - 150));  // what was to the right is above
    CHECK(upwards.x - 150 == left.y - 100);
  }
}

TEST_CASE("upwards text is the text turned", "[viz]") {
  for (const Font& font : fonts()) {
    INFO(font.name());
    Image flat(120, 60), turned(60, 120);
    draw_text(flat, 10, 40, "Rqj", font, {.size = 30});
    draw_text(turned, 40, 110, "Rqj", font, {.size = 30, .upwards = true});
    Index differences = 0;
    for (Index y = 0; y < 60; ++y) {
      for (Index x = 0; x < 120; ++x) differences += flat.get(x, y) != turned.get(y, 119 - x);
    }
    CHECK(differences == 0);
    CHECK(count(flat, flat.bounds(), white) < 120 * 60 - 100);
  }
}

TEST_CASE("long text ends in an ellipsis", "[viz]") {
  for (const Font& font : fonts()) {
    INFO(font.name());
    const double width = font.width("predicted: au…", 16);
    CHECK(shorten("predicted: au", font, 16, width) == "predicted: au");
    CHECK(shorten("predicted: automobile", font, 16, width) == "predicted: au…");
    CHECK(shorten("predicted: automobile", font, 16, font.width("predicted: …", 16)) == "predicted:…");
    CHECK(shorten("ää€€ää", font, 16, font.width("ää€…", 16) + 0.01) == "ää€…");
    CHECK(shorten("5 ‰ of all", font, 16, font.width("5 ‰…", 16) - 0.1) == "5…");  // not half of the sign, which would fit
    CHECK(shorten("long", font, 16, 0) == "…");
    CHECK(shorten("", font, 16, 0).empty());
  }
}

TEST_CASE("NORMNET_FONT names the font, and a bad one is an error", "[viz]") {
  const test::TemporaryFolder folder;
  const std::string none = (folder / "none.ttf").string();
  CHECK(message_of([&] { Font::load(none); }) == "cannot read the font \"" + none + "\"");
  {
    const ChosenFont chosen(none);
    CHECK(message_of([] { Font::system(); }) == "NORMNET_FONT: cannot read the font \"" + none + "\"");
  }
  const std::string damaged = (folder / "damaged.ttf").string();
  const std::string refusal = "expected a TrueType font in \"" + damaged + "\", got something else or a damaged one";
  const ChosenFont chosen(damaged);
  for (const std::string& bytes :
       {std::string(), std::string("no font"), std::string("\0\1\0\0\0\1", 6) + std::string(60, '\xff')}) {
    std::ofstream(damaged, std::ios::binary) << bytes;
    CHECK(message_of([] { Font::system(); }) == "NORMNET_FONT: " + refusal);
  }
  const ChosenFont any("");
  const std::string whole = Font::system().name();
  if (whole == Font::builtin().name()) return;  // this system has no font to damage
  std::string bytes = test::content(whole);
  {
    const ChosenFont copied(whole);
    CHECK(Font::system().name() == whole);
  }
  bytes.pop_back();
  bytes.resize(bytes.size() / 2);
  std::ofstream(damaged, std::ios::binary) << bytes;
  CHECK(message_of([&] { Font::load(damaged); }) == refusal);
}

}  // namespace
}  // namespace normnet::viz
