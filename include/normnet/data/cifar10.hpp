// CIFAR-10 in its binary format: reader and writer.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/out_of_memory.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/data/dataset.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace normnet {

/// 50,000 training and 10,000 test images of 32 x 32 pixels in ten classes (Krizhevsky, 2009,
/// https://www.cs.toronto.edu/~kriz/cifar.html), or a smaller set in the same files: data_batch_1.bin to data_batch_5.bin,
/// test_batch.bin, and batches.meta.txt with the classes' names, one a line. A file holds up to 10,000 records of 3073 bytes: the
/// label, then the red, the green and the blue plane.
struct Cifar10 {
  Dataset train;
  Dataset test;

  /// Reads a folder that holds the files, or their folder "cifar-10-batches-bin". Without batches.meta.txt the classes have their
  /// usual names. Throws Error when a file is missing or damaged; it names the file, the offset, what was expected and what is
  /// there.
  static Cifar10 load(const std::filesystem::path& folder);

  /// Writes the files; load() gives back the same images, but does not know whether they were synthetic. All are written beside
  /// (`<file>.part`) before the first is renamed, so that a failed write leaves those that exist as they were. A crash between
  /// two renames leaves some files new and the others old, and the parts of the latter; saving again makes them whole. Throws
  /// Error when the format cannot hold the data sets (3x32x32; ten classes; 5 to 50,000 training and 1 to 10,000 test images),
  /// and when a file cannot be written.
  void save(const std::filesystem::path& folder) const;

  static constexpr Index channels = 3;
  static constexpr Index height = 32;
  static constexpr Index width = 32;
  static constexpr int classes = 10;

 private:
  using Path = std::filesystem::path;

  static constexpr Index train_files = 5;
  static constexpr Index largest_file = 10'000;  // records
  static constexpr std::uintmax_t image_bytes = channels * height * width;
  static constexpr std::uintmax_t record_bytes = 1 + image_bytes;
  static constexpr const char* test_file = "test_batch.bin";
  static constexpr const char* names_file = "batches.meta.txt";
  static constexpr const char* unpacked_folder = "cifar-10-batches-bin";
  static constexpr const char* hint = "; get the binary version from https://www.cs.toronto.edu/~kriz/cifar.html and unpack it";

  static std::string train_file(Index i) { return concat("data_batch_", i + 1, ".bin"); }
  static std::string quoted(const Path& path) { return concat('"', path.string(), '"'); }
  static std::string system_reason() { return std::generic_category().message(errno != 0 ? errno : EIO); }

  static Path find(const Path& folder);
  static std::vector<std::string> read_class_names(const Path& path);
  static Index count_records(const Path& path);
  static Dataset read(const std::vector<Path>& files, const std::vector<std::string>& class_names);
  static void check_writable(const Dataset& data, const char* which, Index fewest, Index most);
  static void write_records(std::ostream& file, const Dataset& data, Index begin, Index end);
};

inline Cifar10 Cifar10::load(const std::filesystem::path& folder) {
  const Path found = find(folder);
  const std::vector<std::string> class_names = read_class_names(found / names_file);
  std::vector<Path> train;
  for (Index i = 0; i < train_files; ++i) train.push_back(found / train_file(i));
  return {.train = read(train, class_names), .test = read({found / test_file}, class_names)};
}

inline Cifar10::Path Cifar10::find(const Path& folder) {
  std::error_code ignored;  // whatever cannot be looked at is not there
  if (!std::filesystem::is_directory(folder, ignored)) fail("Cifar10: no folder ", quoted(folder), hint);
  const Path inner = folder / unpacked_folder;
  const bool has_files = std::filesystem::exists(folder / train_file(0), ignored);
  return !has_files && std::filesystem::is_directory(inner, ignored) ? inner : folder;
}

inline std::vector<std::string> Cifar10::read_class_names(const Path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    return {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"};
  }
  constexpr std::uintmax_t largest = 4096;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) fail("Cifar10: cannot read ", quoted(path), ": ", error.message());
  if (size > largest) fail("Cifar10: ", quoted(path), ": expected at most ", largest, " bytes of class names, got ", size);

  errno = 0;
  std::ifstream file(path);
  if (!file) fail("Cifar10: cannot read ", quoted(path), ": ", system_reason());
  std::vector<std::string> names;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty()) names.push_back(line);
  }
  if (names.size() != classes) fail("Cifar10: ", quoted(path), ": expected ", classes, " class names, got ", names.size());
  return names;
}

// From the size alone, so that a wrong file costs no memory.
inline Index Cifar10::count_records(const Path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) fail("Cifar10: no file ", quoted(path), hint);
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error) fail("Cifar10: cannot read ", quoted(path), ": ", error.message());
  if (size == 0) fail("Cifar10: ", quoted(path), ": expected records of ", record_bytes, " bytes, got an empty file");
  if (size > largest_file * record_bytes) {
    fail("Cifar10: ", quoted(path), ": expected at most ", largest_file, " records of ", record_bytes, " bytes, got ", size,
         " bytes");
  }
  if (size % record_bytes != 0) {
    fail("Cifar10: ", quoted(path), ": expected records of ", record_bytes, " bytes, got ", size % record_bytes,
         " bytes in the last, at offset ", size - size % record_bytes);
  }
  return static_cast<Index>(size / record_bytes);
}

