// Feeds Cifar10::load with files: the first byte says how the others are dealt out to them.
#include <normnet/core/error.hpp>
#include <normnet/data/cifar10.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

using namespace normnet;
namespace fs = std::filesystem;

namespace {

// A folder that goes with the process.
struct Folder {
  fs::path path;
  Folder() {
    std::string name = (fs::temp_directory_path() / "normnet-fuzz-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) std::abort();
    path = name;
    for (int i = 2; i <= 5; ++i) fs::create_symlink("data_batch_1.bin", path / concat("data_batch_", i, ".bin"));
  }
  ~Folder() { fs::remove_all(path); }
};

void write(const fs::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Folder folder;
  if (size == 0) return 0;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto take = [&](std::size_t count) {
    const std::string_view taken = rest.substr(0, count);
    rest.remove_prefix(taken.size());
    return taken;
  };
  // Records of 3073 bytes are made of their labels: random pixels would teach the fuzzer nothing.
  const auto records = [&](std::size_t count, std::size_t excess) {
    std::string bytes;
    for (const char label : take(count)) bytes += std::string(1, label) + std::string(3072, 'x');
    return bytes + std::string(excess, 'y');
  };
  const unsigned plan = data[0];
  write(folder.path / "data_batch_1.bin", records(plan & 3, plan & 4 ? 100 : 0));
  write(folder.path / "test_batch.bin", records(plan >> 3 & 3, plan & 32 ? 3072 : 0));
  if (plan & 64) {
    write(folder.path / "batches.meta.txt", rest);
  } else {
    fs::remove(folder.path / "batches.meta.txt");
  }
  try {
    const Cifar10 data_set = Cifar10::load(folder.path);
    if (data_set.train.size() != 5 * static_cast<Index>(plan & 3)) std::abort();
    for (Index i = 0; i < data_set.test.size(); ++i) {
      if (data_set.test.label(i) < 0 || data_set.test.label(i) >= data_set.test.classes()) std::abort();
    }
  } catch (const Error&) {  // the answer to everything else
  }
  return 0;
}
