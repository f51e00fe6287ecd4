// Tensors in a file that others read, too: the safetensors format.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/out_of_memory.hpp>
#include <normnet/core/shape.hpp>
#include <normnet/core/tensor.hpp>
#include <normnet/io/atomic_file.hpp>
#include <normnet/io/safetensors_header.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace normnet {

/// Named tensors and named texts, as a safetensors file holds them (https://huggingface.co/docs/safetensors):
///
///     8 bytes    the length of the header, little-endian
///     header     JSON, padded with blanks to a multiple of 8 bytes:
///                {"__metadata__":{"key":"text"},"conv1.weight":{"dtype":"F32","shape":[8,3,3,3],"data_offsets":[0,864]}, ...}
///     data       the tensors' elements, row-major and little-endian, without gaps
///
/// Files with the same contents have the same bytes, those of the reference implementation: widest elements first, then by name.
///
/// A file is not trusted. Its sizes are checked against each other and against the file's before memory is taken for them; no
/// file costs more than a small multiple of its own size.
class SafeTensors {
 public:
  /// A tensor as the file holds it. Elements of any type are kept, those that no Tensor has ("BF16", "C64"), those of a fraction of
  /// a byte ("F4"), and those that this version of the library does not know: their bytes are then whatever the offsets say.
  struct Entry {
    std::string dtype;  ///< "F32", "F64", "I64", ...
    Shape shape;
    std::string bytes;

    friend bool operator==(const Entry&, const Entry&) = default;
  };

  /// Texts beside the tensors.
  std::map<std::string, std::string> metadata;

  /// All tensors by their names.
  const std::map<std::string, Entry>& entries() const& { return entries_; }
  std::map<std::string, Entry> entries() && { return std::move(entries_); }

  bool contains(const std::string& name) const { return entries_.count(name) != 0; }

  /// Adds a tensor of float (F32), double (F64), std::int64_t (I64) or std::uint64_t (U64). Throws Error when the name is taken
  /// or "__metadata__".
  template <class T>
  void add(const std::string& name, const Tensor<T>& tensor) {
    if (name == normnet_impl::metadata_key)
      fail("SafeTensors: expected another name for a tensor than ", normnet_impl::quoted(name));
    Entry entry{.dtype = std::string(dtype_of<T>()), .shape = tensor.shape(), .bytes = {}};
    entry.bytes.assign(reinterpret_cast<const char*>(tensor.data()), sizeof(T) * static_cast<std::size_t>(tensor.size()));
    if (!entries_.emplace(name, std::move(entry)).second) fail("SafeTensors: the name ", normnet_impl::quoted(name), " is taken");
  }

  /// The tensor of that name. Throws Error when there is none or its elements have another type.
  template <class T>
  Tensor<T> get(const std::string& name) const {
    const auto found = entries_.find(name);
    if (found == entries_.end()) fail("SafeTensors: no tensor ", normnet_impl::quoted(name), " among ", entries_.size());
    const Entry& entry = found->second;
    if (entry.dtype != dtype_of<T>()) {
      fail("SafeTensors: expected ", normnet_impl::quoted(name), " to have elements of ", dtype_of<T>(), ", got ", entry.dtype);
    }
    Tensor<T> tensor(entry.shape);
    if (!entry.bytes.empty()) std::memcpy(tensor.data(), entry.bytes.data(), entry.bytes.size());
    return tensor;
  }

