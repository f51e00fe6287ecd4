// Tests of io/atomic_file.hpp.
#include "support/catch.hpp"

#include <normnet/io/atomic_file.hpp>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

using namespace normnet;
namespace fs = std::filesystem;

namespace {

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

fs::path fresh_folder() {
  fs::path folder = fs::temp_directory_path() / "normnet_atomic_file_test";
  fs::remove_all(folder);
  fs::create_directories(folder);
  return folder;
}

std::ptrdiff_t files_in(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), fs::directory_iterator());
}

}  // namespace

TEST_CASE("write_file_atomically writes and replaces bytes as they are", "[io]") {
  const fs::path folder = fresh_folder();
  const std::string bytes("a\r\n\0b\xff", 6);
  write_file_atomically(folder / "file", "something much longer than what follows");
  write_file_atomically(folder / "file", bytes);
  CHECK(read(folder / "file") == bytes);
  CHECK(files_in(folder) == 1);
  fs::remove_all(folder);
}

TEST_CASE("write_file_atomically names the file and the reason when it fails", "[io]") {
  const fs::path folder = fresh_folder();
  CHECK_THROWS_WITH(write_file_atomically(folder / "none" / "file", "x"),
                    "cannot write \"" + (folder / "none" / "file").string() + "\": No such file or directory");

  // A rename onto a folder that is not empty fails: that folder must stay as it was, and nothing beside it may remain.
  fs::create_directories(folder / "taken");
  write_file_atomically(folder / "taken" / "old", "old");
  CHECK_THROWS_WITH(write_file_atomically(folder / "taken", "x"),
                    "cannot write \"" + (folder / "taken").string() + "\": Is a directory");
  CHECK(read(folder / "taken" / "old") == "old");
  CHECK(files_in(folder) == 1);
  fs::remove_all(folder);
}

#ifdef __linux__
TEST_CASE("write_file_atomically leaves the old file whole when the disk is full", "[io]") {
  const fs::path folder = fresh_folder();
  write_file_atomically(folder / "file", "old");
  fs::create_symlink("/dev/full", folder / "file.part");  // every write to it fails as on a full disk
  CHECK_THROWS_WITH(write_file_atomically(folder / "file", "new"),
                    "cannot write \"" + (folder / "file").string() + "\": No space left on device");
  CHECK(read(folder / "file") == "old");
  CHECK(files_in(folder) == 1);
  fs::remove_all(folder);
}
#endif
