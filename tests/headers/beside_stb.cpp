// The pictures compile beside a program's own stb in one translation unit: building is the test. NORMNET_FIRST decides which comes
// first, IMPLEMENTATION whether the program compiles stb's functions here, too; with options of its own, which are not the library's.
#ifdef NORMNET_FIRST
#include <normnet/viz/image_grid.hpp>
#include <normnet/viz/line_chart.hpp>
#endif

#ifdef IMPLEMENTATION
#include <cstdlib>

inline void* own_malloc(std::size_t size) { return std::malloc(size); }

#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBIW_MALLOC(size) own_malloc(size)
#define STBIW_REALLOC(memory, size) std::realloc(memory, size)
#define STBIW_FREE(memory) std::free(memory)
#define STB_TRUETYPE_IMPLEMENTATION
#define STBTT_malloc(size, context) ((void)(context), own_malloc(size))
#define STBTT_free(memory, context) ((void)(context), std::free(memory))
#define STB_RECT_PACK_IMPLEMENTATION
#endif
#include <stb_easy_font.h>
#include <stb_image_write.h>
#include <stb_rect_pack.h>
#include <stb_truetype.h>

#ifndef NORMNET_FIRST
#include <normnet/viz/image_grid.hpp>
#include <normnet/viz/line_chart.hpp>
#endif

#if defined(IMPLEMENTATION) != (defined(STBIW_MALLOC) && defined(STBTT_malloc) && defined(STB_IMAGE_WRITE_IMPLEMENTATION))
#error "the program's options of stb did not come back"
#endif

int program() {
  const unsigned char pixel[3] = {1, 2, 3};
  char text[] = "text";
  stbtt_fontinfo font = {};
  stbrp_rect rect = {};
  normnet::viz::LineChart chart({.title = "both"});
  chart.add({.name = "first", .x = {0, 1}, .y = {1, 2}}).write("chart.png");
  return stbi_write_png("pixel.png", 1, 1, 3, pixel, 0) + stb_easy_font_width(text) + font.numGlyphs + rect.was_packed;
}
