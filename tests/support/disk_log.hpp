// What a program does to make files survive a power cut: its calls of fsync() and rename(), which are watched here. For one file of a
// test program, because it defines both functions in place of the C library's.
#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace normnet::test {

/// The calls as long as it lives, in their order: "sync <name>, 3 bytes" for a file, "sync <name>" for a folder, and "rename to <name>". A
/// part that is yet to be renamed is called "part".
class DiskLog {
 public:
  DiskLog() { active() = this; }
  ~DiskLog() { active() = nullptr; }
  DiskLog(const DiskLog&) = delete;
  DiskLog& operator=(const DiskLog&) = delete;

  const std::vector<std::string>& calls() const { return calls_; }

  static void add(std::string call) {
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    if (active() != nullptr) active()->calls_.push_back(std::move(call));
  }

 private:
  static DiskLog*& active() {
    static DiskLog* log = nullptr;
    return log;
  }

  std::vector<std::string> calls_;
};

}  // namespace normnet::test

extern "C" int fsync(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) == 0) {
    const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor));
    const std::string name = path.extension() == ".part" ? "part" : path.filename().string();
    normnet::test::DiskLog::add("sync " + name +
                                (S_ISDIR(status.st_mode) ? "" : ", " + std::to_string(status.st_size) + " bytes"));
  }
  return static_cast<int>(syscall(SYS_fsync, descriptor));
}

extern "C" int rename(const char* from, const char* to) noexcept {
  normnet::test::DiskLog::add("rename to " + std::filesystem::path(to).filename().string());
  return renameat(AT_FDCWD, from, AT_FDCWD, to);
}
