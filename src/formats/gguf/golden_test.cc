// The bytes of a tiny file, written down by hand from the format's description.
#include <gtest/gtest.h>

#include "switchyard/gguf.h"

#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using testing_support::MemoryFileSystem;
using namespace std::string_literals;

// Two keys and two tensors: a is [2, 3] of F32, 24 bytes and 8 of padding; b is [4] of F16.
std::string golden() {
  return "GGUF"s
         "\x03\x00\x00\x00"                  // version
         "\x02\x00\x00\x00\x00\x00\x00\x00"  // tensors
         "\x02\x00\x00\x00\x00\x00\x00\x00"  // keys
         "\x14\x00\x00\x00\x00\x00\x00\x00"
         "general.architecture"
         "\x08\x00\x00\x00"  // string
         "\x05\x00\x00\x00\x00\x00\x00\x00"
         "llama"
         "\x03\x00\x00\x00\x00\x00\x00\x00"
         "ids"
         "\x09\x00\x00\x00"  // array
         "\x05\x00\x00\x00"  // of i32
         "\x02\x00\x00\x00\x00\x00\x00\x00"
         "\xff\xff\xff\xff"
         "\x07\x00\x00\x00"
         "\x01\x00\x00\x00\x00\x00\x00\x00"
         "a"
         "\x02\x00\x00\x00"                  // dimensions
         "\x03\x00\x00\x00\x00\x00\x00\x00"  // innermost
         "\x02\x00\x00\x00\x00\x00\x00\x00"
         "\x00\x00\x00\x00"  // F32
         "\x00\x00\x00\x00\x00\x00\x00\x00"
         "\x01\x00\x00\x00\x00\x00\x00\x00"
         "b"
         "\x01\x00\x00\x00"
         "\x04\x00\x00\x00\x00\x00\x00\x00"
         "\x01\x00\x00\x00"                  // F16
         "\x20\x00\x00\x00\x00\x00\x00\x00"  // offset 32
         // 178 bytes so far; the data begins at 192
         "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
         "\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40\x00\x00\xa0\x40\x00\x00"
         "\xc0\x40"
         "\x00\x00\x00\x00\x00\x00\x00\x00"
         "\x00\x3c\x00\x40\x00\x42\x00\x44"
         "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
         "\x00\x00"s;
}

template <typename T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

TEST(GgufGolden, Reading) {
  MemoryFileSystem fs;
  fs.put("tiny.gguf", golden());
  const GgufReader reader(fs, "tiny.gguf");
  EXPECT_EQ(reader.metadata().values().size(), 2U);
  EXPECT_EQ(reader.metadata().text("general.architecture"), "llama");
  EXPECT_EQ(reader.metadata().integers("ids", -10, 10), (std::vector<std::int64_t>{-1, 7}));
  ASSERT_EQ(reader.tensors().size(), 2U);
  const GgufTensor& a = *reader.find("a");
  EXPECT_EQ(a.dims, (std::vector<std::uint64_t>{3, 2}));
  EXPECT_EQ(a.offset, 192U);
  ASSERT_EQ(a.bytes, 24U);
  std::vector<float> values(6);
  reader.read(a, std::as_writable_bytes(std::span(values)));
  EXPECT_EQ(values, (std::vector<float>{1, 2, 3, 4, 5, 6}));
  const GgufTensor& b = *reader.find("b");
  EXPECT_EQ(find_gguf_tensor_type(b.type)->dtype, DType::f16);
  EXPECT_EQ(b.offset, 224U);
  EXPECT_EQ(b.bytes, 8U);
}

TEST(GgufGolden, Writing) {
  MemoryFileSystem fs;
  GgufWriter writer;
  writer.set("general.architecture", std::string("llama"));
  writer.set("ids", GgufArray{std::vector<std::int32_t>{-1, 7}});
  writer.add("a", DType::f32, {3, 2}, bytes_of(std::vector<float>{1, 2, 3, 4, 5, 6}));
  writer.add("b", DType::f16, {4},
             bytes_of(std::vector<std::uint16_t>{0x3c00, 0x4000, 0x4200, 0x4400}));
  writer.commit(fs, "tiny.gguf");
  EXPECT_EQ(read_file(fs, "tiny.gguf"), golden());
}

}  // namespace
}  // namespace switchyard
