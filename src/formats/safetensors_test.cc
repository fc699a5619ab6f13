#include "switchyard/safetensors.h"

#include <cmath>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>

#include "base/check.h"
#include "formats/dtype.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::error_of;

std::string with_length(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  return file + header + data;
}

std::vector<std::byte> bytes_of(const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * 4);
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

class SafetensorsTest : public testing::Test {
 protected:
  void SetUp() override { fs_.create_directories("model"); }

  std::string put(const std::string& name, const std::string& content) {
    fs_.put(path_of(name), content);
    return path_of(name);
  }
  void write_one(const std::string& file, const std::string& tensor,
                 const std::vector<float>& values) {
    SafetensorsWriter writer;
    writer.add(tensor, DType::f32, {static_cast<std::int64_t>(values.size())}, bytes_of(values));
    writer.commit(fs_, path_of(file));
  }
  Error::Parts error_reading(const std::string& path) {
    return error_of([&] { SafetensorsReader reader(fs_, path); });
  }

  static std::string path_of(const std::string& name) { return "model/" + name; }

  testing_support::MemoryFileSystem fs_;
};

TEST_F(SafetensorsTest, WritesAndReadsBackEveryType) {
  SafetensorsWriter writer;
  writer.add("b.f32", DType::f32, {2, 2}, bytes_of({1.0F, -2.5F, 0.0F, 3e38F}));
  for (const DType dtype : {DType::f16, DType::bf16, DType::f64, DType::i8, DType::u8, DType::i16,
                            DType::i32, DType::i64, DType::boolean}) {
    writer.add("t." + std::string(dtype_name(dtype)), dtype, {3},
               std::vector<std::byte>(3 * dtype_size(dtype), std::byte{1}));
  }
  writer.add("scalar", DType::f32, {}, bytes_of({7.0F}));
  writer.add("empty", DType::f32, {0, 5}, {});
  writer.set_metadata("note", "two\nlines \"quoted\"");
  const std::string path = path_of("model.safetensors");
  writer.commit(fs_, path);

  const SafetensorsReader reader(fs_, path);
  EXPECT_EQ(reader.tensors().size(), 12U);
  EXPECT_EQ(reader.metadata().at("note"), "two\nlines \"quoted\"");
  EXPECT_EQ(reader.metadata().at("format"), "pt");
  EXPECT_THAT(reader.read_f32("b.f32"), ElementsAre(1.0F, -2.5F, 0.0F, 3e38F));
  EXPECT_THAT(reader.read_f32("scalar"), ElementsAre(7.0F));
  EXPECT_TRUE(reader.read_f32("empty").empty());
  EXPECT_EQ(reader.find("t.I64").bytes, 24U);
  for (const auto& [name, tensor] : reader.tensors())
    EXPECT_EQ(tensor.offset % dtype_size(tensor.dtype), 0U) << name;
}

TEST_F(SafetensorsTest, DataStartsAligned) {
  for (int length = 1; length < 70; ++length) {
    write_one("a.safetensors", std::string(static_cast<std::size_t>(length), 'n'), {1.0F});
    const SafetensorsReader reader(fs_, path_of("a.safetensors"));
    EXPECT_EQ(reader.tensors().begin()->second.offset % 64, 0U);
  }
}

TEST_F(SafetensorsTest, WriterThatBreaksItsWordLeavesTheOldFile) {
  write_one("a.safetensors", "old", {1.0F});
  SafetensorsWriter writer;
  writer.add({.name = "short", .dtype = DType::f32, .shape = {2}, .write = [](AtomicFile& file) {
                file.append(std::string("abc"));
              }});
  EXPECT_THROW(writer.commit(fs_, path_of("a.safetensors")), InternalError);
  EXPECT_TRUE(SafetensorsReader(fs_, path_of("a.safetensors")).has("old"));
  EXPECT_THAT(fs_.list("model"), ElementsAre("a.safetensors"));
}

TEST_F(SafetensorsTest, FindNamesFileTensorAndShapes) {
  write_one("a.safetensors", "w", {1.0F, 2.0F});
  const SafetensorsReader reader(fs_, path_of("a.safetensors"));
  const std::vector<std::int64_t> shape = {1, 2};
  const auto wrong = error_of([&] { reader.find("w", shape); });
  EXPECT_THAT(wrong.what, HasSubstr("[2]"));
  EXPECT_EQ(wrong.expected, "[1, 2]");
  EXPECT_THAT(wrong.where, HasSubstr("a.safetensors: tensor 'w'"));
  const auto missing = error_of([&] { reader.find("x", shape); });
  EXPECT_EQ(missing.what, "the tensor is missing");
  EXPECT_THAT(missing.where, HasSubstr("a.safetensors: tensor 'x'"));
}

TEST_F(SafetensorsTest, IntegersAreNotReadAsNumbers) {
  SafetensorsWriter writer;
  writer.add("ids", DType::i32, {1}, std::vector<std::byte>(4));
  writer.commit(fs_, path_of("a.safetensors"));
  const SafetensorsReader reader(fs_, path_of("a.safetensors"));
  EXPECT_THAT(error_of([&] { reader.read_f32("ids"); }).what, HasSubstr("I32"));
}

TEST_F(SafetensorsTest, ReadsHalfTypesLongerThanTheConversionBuffer) {
  const std::int64_t count = 600'001;
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * 2);
  for (std::int64_t i = 0; i < count; ++i) {
    const auto bits = f32_to_bf16(static_cast<float>(i % 251));
    std::memcpy(bytes.data() + 2 * i, &bits, 2);
  }
  SafetensorsWriter writer;
  writer.add("w", DType::bf16, {count}, bytes);
  writer.commit(fs_, path_of("a.safetensors"));
  const auto values = SafetensorsReader(fs_, path_of("a.safetensors")).read_f32("w");
  for (std::int64_t i = 0; i < count; ++i)
    ASSERT_EQ(values[static_cast<std::size_t>(i)], static_cast<float>(i % 251));
}

