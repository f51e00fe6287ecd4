// Tests of io/atomic_file.hpp.
#include "support/catch.hpp"
#include "support/disk_log.hpp"
#include "support/files.hpp"

#include <normnet/io/atomic_file.hpp>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

using namespace normnet;
using test::content;
namespace fs = std::filesystem;

TEST_CASE("write_file_atomically writes and replaces bytes as they are", "[io]") {
  const test::TemporaryFolder folder;
  const std::string bytes("a\r\n\0b\xff", 6);
  write_file_atomically(folder / "file", "something much longer than what follows");
  write_file_atomically(folder / "file", bytes);
  CHECK(content(folder / "file") == bytes);
  CHECK(folder.entries() == 1);
}

TEST_CASE("write_file_atomically names the file and the reason when it fails", "[io]") {
  const test::TemporaryFolder folder;
  CHECK_THROWS_WITH(write_file_atomically(folder / "none" / "file", "x"),
                    "cannot write \"" + (folder / "none" / "file").string() + "\": No such file or directory");

  // A rename onto a folder that is not empty fails: that folder must stay as it was, and nothing beside it may remain.
  fs::create_directories(folder / "taken");
  write_file_atomically(folder / "taken" / "old", "old");
  CHECK_THROWS_WITH(write_file_atomically(folder / "taken", "x"),
                    "cannot write \"" + (folder / "taken").string() + "\": Is a directory");
  CHECK(content(folder / "taken" / "old") == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("write_file_atomically waits for the disk when it shall", "[io]") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "file", "old", Durability::synced);
  write_file_atomically(folder / "file", "new", Durability::synced);
  CHECK(content(folder / "file") == "new");
  CHECK(folder.entries() == 1);
  CHECK(normnet_impl::sync_folder(""));
  CHECK_FALSE(normnet_impl::sync_folder(folder / "none"));

  // All bytes are on the disk before the new name is, and that when the call returns.
  const std::string name = folder.path().filename().string();
  const test::DiskLog log;
  write_file_atomically(folder / "file", "newer", Durability::synced);
  CHECK(log.calls() == std::vector<std::string>{"sync part, 5 bytes", "rename to file", "sync " + name});
  write_file_atomically(folder / "file", "newest");
  CHECK(log.calls().size() == 4);
  CHECK(log.calls().back() == "rename to file");
}

TEST_CASE("write_file_atomically leaves the old file whole when the disk is full", "[io]") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "file", "old");
  for (const Durability durability : {Durability::visible, Durability::synced}) {
    const auto write_on_a_full_disk = [&] {
      const test::FileSizeLimit limit(2);
      write_file_atomically(folder / "file", "new", durability);
    };
    CHECK_THROWS_WITH(write_on_a_full_disk(), "cannot write \"" + (folder / "file").string() + "\": File too large");
    CHECK(content(folder / "file") == "old");
    CHECK(folder.entries() == 1);
  }
}

TEST_CASE("write_file_atomically leaves the old file in a read-only folder", "[io]") {
  const test::TemporaryFolder folder;
  write_file_atomically(folder / "file", "old");
  const auto write_read_only = [&] {
    const test::ReadOnlyFolder locked(folder.path());
    write_file_atomically(folder / "file", "new", Durability::synced);
  };
  CHECK_THROWS_WITH(write_read_only(), "cannot write \"" + (folder / "file").string() + "\": Permission denied");
  CHECK(content(folder / "file") == "old");
  CHECK(folder.entries() == 1);
}

TEST_CASE("What a crash left is known by its name", "[io]") {
  CHECK(file_of_leftover(".history.csv.1234-5.part") == "history.csv");
  CHECK(file_of_leftover(".a.1-2.part.30-40.part") == "a.1-2.part");
  CHECK(file_of_leftover(normnet_impl::part_of("runs/era/results.json").filename().string()) == "results.json");
  for (const char* other :
       {"", ".", ".part", "history.csv", "history.csv.1234-5.part", ".history.csv.part", ".history.csv.1234.part",
        ".history.csv.-5.part", ".history.csv.1234-.part", ".history.csv.12x4-5.part", ".history.csv.1234-5.parts",
        ".history.csv.1234-5", ".history.csv1234-5.part", ".1234-5.part", ".-.part", ".history.csv.1234--5.part"}) {
    INFO(other);
    CHECK(file_of_leftover(other).empty());
  }
}

TEST_CASE("Threads that write the same file at once leave one whole version of it", "[io]") {
  const test::TemporaryFolder folder;
  std::vector<std::string> versions;
  for (const char letter : {'a', 'b', 'c', 'd'}) versions.emplace_back(100'000, letter);
  std::atomic<int> failures = 0;
  std::vector<std::thread> writers;
  for (const std::string& version : versions) {
    writers.emplace_back([&] {
      try {
        for (int i = 0; i < 50; ++i) write_file_atomically(folder / "file", version);
      } catch (const Error&) {
        ++failures;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  CHECK(failures == 0);
  CHECK(std::count(versions.begin(), versions.end(), content(folder / "file")) == 1);
  CHECK(folder.entries() == 1);
}
