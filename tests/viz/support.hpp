// What the tests of the pictures share.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/viz/image.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <unistd.h>

/// The message of the Error that the action throws.
template <class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const normnet::Error& error) {
    return error.what();
  }
  return "no error";
}

inline std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// How many pixels of the area have exactly this colour.
inline normnet::Index count(const normnet::Image& image, normnet::Rect area, normnet::Color color) {
  normnet::Index found = 0;
  for (normnet::Index y = area.y; y < area.y + area.height; ++y) {
    for (normnet::Index x = area.x; x < area.x + area.width; ++x) found += image.get(x, y) == color;
  }
  return found;
}

/// An empty folder that goes with the test.
class Folder {
 public:
  explicit Folder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / ("normnet_" + name + "_" + std::to_string(getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

  std::ptrdiff_t entries() const {
    return std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator());
  }

 private:
  std::filesystem::path path_;
};
