// Numbers and tables as text, the same in every locale.
#pragma once

#include <normnet/core/error.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace normnet {

/// The shortest decimal text that reads back as exactly this number: what two runs are compared by.
inline std::string to_exact(double value) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
  return {text.data(), end};
}

/// The number with the given digits after the point: to_fixed(2.345, 1) is "2.3".
inline std::string to_fixed(double value, int digits) {
  std::array<char, 384> text{};  // the largest double has 309 digits before the point
  const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, digits).ptr;
  return {text.data(), end};
}

/// The number with a comma between thousands: "39,490".
inline std::string with_commas(std::int64_t value) {
  const std::string digits = std::to_string(value);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const bool starts_group = i > 0 && digits[i - 1] != '-' && (digits.size() - i) % 3 == 0;
    if (starts_group) text += ',';
    text += digits[i];
  }
  return text;
}

/// A duration as "0:07", "12:34" or "1:02:03"; "?" when it is negative, unknown or longer than a thousand hours.
inline std::string format_duration(double seconds) {
  if (!(seconds >= 0 && seconds < 3.6e6)) return "?";
  const auto total = static_cast<std::int64_t>(std::llround(seconds));
  const std::int64_t hours = total / 3600, minutes = total / 60 % 60, rest = total % 60;
  const auto colon = [](std::int64_t n) { return n < 10 ? ":0" : ":"; };
  if (hours == 0) return concat(minutes, colon(rest), rest);
  return concat(hours, colon(minutes), minutes, colon(rest), rest);
}

/// The text with blanks before it, so that it fills a column of the given width.
inline std::string right_aligned(const std::string& text, std::size_t width) {
  return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}

/// The same with the blanks after it.
inline std::string left_aligned(const std::string& text, std::size_t width) {
  return text + std::string(width > text.size() ? width - text.size() : 0, ' ');
}

/// The rows of cells as lines of equal length: every column as wide as its widest cell, two blanks between columns. The first
/// `left_columns` are aligned to the left, the others to the right. Throws Error when a row has not as many cells as the first.
inline std::vector<std::string> aligned_table(const std::vector<std::vector<std::string>>& rows, std::size_t left_columns) {
  std::vector<std::size_t> widths(rows.empty() ? 0 : rows.front().size());
  for (const auto& row : rows) {
    if (row.size() != widths.size()) fail("aligned_table: expected rows of ", widths.size(), " cells, got ", row.size());
    for (std::size_t column = 0; column < row.size(); ++column) widths[column] = std::max(widths[column], row[column].size());
  }
  std::vector<std::string> lines;
  for (const auto& row : rows) {
    std::string& line = lines.emplace_back();
    for (std::size_t column = 0; column < row.size(); ++column) {
      if (column > 0) line += "  ";
      line += column < left_columns ? left_aligned(row[column], widths[column]) : right_aligned(row[column], widths[column]);
    }
  }
  return lines;
}

}  // namespace normnet
