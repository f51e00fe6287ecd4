// The header of a safetensors file: where which tensor lies.
#pragma once

#include <normnet/core/error.hpp>
#include <normnet/core/shape.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace normnet::normnet_impl {

inline constexpr std::size_t safetensors_prefix = 8;                      // bytes of the header's length
inline constexpr std::uint64_t largest_safetensors_header = 100'000'000;  // the reference implementation's limit
inline constexpr std::size_t largest_safetensors_rank = 64;               // the format has no limit; NumPy's is the same
inline constexpr const char* metadata_key = "__metadata__";

struct DType {
  std::string_view name;
  std::uint64_t bits;
};

/// The format's types in the reference implementation's order, which decides the order in the file.
inline constexpr std::array<DType, 22> dtypes{
    {{"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
     {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
     {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
     {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}}};

/// The type of that name; null for one that is not among `dtypes`.
inline const DType* find_dtype(std::string_view name) {
  const auto* const found = std::find_if(dtypes.begin(), dtypes.end(), [&](const DType& dtype) { return dtype.name == name; });
  return found == dtypes.end() ? nullptr : found;
}

/// Whether the data of one type belong before those of the other: those of types that are not known come last, for they may leave
/// others at an address that is no multiple of their size.
inline bool dtype_comes_first(std::string_view a, std::string_view b) {
  const DType *const found_a = find_dtype(a), *const found_b = find_dtype(b);
  return found_a != nullptr && (found_b == nullptr || found_a > found_b);
}

/// A tensor's row in the header; the offsets are counted from the header's end.
struct TensorPlace {
  std::string name;
  std::string dtype;
  Shape shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

/// The text in quotes, as JSON writes it: what is not printable is escaped, and what is not UTF-8 replaced. Of a long text, the
/// beginning.
inline std::string quoted(const std::string& text) {
  constexpr std::size_t longest = 200;
  if (text.size() > longest) return concat(quoted(text.substr(0, longest)), "...");
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// The prefix and the header. Throws Error when a name or a text is not UTF-8, or it becomes longer than the format allows.
inline std::string safetensors_header(const std::vector<TensorPlace>& places,
                                      const std::map<std::string, std::string>& metadata) {
  std::string text;
  try {
    if (!metadata.empty()) text = concat(',', nlohmann::json(metadata_key).dump(), ':', nlohmann::json(metadata).dump());
    for (const TensorPlace& place : places) {
      const nlohmann::ordered_json row{
          {"dtype", place.dtype}, {"shape", place.shape.extents()}, {"data_offsets", {place.begin, place.end}}};
      text += concat(',', nlohmann::json(place.name).dump(), ':', row.dump());
    }
  } catch (const nlohmann::json::exception& error) {
    fail("SafeTensors: expected names and metadata in UTF-8, got ", error.what());
  }
  text = concat('{', std::string_view(text).substr(text.empty() ? 0 : 1), '}');
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > largest_safetensors_header) {
    fail("SafeTensors: expected a header of at most ", largest_safetensors_header, " bytes, got ", text.size());
  }
  std::string bytes;
  for (std::size_t i = 0; i < safetensors_prefix; ++i) bytes += static_cast<char>(std::uint64_t{text.size()} >> (8 * i) & 0xFF);
  return bytes + text;
}

/// Takes the header's JSON piece by piece and stops at the first that does not belong there, so that no other document is ever
/// built in memory.
class SafetensorsHeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  /// `file` is what errors call the file.
  explicit SafetensorsHeaderReader(std::string file) : file_(std::move(file)) {}

  std::vector<TensorPlace> places;
  std::map<std::string, std::string> metadata;

  bool start_object(std::size_t) override {
    if (where_ == Where::outside) return enter(Where::top);
    if (where_ == Where::top && key_ == metadata_key) return enter(Where::metadata);
    if (where_ != Where::top) refuse_value("an object");
    places.push_back({.name = key_, .dtype = {}, .shape = {}});
    extents_.reset();
    offsets_.reset();
    return enter(Where::tensor);
  }

  bool key(string_t& name) override {
    key_ = name;
    if (where_ == Where::top && !names_.insert(name).second) refuse("the name ", quoted(name), " twice");
    if (where_ == Where::metadata && metadata.count(name) != 0) refuse("the key ", quoted(name), " twice in ", metadata_key);
    if (where_ == Where::tensor && name != "dtype" && name != "shape" && name != "data_offsets") {
      refuse("the key ", quoted(name), " in tensor ", tensor());
    }
    return true;
  }

  bool end_object() override {
    if (where_ == Where::tensor) complete_tensor();
    return enter(where_ == Where::top ? Where::outside : Where::top);
  }

  bool start_array(std::size_t) override {
    if (where_ != Where::tensor || key_ == "dtype") refuse_value("an array");
    auto& numbers = key_ == "shape" ? extents_ : offsets_;
    if (numbers) refuse("the key ", quoted(key_), " twice in tensor ", tensor());
    numbers.emplace();
    return enter(key_ == "shape" ? Where::shape : Where::offsets);
  }

  bool end_array() override { return enter(Where::tensor); }

  bool number_unsigned(number_unsigned_t value) override {
    if (where_ != Where::shape && where_ != Where::offsets) refuse_value("a number");
    auto& numbers = where_ == Where::shape ? *extents_ : *offsets_;
    const std::size_t most = where_ == Where::shape ? largest_safetensors_rank : 2;
    if (numbers.size() == most) refuse("more than ", most, " numbers in ", quoted(key_), " of tensor ", tensor());
    numbers.push_back(value);
    return true;
  }

  bool string(string_t& text) override {
    if (where_ == Where::metadata) {
      metadata.emplace(key_, text);
    } else if (where_ == Where::tensor && key_ == "dtype") {
      TensorPlace& place = places.back();
      if (!place.dtype.empty()) refuse("the key \"dtype\" twice in tensor ", tensor());
      if (text.empty()) refuse("an empty dtype of tensor ", tensor());
      place.dtype = text;
    } else {
      refuse_value("a text");
    }
    return true;
  }

  bool null() override { refuse_value("null"); }
  bool boolean(bool) override { refuse_value("true or false"); }
  bool number_integer(number_integer_t) override { refuse_value("a negative number"); }
  bool number_float(number_float_t, const string_t& text) override { refuse_value("the number " + text); }
  bool binary(binary_t&) override { refuse_value("bytes"); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    refuse("no JSON at its byte ", position);
  }

  template <class... Args>
  [[noreturn]] void refuse(const Args&... got) const {
    fail(file_, ": expected a safetensors header, got ", got...);
  }

 private:
  enum class Where { outside, top, metadata, tensor, shape, offsets };

  bool enter(Where where) {
    where_ = where;
    return true;
  }

  std::string tensor() const { return quoted(places.back().name); }

  [[noreturn]] void refuse_value(const std::string& what) const {
    switch (where_) {
      case Where::outside: refuse(what);
      case Where::top: refuse(what, " as ", quoted(key_));
      case Where::metadata: refuse(what, " as ", quoted(key_), " in ", metadata_key);
      default: refuse(what, " in ", quoted(key_), " of tensor ", tensor());
    }
  }

  // Whether the type, the shape and the offsets agree.
  void complete_tensor() {
    TensorPlace& place = places.back();
    if (place.dtype.empty()) refuse("no dtype of tensor ", tensor());
    if (!extents_) refuse("no shape of tensor ", tensor());
    if (!offsets_ || offsets_->size() != 2) refuse("no two data_offsets of tensor ", tensor());
    place.begin = (*offsets_)[0];
    place.end = (*offsets_)[1];

    constexpr std::uint64_t most = std::numeric_limits<Index>::max();
    std::uint64_t elements = 1;
    std::vector<Index> extents;
    for (const std::uint64_t extent : *extents_) {
      if (extent > most || (extent > 0 && elements > most / extent)) refuse("more than ", most, " bytes in tensor ", tensor());
      elements *= extent;
      extents.push_back(static_cast<Index>(extent));
    }
    place.shape = Shape(std::move(extents));
    if (place.end < place.begin) refuse("the data_offsets ", place.begin, " to ", place.end, " of tensor ", tensor());
    const DType* const dtype = find_dtype(place.dtype);
    if (dtype == nullptr) return;  // what its elements take, nobody knows
    if (elements / 8 > most / dtype->bits) refuse("more than ", most, " bytes in tensor ", tensor());
    const std::uint64_t rest_bits = elements % 8 * dtype->bits, bytes = elements / 8 * dtype->bits + rest_bits / 8;
    if (rest_bits % 8 != 0) {
      refuse("the shape ", place.shape, " of tensor ", tensor(), ", whose elements of ", place.dtype, " fill no whole bytes");
    }
    if (place.end - place.begin != bytes) {
      refuse("the data_offsets ", place.begin, " to ", place.end, " of tensor ", tensor(), ", whose ", place.shape,
             " elements of ", place.dtype, " are ", bytes, " bytes");
    }
  }

  std::string file_;
  Where where_ = Where::outside;
  std::string key_;
  std::set<std::string> names_;
  std::optional<std::vector<std::uint64_t>> extents_, offsets_;  // of the tensor that is being read
};

/// The tensors of a header in the order of their data, of which there are `data_bytes` bytes; its metadata go into `metadata`.
/// Throws Error when it is not exactly that of such a file, which errors call `file`.
inline std::vector<TensorPlace> parse_safetensors_header(std::string_view header, std::uint64_t data_bytes,
                                                         const std::string& file, std::map<std::string, std::string>& metadata) {
  SafetensorsHeaderReader reader(file);
  if (header.empty() || header.front() != '{') reader.refuse("no { as its first byte");
  if (const auto zero = header.find('\0'); zero != std::string_view::npos) reader.refuse("a zero as its byte ", zero + 1);
  nlohmann::json::sax_parse(header.begin(), header.end(), &reader);

  std::vector<TensorPlace> places = std::move(reader.places);
  std::sort(places.begin(), places.end(), [](const TensorPlace& a, const TensorPlace& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  std::uint64_t end = 0;
  for (const TensorPlace& place : places) {
    if (place.begin != end) {
      reader.refuse("data of tensor ", quoted(place.name), " at offset ", place.begin, " where those before end at ", end);
    }
    end = place.end;
  }
  if (end != data_bytes) fail(file, ": expected ", end, " bytes of data, got ", data_bytes);
  metadata = std::move(reader.metadata);
  return places;
}

}  // namespace normnet::normnet_impl
