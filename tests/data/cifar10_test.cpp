// Tests of the CIFAR-10 reader and writer: small files in a temporary folder, and the real ones where NORMNET_DATA is their
// folder.
#include <normnet/data/cifar10.hpp>
#include <normnet/data/statistics.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace normnet;
using test::content, test::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> standard_names{"airplane", "automobile", "bird",  "cat",  "deer",
                                              "dog",      "frog",       "horse", "ship", "truck"};

// Every image, and every place in it, has bytes of its own.
Dataset numbered(Index images, Index height = 32, std::vector<std::string> names = standard_names) {
  std::vector<std::uint8_t> bytes;
  std::vector<int> labels;
  for (Index i = 0; i < images; ++i) {
    labels.push_back(static_cast<int>((i * 7 + 3) % static_cast<Index>(names.size())));
    for (Index p = 0; p < 3 * height * 32; ++p) bytes.push_back(static_cast<std::uint8_t>((i * 37 + p * 11 + p / 251) % 256));
  }
  return Dataset({.channels = 3, .height = height, .width = 32, .class_names = std::move(names)}, std::move(bytes),
                 std::move(labels));
}

std::ptrdiff_t files_in(const fs::path& folder) { return std::distance(fs::directory_iterator(folder), {}); }

void write(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

std::string message(const fs::path& folder) {
  try {
    Cifar10::load(folder);
    return "no error";
  } catch (const Error& error) {
    return error.what();
  }
}

void check_equal(const Dataset& a, const Dataset& b) {
  REQUIRE(a.size() == b.size());
  CHECK(a.class_names() == b.class_names());
  for (Index i = 0; i < a.size(); ++i) {
    CHECK(a.label(i) == b.label(i));
    CHECK(std::ranges::equal(a.image(i), b.image(i)));
  }
}

}  // namespace

TEST_CASE("Cifar10 reads what it wrote, in files of the official layout") {
  const TemporaryFolder temporary;
  const fs::path folder = temporary.path() / "cifar-10-batches-bin";
  const Cifar10 data{.train = numbered(13), .test = numbered(4)};
  data.save(folder);

  // 13 records in five files, in order.
  const std::vector<std::uintmax_t> records{2, 3, 2, 3, 3};
  for (std::size_t i = 0; i < 5; ++i) CHECK(fs::file_size(folder / concat("data_batch_", i + 1, ".bin")) == records[i] * 3073);
  CHECK(fs::file_size(folder / "test_batch.bin") == 4 * 3073);
  CHECK(files_in(folder) == 7);  // nothing else is left
  const std::string second = content(folder / "data_batch_2.bin");
  CHECK(second[0] == data.train.label(2));
  CHECK(std::equal(second.begin() + 1, second.begin() + 3073, data.train.image(2).begin(),
                   [](char a, std::uint8_t b) { return static_cast<std::uint8_t>(a) == b; }));
  CHECK(content(folder / "batches.meta.txt") == "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n");

  for (const fs::path& given : {folder, temporary.path()}) {
    const Cifar10 loaded = Cifar10::load(given);
    check_equal(loaded.train, data.train);
    check_equal(loaded.test, data.test);
    CHECK(loaded.train.channels() == 3);
    CHECK_FALSE(loaded.train.synthetic());
  }

  // A folder that has the files itself is read, also with another one in it.
  const Cifar10 outer{.train = numbered(5), .test = numbered(2)};
  outer.save(temporary.path());
  check_equal(Cifar10::load(temporary.path()).train, outer.train);
  check_equal(Cifar10::load(folder).train, data.train);
}

TEST_CASE("Cifar10 takes its class names from batches.meta.txt, and the usual ones without it") {
  const TemporaryFolder temporary;
  const fs::path folder = temporary.path(), names = folder / "batches.meta.txt";
  Cifar10{.train = numbered(5), .test = numbered(1)}.save(folder);
  write(names, "a\r\nb\r\nc\r\nd\r\ne\r\nf\r\ng\r\nh\r\ni\r\nold car\r\n\r\n");
  CHECK(Cifar10::load(folder).test.class_names() ==
        std::vector<std::string>{"a", "b", "c", "d", "e", "f", "g", "h", "i", "old car"});
  fs::remove(names);
  CHECK(Cifar10::load(folder).train.class_names() == standard_names);
  write(names, "a\nb\n");
  CHECK(message(folder) == concat("Cifar10: \"", names.string(), "\": expected 10 class names, got 2"));
  write(names, std::string(5000, 'x'));
  CHECK(message(folder) == concat("Cifar10: \"", names.string(), "\": expected at most 4096 bytes of class names, got 5000"));
}

