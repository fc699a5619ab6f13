// Broken and hostile files: one Error each, that says what and where.
#include "formats/gguf/header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "switchyard/gguf.h"

#include "formats/gguf/testing_raw_file.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using testing_gguf::RawFile;
using testing_support::error_of;
using testing_support::MemoryFileSystem;

constexpr std::uint64_t kHuge = std::uint64_t{1} << 63;

GgufReader read(const std::string& bytes) {
  MemoryFileSystem fs;
  fs.put("m.gguf", bytes);
  return GgufReader(fs, "m.gguf");
}

Error::Parts error(const RawFile& file) {
  const auto parts = error_of([&] { read(file.bytes()); });
  EXPECT_THAT(parts.where, StartsWith("m.gguf"));
  EXPECT_FALSE(parts.expected.empty()) << parts.what;
  EXPECT_FALSE(parts.fix.empty()) << parts.what;
  return parts;
}

TEST(GgufHeader, VersionTwoIsTheSame) {
  EXPECT_EQ(read(RawFile().header(0, 1, 2).key_u32("k", 7).bytes()).metadata().integer("k", 0, 9),
            7);
}

TEST(GgufHeader, WhatIsNoGguf) {
  EXPECT_EQ(error(RawFile()).what, "this is not a GGUF file");
  EXPECT_EQ(error(RawFile().plain("GGU")).what, "this is not a GGUF file");
  EXPECT_EQ(error(RawFile().plain("PK\x03\x04 something")).what, "this is not a GGUF file");
}

TEST(GgufHeader, Versions) {
  const auto first = error(RawFile().header(0, 0, 1));
  EXPECT_EQ(first.what, "GGUF version 1 is not supported");
  EXPECT_THAT(first.fix, HasSubstr("convert the model again"));
  EXPECT_EQ(error(RawFile().header(0, 0, 4)).what, "GGUF version 4 is not supported");
  EXPECT_EQ(error(RawFile().header(0, 0, 0x03000000)).what, "the file is big-endian");
}

TEST(GgufHeader, Truncated) {
  RawFile whole;
  whole.header(1, 2)
      .key_text("general.architecture", "llama")
      .key_u32("llama.block_count", 2)
      .tensor("a", {4}, 0, 0)
      .pad()
      .zeros(16);
  EXPECT_NO_THROW(read(whole.bytes()));
  for (std::size_t size = 0; size < whole.bytes().size(); ++size) {
    const auto parts = error_of([&] { read(whole.bytes().substr(0, size)); });
    EXPECT_FALSE(parts.what.empty()) << size;
  }
}

TEST(GgufHeader, Counts) {
  EXPECT_THAT(error(RawFile().header(kHuge, 0)).what,
              HasSubstr("a count of 9223372036854775808 tensors reaches past the end"));
  EXPECT_THAT(error(RawFile().header(0, std::uint64_t{1} << 40)).what,
              HasSubstr("a count of 1099511627776 keys"));
  EXPECT_THAT(error(RawFile().header(0, kHuge)).where, HasSubstr("number of keys, byte 24"));
}

TEST(GgufHeader, LengthsOfTexts) {
  EXPECT_THAT(error(RawFile().header(0, 1).u64(kHuge).zeros(32)).what,
              HasSubstr("a text of 9223372036854775808 bytes reaches past the end"));
  const auto value = error(RawFile().header(0, 1).text("k").u32(8).u64(kHuge).zeros(32));
  EXPECT_THAT(value.where, HasSubstr("key 'k'"));
  EXPECT_THAT(error(RawFile().header(0, 1).text(std::string(70000, 'x')).u32(0).zeros(8)).what,
              HasSubstr("a name of 70000 bytes"));
  EXPECT_EQ(error(RawFile().header(0, 1).key_u32("", 1)).what, "the key has no name");
}

