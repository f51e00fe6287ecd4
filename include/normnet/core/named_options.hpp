// Options as texts: what tells two layers, optimizers or runs apart.
#pragma once

#include <normnet/core/format.hpp>
#include <normnet/core/pair.hpp>
#include <normnet/core/shape.hpp>

#include <array>
#include <charconv>
#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace normnet {

/// Options by name, as texts that differ wherever two values do, be it in their last bit: {"eps", "1e-05"}.
using NamedOptions = std::map<std::string, std::string>;

namespace normnet_impl {

/// A value as such a text, the same in every locale.
inline std::string exact_text(bool value) { return value ? "true" : "false"; }
inline std::string exact_text(const Shape& value) { return value.to_string(); }
inline std::string exact_text(const Pair& value) { return value.to_string(); }
template <std::integral V>
std::string exact_text(V value) {
  return std::to_string(value);
}
template <std::floating_point V>
std::string exact_text(V value) {
  std::array<char, 64> text{};
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}
template <class V>
std::string exact_text(const std::vector<V>& values) {
  std::string text;
  for (const V& value : values) text += (text.empty() ? "" : ",") + exact_text(value);
  return text;
}

/// The options of a part under its own name, with its type as the value of the name itself: {"conv1", "Conv2d"} and
/// {"conv1.stride", "2x2"}.
inline NamedOptions named_part(const std::string& name, const std::string& type, const NamedOptions& options) {
  NamedOptions all{{name, type}};
  for (const auto& [option, value] : options) all.emplace(name + "." + option, value);
  return all;
}

/// An option that two have differently; nothing stands for one that the other has alone.
struct OptionDifference {
  std::string name;
  std::optional<std::string> expected, got;
};

/// The first by name, so that a part's type comes before its options; nothing where all are the same.
inline std::optional<OptionDifference> first_difference(const NamedOptions& expected, const NamedOptions& got) {
  auto e = expected.begin(), g = got.begin();
  while (e != expected.end() && g != got.end() && *e == *g) ++e, ++g;
  if (e == expected.end() && g == got.end()) return std::nullopt;
  if (g == got.end() || (e != expected.end() && e->first < g->first)) return OptionDifference{e->first, e->second, std::nullopt};
  if (e == expected.end() || g->first < e->first) return OptionDifference{g->first, std::nullopt, g->second};
  return OptionDifference{e->first, e->second, g->second};
}

}  // namespace normnet_impl
}  // namespace normnet
