// Pictures as PNG files.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/io/atomic_file.hpp>
#include <normnet/viz/image.hpp>
#include <normnet/viz/stb_image_write.hpp>

#include <cstdlib>
#include <filesystem>
#include <memory>

namespace normnet::normnet_impl {

/// Whether the encoder, which counts in int and doubles its buffers, can take so many pixels.
constexpr bool fits_png_encoder(Index width, Index height) { return height <= (Index{1} << 29) / (3 * width + 1); }

}  // namespace normnet::normnet_impl

namespace normnet::viz {

/// Writes the picture as an 8-bit RGB PNG. As every file it is written whole or not at all.
/// Throws Error `cannot write "<path>": <reason>`.
inline void write_png(const Image& image, const std::filesystem::path& path) {
  const auto refuse = [&path](const auto& reason) { fail("cannot write \"", path.string(), "\": ", reason); };
  if (!normnet_impl::fits_png_encoder(image.width(), image.height())) {
    refuse(concat("a picture of ", image.width(), "x", image.height(), " pixels is too large for the PNG encoder"));
  }
  int size = 0;
  const std::unique_ptr<unsigned char, decltype(&std::free)> png(
      normnet_impl::stbi_write_png_to_mem(image.bytes().data(), 0, static_cast<int>(image.width()),
                                          static_cast<int>(image.height()), 3, &size),
      &std::free);
  if (!png) refuse("out of memory");

  write_file_atomically(path, {reinterpret_cast<const char*>(png.get()), static_cast<std::size_t>(size)});
}

}  // namespace normnet::viz
