// Files that are written whole or not at all.
#pragma once

#include <normnet/core/error.hpp>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#if __has_include(<unistd.h>)
#include <unistd.h>
#else
#include <process.h>
#endif

namespace normnet {

namespace detail {

/// A path beside the given one that no other process, thread or call writes to: `.history.csv.1234-5.part`.
inline std::filesystem::path part_of(const std::filesystem::path& path) {
  static std::atomic<unsigned> calls = 0;
#if __has_include(<unistd.h>)
  const auto process = getpid();
#else
  const auto process = _getpid();
#endif
  return path.parent_path() / concat('.', path.filename().string(), '.', process, '-', ++calls, ".part");
}

}  // namespace detail

/// Writes the bytes to a file. They go into a hidden file beside it that is renamed when it is whole, so that a reader never
/// meets half a file, and a failed write leaves an existing one as it was. Where several write the same file at once, one of them
/// wins; a crash may leave a hidden `.<file>.<process>-<number>.part`. Throws Error `cannot write "<path>": <reason>`.
inline void write_file_atomically(const std::filesystem::path& path, std::string_view contents) {
  const std::filesystem::path part = detail::part_of(path);
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
