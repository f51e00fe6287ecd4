// Uses the library's pictures, and with them the stb headers.
#include <normnet/viz/png.hpp>

int main() { normnet::viz::write_png(normnet::viz::Image(3, 2), "picture.png"); }
