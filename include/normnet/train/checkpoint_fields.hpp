// The parts of a checkpoint file: numbers, texts, the history, tensors by name, a checksum.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/named_options.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/core/tensor.hpp>
#include <normnet/io/checksum.hpp>
#include <normnet/io/safetensors.hpp>
#include <normnet/train/history.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace normnet::normnet_impl {

inline constexpr const char* version_key = "normnet.checkpoint";
inline constexpr const char* version = "1";
inline constexpr const char* checksum_key = "normnet.checksum";
inline const std::string model_prefix = "model.";
inline const std::string optimizer_prefix = "optimizer.";
inline const std::string field_prefix = "run.";      // of tensors, so that no parameter's name is taken
inline const std::string option_prefix = "option.";  // of texts: what the caller adds
inline const std::string part_prefix = "part.";      // the types and options of the network, optimizer and scheduler
inline const std::string fit_prefix = "fit.";        // Trainer::FitOptions

/// The checksum of the bytes in hexadecimal digits.
inline std::string checksum(std::string_view bytes) {
  Fnv1a sum;
  sum.add(bytes);
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), sum.value(), 16).ptr;
  return {digits.data(), end};
}

/// Adds the checksum of all else to the metadata.
inline void seal(SafeTensors& file) { file.metadata[checksum_key] = checksum(file.to_bytes()); }

inline bool is_checkpoint(const SafeTensors& file) { return file.metadata.count(version_key) != 0; }

/// Takes the checksum out again. Throws Error when there is none, or it is that of other contents.
inline void check_seal(SafeTensors& file) {
  const auto sealed = file.metadata.extract(checksum_key);
  if (!is_checkpoint(file) || sealed.empty()) fail("expected a checkpoint, got another safetensors file");
  const std::string actual = checksum(file.to_bytes());
  if (sealed.mapped() != actual) fail("expected the checksum ", actual, ", got ", quoted(sealed.mapped()), ": it is damaged");
}

/// Does work(), whose errors say what is wrong, and adds to them in which file.
template <class Work>
auto in_file(const std::filesystem::path& path, Work work) {
  try {
    return work();
  } catch (const Error& error) {
    fail("cannot load \"", path.string(), "\": ", error.what());
  }
}

/// Adds fields to a file: whole numbers and texts to its metadata, others as F64 tensors, which keep every bit.
class CheckpointWriter {
 public:
  explicit CheckpointWriter(SafeTensors& file) : file_(&file) { file.metadata[version_key] = version; }

  template <class Integer>
  void integer(const std::string& name, Integer value) {
    file_->metadata[name] = std::to_string(value);
  }

  void real(const std::string& name, double value) { file_->add(field_prefix + name, Tensor<double>(Shape{}, {value})); }

  /// Texts whose names begin with `prefix` in the file.
  void options(const std::string& prefix, const NamedOptions& options) {
    for (const auto& [name, value] : options) file_->metadata[prefix + name] = value;
  }

  void history(const History& history) {
    for (std::size_t i = 0; i < history.labels.size(); ++i) {
      file_->metadata[concat("label.", i, ".name")] = history.labels[i].first;
      file_->metadata[concat("label.", i, ".value")] = history.labels[i].second;
    }
    std::vector<double> rows;
    for (const EpochRecord& e : history.epochs) {
      rows.insert(rows.end(), {static_cast<double>(e.epoch), e.train_loss, e.train_accuracy, e.test_loss, e.test_accuracy,
                               e.learning_rate, e.train_seconds, e.images_per_second, e.test_seconds});
    }
    file_->add(field_prefix + "history", Tensor<double>({static_cast<Index>(history.epochs.size()), 9}, rows));
  }

 private:
  SafeTensors* file_;
};

/// Reads what CheckpointWriter wrote. Everything throws Error on a field that is missing or has no such value.
class CheckpointReader {
 public:
  explicit CheckpointReader(const SafeTensors& file) : file_(&file) {
    if (!is_checkpoint(file)) fail("expected a checkpoint, got another safetensors file");
    const std::string& found = file.metadata.at(version_key);
    if (found != version) fail("expected a checkpoint of version ", version, ", got version ", quoted(found));
  }

