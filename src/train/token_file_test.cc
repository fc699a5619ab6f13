#include "train/token_file.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/faulty_file_system.h"
#include "support/memory_file_system.h"

namespace switchyard::train {
namespace {

using testing_support::error_of;
using testing_support::MemoryFileSystem;

const std::vector<std::int32_t> kIds = {5, 0, 299, 7, 7, 1};

std::vector<std::int64_t> all(const TokenFile& file) {
  std::vector<std::int64_t> out(file.size());
  file.read(0, out);
  return out;
}

TEST(TokenFile, RoundTripInBothWidths) {
  for (const int vocab : {300, 70000}) {
    MemoryFileSystem fs;
    write_token_file(fs, "t", kIds, vocab, {.bytes = 11, .words = 3, .documents = 2}, 42);
    const TokenFile file(fs, "t", vocab, 42);
    EXPECT_EQ(all(file), std::vector<std::int64_t>(kIds.begin(), kIds.end()));
    EXPECT_EQ(file.counts().bytes, 11U);
    EXPECT_EQ(file.counts().words, 3U);
    EXPECT_EQ(file.counts().documents, 2U);
    std::vector<std::int64_t> middle(2);
    file.read(2, middle);
    EXPECT_EQ(middle, (std::vector<std::int64_t>{299, 7}));
  }
}

TEST(TokenFile, IsMappedFromARealFile) {
  const std::string path = ::testing::TempDir() + "/token_file_test.tokens";
  write_token_file(real_file_system(), path, kIds, 300, {}, 1);
  TokenFile moved = TokenFile(real_file_system(), path, 300, 1);
  real_file_system().remove(path);
  EXPECT_EQ(all(moved), std::vector<std::int64_t>(kIds.begin(), kIds.end()));
}

TEST(TokenFile, DamageIsNamed) {
  MemoryFileSystem fs;
  write_token_file(fs, "t", kIds, 300, {}, 42);
  EXPECT_EQ(error_of([&] { TokenFile(fs, "t", 300, 43); }).what,
            "the file was made from another text or tokenizer");
  EXPECT_EQ(error_of([&] { TokenFile(fs, "t", 299, 42); }).what,
            "id 299 at position 2 is outside the vocabulary");
  const std::string whole = read_file(fs, "t");
  fs.put("t", whole.substr(0, 63));
  EXPECT_EQ(error_of([&] { TokenFile(fs, "t", 300, 42); }).what, "the file is cut");
  fs.put("t", whole.substr(0, whole.size() - 1));
  EXPECT_EQ(error_of([&] { TokenFile(fs, "t", 300, 42); }).what,
            "the header contradicts the file's length");
  std::string flipped = whole;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  fs.put("t", flipped);
  EXPECT_EQ(error_of([&] { TokenFile(fs, "t", 300, 42); }).what,
            "the checksum of the ids is wrong");
  fs.put("t", "X" + whole.substr(1));
  const auto parts = error_of([&] { TokenFile(fs, "t", 300, 42); });
  EXPECT_EQ(parts.what, "not a token file of this version");
  EXPECT_EQ(parts.fix, "remove it, it is made again from the text");
}

TEST(CountText, WordsAndLineEnds) {
  TextCounts counts;
  count_text(" = Title = \n \n Two words\tand\r\n", counts);
  EXPECT_EQ(counts.words, 3U + 3U + 3U);  // 6 words and 3 line ends
  EXPECT_EQ(counts.bytes, 30U);
}

}  // namespace
}  // namespace switchyard::train
