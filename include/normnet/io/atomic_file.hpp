// Files that are written whole or not at all.
#pragma once

#include <normnet/core/error.hpp>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

#if __has_include(<unistd.h>)
#include <fcntl.h>
#include <unistd.h>
#define NORMNET_POSIX_FILES
#else
#include <io.h>
#include <process.h>
#endif

namespace normnet {

/// What must have happened before a write is done: that every reader sees the new file, or that it survives a power cut, too,
/// which costs a wait for the disk.
enum class Durability { visible, synced };

namespace normnet_impl {

/// A path beside the given one that no other process, thread or call writes to: `.history.csv.1234-5.part`.
inline std::filesystem::path part_of(const std::filesystem::path& path) {
  static std::atomic<unsigned> calls = 0;
#ifdef NORMNET_POSIX_FILES
  const auto process = getpid();
#else
  const auto process = _getpid();
#endif
  return path.parent_path() / concat('.', path.filename().string(), '.', process, '-', ++calls, ".part");
}

/// Waits until what was written to the file is on the disk; false, with errno, where that fails.
inline bool sync(std::FILE* file) {
#ifdef NORMNET_POSIX_FILES
  int result = 0;
  do {
    result = fsync(fileno(file));
  } while (result != 0 && errno == EINTR);
  return result == 0;
#else
  return _commit(_fileno(file)) == 0;
#endif
}

/// Waits until the names in a folder are on the disk; false, with errno, where that fails. File systems that know no such
/// request (EINVAL), and systems without one, have nothing to wait for.
inline bool sync_folder(const std::filesystem::path& folder) {
#ifdef NORMNET_POSIX_FILES
  const int descriptor = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return false;
  int result = 0;
  do {
    result = fsync(descriptor);
  } while (result != 0 && errno == EINTR);
  const int reason = errno;
  close(descriptor);
  errno = reason;
  return result == 0 || reason == EINVAL;
#else
  (void)folder;
  return true;
#endif
}

}  // namespace normnet_impl

/// The file that a crash kept from being written, given the name of what it left: "history.csv" for ".history.csv.1234-5.part"; ""
/// for names that write_file_atomically() does not give. What is left may be removed where nobody writes that file.
inline std::string file_of_leftover(const std::string& name) {
  constexpr std::string_view ending = ".part", digits = "0123456789";
  if (!name.starts_with('.') || !name.ends_with(ending)) return "";
  std::size_t end = name.size() - ending.size();
  for (const char before : {'-', '.'}) {  // the number of the write, then the process
    const std::size_t last = name.find_last_not_of(digits, end - 1);
    if (last == std::string::npos || last == 0 || last + 1 == end || name[last] != before) return "";
    end = last;
  }
  return name.substr(1, end - 1);
}

/// Writes the bytes to a file. They go into a hidden file beside it that is renamed when it is whole, so that a reader never
/// meets half a file, and a failed write leaves an existing one as it was. Where several write the same file at once, one of them
/// wins; a crash may leave a hidden `.<file>.<process>-<number>.part`. With Durability::synced the bytes are on the disk before
/// the rename and the new name is when the call returns, so that a power cut leaves the old file or the new one. Throws Error
/// `cannot write "<path>": <reason>`; where only the wait for the new name fails, the new file is there nevertheless.
inline void write_file_atomically(const std::filesystem::path& path, std::string_view contents,
                                  Durability durability = Durability::visible) {
  const std::filesystem::path part = normnet_impl::part_of(path);
  const auto refuse = [&](const std::string& reason) {
    std::error_code ignored;
    std::filesystem::remove(part, ignored);
    fail("cannot write \"", path.string(), "\": ", reason);
  };
  const auto system_reason = [] { return std::generic_category().message(errno != 0 ? errno : EIO); };

  errno = 0;
  std::FILE* file = std::fopen(part.string().c_str(), "wb");
  if (file == nullptr) refuse(system_reason());
  bool good = std::fwrite(contents.data(), 1, contents.size(), file) == contents.size() && std::fflush(file) == 0;
  if (good && durability == Durability::synced) good = normnet_impl::sync(file);
  std::string reason = good ? "" : system_reason();
  if (std::fclose(file) != 0 && good) reason = system_reason();
  if (!reason.empty()) refuse(reason);
  std::error_code error;
  std::filesystem::rename(part, path, error);
  if (error) refuse(error.message());
  if (durability == Durability::synced && !normnet_impl::sync_folder(path.parent_path())) refuse(system_reason());
}

}  // namespace normnet