TEST_CASE("Cifar10 names the file and the offset of any damage") {
  const TemporaryFolder temporary;
  const fs::path folder = temporary.path(), file = folder / "data_batch_2.bin";
  Cifar10{.train = numbered(10), .test = numbered(1)}.save(folder);
  const std::string whole = content(file);
  const std::string where = concat("Cifar10: \"", file.string(), "\": ");

  std::string damaged = whole;
  damaged[3073] = static_cast<char>(200);
  write(file, damaged);
  CHECK(message(folder) == where + "expected a label below 10 at offset 3073, got 200");
  damaged[0] = 10;
  write(file, damaged);
  CHECK(message(folder) == where + "expected a label below 10 at offset 0, got 10");

  write(file, whole.substr(0, whole.size() - 1));
  CHECK(message(folder) == where + "expected records of 3073 bytes, got 3072 bytes in the last, at offset 3073");
  write(file, whole + 'x');
  CHECK(message(folder) == where + "expected records of 3073 bytes, got 1 bytes in the last, at offset 6146");
  write(file, "");
  CHECK(message(folder) == where + "expected records of 3073 bytes, got an empty file");
  fs::resize_file(file, 3073 * 10001);
  CHECK(message(folder) == where + "expected at most 10000 records of 3073 bytes, got 30733073 bytes");
  fs::resize_file(file, std::uintmax_t{1} << 40);  // a sparse file that would not fit into memory
  CHECK(message(folder) == where + "expected at most 10000 records of 3073 bytes, got 1099511627776 bytes");

  const std::string hint = "; get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it";
  fs::remove(file);
  CHECK(message(folder) == concat("Cifar10: no file \"", file.string(), "\"", hint));
  fs::create_directory(file);
  CHECK(message(folder).starts_with(concat("Cifar10: cannot read \"", file.string(), "\": ")));
  fs::remove(file);
  write(file, whole);
  CHECK(message(folder) == "no error");
  fs::remove(folder / "test_batch.bin");
  CHECK(message(folder) == concat("Cifar10: no file \"", (folder / "test_batch.bin").string(), "\"", hint));
  CHECK(message(folder / "absent") == concat("Cifar10: no folder \"", (folder / "absent").string(), "\"", hint));
  CHECK(message(file) == concat("Cifar10: no folder \"", file.string(), "\"", hint));
}

TEST_CASE("Cifar10 refuses to write what the format cannot hold, and leaves what is there") {
  const TemporaryFolder temporary;
  const fs::path folder = temporary.path();
  const Cifar10 good{.train = numbered(5), .test = numbered(1)};
  good.save(folder);
  const std::string before = content(folder / "data_batch_1.bin");

  const auto save = [&](Dataset train, Dataset test) { Cifar10{.train = train, .test = test}.save(folder); };
  CHECK_THROWS_WITH(save(numbered(4), numbered(1)), "Cifar10: expected 5 to 50000 training images, got 4");
  CHECK_THROWS_WITH(save(numbered(5), numbered(0)), "Cifar10: expected 1 to 10000 test images, got 0");
  CHECK_THROWS_WITH(save(numbered(5, 16), numbered(1)), "Cifar10: expected training images of 3x32x32, got 3x16x32");
  CHECK_THROWS_WITH(save(numbered(5), numbered(1, 32, {"a", "b"})), "Cifar10: expected 10 classes of test images, got 2");
  auto other_names = standard_names;
  other_names[3] = "tiger";
  CHECK_THROWS_WITH(save(numbered(5), numbered(1, 32, other_names)),
                    "Cifar10: expected the same class names in training and test images");
  other_names[3] = "two\nlines";
  CHECK_THROWS_WITH(save(numbered(5, 32, other_names), numbered(1, 32, other_names)),
                    "Cifar10: expected class names of one line each, got \"two\nlines\"");

  // The last file cannot be opened: the first ones stay as they were, and no part is left.
  fs::create_directory(folder / "batches.meta.txt.part");
  CHECK_THROWS_WITH(
      save(numbered(25), numbered(1)),
      Catch::Matchers::StartsWith(concat("Cifar10: cannot write \"", (folder / "batches.meta.txt").string(), "\": ")));
  fs::remove(folder / "batches.meta.txt.part");
  CHECK(content(folder / "data_batch_1.bin") == before);
  CHECK(files_in(folder) == 7);

  // A folder stands where the last file belongs: no file is renamed before that is known.
  fs::remove(folder / "batches.meta.txt");
  fs::create_directories(folder / "batches.meta.txt" / "of somebody");
  CHECK_THROWS_WITH(save(numbered(25), numbered(1)),
                    concat("Cifar10: cannot write \"", (folder / "batches.meta.txt").string(), "\": Is a directory"));
  CHECK(content(folder / "data_batch_1.bin") == before);
  CHECK(fs::exists(folder / "batches.meta.txt" / "of somebody"));
  CHECK(files_in(folder) == 7);

  CHECK_THROWS_WITH(good.save(folder / "test_batch.bin" / "below"),
                    Catch::Matchers::StartsWith("Cifar10: cannot make the folder \""));
}

TEST_CASE("The real CIFAR-10 has the published statistics") {
  const char* folder = std::getenv("NORMNET_DATA");
  if (folder == nullptr || *folder == '\0') {
    WARN("skipped: NORMNET_DATA does not name the folder of CIFAR-10");
    return;
  }
  const Cifar10 data = Cifar10::load(folder);
  REQUIRE(data.train.size() == 50'000);
  REQUIRE(data.test.size() == 10'000);
  CHECK(data.train.class_names() == standard_names);
  CHECK(std::ranges::count(data.train.labels(), 3) == 5000);
  CHECK(std::ranges::count(data.test.labels(), 9) == 1000);

  const ChannelStatistics statistics = channel_statistics(data.train);
  const std::vector<double> mean{0.4914, 0.4822, 0.4465}, std{0.2470, 0.2435, 0.2616};
  for (std::size_t c = 0; c < 3; ++c) {  // to the four published digits
    CHECK(statistics.mean[c] == Approx(mean[c]).margin(5e-5));
    CHECK(statistics.std[c] == Approx(std[c]).margin(5e-5));
  }
}