  /// The file's bytes. Throws Error when a name or a text is not UTF-8, or the header becomes longer than the format allows.
  std::string to_bytes() const {
    std::vector<const std::pair<const std::string, Entry>*> order;
    for (const auto& named : entries_) order.push_back(&named);
    std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
      return normnet_impl::dtype_comes_first(a->second.dtype, b->second.dtype);
    });

    std::vector<normnet_impl::TensorPlace> places;
    std::uint64_t end = 0;
    for (const auto* named : order) {
      const Entry& entry = named->second;
      const std::uint64_t begin = end;
      end += entry.bytes.size();
      places.push_back({named->first, entry.dtype, entry.shape, begin, end});
    }
    std::string bytes = normnet_impl::safetensors_header(places, metadata);
    bytes.reserve(bytes.size() + static_cast<std::size_t>(end));
    for (const auto* named : order) bytes += named->second.bytes;
    return bytes;
  }

  /// Reads a file's bytes. `name` is what errors call them. Throws Error when they are not such a file, whole and exact.
  static SafeTensors parse(std::string_view bytes, const std::string& name = "SafeTensors") {
    return read(bytes.size(), name, [&, rest = bytes](char* to, std::size_t count) mutable {
      rest.copy(to, count);
      rest.remove_prefix(count);
    });
  }

  /// Writes the file whole or not at all. Throws Error as write_file_atomically() and to_bytes() do.
  void save(const std::filesystem::path& path, Durability durability = Durability::visible) const {
    write_file_atomically(path, to_bytes(), durability);
  }

  /// Throws Error when the file cannot be read or is not such a file, whole and exact.
  static SafeTensors load(const std::filesystem::path& path) {
    const std::string name = concat('"', path.string(), '"');
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    if (error) fail("cannot read ", name, ": ", error.message());
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) fail("cannot read ", name, ": ", std::generic_category().message(errno != 0 ? errno : EIO));
    return read(size, name, [&](char* to, std::size_t count) {
      file.read(to, static_cast<std::streamsize>(count));
      if (!file) fail("cannot read ", name, ": expected ", count, " more bytes of ", size, ", got ", file.gcount());
    });
  }

  friend bool operator==(const SafeTensors&, const SafeTensors&) = default;

 private:
  static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian, and this code copies bytes");

  template <class T>
  static constexpr std::string_view dtype_of() {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, std::int64_t> ||
                  std::is_same_v<T, std::uint64_t>);
    if constexpr (std::is_same_v<T, float>) return "F32";
    if constexpr (std::is_same_v<T, double>) return "F64";
    if constexpr (std::is_same_v<T, std::int64_t>) return "I64";
    return "U64";
  }

  // Reads `size` bytes; read_next(to, count) delivers the next ones.
  template <class ReadNext>
  static SafeTensors read(std::uintmax_t size, const std::string& name, ReadNext read_next) {
    constexpr std::size_t prefix = normnet_impl::safetensors_prefix;
    if (size < prefix) fail(name, ": expected the header's length in ", prefix, " bytes, got ", size, " bytes");
    std::array<unsigned char, prefix> length_bytes{};
    read_next(reinterpret_cast<char*>(length_bytes.data()), prefix);
    std::uint64_t length = 0;
    for (std::size_t i = 0; i < prefix; ++i) length |= std::uint64_t{length_bytes[i]} << (8 * i);
    if (length > normnet_impl::largest_safetensors_header) {
      fail(name, ": expected a header of at most ", normnet_impl::largest_safetensors_header, " bytes, got ", length);
    }
    if (length > size - prefix) fail(name, ": expected a header of ", length, " bytes, got ", size - prefix, " bytes");

    std::string header(static_cast<std::size_t>(length), '\0');
    read_next(header.data(), header.size());
    SafeTensors result;
    const auto places = normnet_impl::parse_safetensors_header(header, size - prefix - length, name, result.metadata);
    for (const normnet_impl::TensorPlace& place : places) {
      Entry entry{.dtype = place.dtype, .shape = place.shape, .bytes = {}};
      const std::uint64_t bytes = place.end - place.begin;
      normnet_impl::with_memory_for({"the tensor ", normnet_impl::quoted(place.name), " of ", name}, static_cast<double>(bytes),
                                    [&] { entry.bytes.resize(static_cast<std::size_t>(bytes)); });
      read_next(entry.bytes.data(), entry.bytes.size());
      result.entries_.emplace(place.name, std::move(entry));
    }
    return result;
  }

  std::map<std::string, Entry> entries_;
};

}  // namespace normnet
