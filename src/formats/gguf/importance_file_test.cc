#include "formats/gguf/importance_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <limits>
#include <span>

#include "switchyard/gguf.h"

#include "formats/gguf/testing_raw_file.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using namespace testing_gguf;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing_support::error_of;
using testing_support::MemoryFileSystem;
using Dims = std::vector<std::uint64_t>;

constexpr const char* kFile = "importance.gguf";

ImportanceData example() {
  ImportanceData data{.where = kFile, .datasets = {"stories.txt"}, .chunks = 3, .chunk_size = 512};
  data.entries["blk.0.attn_q.weight"] = {.squares = {1, 2, 3, 4}, .counts = {7}};
  data.entries["blk.0.ffn_up_exps.weight"] = {.squares = {1, 2, 3, 4, 0, 0}, .counts = {5, 2, 0}};
  return data;
}

TEST(ImportanceFile, ComesBackAsItWasWritten) {
  MemoryFileSystem fs;
  write_importance(fs, kFile, example());
  const ImportanceData read = read_importance(fs, kFile);
  EXPECT_EQ(read.entries, example().entries);
  EXPECT_EQ(read.datasets, example().datasets);
  EXPECT_EQ(read.chunks, 3U);
  EXPECT_EQ(read.chunk_size, 512U);
  EXPECT_EQ(read.where, kFile);
}

// What other programs look for.
TEST(ImportanceFile, KeysTensorsAndDimensionsOthersRead) {
  MemoryFileSystem fs;
  write_importance(fs, kFile, example());
  const GgufReader gguf(fs, kFile);
  EXPECT_EQ(gguf.metadata().text("general.type"), "imatrix");
  EXPECT_EQ(gguf_type(*gguf.metadata().find("imatrix.chunk_count")), GgufType::u32);
  EXPECT_EQ(gguf_type(*gguf.metadata().find("imatrix.chunk_size")), GgufType::u32);
  EXPECT_THAT(gguf.metadata().texts("imatrix.datasets"), ElementsAre("stories.txt"));
  EXPECT_EQ(gguf.find("blk.0.attn_q.weight.in_sum2")->dims, Dims({4, 1}));
  EXPECT_EQ(gguf.find("blk.0.attn_q.weight.counts")->dims, Dims({1, 1}));
  EXPECT_EQ(gguf.find("blk.0.ffn_up_exps.weight.in_sum2")->dims, Dims({2, 3}));
  EXPECT_EQ(gguf.find("blk.0.ffn_up_exps.weight.counts")->dims, Dims({1, 3}));
}

TEST(ImportanceFile, OtherStatisticsAndMissingKeysAreNoMatter) {
  MemoryFileSystem fs;
  GgufWriter writer;
  writer.add("a.in_sum2", DType::f32, {2}, std::vector<std::byte>(8));
  writer.add("a.counts", DType::f32, {1}, std::vector<std::byte>(4));
  writer.add("a.in_sum", DType::f16, {2}, std::vector<std::byte>(4));
  writer.commit(fs, kFile);
  EXPECT_EQ(read_importance(fs, kFile).entries.size(), 1U);
}

void put_entry(RawFile& file, std::string_view name, std::uint32_t chunks,
               const std::vector<float>& values) {
  file.u32(static_cast<std::uint32_t>(name.size())).plain(name).u32(chunks);
  file.u32(static_cast<std::uint32_t>(values.size()));
  for (const float v : values) file.put(v);
}

std::string old_file() {
  RawFile file;
  file.u32(2);
  put_entry(file, "blk.0.attn_q.weight", 10, {10, 20});
  put_entry(file, "blk.0.ffn_up_exps.weight", 10, {10, 20, 30, 40});
  file.u32(10).u32(9).plain("calib.txt");
  return file.bytes();
}

TEST(ImportanceFile, TheOlderKind) {
  MemoryFileSystem fs;
  fs.put("imatrix.dat", old_file());
  const ImportanceData data = read_importance(fs, "imatrix.dat");
  EXPECT_EQ(data.entries.at("blk.0.attn_q.weight"), (ImportanceEntry{{10, 20}, {10}}));
  EXPECT_EQ(data.entries.at("blk.0.ffn_up_exps.weight"), (ImportanceEntry{{10, 20, 30, 40}, {10}}));
  EXPECT_EQ(data.chunks, 10U);
  EXPECT_THAT(data.datasets, ElementsAre("calib.txt"));
  // The oldest end behind the last entry.
  fs.put("imatrix.dat", old_file().substr(0, old_file().size() - 17));
  EXPECT_EQ(read_importance(fs, "imatrix.dat").entries.size(), 2U);
}

