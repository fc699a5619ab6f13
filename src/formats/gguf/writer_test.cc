#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "switchyard/gguf.h"

#include "base/check.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using testing_support::error_of;
using testing_support::MemoryFileSystem;

GgufReader written(GgufWriter& writer, MemoryFileSystem& fs) {
  writer.commit(fs, "m.gguf");
  return GgufReader(fs, "m.gguf");
}

TEST(GgufWriter, EveryTypeOfValueComesBack) {
  const std::vector<std::pair<std::string, GgufValue>> values = {
      {"u8", std::uint8_t{255}},
      {"i8", std::int8_t{-128}},
      {"u16", std::uint16_t{65535}},
      {"i16", std::int16_t{-32768}},
      {"u32", std::uint32_t{4294967295U}},
      {"i32", std::int32_t{-2147483647}},
      {"f32", 1.25F},
      {"bool", true},
      {"string", std::string("zero \0 inside, \xff\xfe", 17)},
      {"empty", std::string()},
      {"u64", std::uint64_t{1} << 63},
      {"i64", std::int64_t{-1} << 62},
      {"f64", -2.5e300},
      {"array u8", GgufArray{std::vector<std::uint8_t>{1, 2, 3}}},
      {"array i8", GgufArray{std::vector<std::int8_t>{-1}}},
      {"array u16", GgufArray{std::vector<std::uint16_t>{1}}},
      {"array i16", GgufArray{std::vector<std::int16_t>{-2}}},
      {"array u32", GgufArray{std::vector<std::uint32_t>{}}},
      {"array i32", GgufArray{std::vector<std::int32_t>{3, -3}}},
      {"array f32", GgufArray{std::vector<float>{0.5F}}},
      {"array bool", GgufArray{std::vector<bool>{true, false}}},
      {"array string", GgufArray{std::vector<std::string>{"", "b"}}},
      {"array u64", GgufArray{std::vector<std::uint64_t>{1}}},
      {"array i64", GgufArray{std::vector<std::int64_t>{-1}}},
      {"array f64", GgufArray{std::vector<double>{1e-300}}},
      {"nested", GgufArray{std::vector<GgufArray>{
                     {std::vector<std::uint8_t>{1}},
                     {std::vector<std::string>{"x", "y"}},
                     {std::vector<GgufArray>{{std::vector<GgufArray>{}}}},
                 }}},
  };
  GgufWriter writer;
  for (const auto& [key, value] : values) writer.set(key, value);
  MemoryFileSystem fs;
  const GgufReader reader = written(writer, fs);
  EXPECT_EQ(reader.metadata().values().size(), values.size());
  for (const auto& [key, value] : values) {
    ASSERT_TRUE(reader.metadata().has(key)) << key;
    EXPECT_EQ(*reader.metadata().find(key), value) << key;
  }
}

TEST(GgufWriter, EveryTypeOfTensorComesBack) {
  GgufWriter writer;
  std::size_t count = 0;
  for (const GgufTensorType& type : gguf_tensor_types()) {
    const std::uint64_t bytes = 3 * (2 * type.bytes + type.row_bytes);
    writer.add({.name = std::string(type.name),
                .type = type.id,
                .dims = {2 * type.elements, 3},
                .write = [bytes, &type](AtomicFile& file) {
                  file.append(std::string(bytes, static_cast<char>(type.id)));
                }});
    ++count;
  }
  MemoryFileSystem fs;
  const GgufReader reader = written(writer, fs);
  ASSERT_EQ(reader.tensors().size(), count);
  for (const auto& [name, tensor] : reader.tensors()) {
    const GgufTensorType& type = *find_gguf_tensor_type(tensor.type);
    EXPECT_EQ(name, type.name);
    std::vector<std::byte> bytes(tensor.bytes);
    reader.read(tensor, bytes);
    for (const std::byte b : bytes) ASSERT_EQ(b, static_cast<std::byte>(type.id));
  }
}