TEST(GgufHeader, Arrays) {
  const auto array = [](std::uint32_t type, std::uint64_t count) {
    return RawFile().header(0, 1).text("k").u32(9).u32(type).u64(count).zeros(64);
  };
  // Claims that no file can hold must fail before memory is taken for them.
  for (const std::uint32_t type : {0U, 4U, 7U, 8U, 9U, 12U}) {
    for (const std::uint64_t count :
         {std::uint64_t{65}, std::uint64_t{1} << 40, std::uint64_t{1} << 61, std::uint64_t{1} << 62,
          kHuge, UINT64_MAX}) {
      EXPECT_THAT(error(array(type, count)).what, HasSubstr("a count of")) << type << " " << count;
      EXPECT_THAT(error(array(type, count)).what, HasSubstr("reaches past the end"));
    }
  }
  EXPECT_EQ(error(array(13, 1)).what, "value type 13 is unknown");
  RawFile deep;
  deep.header(0, 1).text("k").u32(9);
  for (int i = 0; i < 100; ++i) deep.u32(9).u64(1);
  EXPECT_EQ(error(deep.u32(0).u64(0)).what, "arrays nest too deep");
  // A text of 2^63 bytes in an array, and an array in an array that no file can hold.
  const auto text =
      error(RawFile().header(0, 1).text("k").u32(9).u32(8).u64(2).text("a").u64(kHuge));
  EXPECT_THAT(text.what, HasSubstr("a text of 9223372036854775808 bytes"));
  EXPECT_THAT(text.where, HasSubstr("key 'k'"));
  EXPECT_THAT(error(RawFile()
                        .header(0, 1)
                        .text("k")
                        .u32(9)
                        .u32(9)
                        .u64(2)
                        .u32(0)
                        .u64(0)
                        .u32(10)
                        .u64(std::uint64_t{1} << 62)
                        .zeros(16))
                  .what,
              HasSubstr("a count of 4611686018427387904"));
}

TEST(GgufHeader, Values) {
  EXPECT_EQ(error(RawFile().header(0, 1).text("k").u32(99).zeros(8)).what,
            "value type 99 is unknown");
  EXPECT_EQ(error(RawFile().header(0, 1).text("k").u32(7).plain("\x02")).what,
            "a truth value is 2");
  const auto twice = error(RawFile().header(0, 2).key_u32("k", 1).key_u32("k", 2));
  EXPECT_EQ(twice.what, "the key stands twice");
  EXPECT_THAT(twice.where, HasSubstr("key 'k', byte"));
}

TEST(GgufHeader, Alignments) {
  for (const std::uint32_t alignment : {0U, 3U, 48U, 0x80000000U, 0xffffffffU}) {
    EXPECT_THAT(error_of([&] {
                  read(RawFile().header(0, 1).key_u32("general.alignment", alignment).bytes());
                }).what,
                StartsWith("key 'general.alignment' is"));
  }
  const auto reader = read(RawFile()
                               .header(1, 1)
                               .key_u32("general.alignment", 64)
                               .tensor("a", {1}, 0, 64)
                               .pad(64)
                               .zeros(68)
                               .bytes());
  EXPECT_EQ(reader.find("a")->offset, 192U);
}

TEST(GgufHeader, DimensionsAndTypes) {
  const auto tensor = [](const std::vector<std::uint64_t>& dims, std::uint32_t type) {
    return RawFile().header(1, 0).tensor("t\x1b", dims, type, 0).pad().zeros(1024);
  };
  EXPECT_EQ(error(tensor({}, 0)).what, "the tensor has 0 dimensions");
  EXPECT_EQ(error(tensor({1, 1, 1, 1, 1}, 0)).what, "the tensor has 5 dimensions");
  EXPECT_EQ(error(tensor({2, 0}, 0)).what, "a dimension is 0");
  EXPECT_EQ(error(RawFile().header(1, 0).tensor("", {1}, 0, 0).pad().zeros(32)).what,
            "the tensor has no name");
  EXPECT_EQ(error(tensor({1}, UINT32_MAX)).what, "tensor type 4294967295 is unknown");
  EXPECT_THAT(error(RawFile().header(1, 0).text("t").u32(UINT32_MAX).zeros(64)).what,
              HasSubstr("has 4294967295 dimensions"));
  EXPECT_EQ(error(tensor({1}, 4)).what, "tensor type 4 is unknown");
  EXPECT_EQ(error(tensor({33}, 2)).what, "rows of 33 values are no whole blocks");
  EXPECT_EQ(error(tensor({33}, 2)).expected, "a multiple of 32 for type Q4_0");
  EXPECT_EQ(error(tensor({kHuge}, 0)).what, "the dimensions hold more bytes than any file");
  EXPECT_EQ(error(tensor({1 << 20, 1 << 20, 1 << 20, 1 << 20}, 0)).what,
            "the dimensions hold more bytes than any file");
  // The product of the elements wraps to 0, that of the bytes too.
  EXPECT_EQ(error(tensor({std::uint64_t{1} << 32, std::uint64_t{1} << 32}, 24)).what,
            "the dimensions hold more bytes than any file");
  // No escape sequence reaches the message.
  EXPECT_EQ(error(tensor({33}, 2)).where.find('\x1b'), std::string::npos);
}