TEST(ImportanceFile, TheOlderKindCutAnywhereElseIsRefused) {
  MemoryFileSystem fs;
  const std::string whole = old_file();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    if (size + 17 == whole.size()) continue;
    fs.put("imatrix.dat", whole.substr(0, size));
    EXPECT_THAT(error_of([&] { read_importance(fs, "imatrix.dat"); }).where,
                HasSubstr("imatrix.dat"))
        << size;
  }
}

TEST(ImportanceFile, RefusesLengthsThatCannotBe) {
  MemoryFileSystem fs;
  const auto refused = [&](const RawFile& file) {
    fs.put("imatrix.dat", file.bytes());
    return error_of([&] { read_importance(fs, "imatrix.dat"); });
  };
  EXPECT_THAT(refused(RawFile().u32(0)).what, HasSubstr("number of entries is 0"));
  EXPECT_THAT(refused(RawFile().u32(0xffffffff)).what, HasSubstr("number of entries is -1"));
  const Error::Parts name = refused(RawFile().u32(1).u32(0x7fffffff));
  EXPECT_THAT(name.what, HasSubstr("the length of a name is 2147483647"));
  EXPECT_THAT(name.where, AllOf(HasSubstr("entry 0"), HasSubstr("byte 8")));
  EXPECT_THAT(refused(RawFile().u32(1).u32(1).plain("a").u32(1).u32(0x7fffffff)).expected,
              HasSubstr("at most 0"));
  RawFile twice;
  twice.u32(2);
  put_entry(twice, "a", 1, {1});
  put_entry(twice, "a", 1, {1});
  EXPECT_THAT(refused(twice).what, HasSubstr("twice"));
}

TEST(ImportanceFile, RefusesValuesThatCannotBe) {
  MemoryFileSystem fs;
  const auto refused = [&](const ImportanceEntry& entry) {
    ImportanceData data = example();
    data.entries["bad"] = entry;
    write_importance(fs, kFile, data);
    return error_of([&] { read_importance(fs, kFile); });
  };
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinite = std::numeric_limits<float>::infinity();
  for (const float bad : {nan, infinite, -1.0F}) {
    const Error::Parts sums = refused({.squares = {1, bad}, .counts = {1}});
    EXPECT_THAT(sums.what, HasSubstr("sum of squares"));
    EXPECT_THAT(sums.where, HasSubstr("entry 'bad'"));
    EXPECT_THAT(refused({.squares = {1, 2}, .counts = {bad}}).what, HasSubstr("count of tokens"));
  }
  EXPECT_THAT(refused({.squares = {1, 2}, .counts = {0.25F}}).expected, HasSubstr("1 and more"));
}

TEST(ImportanceFile, RefusesTensorsThatDoNotFit) {
  MemoryFileSystem fs;
  const auto refused = [&](const std::function<void(GgufWriter&)>& add) {
    GgufWriter writer;
    add(writer);
    writer.commit(fs, kFile);
    return error_of([&] { read_importance(fs, kFile); });
  };
  EXPECT_THAT(refused([](GgufWriter& w) {
                w.add("a.in_sum2", DType::f32, {2}, std::vector<std::byte>(8));
              }).what,
              HasSubstr("no counts"));
  EXPECT_THAT(refused([](GgufWriter& w) {
                w.add("a.in_sum2", DType::f16, {2}, std::vector<std::byte>(4));
                w.add("a.counts", DType::f32, {1}, std::vector<std::byte>(4));
              }).what,
              HasSubstr("F16"));
  EXPECT_THAT(refused([](GgufWriter& w) {
                w.add("a.in_sum2", DType::f32, {3}, std::vector<std::byte>(12));
                w.add("a.counts", DType::f32, {2}, std::vector<std::byte>(8));
              }).what,
              HasSubstr("3 sums for 2 counts"));
  // A model is no importance file.
  EXPECT_THAT(refused([](GgufWriter& w) {
                w.add("token_embd.weight", DType::f32, {2}, std::vector<std::byte>(8));
              }).what,
              HasSubstr("no importance"));
}

}  // namespace
}  // namespace switchyard
