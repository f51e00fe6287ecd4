// Tests of io/safetensors.hpp.
#include "support/catch.hpp"
#include "support/compare.hpp"
#include "support/files.hpp"

#include <normnet/io/safetensors.hpp>

#include <bit>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

using namespace normnet;
using test::content;

namespace {

// A file of this header and these data, with the right prefix.
std::string file_of(const std::string& header, const std::string& data = "") {
  std::string prefix(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) prefix[i] = static_cast<char>(header.size() >> (8 * i) & 0xFF);
  return prefix + header + data;
}

std::string f32(const std::string& shape, const std::string& offsets) {
  return R"({"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[)" + offsets + "]}";
}

}  // namespace

TEST_CASE("A safetensors file has the reference implementation's bytes", "[io]") {
  // The example of the reference implementation's own tests.
  SafeTensors one;
  one.add("attn.0", Tensor<float>({1, 2, 3}, {0, 1, 2, 3, 4, 5}));
  const std::string header = R"({"attn.0":{"dtype":"F32","shape":[1,2,3],"data_offsets":[0,24]}})";
  const std::string numbers("\0\0\0\0\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40\0\0\x80\x40\0\0\xa0\x40", 24);
  CHECK(header.size() == 64);
  CHECK(one.to_bytes() == std::string("\x40\0\0\0\0\0\0\0", 8) + header + numbers);

  // Metadata first; wider elements before narrower ones, then names in order; a scalar, and a tensor without elements.
  SafeTensors tensors;
  tensors.metadata = {{"format", "pt"}, {"note", "\"\\\n\x7f\xc3\xa9"}};
  tensors.add("b", Tensor<float>({2}, {1, -2}));
  tensors.add("a", Tensor<float>({0, 3}));
  tensors.add("c", Tensor<double>(Shape{}, 1));
  tensors.add("d", Tensor<std::int64_t>({1}, {-1}));
  tensors.add("e", Tensor<std::uint64_t>({1}, {1}));
  std::string expected = R"({"__metadata__":{"format":"pt","note":"\"\\\n)";
  expected += "\x7f\xc3\xa9";
  expected += R"("},"e":{"dtype":"U64","shape":[1],"data_offsets":[0,8]},"d":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},)";
  expected += R"("c":{"dtype":"F64","shape":[],"data_offsets":[16,24]},)";
  expected += R"("a":{"dtype":"F32","shape":[0,3],"data_offsets":[24,24]},)";
  expected += R"("b":{"dtype":"F32","shape":[2],"data_offsets":[24,32]}})";
  expected.resize((expected.size() + 7) / 8 * 8, ' ');
  const std::string data("\1\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\xf0\x3f\0\0\x80\x3f\0\0\0\xc0", 32);
  CHECK(tensors.to_bytes() == file_of(expected, data));
  CHECK(SafeTensors().to_bytes() == file_of("{}      "));
}

TEST_CASE("What is read back from a safetensors file is what was written, bit for bit", "[io]") {
  const test::TemporaryFolder folder;
  SafeTensors tensors;
  tensors.metadata["key"] = "text";
  const auto weight = test::random_tensor<float>({3, 5, 2, 7}, 1);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor<double> special({4}, {-0.0, std::numeric_limits<double>::denorm_min(), nan, 0.1});
  tensors.add("weight", weight);
  tensors.add("special \"name\"", special);
  tensors.add("", Tensor<std::uint64_t>({2}, {~std::uint64_t{0}, 1}));
  for (const Durability durability : {Durability::visible, Durability::synced}) {
    tensors.save(folder / "file", durability);
    const SafeTensors read = SafeTensors::load(folder / "file");
    CHECK((read == tensors));
    CHECK(read.get<float>("weight") == weight);
    const auto back = read.get<double>("special \"name\"");
    for (Index i = 0; i < 4; ++i) CHECK(std::bit_cast<std::uint64_t>(back[i]) == std::bit_cast<std::uint64_t>(special[i]));
    CHECK(read.get<std::uint64_t>("")[0] == ~std::uint64_t{0});
    CHECK((SafeTensors::parse(content(folder / "file")) == tensors));
  }
  CHECK(folder.entries() == 1);
}

