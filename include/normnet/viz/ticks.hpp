// Where an axis has its ticks, and how numbers are written beside them.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/format.hpp>
#include <normnet/core/shape.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace normnet::normnet_impl {

/// The ticks of an axis: ascending values, and the label of each.
struct Ticks {
  std::vector<double> values;
  std::vector<std::string> labels;
};

/// `2e-06` and `1.5e+06` as people write them: 2e-6, 1.5e6.
inline std::string without_padding(std::string text) {
  const std::size_t exponent = text.find('e') + 1;
  if (text[exponent] == '+') text.erase(exponent, 1);
  const std::size_t digits = text[exponent] == '-' ? exponent + 1 : exponent;
  while (text[digits] == '0' && digits + 1 < text.size()) text.erase(digits, 1);
  return text;
}

/// The shortest text in scientific notation that reads back as exactly this number: 2e-6.
inline std::string scientific(double value) {
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific).ptr;
  return without_padding({buffer.data(), end});
}

/// Ticks at all the multiples of a step within [low, high]. The step is the smallest of 1, 2 or 5 times a power of ten that cuts
/// the range into at most `intervals` parts; with `whole` it is at least 1. The values are the doubles nearest to the decimals
/// that the labels show. Throws Error unless low and high are finite and low < high (by more than 1e-290).
inline Ticks nice_ticks(double low, double high, Index intervals, bool whole = false) {
  if (!(high - low > 1e-290) || !std::isfinite(high - low)) fail("nice_ticks: expected a finite range, got ", low, " to ", high);
  if (intervals < 1) fail("nice_ticks: expected at least 1 interval, got ", intervals);
  const double least = (high - low) / static_cast<double>(intervals) * (1 - 1e-9);  // forgives the rounding of the division
  int exponent = static_cast<int>(std::floor(std::log10(least)));
  int factor = 1;
  for (const int candidate : {1, 2, 5, 10}) {
    factor = candidate;
    if (candidate * std::pow(10.0, exponent) >= least) break;
  }
  if (factor == 10) {
    factor = 1;
    ++exponent;
  }
  if (whole && exponent < 0) {
    factor = 1;
    exponent = 0;
  }
  // A product or quotient of whole numbers is rounded once, so 3 * 2 / 10 is the double 0.6; 3 * 0.2 would not be.
  const double power = std::pow(10.0, std::abs(exponent));
  const auto value = [&](Index i) {
    const auto multiple = static_cast<double>(i * factor);
    return exponent < 0 ? multiple / power : multiple * power;
  };
  const double step = value(1);
  const auto first = static_cast<Index>(std::ceil(low / step - 1e-9));
  const auto last = static_cast<Index>(std::floor(high / step + 1e-9));
  Ticks ticks;
  for (Index i = first; i <= last; ++i) ticks.values.push_back(value(i));
  double largest = 0;
  for (const double tick : ticks.values) largest = std::max(largest, std::abs(tick));
  for (const double tick : ticks.values) {
    const bool plain = largest < 1e6 && largest >= 1e-3;
    const int decimals = plain ? std::max(0, -exponent) : 0;
    ticks.labels.push_back(plain || tick == 0 ? to_fixed(tick, decimals) : scientific(tick));
  }
  return ticks;
}

/// A value with four significant digits, or as many as its whole part has, for reading: 74.71, 0.7312, 12346, 1.234e-5.
inline std::string to_readable(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (value == 0) return "0";
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific, 3).ptr;
  std::string rounded(buffer.data(), end);  // 1.200e-05
  const std::size_t e = rounded.find('e');
  const int exponent = std::stoi(rounded.substr(e + 1));
  if (exponent >= -4 && exponent <= 5) return to_fixed(value, std::max(0, 3 - exponent));
  const std::size_t last_digit = rounded.find_last_not_of(".0", e - 1);
  rounded.erase(last_digit + 1, e - 1 - last_digit);
  return without_padding(std::move(rounded));
}

/// The range of an axis for data within [low, high]: a margin of `share` of the data's range on both sides, so that no line runs
/// along the frame. Data that is (nearly) constant gets a tenth of its value on both sides, or 1 where it is zero.
inline std::pair<double, double> padded_range(double low, double high, double share) {
  const double magnitude = std::max(std::abs(low), std::abs(high));
  const double range = high - low;
  const double margin = range > 1e-9 * magnitude ? share * range : magnitude > 0 ? 0.1 * magnitude : 1.0;
  return {low - margin, high + margin};
}

}  // namespace normnet::normnet_impl