inline Dataset Cifar10::read(const std::vector<Path>& files, const std::vector<std::string>& class_names) {
  std::vector<std::size_t> records;
  std::size_t total = 0;
  for (const Path& path : files) total += records.emplace_back(static_cast<std::size_t>(count_records(path)));

  std::vector<std::uint8_t> bytes;
  std::vector<int> labels;
  normnet_impl::with_memory_for({total, " images of CIFAR-10"}, static_cast<double>(total * image_bytes),
                                [&] { bytes.reserve(total * image_bytes); });
  labels.reserve(total);
  for (std::size_t f = 0; f < files.size(); ++f) {
    errno = 0;
    std::ifstream file(files[f], std::ios::binary);
    if (!file) fail("Cifar10: cannot read ", quoted(files[f]), ": ", system_reason());
    for (std::size_t i = 0; i < records[f]; ++i) {
      std::array<char, record_bytes> record;
      if (!file.read(record.data(), record_bytes)) {
        fail("Cifar10: ", quoted(files[f]), ": expected a record of ", record_bytes, " bytes at offset ", i * record_bytes,
             ", got ", file.gcount(), " bytes");
      }
      const auto label = static_cast<std::uint8_t>(record[0]);
      if (label >= classes) {
        fail("Cifar10: ", quoted(files[f]), ": expected a label below ", classes, " at offset ", i * record_bytes, ", got ",
             int{label});
      }
      labels.push_back(label);
      bytes.insert(bytes.end(), record.begin() + 1, record.end());
    }
  }
  return Dataset({.channels = channels, .height = height, .width = width, .class_names = class_names}, std::move(bytes),
                 std::move(labels));
}

inline void Cifar10::save(const std::filesystem::path& folder) const {
  check_writable(train, "training", train_files, train_files * largest_file);
  check_writable(test, "test", 1, largest_file);
  const std::vector<std::string>& names = train.class_names();
  if (test.class_names() != names) fail("Cifar10: expected the same class names in training and test images");
  for (const std::string& name : names) {
    if (name.empty() || name.find_first_of("\r\n") != std::string::npos) {
      fail("Cifar10: expected class names of one line each, got \"", name, "\"");
    }
  }

  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail("Cifar10: cannot make the folder ", quoted(folder), ": ", error.message());
  std::vector<Path> written;
  const auto part = [](const Path& path) { return Path(path.string() + ".part"); };
  const auto refuse = [&](const Path& path, const std::string& reason) {
    for (const Path& other : written) std::filesystem::remove(part(other), error);
    fail("Cifar10: cannot write ", quoted(path), ": ", reason);
  };
  const auto write = [&](const std::string& name, auto write_content) {
    written.push_back(folder / name);
    if (std::filesystem::is_directory(written.back(), error)) {
      refuse(written.back(), std::make_error_code(std::errc::is_a_directory).message());
    }
    errno = 0;
    std::ofstream file(part(written.back()), std::ios::binary);
    write_content(file);
    file.close();
    if (!file) refuse(written.back(), system_reason());
  };
  for (Index i = 0; i < train_files; ++i) {
    write(train_file(i), [&](std::ostream& file) {
      write_records(file, train, train.size() * i / train_files, train.size() * (i + 1) / train_files);
    });
  }
  write(test_file, [&](std::ostream& file) { write_records(file, test, 0, test.size()); });
  write(names_file, [&](std::ostream& file) {
    for (const std::string& name : names) file << name << '\n';
  });
  for (const Path& path : written) {
    std::filesystem::rename(part(path), path, error);
    if (error) refuse(path, error.message());
  }
}

inline void Cifar10::check_writable(const Dataset& data, const char* which, Index fewest, Index most) {
  if (data.channels() != channels || data.height() != height || data.width() != width) {
    fail("Cifar10: expected ", which, " images of ", channels, "x", height, "x", width, ", got ", data.channels(), "x",
         data.height(), "x", data.width());
  }
  if (data.classes() != classes) fail("Cifar10: expected ", classes, " classes of ", which, " images, got ", data.classes());
  if (data.size() < fewest || data.size() > most) {
    fail("Cifar10: expected ", fewest, " to ", most, " ", which, " images, got ", data.size());
  }
}

inline void Cifar10::write_records(std::ostream& file, const Dataset& data, Index begin, Index end) {
  for (Index i = begin; i < end; ++i) {
    file.put(static_cast<char>(data.label(i)));
    file.write(reinterpret_cast<const char*>(data.image(i).data()), static_cast<std::streamsize>(image_bytes));
  }
}

}  // namespace normnet
