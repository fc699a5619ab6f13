// Models broken by hand: each test asserts the parts of the one-line Error.
#include <cstring>
#include <filesystem>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "switchyard/model_config.h"
#include "switchyard/safetensors.h"

#include "formats/weight_check.h"
#include "support/errors.h"
#include "support/memory_file_system.h"
#include "support/temporary_directory.h"
#include "support/tiny_model.h"

namespace switchyard {
namespace {

using testing::HasSubstr;
using testing_support::error_of;
using testing_support::MemoryFileSystem;

std::string with_length(std::uint64_t length, const std::string& rest) {
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + rest;
}

// The Error for a file with this header and this many bytes of data.
Error::Parts reading(const std::string& header, std::size_t data) {
  MemoryFileSystem fs;
  fs.put("f.safetensors", with_length(header.size(), header + std::string(data, '\0')));
  return error_of([&] { SafetensorsReader reader(fs, "f.safetensors"); });
}

Error::Parts reading_bytes(const std::string& bytes) {
  MemoryFileSystem fs;
  fs.put("f.safetensors", bytes);
  return error_of([&] { SafetensorsReader reader(fs, "f.safetensors"); });
}

// An entry of the header.
std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
         offsets + "}";
}

TEST(BrokenSafetensors, HeaderLength) {
  EXPECT_EQ(reading_bytes("").what, "the file has 0 bytes");
  EXPECT_EQ(reading_bytes("1234567").what, "the file has 7 bytes");
  const auto beyond = reading_bytes(with_length(3, "{}"));
  EXPECT_EQ(beyond.what, "the header claims 3 bytes");
  EXPECT_EQ(beyond.where, "f.safetensors");
  EXPECT_EQ(beyond.expected, "at most 2 bytes, the rest of the file");
  EXPECT_EQ(reading_bytes(with_length(UINT64_MAX, "{}")).what,
            "the header claims 18446744073709551615 bytes");
  // A sparse file: as long as the header claims, and nothing of it is stored.
  const testing_support::TemporaryDirectory directory;
  const std::string path = directory / "f.safetensors";
  write_file_atomically(real_file_system(), path, with_length(100'000'001, ""));
  std::filesystem::resize_file(path, 8 + 100'000'001);
  EXPECT_EQ(error_of([&] { SafetensorsReader reader(real_file_system(), path); }).expected,
            "at most 100000000 bytes, the limit for headers");
}

TEST(BrokenSafetensors, HeaderIsNoObject) {
  for (const char* header : {"", "[]", "3", "\"text\"", " {}", "null"}) {
    EXPECT_EQ(reading(header, 0).what, "the header is not a JSON object") << header;
  }
  for (const char* header :
       {"{", "{\"a\"", "{\"a\":}", "{} x", "{\"a\":{\"dtype\":\"F32\"", "{,}"}) {
    EXPECT_THAT(reading(header, 0).what, HasSubstr("not valid JSON")) << header;
  }
  EXPECT_EQ(reading(std::string("{}\0", 3), 0).what, "the header is not a JSON object");
  EXPECT_THAT(reading("{\"a\xff\":{}}", 0).what, HasSubstr("not valid JSON"));
}

TEST(BrokenSafetensors, EntriesOfAnotherKind) {
  const auto error = reading(R"({"a":[1]})", 0);
  EXPECT_EQ(error.what, "the entry is an array");
  EXPECT_EQ(error.where, "f.safetensors: tensor 'a'");
  EXPECT_EQ(reading(R"({"a":null})", 0).what, "the entry is null");
  EXPECT_EQ(reading("{" + entry("a", "F32", "[1]", "[0]") + "}", 4).what,
            "data_offsets has less than two numbers");
  EXPECT_EQ(reading("{" + entry("a", "F32", "[1]", "[0,4,4]") + "}", 4).what,
            "data_offsets holds the number 4");
  EXPECT_EQ(reading("{" + entry("a", "F32", "[1]", "[-1,4]") + "}", 4).what,
            "data_offsets holds the negative number -1");
  EXPECT_EQ(reading("{" + entry("a", "F32", "[1]", "[0.0,4]") + "}", 4).what,
            "data_offsets holds the number '0.0'");
  EXPECT_EQ(reading("{" + entry("a", "F32", "\"1\"", "[0,4]") + "}", 4).what,
            "the shape holds the text '1'");
  EXPECT_EQ(reading("{" + entry("a", "F32", "[[1]]", "[0,4]") + "}", 4).what,
            "the shape holds an array");
  EXPECT_EQ(reading(R"({"a":{"dtype":4,"shape":[1],"data_offsets":[0,4]}})", 4).what,
            "the dtype is the number 4");
  EXPECT_EQ(reading(R"({"a":{"dtype":"F32","shape":[1]}})", 4).what,
            "the entry has no data_offsets");
  EXPECT_EQ(reading(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", 4).what,
            "the entry has no shape");
  EXPECT_EQ(reading(R"({"a":{"shape":[1],"data_offsets":[0,4]}})", 4).what,
            "the entry has no dtype");
  EXPECT_EQ(reading(R"({"a":{"size":4}})", 4).what, "the entry has an unknown field 'size'");
  EXPECT_EQ(reading(R"({"a":{"dtype":"F32","dtype":"F32"}})", 4).what,
            "field 'dtype' stands twice");
  EXPECT_EQ(reading(R"({"__metadata__":{"k":1}})", 0).what,
            "__metadata__ entry 'k' is the number 1");
  EXPECT_EQ(reading(R"({"__metadata__":[]})", 0).what, "__metadata__ is an array");
}

TEST(BrokenSafetensors, NamesTwice) {
  const std::string one = entry("a", "U8", "[1]", "[0,1]");
  const auto error = reading("{" + one + "," + one + "}", 1);
  EXPECT_EQ(error.what, "the name stands twice in the header");
  EXPECT_EQ(error.where, "f.safetensors: tensor 'a'");
}

TEST(BrokenSafetensors, UnknownType) {
  const auto error = reading("{" + entry("a", "F8_E4M3", "[1]", "[0,1]") + "}", 1);
  EXPECT_EQ(error.what, "unknown dtype 'F8_E4M3'");
  EXPECT_THAT(error.expected, HasSubstr("BF16"));
}

TEST(BrokenSafetensors, Shapes) {
  EXPECT_EQ(reading("{" + entry("a", "F32", "[-1]", "[0,4]") + "}", 4).what,
            "the shape holds the negative number -1");
  for (const char* shape : {"[9223372036854775807,2]", "[4294967296,4294967296,0]",
                            "[9223372036854775807]", "[3037000500,3037000500]"}) {
    EXPECT_EQ(reading("{" + entry("a", "F32", shape, "[0,4]") + "}", 4).what,
              "the shape holds more bytes than any file")
        << shape;
  }
  EXPECT_EQ(reading("{" + entry("a", "F32", "[18446744073709551615]", "[0,4]") + "}", 4).what,
            "the shape holds the number 18446744073709551615");
  EXPECT_THAT(reading("{" + entry("a", "F32", "[99999999999999999999]", "[0,4]") + "}", 4).what,
              HasSubstr("99999999999999999999"));
  std::string deep = "[1";
  for (int i = 0; i < 40; ++i) deep += ",1";
  EXPECT_EQ(reading("{" + entry("a", "F32", deep + "]", "[0,4]") + "}", 4).what,
            "the shape has more than 32 dimensions");
}

TEST(BrokenSafetensors, Offsets) {
  const auto lying = reading("{" + entry("a", "F32", "[2]", "[0,4]") + "}", 4);
  EXPECT_EQ(lying.what, "data_offsets span 4 bytes");
  EXPECT_EQ(lying.expected, "8 bytes for its shape and dtype F32");
  EXPECT_EQ(reading("{" + entry("a", "F32", "[1]", "[4,0]") + "}", 4).what,
            "data_offsets are reversed: [4, 0]");
  const auto beyond = reading("{" + entry("a", "F32", "[2]", "[0,8]") + "}", 4);
  EXPECT_EQ(beyond.what, "the tensor reaches past the end of the file");
  EXPECT_EQ(beyond.where, "f.safetensors: tensor 'a'");
  EXPECT_EQ(beyond.expected, "data_offsets within 4 bytes of data, not [0, 8]");
  EXPECT_EQ(
      reading("{" + entry("a", "U8", "[1]", "[18446744073709551614,18446744073709551615]") + "}", 4)
          .what,
      "the tensor reaches past the end of the file");
}

TEST(BrokenSafetensors, OverlapHoleAndRest) {
  const auto overlap = reading(
      "{" + entry("a", "U8", "[4]", "[0,4]") + "," + entry("b", "U8", "[4]", "[2,6]") + "}", 6);
  EXPECT_EQ(overlap.what, "the tensor overlaps 'a'");
  EXPECT_EQ(overlap.where, "f.safetensors: tensor 'b'");
  EXPECT_EQ(overlap.expected, "data_offsets from 4 on, not from 2");
  EXPECT_THAT(
      reading("{" + entry("a", "U8", "[4]", "[0,4]") + "," + entry("b", "U8", "[4]", "[0,4]") + "}",
              4)
          .what,
      HasSubstr("overlaps"));
  const auto hole = reading(
      "{" + entry("a", "U8", "[2]", "[0,2]") + "," + entry("b", "U8", "[2]", "[4,6]") + "}", 6);
  EXPECT_EQ(hole.what, "a hole of 2 bytes lies before the tensor");
  EXPECT_EQ(hole.where, "f.safetensors: tensor 'b'");
  EXPECT_EQ(reading("{" + entry("a", "U8", "[2]", "[1,3]") + "}", 3).what,
            "a hole of 1 bytes lies before the tensor");
  EXPECT_EQ(reading("{" + entry("a", "U8", "[2]", "[0,2]") + "}", 5).what,
            "3 bytes after the last tensor belong to none");
  EXPECT_EQ(reading("{}", 5).what, "5 bytes after the last tensor belong to none");
}

TEST(BrokenSafetensors, NamesDoNotReachTheTerminalRaw) {
  const auto error = reading(R"({"\u001b[2Jx\n":[]})", 0);
  EXPECT_EQ(error.where, R"(f.safetensors: tensor '\x1b[2Jx\x0a')");
  const auto long_name = reading("{\"" + std::string(10'000, 'n') + "\":[]}", 0);
  EXPECT_LT(long_name.where.size(), 200U);
}

TEST(BrokenSafetensors, DeepNestingIsRefusedAtOnce) {
  EXPECT_EQ(reading(R"({"a":)" + std::string(1'000'000, '['), 0).what, "the entry is an array");
  MemoryFileSystem fs;
  fs.put("m/config.json", std::string(1'000'000, '['));
  EXPECT_THAT(error_of([&] { read_model_config(fs, "m"); }).what,
              HasSubstr("nests deeper than 64"));
}

TEST(BrokenModel, ConfigThatContradictsItsWeights) {
  MemoryFileSystem fs;
  testing_support::write_tiny_model(fs, "m", testing_support::tiny_mixtral());
  const SafetensorsReader reader(fs, "m");
  const auto claim = [&](const char* field, int value) {
    auto json = nlohmann::json::parse(read_file(fs, "m/config.json"));
    json[field] = value;
    return error_of([&] { check_weights(model_config_from_json(json, "config.json"), reader); });
  };
  EXPECT_THAT(claim("num_hidden_layers", 1).what, HasSubstr("num_hidden_layers is 1"));
  EXPECT_EQ(claim("num_hidden_layers", 3).where,
            "m/model.safetensors: tensor 'model.layers.2.input_layernorm.weight'");
  const auto experts = claim("num_local_experts", 4);
  EXPECT_EQ(experts.what, "the shape is [8, 32]");
  EXPECT_EQ(experts.expected, "[4 (num_local_experts), 32 (hidden_size)] as config.json says");
  EXPECT_EQ(claim("intermediate_size", 20).expected,
            "[20 (intermediate_size), 32 (hidden_size)] as config.json says");
  EXPECT_EQ(claim("num_key_value_heads", 4).expected,
            "[32 (num_key_value_heads * head_dim), 32 (hidden_size)] as config.json says");
}

}  // namespace
}  // namespace switchyard
