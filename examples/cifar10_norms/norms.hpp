// The normalizations that the experiments compare.
#pragma once

#include <normnet/normnet.hpp>

#include <charconv>
#include <optional>
#include <string>
#include <system_error>

namespace cifar10_norms {

using normnet::Index;

/// Which layer stands where a network has its normalization.
struct Norm {
  enum class Kind { batch, group, layer, instance, none };

  Kind kind = Kind::none;
  /// Of group norm; without a value, as many as the recipe says.
  std::optional<Index> groups = std::nullopt;
  /// As it was asked for: "bn", "gn", "gn:8", "ln", "in", "none", or a name that one recipe alone knows.
  std::string name = "none";
  /// For charts and tables; empty: made of the name.
  std::string label = {};

  /// For file names: "gn8" for "gn:8".
  std::string file_name() const { return without_colon(); }

  /// For charts and tables: "GN8" for "gn:8", "no norm" for "none", or its label.
  std::string title() const {
    if (!label.empty()) return label;
    if (kind == Kind::none) return "no norm";
    std::string text = without_colon();
    for (char& c : text) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    return text;
  }

 private:
  std::string without_colon() const {
    std::string text = name;
    std::erase(text, ':');
    return text;
  }
};

/// The names that every recipe knows: for messages.
inline constexpr const char* usual_norm_names = "bn, gn, gn:GROUPS, ln, in or none";

/// The normalization of that name; nothing for one that is none of the usual.
inline std::optional<Norm> parse_norm(const std::string& name) {
  if (name == "bn") return Norm{.kind = Norm::Kind::batch, .name = name};
  if (name == "gn") return Norm{.kind = Norm::Kind::group, .name = name};
  if (name == "ln") return Norm{.kind = Norm::Kind::layer, .name = name};
  if (name == "in") return Norm{.kind = Norm::Kind::instance, .name = name};
  if (name == "none") return Norm{.kind = Norm::Kind::none, .name = name};
  if (name.starts_with("gn:")) {
    Index groups = 0;
    const char* const end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + 3, end, groups);
    if (error == std::errc{} && rest == end && groups > 0) return Norm{.kind = Norm::Kind::group, .groups = groups, .name = name};
  }
  return std::nullopt;
}

/// Appends the normalization of a convolution's output. Layer norm runs over channels and pixels with a weight and a bias for
/// each channel, as the published projects have it: group norm of one group. Instance norm is group norm of as many groups as
/// channels.
inline void add_norm(normnet::Sequential<float>& net, const Norm& norm, Index channels, Index default_groups,
                     const std::string& name) {
  using normnet::BatchNorm2d, normnet::GroupNorm;
  try {
    switch (norm.kind) {
      case Norm::Kind::batch: net.add(BatchNorm2d<float>(channels), name); break;
      case Norm::Kind::group: net.add(GroupNorm<float>(norm.groups.value_or(default_groups), channels), name); break;
      case Norm::Kind::layer: net.add(GroupNorm<float>(1, channels), name); break;
      case Norm::Kind::instance: net.add(GroupNorm<float>(channels, channels), name); break;
      case Norm::Kind::none: break;
    }
  } catch (const normnet::Error& error) {
    normnet::fail("layer \"", name, "\": ", error.what());
  }
}

}  // namespace cifar10_norms
