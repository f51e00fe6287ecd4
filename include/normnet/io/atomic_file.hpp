// Files that are written whole or not at all.
#pragma once

#include <normnet/core/error.hpp>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

namespace normnet {

/// Writes the bytes to a file. They go into a file beside (`<path>.part`) that is renamed when it is whole, so that a reader
/// never meets half a file, and a failed write leaves an existing one as it was. Throws Error `cannot write "<path>": <reason>`.
inline void write_file_atomically(const std::filesystem::path& path, std::string_view contents) {
  std::filesystem::path part = path;
  part += ".part";
  const auto refuse = [&](const std::string& reason) {
    std::error_code ignored;
    std::filesystem::remove(part, ignored);
    fail("cannot write \"", path.string(), "\": ", reason);
  };
  const auto system_reason = [] { return std::generic_category().message(errno != 0 ? errno : EIO); };

  errno = 0;
  std::ofstream file(part, std::ios::binary);
  if (!file) refuse(system_reason());
  file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  file.close();
  if (!file) refuse(system_reason());
  std::error_code error;
  std::filesystem::rename(part, path, error);
  if (error) refuse(error.message());
}

}  // namespace normnet