TEST(GgufHeader, Places) {
  const auto two = [](std::uint64_t first, std::uint64_t second) {
    return RawFile()
        .header(2, 0)
        .tensor("a", {16}, 0, first)
        .tensor("b", {16}, 0, second)
        .pad()
        .zeros(192);
  };
  EXPECT_NO_THROW(read(two(0, 64).bytes()));
  EXPECT_NO_THROW(read(two(128, 0).bytes()));  // any order, and a hole
  EXPECT_EQ(error(two(0, 32)).what, "the tensor overlaps 'a'");
  EXPECT_EQ(error(two(64, 64)).what, "the tensor overlaps 'a'");
  EXPECT_EQ(error(two(4, 128)).what, "the tensor begins at byte 4 of the data");
  EXPECT_EQ(error(two(0, 160)).what, "the tensor reaches past the end of the file");
  EXPECT_EQ(error(two(0, 0xffffffffffffffe0)).what, "the tensor reaches past the end of the file");
  EXPECT_EQ(error(RawFile().header(2, 0).tensor("a", {1}, 0, 0).tensor("a", {1}, 0, 32)).what,
            "the name stands twice");
  // A list that ends with the file has no data behind it.
  EXPECT_EQ(error(RawFile().header(1, 0).tensor("a", {1}, 0, 0)).what,
            "the tensor reaches past the end of the file");
}

// A file that says how large it is and holds nothing: what a sparse file is to a reader.
class EndlessFile final : public ReadableFile {
 public:
  explicit EndlessFile(std::string start) : start_(std::move(start)) {}
  std::uint64_t size() const override { return std::uint64_t{1} << 50; }
  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] =
          offset + i < start_.size() ? static_cast<std::byte>(start_[offset + i]) : std::byte{};
    }
  }
  const std::string& path() const override { return path_; }

 private:
  std::string start_;
  std::string path_ = "endless.gguf";
};

TEST(GgufHeader, WhatMetadataMayTake) {
  const auto error_in = [](const RawFile& start) {
    const EndlessFile file(start.bytes());
    return error_of([&] { read_gguf_header(file, "endless.gguf", kMaxGgufHeader); });
  };
  const auto array = [](std::uint32_t type, std::uint64_t count) {
    return RawFile().header(0, 1).text("k").u32(9).u32(type).u64(count);
  };
  EXPECT_THAT(error_in(array(0, std::uint64_t{1} << 40)).what,
              HasSubstr("passes the limit for metadata and tensor list"));
  EXPECT_THAT(error_in(array(8, std::uint64_t{1} << 40)).what, HasSubstr("passes the limit"));
  EXPECT_THAT(error_in(RawFile().header(0, 1).u64(kHuge)).what, HasSubstr("passes the limit"));
  EXPECT_EQ(error_in(RawFile().header(0, 70000)).what, "the file has 70000 keys");
  EXPECT_EQ(error_in(RawFile().header(2000000, 0)).what, "the file has 2000000 tensors");
  EXPECT_EQ(error_in(RawFile().header(2000000, 0)).expected, "at most 1048576");
  EXPECT_THAT(error_in(RawFile().header(std::uint64_t{1} << 40, 0)).what,
              HasSubstr("passes the limit"));
}

}  // namespace
}  // namespace switchyard
