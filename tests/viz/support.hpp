// What the tests of the pictures share.
#pragma once

#include "support/files.hpp"

#include <normnet/core/error.hpp>
#include <normnet/viz/image.hpp>

#include <string>

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

/// How many pixels of the area have exactly this colour.
inline normnet::Index count(const normnet::viz::Image& image, normnet::viz::Rect area, normnet::viz::Color color) {
  normnet::Index found = 0;
  for (normnet::Index y = area.y; y < area.y + area.height; ++y) {
    for (normnet::Index x = area.x; x < area.x + area.width; ++x) found += image.get(x, y) == color;
  }
  return found;
}