TEST(GgufTensorTypes, AreThoseOfOurOwnTypes) {
  for (const GgufTensorType& type : gguf_tensor_types()) {
    if (!type.dtype) continue;
    EXPECT_EQ(type.name, dtype_name(*type.dtype));
    EXPECT_EQ(type.elements, dtype_block(*type.dtype).elements);
    EXPECT_EQ(type.bytes, dtype_block(*type.dtype).bytes);
    EXPECT_EQ(gguf_tensor_type_id(*type.dtype), type.id);
  }
  EXPECT_EQ(gguf_tensor_type_id(DType::boolean), std::nullopt);
  EXPECT_EQ(find_gguf_tensor_type(4), nullptr);
  EXPECT_EQ(find_gguf_tensor_type(400), nullptr);
}

TEST(GgufWriter, AlignmentIsChosenAndKept) {
  for (const std::uint32_t alignment : {8U, 32U, 4096U}) {
    GgufWriter writer(alignment);
    writer.add("a", DType::f32, {3}, std::vector<std::byte>(12, std::byte{1}));
    writer.add("b", DType::f32, {5}, std::vector<std::byte>(20, std::byte{2}));
    MemoryFileSystem fs;
    const GgufReader reader = written(writer, fs);
    EXPECT_EQ(reader.find("a")->offset % alignment, 0U);
    EXPECT_EQ(reader.find("b")->offset,
              reader.find("a")->offset + (12 / alignment + 1) * alignment);
    EXPECT_EQ(reader.metadata().integer("general.alignment", 1, 1 << 20, 32), alignment);
    std::vector<std::byte> b(20);
    reader.read(*reader.find("b"), b);
    EXPECT_EQ(b, std::vector<std::byte>(20, std::byte{2}));
  }
  EXPECT_EQ(error_of([] { GgufWriter writer(48); }).expected, "a power of two from 8 to 2^30");
  EXPECT_EQ(error_of([] { GgufWriter writer(4); }).what, "alignment 4");
}

TEST(GgufWriter, SameCallsMakeTheSameBytes) {
  const auto file = [] {
    GgufWriter writer;
    writer.set("z", std::uint32_t{1});
    writer.set("a", std::uint32_t{2});
    writer.set("z", std::uint32_t{3});
    writer.add("t", DType::f32, {1}, std::vector<std::byte>(4));
    MemoryFileSystem fs;
    writer.commit(fs, "m.gguf");
    return read_file(fs, "m.gguf");
  };
  EXPECT_EQ(file(), file());
  // A key set again keeps its place.
  EXPECT_LT(file().find("z"), file().find("a"));
}

TEST(GgufWriter, WrongBytesAreOurBug) {
  MemoryFileSystem fs;
  GgufWriter writer;
  writer.add("t", DType::f32, {2}, std::vector<std::byte>(4));
  EXPECT_THROW(writer.commit(fs, "m.gguf"), InternalError);
  EXPECT_FALSE(fs.exists("m.gguf"));
  GgufWriter twice;
  twice.add("t", DType::f32, {1}, std::vector<std::byte>(4));
  twice.add("t", DType::f32, {1}, std::vector<std::byte>(4));
  EXPECT_THROW(twice.commit(fs, "m.gguf"), InternalError);
}

TEST(GgufWriter, FailureLeavesTheOldFile) {
  MemoryFileSystem fs;
  fs.put("m.gguf", "old");
  GgufWriter writer;
  writer.add({.name = "t", .type = 0, .dims = {1}, .write = [](AtomicFile&) {
                throw Error({.what = "the source is gone"});
              }});
  EXPECT_EQ(error_of([&] { writer.commit(fs, "m.gguf"); }).what, "the source is gone");
  EXPECT_EQ(read_file(fs, "m.gguf"), "old");
  EXPECT_EQ(fs.list(".").size(), 1U);
}

}  // namespace
}  // namespace switchyard