TEST_F(SafetensorsTest, ReadsShardsThroughTheIndex) {
  write_one("model-00001-of-00002.safetensors", "a", {1.0F});
  write_one("model-00002-of-00002.safetensors", "b", {2.0F});
  put("model.safetensors.index.json",
      R"({"metadata": {"total_size": 8}, "weight_map": {"a": "model-00001-of-00002.safetensors",
          "b": "model-00002-of-00002.safetensors"}})");
  for (const char* path : {"model", "model/model.safetensors.index.json"}) {
    const SafetensorsReader reader(fs_, path);
    EXPECT_EQ(reader.files().size(), 2U);
    EXPECT_THAT(reader.read_f32("b"), ElementsAre(2.0F));
  }
}

TEST_F(SafetensorsTest, ShardErrors) {
  write_one("one.safetensors", "a", {1.0F});
  const auto index = [&](const std::string& map) {
    return error_reading(put("model.safetensors.index.json", R"({"weight_map": )" + map + "}"));
  };
  EXPECT_THAT(index(R"({"a": "two.safetensors"})").what, HasSubstr("'two.safetensors' is missing"));
  const auto absent = index(R"({"a": "one.safetensors", "b": "one.safetensors"})");
  EXPECT_THAT(absent.what, HasSubstr("does not hold"));
  EXPECT_THAT(absent.where, HasSubstr("tensor 'b'"));
  for (const char* escape : {"../one.safetensors", "/etc/passwd", "a/b", "..", "", "a\\\\b"}) {
    EXPECT_THAT(index(R"({"a": ")" + std::string(escape) + "\"}").what,
                HasSubstr("not a plain file name"))
        << escape;
  }
  EXPECT_THAT(index(R"({"a": 3})").what, HasSubstr("not a text"));
  EXPECT_THAT(index("[]").expected, HasSubstr("tensor name to file name"));
  EXPECT_THAT(index("{}").expected, HasSubstr("at least one tensor"));
  EXPECT_THAT(index(R"({"a": "one.safetensors", "a": "one.safetensors"})").what,
              HasSubstr("stands twice"));
  write_one("two.safetensors", "a", {1.0F});
  EXPECT_THAT(index(R"({"a": "one.safetensors", "b": "two.safetensors"})").what,
              HasSubstr("also stands in"));
  EXPECT_THAT(index(R"({"a": "one.safetensors")").what, HasSubstr("not valid JSON"));
}

TEST_F(SafetensorsTest, DirectoryWithoutWeights) {
  const auto error = error_reading("model");
  EXPECT_EQ(error.what, "no weights in the directory");
  EXPECT_EQ(error.where, "model");
}

TEST_F(SafetensorsTest, EmptyModelIsValid) {
  EXPECT_TRUE(
      SafetensorsReader(fs_, put("a.safetensors", with_length("{}", ""))).tensors().empty());
  EXPECT_TRUE(
      SafetensorsReader(fs_, put("b.safetensors", with_length("{}      ", ""))).tensors().empty());
}

TEST(DTypeTest, HalfTypesRoundTripEveryPattern) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float f16 = f16_to_f32(half);
    const float bf16 = bf16_to_f32(half);
    if (std::isnan(f16)) {
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(f16))));
    } else {
      ASSERT_EQ(f32_to_f16(f16), half) << bits;
    }
    if (std::isnan(bf16)) {
      EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(bf16))));
    } else {
      ASSERT_EQ(f32_to_bf16(bf16), half) << bits;
    }
  }
}

TEST(DTypeTest, KnownHalfValues) {
  EXPECT_EQ(f16_to_f32(0x3c00), 1.0F);
  EXPECT_EQ(f16_to_f32(0x0001), 0x1p-24F);
  EXPECT_EQ(f16_to_f32(0x7bff), 65504.0F);
  EXPECT_EQ(f16_to_f32(0xfc00), -std::numeric_limits<float>::infinity());
  EXPECT_EQ(bf16_to_f32(0x3f80), 1.0F);
}

TEST(DTypeTest, RoundsHalvesToNearestEven) {
  for (std::uint16_t low = 0; low < 0x7bff; ++low) {
    const float a = f16_to_f32(low);
    const float b = f16_to_f32(static_cast<std::uint16_t>(low + 1));
    const float middle = (a + b) / 2;  // exact in fp32
    EXPECT_EQ(f32_to_f16(middle), low % 2 == 0 ? low : low + 1) << low;
    EXPECT_EQ(f32_to_f16(std::nextafter(middle, b)), low + 1) << low;
    EXPECT_EQ(f32_to_f16(std::nextafter(middle, a)), low) << low;
  }
  EXPECT_EQ(f32_to_f16(65519.0F), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0F), 0x7c00);
  EXPECT_EQ(f32_to_f16(1e30F), 0x7c00);
  EXPECT_EQ(f32_to_f16(-0x1p-26F), 0x8000);
  EXPECT_EQ(f32_to_bf16(1.0F + 0x1p-8F), 0x3f80);
  EXPECT_EQ(f32_to_bf16(1.0F + 3 * 0x1p-8F), 0x3f82);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
}

TEST(DTypeTest, NamesRoundTrip) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16, DType::f64, DType::i8, DType::u8,
                            DType::i16, DType::i32, DType::i64, DType::boolean}) {
    EXPECT_EQ(dtype_from_name(dtype_name(dtype)), dtype);
  }
  EXPECT_FALSE(dtype_from_name("f32"));
}

}  // namespace
}  // namespace switchyard
