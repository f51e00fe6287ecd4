// A second translation unit with the viz headers: the program links only when their stb code does not collide.
#include <normnet/viz/image_grid.hpp>
#include <normnet/viz/line_chart.hpp>

#include <string>

std::string message_from_the_other_unit(const std::filesystem::path& path) {
  try {
    normnet::viz::ImageGrid({.title = "nothing", .font = normnet::viz::Font::builtin()}).write(path);
  } catch (const normnet::Error& error) {
    return error.what();
  }
  return "no error";
}
