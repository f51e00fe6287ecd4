// report.html: everything that an experiment found on one page for people, self-contained. The page is in report_page/.
#pragma once

#include <normnet/io/atomic_file.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

namespace cifar10_norms {

/// The page's parts, which the build makes of the files in report_page/ and of the system's Chart.js (see its CMakeLists.txt).
namespace report_page_parts {
std::string_view html();  ///< the frame, with {{name}} where the others belong
std::string_view css();
std::string_view script();
std::string_view chart_library();  ///< empty where there is no Chart.js: the curves are static then
}  // namespace report_page_parts

/// Bytes as base64 text. RFC 4648, section 4.
inline std::string base64(std::string_view bytes) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t offset) -> std::uint32_t {
      return i + offset < bytes.size() ? static_cast<unsigned char>(bytes[i + offset]) : 0;
    };
    const std::uint32_t bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    for (std::size_t digit = 0; digit < 4; ++digit) {
      const bool padding = i + digit > bytes.size();  // n bytes fill n + 1 digits
      text += padding ? '=' : digits[bits >> (18 - 6 * digit) & 63];
    }
  }
  return text;
}

/// JSON as the content of a script element: nothing in it can end the element. What is not UTF-8 is replaced.
inline std::string json_in_html(const nlohmann::ordered_json& json) {
  std::string text;
  for (const char c : json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace)) {
    if (c == '<') {
      text += "\\u003c";  // it can only stand in a string
    } else {
      text += c;
    }
  }
  return text;
}

/// The whole page: what results.json says, with the pictures' bytes (PNG) by their names in results["pictures"]. What either
/// lacks, the page leaves out. While the results say neither "finished": true nor "interrupted": true, and nothing for "failed", the
/// page loads itself again every few seconds. "failed" is the error that ended the run, or true where that did not come to be
/// written. chart_library is the text of Chart.js; without it the curves are static.
inline std::string report_page(const nlohmann::ordered_json& results, const std::map<std::string, std::string>& pictures,
                               std::string_view chart_library = report_page_parts::chart_library()) {
  auto picture_addresses = nlohmann::ordered_json::object();
  for (const auto& [file, bytes] : pictures) picture_addresses[file] = "data:image/png;base64," + base64(bytes);
  const std::map<std::string_view, std::string> parts{
      {"style", std::string(report_page_parts::css())},     {"results", json_in_html(results)},
      {"pictures", json_in_html(picture_addresses)},        {"chart_library", std::string(chart_library)},
      {"script", std::string(report_page_parts::script())},
  };

  // Only the frame is searched: what is put in may hold braces of its own.
  std::string page;
  std::string_view rest = report_page_parts::html();
  for (std::size_t open = rest.find("{{"); open != std::string_view::npos; open = rest.find("{{")) {
    const std::size_t close = rest.find("}}", open);
    page += rest.substr(0, open);
    page += parts.at(rest.substr(open + 2, close - open - 2));
    rest.remove_prefix(close + 2);
  }
  page += rest;
  return page;
}

/// Writes report.html into a folder, with those of the pictures that results["pictures"] names and that are there by now.
/// Throws Error `cannot write "<path>": <reason>`.
inline void write_report_page(const nlohmann::ordered_json& results, const std::filesystem::path& folder,
                              std::string_view chart_library = report_page_parts::chart_library()) {
  std::map<std::string, std::string> pictures;
  for (const auto& picture : results.value("pictures", nlohmann::ordered_json::array())) {
    const std::string name = picture.value("file", "");
    if (!std::filesystem::is_regular_file(folder / name)) continue;
    std::ifstream file(folder / name, std::ios::binary);
    pictures[name] = {std::istreambuf_iterator<char>(file), {}};
  }
  normnet::write_file_atomically(folder / "report.html", report_page(results, pictures, chart_library));
}

}  // namespace cifar10_norms