TEST_CASE("SafeTensors reads what other writers may write", "[io]") {
  // Rows in any order, blanks, escapes, and types that no Tensor has.
  const std::string header = "{ \"b\" : {\"data_offsets\":[2,6],\"shape\":[1],\"dtype\":\"F32\"},\n \"\\u0061\":" +
                             std::string(R"({"dtype":"BF16","shape":[1,1],"data_offsets":[0,2]},"__metadata__":{}}   )");
  const SafeTensors read = SafeTensors::parse(file_of(header, std::string("xy\0\0\x80\x3f", 6)));
  CHECK(read.get<float>("b")[0] == 1);
  CHECK(read.entries().at("a").bytes == "xy");
  CHECK(read.entries().at("a").shape == Shape{1, 1});
  CHECK((SafeTensors::parse(read.to_bytes()) == read));
}

TEST_CASE("SafeTensors keeps tensors of every type, also of types that it does not know", "[io]") {
  const std::string header = R"({"half byte":{"dtype":"F4","shape":[2,3],"data_offsets":[12,15]},)"
                             R"("six bits":{"dtype":"F6_E2M3","shape":[4],"data_offsets":[15,18]},)"
                             R"("complex":{"dtype":"C64","shape":[1],"data_offsets":[4,12]},)"
                             R"("new":{"dtype":"Q5_\u00e9","shape":[7,11],"data_offsets":[18,21]},)"
                             R"("none":{"dtype":"F6_E3M2","shape":[0,3],"data_offsets":[12,12]},)"
                             R"("usual":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  const SafeTensors read = SafeTensors::parse(file_of(header, std::string("\0\0\x80\x3f", 4) + "complex!f4!six?!n"));
  CHECK(read.get<float>("usual")[0] == 1);
  CHECK(read.entries().at("complex").bytes == "complex!");
  CHECK(read.entries().at("half byte").bytes == "f4!");
  CHECK(read.entries().at("half byte").shape == Shape{2, 3});
  CHECK(read.entries().at("six bits").bytes == "six");
  CHECK(read.entries().at("none").bytes.empty());
  CHECK(read.entries().at("new").bytes == "?!n");
  CHECK(read.entries().at("new").shape == Shape{7, 11});
  CHECK(read.entries().at("new").dtype == "Q5_\xc3\xa9");
  CHECK_THROWS_WITH(read.get<float>("new"), "SafeTensors: expected \"new\" to have elements of F32, got Q5_\xc3\xa9");

  // Written in the reference implementation's order; what is not known comes last.
  const std::string bytes = read.to_bytes();
  CHECK((SafeTensors::parse(bytes) == read));
  CHECK(bytes.ends_with(std::string("complex!\0\0\x80\x3fsix", 15) + "f4!?!n"));
}

TEST_CASE("SafeTensors refuses names and types that do not fit", "[io]") {
  SafeTensors tensors;
  tensors.add("a", Tensor<float>({2}));
  CHECK_THROWS_WITH(tensors.add("a", Tensor<double>({1})), "SafeTensors: the name \"a\" is taken");
  CHECK_THROWS_WITH(tensors.add("__metadata__", Tensor<float>({1})),
                    "SafeTensors: expected another name for a tensor than \"__metadata__\"");
  CHECK_THROWS_WITH(tensors.get<float>("b"), "SafeTensors: no tensor \"b\" among 1");
  CHECK_THROWS_WITH(tensors.get<double>("a"), "SafeTensors: expected \"a\" to have elements of F64, got F32");
  tensors.add("\xff", Tensor<float>({1}));
  CHECK_THROWS_AS(tensors.to_bytes(), Error);  // not UTF-8
}

