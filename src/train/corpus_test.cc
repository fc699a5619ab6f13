#include "train/corpus.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>

#include "support/errors.h"
#include "support/memory_file_system.h"
#include "train/generated_text.h"

namespace switchyard::train {
namespace {

using testing_support::error_of;
using testing_support::MemoryFileSystem;

struct Said {
  std::vector<std::string> lines;
  std::function<void(const std::string&)> say() {
    return [this](const std::string& line) { lines.push_back(line); };
  }
};

DataRecipe recipe() {
  DataRecipe out;
  out.train = {"text.txt"};
  out.vocab = 300;
  out.sequence = 8;
  return out;
}

std::string text_of(const Corpus& corpus, const TokenFile& file) {
  std::vector<std::int64_t> ids(file.size());
  file.read(0, ids);
  return corpus.tokenizer.decode(std::vector<std::int32_t>(ids.begin(), ids.end()));
}

TEST(Corpus, HoldsOutTheEndOfASingleText) {
  MemoryFileSystem fs;
  const std::string text = generate_text(4000, 1);
  fs.put("text.txt", text);
  Said said;
  const Corpus corpus = load_corpus(fs, recipe(), "cache", said.say());
  EXPECT_EQ(text_of(corpus, corpus.train) + text_of(corpus, corpus.valid), text);
  EXPECT_TRUE(text_of(corpus, corpus.train).ends_with("\n"));
  EXPECT_NEAR(static_cast<double>(corpus.valid.counts().bytes), 200.0, 150.0);
  EXPECT_LE(corpus.vocab(), 300);
  EXPECT_FALSE(corpus.test.has_value());
}

TEST(Corpus, BytesAreTokensAndTheTokenizerIsAFileThatReads) {
  MemoryFileSystem fs;
  const std::string train = "na\xC3\xAFve 12\n\n  it's\ttwo <|endoftext|> \xE2\x82\xAC\n";
  fs.put("text.txt", train);
  fs.put("valid.txt", "x\n");
  DataRecipe data = recipe();
  data.tokenizer = kByteTokenizer;
  data.vocab = kByteVocab;
  data.valid = {"valid.txt"};
  Said said;
  const Corpus corpus = load_corpus(fs, data, "cache", said.say());
  EXPECT_EQ(corpus.vocab(), kByteVocab);
  ASSERT_EQ(corpus.train.size(), train.size());  // one token a byte
  EXPECT_EQ(text_of(corpus, corpus.train), train);
  std::vector<std::int64_t> ids(corpus.train.size());
  corpus.train.read(0, ids);
  std::map<char, std::int64_t> seen;
  for (std::size_t i = 0; i < train.size(); ++i) {
    EXPECT_EQ(seen.emplace(train[i], ids[i]).first->second, ids[i]) << i;
    EXPECT_TRUE(ids[i] >= 1 && ids[i] < kByteVocab) << i;
  }
  ASSERT_TRUE(corpus.end_of_text.has_value());
  EXPECT_EQ(*corpus.end_of_text, 0);
  EXPECT_EQ(said.lines,
            (std::vector<std::string>{"tokenising the train text", "tokenising the valid text"}));
  const Tokenizer again = Tokenizer::load(fs, "cache/tokenizer.json");
  EXPECT_EQ(again.encode("na\xC3\xAFve"), corpus.tokenizer.encode("na\xC3\xAFve"));
}

TEST(Corpus, LimitsEachText) {
  MemoryFileSystem fs;
  const std::string text = generate_text(4000, 1);
  fs.put("text.txt", text);
  fs.put("test.txt", text);
  DataRecipe data = recipe();
  data.test = {"test.txt"};
  data.limit_bytes = 1000;
  data.limit_test_bytes = 50;
  Said said;
  const Corpus corpus = load_corpus(fs, data, "cache", said.say());
  EXPECT_EQ(corpus.train.counts().bytes, 1000U);
  EXPECT_EQ(corpus.valid.counts().bytes, 50U);
  EXPECT_EQ(corpus.test->counts().bytes, 50U);
  EXPECT_EQ(text_of(corpus, *corpus.test), text.substr(0, 50));
}

TEST(Corpus, DocumentsEndInTheEndOfTextToken) {
  MemoryFileSystem fs;
  fs.put("text.txt", "one story\n<|endoftext|>\ntwo stories\n<|endoftext|>\n\n<|endoftext|>three");
  DataRecipe data = recipe();
  data.separator = "<|endoftext|>";
  data.valid_share = 0.4;
  Said said;
  const Corpus corpus = load_corpus(fs, data, "cache", said.say());
  EXPECT_EQ(text_of(corpus, corpus.train), "one story<|endoftext|>");
  EXPECT_EQ(text_of(corpus, corpus.valid), "two stories<|endoftext|>three<|endoftext|>");
  EXPECT_EQ(corpus.valid.counts().documents, 2U);
  EXPECT_TRUE(corpus.end_of_text.has_value());
}

TEST(Corpus, IsMadeOnceAndAgainWhenTheTextChanges) {
  MemoryFileSystem fs;
  fs.put("text.txt", generate_text(3000, 1));
  Said first;
  Said second;
  Said third;
  const std::uint64_t key = load_corpus(fs, recipe(), "cache", first.say()).train.key();
  EXPECT_EQ(first.lines.size(), 3U);  // tokenizer, training text, validation text
  EXPECT_EQ(load_corpus(fs, recipe(), "cache", second.say()).train.key(), key);
  EXPECT_TRUE(second.lines.empty());
  fs.put("text.txt", generate_text(3000, 2));
  EXPECT_NE(load_corpus(fs, recipe(), "cache", third.say()).train.key(), key);
  EXPECT_EQ(third.lines.size(), 3U);
}

TEST(Corpus, LimitCutsTheTrainingTextOnly) {
  MemoryFileSystem fs;
  fs.put("text.txt", generate_text(3000, 1));
  fs.put("valid.txt", "äöü äöü");
  DataRecipe data = recipe();
  data.valid = {"valid.txt"};
  data.test = {"valid.txt"};
  data.limit_bytes = 1000;
  Said said;
  const Corpus corpus = load_corpus(fs, data, "cache", said.say());
  EXPECT_EQ(corpus.train.counts().bytes, 1000U);
  EXPECT_EQ(text_of(corpus, *corpus.test), "äöü äöü");
}

TEST(Corpus, TextThatIsNotThereOrNotUtf8) {
  MemoryFileSystem fs;
  Said said;
  EXPECT_NE(error_of([&] { load_corpus(fs, recipe(), "cache", said.say()); }).what, "");
  fs.put("text.txt", "good\xff");
  EXPECT_NE(error_of([&] { load_corpus(fs, recipe(), "cache", said.say()); }).what.find("UTF-8"),
            std::string::npos);
  fs.put("text.txt", "");
  EXPECT_EQ(error_of([&] { load_corpus(fs, recipe(), "cache", said.say()); }).what,
            "there is no training text");
}

TEST(GeneratedText, IsAPureFunctionOfTheSeed) {
  EXPECT_EQ(generate_text(500, 3), generate_text(500, 3));
  EXPECT_NE(generate_text(500, 3), generate_text(500, 4));
  EXPECT_GE(generate_text(500, 3).size(), 500U);
}

}  // namespace
}  // namespace switchyard::train