  bool has_integer(const std::string& name) const { return file_->metadata.count(name) != 0; }

  std::uint64_t integer(const std::string& name, std::uint64_t least = 0,
                        std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) const {
    const std::string& text = this->text(name);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
      fail("expected a whole number from ", least, " to ", most, " as ", quoted(name), ", got ", quoted(text));
    }
    return value;
  }

  double real(const std::string& name) const {
    const auto value = file_->get<double>(field_prefix + name);
    if (value.size() != 1) fail("expected one number as ", quoted(field_prefix + name), ", got ", value.shape());
    return value[0];
  }

  /// The options with that prefix.
  NamedOptions options(const std::string& prefix) const {
    NamedOptions found;
    for (auto i = file_->metadata.lower_bound(prefix); i != file_->metadata.end() && i->first.starts_with(prefix); ++i) {
      found.emplace(i->first.substr(prefix.size()), i->second);
    }
    return found;
  }

  History history() const {
    constexpr double most = 0x1p53;  // up to here every whole number is a double
    History history;
    for (std::size_t i = 0; file_->metadata.count(concat("label.", i, ".name")) != 0; ++i) {
      history.labels.emplace_back(text(concat("label.", i, ".name")), text(concat("label.", i, ".value")));
    }
    const auto rows = file_->get<double>(field_prefix + "history");
    if (rows.shape().rank() != 2 || rows.shape()[1] != 9) fail("expected a history of 9 columns, got ", rows.shape());
    for (const double* row = rows.data(); row != rows.data() + rows.size(); row += 9) {
      if (!(row[0] >= 1 && row[0] <= most)) fail("expected a history of epochs from 1 to ", most, ", got epoch ", row[0]);
      history.epochs.push_back({static_cast<Index>(row[0]), row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8]});
    }
    return history;
  }

 private:
  const std::string& text(const std::string& name) const {
    const auto found = file_->metadata.find(name);
    if (found == file_->metadata.end()) fail("expected a checkpoint with ", quoted(name), ", got none");
    return found->second;
  }

  const SafeTensors* file_;
};

/// Throws Error unless the options are those of the checkpoint: it says which is the first that differs. `what` stands before its
/// name.
inline void check_same_options(const char* what, const NamedOptions& in_checkpoint, const NamedOptions& got) {
  const auto difference = first_difference(in_checkpoint, got);
  if (!difference) return;
  const auto& [name, expected, found] = *difference;
  fail("expected ", what, quoted(name), " to be ", expected ? quoted(*expected) : "absent", " as in the checkpoint, got ",
       found ? quoted(*found) : "none");
}

/// Checks the tensors of a file against those that shall take their values, and only then changes these.
template <class T>
class TensorLoader {
 public:
  explicit TensorLoader(const SafeTensors& file) : file_(&file) {}

  /// Throws Error when the file has no such tensor, or in another shape or precision.
  void expect(const std::string& name, Tensor<T>& destination) {
    Tensor<T> value = file_->get<T>(name);
    if (value.shape() != destination.shape()) {
      fail("expected ", quoted(name), " to have the shape ", destination.shape(), ", got ", value.shape());
    }
    values_.emplace_back(&destination, std::move(value));
    names_.insert(name);
  }

  /// Throws Error when the file has another tensor whose name begins so; not for PyTorch's counters of batches.
  void expect_no_other(const std::string& prefix) const {
    for (const auto& [name, entry] : file_->entries()) {
      if (name.starts_with(prefix) && names_.count(name) == 0 && !name.ends_with(".num_batches_tracked")) {
        fail("expected a file without a tensor ", quoted(name));
      }
    }
  }

  /// Puts the values in their places.
  void load() const {
    for (const auto& [destination, value] : values_) {
      std::copy(value.span().begin(), value.span().end(), destination->span().begin());
    }
  }

 private:
  const SafeTensors* file_;
  std::vector<std::pair<Tensor<T>*, Tensor<T>>> values_;
  std::set<std::string> names_;
};

}  // namespace normnet::normnet_impl