TEST_CASE("SafeTensors refuses every damaged file and says what is wrong", "[io]") {
  const std::string four(4, 'x');
  struct Case {
    std::string bytes, message;
  };
  const auto bad = [](const std::string& got) { return "f: expected a safetensors header, got " + got; };
  const std::string ones64 = "1" + [] {
    std::string text;
    for (int i = 0; i < 64; ++i) text += ",1";
    return text;
  }();
  const std::vector<Case> cases{
      {"", "f: expected the header's length in 8 bytes, got 0 bytes"},
      {"1234567", "f: expected the header's length in 8 bytes, got 7 bytes"},
      {std::string("\3\0\0\0\0\0\0\0{}", 10), "f: expected a header of 3 bytes, got 2 bytes"},
      {std::string("\1\xe1\xf5\5\0\0\0\0", 8), "f: expected a header of at most 100000000 bytes, got 100000001"},
      {std::string(8, '\xff'), "f: expected a header of at most 100000000 bytes, got 18446744073709551615"},
      {file_of(""), bad("no { as its first byte")},
      {file_of(" {}"), bad("no { as its first byte")},
      {file_of("[]"), bad("no { as its first byte")},
      {file_of("{"), bad("no JSON at its byte 2")},
      {file_of("{}}"), bad("no JSON at its byte 3")},
      {file_of(std::string("{}\0\0", 4)), bad("a zero as its byte 3")},
      {file_of("{\"\xff\":1}"), bad("no JSON at its byte 3")},
      {file_of(R"({"a":1})"), bad("a number as \"a\"")},
      {file_of(R"({"a":null})"), bad("null as \"a\"")},
      {file_of(R"({"a":[]})"), bad("an array as \"a\"")},
      {file_of(R"({"a\n":true})"), bad(R"(true or false as "a\n")")},
      {file_of(R"({"a":"text"})"), bad("a text as \"a\"")},
      {file_of(R"({"__metadata__":"text"})"), bad("a text as \"__metadata__\"")},
      {file_of(R"({"__metadata__":{"k":1}})"), bad("a number as \"k\" in __metadata__")},
      {file_of(R"({"__metadata__":{"k":{}}})"), bad("an object as \"k\" in __metadata__")},
      {file_of(R"({"__metadata__":{"k":"","k":""}})"), bad("the key \"k\" twice in __metadata__")},
      {file_of(R"({"__metadata__":{},"__metadata__":{}})"), bad("the name \"__metadata__\" twice")},
      {file_of("{\"a\":" + f32("1", "0,4") + ",\"a\":" + f32("1", "0,4") + "}", four), bad("the name \"a\" twice")},
      {file_of(R"({"a":{}})"), bad("no dtype of tensor \"a\"")},
      {file_of(R"({"a":{"dtype":"F32"}})"), bad("no shape of tensor \"a\"")},
      {file_of(R"({"a":{"dtype":"F32","shape":[1]}})"), bad("no two data_offsets of tensor \"a\"")},
      {file_of("{\"a\":" + f32("1", "0") + "}"), bad("no two data_offsets of tensor \"a\"")},
      {file_of("{\"a\":" + f32("1", "0,4,4") + "}"), bad("more than 2 numbers in \"data_offsets\" of tensor \"a\"")},
      {file_of(R"({"a":{"dtype":""}})"), bad("an empty dtype of tensor \"a\"")},
      {file_of(R"({"a":{"dtype":"F32","dtype":"F32"}})"), bad("the key \"dtype\" twice in tensor \"a\"")},
      {file_of(R"({"a":{"shape":[],"shape":[]}})"), bad("the key \"shape\" twice in tensor \"a\"")},
      {file_of(R"({"a":{"shape":{}}})"), bad("an object in \"shape\" of tensor \"a\"")},
      {file_of(R"({"a":{"shape":[[1]]}})"), bad("an array in \"shape\" of tensor \"a\"")},
      {file_of(R"({"a":{"device":"cpu"}})"), bad("the key \"device\" in tensor \"a\"")},
      {file_of("{\"a\":" + f32("-1", "0,4") + "}"), bad("a negative number in \"shape\" of tensor \"a\"")},
      {file_of("{\"a\":" + f32("1.0", "0,4") + "}"), bad("the number 1.0 in \"shape\" of tensor \"a\"")},
      {file_of("{\"a\":" + f32("18446744073709551616", "0,4") + "}"),
       bad("the number 18446744073709551616 in \"shape\" of tensor \"a\"")},
      {file_of("{\"a\":" + f32("9223372036854775808", "0,4") + "}"), bad("more than 9223372036854775807 bytes in tensor \"a\"")},
      {file_of("{\"a\":" + f32("4611686018427387904", "0,0") + "}"), bad("more than 9223372036854775807 bytes in tensor \"a\"")},
      {file_of("{\"a\":" + f32("4294967296,4294967296", "0,0") + "}"),
       bad("more than 9223372036854775807 bytes in tensor \"a\"")},
      {file_of("{\"a\":" + f32(ones64, "0,4") + "}", four), bad("more than 64 numbers in \"shape\" of tensor \"a\"")},
      {file_of("{\"a\":" + f32("2", "0,4") + "}", four),
       bad("the data_offsets 0 to 4 of tensor \"a\", whose 2 elements of F32 are 8 bytes")},
      {file_of("{\"a\":" + f32("1", "4,0") + "}", four), bad("the data_offsets 4 to 0 of tensor \"a\"")},
      {file_of(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", "xy"),
       bad("the shape 3 of tensor \"a\", whose elements of F4 fill no whole bytes")},
      {file_of(R"({"a":{"dtype":"F6_E2M3","shape":[2],"data_offsets":[0,2]}})", "xy"),
       bad("the shape 2 of tensor \"a\", whose elements of F6_E2M3 fill no whole bytes")},
      {file_of(R"({"a":{"dtype":"F6_E3M2","shape":[3,4],"data_offsets":[0,8]}})", four + four),
       bad("the data_offsets 0 to 8 of tensor \"a\", whose 3x4 elements of F6_E3M2 are 9 bytes")},
      {file_of(R"({"a":{"dtype":"C64","shape":[1],"data_offsets":[0,4]}})", four),
       bad("the data_offsets 0 to 4 of tensor \"a\", whose 1 elements of C64 are 8 bytes")},
      {file_of(R"({"a":{"dtype":"X3","shape":[1],"data_offsets":[4,0]}})", four), bad("the data_offsets 4 to 0 of tensor \"a\"")},
      {file_of(R"({"a":{"dtype":"X3","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", four),
       bad("more than 9223372036854775807 bytes in tensor \"a\"")},
      {file_of(R"({"a":{"dtype":"X3","shape":[1],"data_offsets":[0,9223372036854775807]}})", four),
       "f: expected 9223372036854775807 bytes of data, got 4"},
      {file_of("{\"a\":" + f32("1", "4,8") + "}", four + four),
       bad("data of tensor \"a\" at offset 4 where those before end at 0")},
      {file_of("{\"a\":" + f32("1", "0,4") + ",\"b\":" + f32("1", "0,4") + "}", four),
       bad("data of tensor \"b\" at offset 0 where those before end at 4")},
      {file_of("{\"a\":" + f32("1", "0,4") + ",\"b\":" + f32("0", "2,2") + "}", four),
       bad("data of tensor \"b\" at offset 2 where those before end at 4")},
      {file_of("{\"a\":" + f32("1", "0,4") + "}"), "f: expected 4 bytes of data, got 0"},
      {file_of("{\"a\":" + f32("1", "0,4") + "}", four + "x"), "f: expected 4 bytes of data, got 5"},
      // 2^60 elements, which no file of this size has.
      {file_of("{\"a\":" + f32("1152921504606846976", "0,4611686018427387904") + "}"),
       "f: expected 4611686018427387904 bytes of data, got 0"},
  };
  for (const Case& one : cases) {
    INFO(one.bytes);
    CHECK_THROWS_WITH(SafeTensors::parse(one.bytes, "f"), one.message);
  }

  // Depth costs nothing: the first bracket too many is the last.
  CHECK_THROWS_AS(SafeTensors::parse(file_of(R"({"a":)" + std::string(1'000'000, '['))), Error);
}

TEST_CASE("A safetensors file that is cut short anywhere is refused", "[io]") {
  const test::TemporaryFolder folder;
  SafeTensors tensors;
  tensors.metadata["key"] = "text";
  tensors.add("a", Tensor<float>({3}, 1.5f));
  tensors.add("b", Tensor<double>({2}, 0.5));
  const std::string bytes = tensors.to_bytes();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_THROWS_AS(SafeTensors::parse(std::string_view(bytes).substr(0, size)), Error);
  }
  write_file_atomically(folder / "file", bytes.substr(0, bytes.size() - 1));
  const std::string file = "\"" + (folder / "file").string() + "\"";
  CHECK_THROWS_WITH(SafeTensors::load(folder / "file"), file + ": expected 28 bytes of data, got 27");
  CHECK_THROWS_WITH(SafeTensors::load(folder / "none"),
                    "cannot read \"" + (folder / "none").string() + "\": No such file or directory");
  CHECK_THROWS_AS(SafeTensors::load(folder.path()), Error);
}
