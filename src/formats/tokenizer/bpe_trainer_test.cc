#include <map>

#include "switchyard/tokenizer.h"

#include "formats/tokenizer/split_pattern.h"
#include "formats/tokenizer/test_files.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::error_of;
using testing_support::MemoryFileSystem;
using tokenizer::random_text;

std::vector<std::string> merges_of(const Tokenizer& tokenizer) {
  MemoryFileSystem fs;
  tokenizer.save(fs, "t.json");
  return nlohmann::json::parse(read_file(fs, "t.json"))["model"]["merges"];
}

std::vector<std::string> train(const std::vector<std::string>& documents, std::size_t merges,
                               std::size_t min_frequency = 1) {
  return merges_of(
      train_byte_level_bpe(documents, {.vocab = 257 + merges, .min_frequency = min_frequency}));
}

// Sennrich et al. 2016, figure 1, without the end of word: low 5, lower 2, newest 6, widest 3
// times.
TEST(BpeTrainer, TheExampleOfThePaper) {
  std::string text;
  const auto add = [&](const std::string& word, int times) {
    for (int i = 0; i < times; ++i) text += word + "\n";
  };
  add("low", 5);
  add("lower", 2);
  add("newest", 6);
  add("widest", 3);
  // "e s" and "s t" 9 times each: of equals the lower ids go first. Then "es t" 9, "l o" 7, "lo w"
  // 7, "n e" 6, ...
  EXPECT_THAT(train({text}, 5), ElementsAre("e s", "es t", "l o", "lo w", "e w"));
}

TEST(BpeTrainer, CountsAreOverWordsNotAcrossThem) {
  // "a b" never stands inside a word; "b x", "x a" and "Ġ b" twice each.
  EXPECT_THAT(train({"xa bx xa bx"}, 10), ElementsAre("b x", "x a", "Ġ bx", "Ġ xa"));
  EXPECT_THAT(train({"ab", "ab", "cd"}, 10, 2), ElementsAre("a b"));
}

TEST(BpeTrainer, RareAndOverlappingPairs) {
  EXPECT_THAT(train({"abc"}, 10, 2), IsEmpty());
  EXPECT_THAT(train({"aaaa"}, 10, 1), ElementsAre("a a", "aa aa"));
  EXPECT_THAT(train({""}, 10), IsEmpty());
}

// The definition, recounted from nothing after each merge.
std::vector<std::string> train_naively(const std::vector<std::string>& documents,
                                       std::size_t merges) {
  using Symbols = std::vector<std::string>;
  std::map<Symbols, int> words;
  for (const std::string& text : documents) {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = tokenizer::next_piece_end(tokenizer::SplitPattern::gpt2, text, begin);
      Symbols symbols;
      for (const char c : text.substr(begin, end - begin)) {
        symbols.push_back(tokenizer::bytes_to_alphabet({&c, 1}));
      }
      ++words[symbols];
      begin = end;
    }
  }
  // Ids decide between equals: bytes in the order of their characters, then merges as they come.
  std::map<std::string, std::size_t> ids;
  std::map<char32_t, std::string> alphabet;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    alphabet[tokenizer::kByteAlphabet[byte]] = tokenizer::bytes_to_alphabet({&c, 1});
  }
  for (const auto& [character, text] : alphabet) ids.emplace(text, ids.size());
  std::vector<std::string> out;
  while (ids.size() < 256 + merges) {
    std::map<std::pair<std::size_t, std::size_t>,
             std::pair<int, std::pair<std::string, std::string>>>
        counts;
    for (const auto& [symbols, count] : words) {
      for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
        auto& entry = counts[{ids[symbols[i]], ids[symbols[i + 1]]}];
        entry.first += count;
        entry.second = {symbols[i], symbols[i + 1]};
      }
    }
    const std::pair<int, std::pair<std::string, std::string>>* best = nullptr;
    for (const auto& [key, entry] : counts) {
      if (best == nullptr || entry.first > best->first) best = &entry;
    }
    if (best == nullptr) break;
    const auto [left, right] = best->second;
    ids.emplace(left + right, ids.size());
    out.push_back(left + " " + right);
    std::map<Symbols, int> next;
    for (const auto& [symbols, count] : words) {
      Symbols merged;
      for (std::size_t i = 0; i < symbols.size(); ++i) {
        const bool here = i + 1 < symbols.size() && symbols[i] == left && symbols[i + 1] == right;
        merged.push_back(here ? left + right : symbols[i]);
        i += here ? 1 : 0;
      }
      next[merged] += count;
    }
    words = next;
  }
  return out;
}

TEST(BpeTrainer, FollowsTheDefinition) {
  std::mt19937 random(21);
  for (int round = 0; round < 20; ++round) {
    std::vector<std::string> documents(3);
    for (std::string& text : documents) {
      for (int i = 0; i < 60; ++i) text += "abcd  "[random() % 6];
      text += "\u00E9\u00E9";
    }
    ASSERT_EQ(train(documents, 40), train_naively(documents, 40));
  }
}

TEST(BpeTrainer, TrainsTwiceTheSameAndAnyTextComesBack) {
  std::mt19937 random(22);
  std::vector<std::string> documents;
  for (int i = 0; i < 30; ++i) documents.push_back(random_text(random, 300));
  documents.push_back(std::string("zero \0 and \x01 and \x7f", 18));
  const BpeTrainerOptions options{.vocab = 400};
  const Tokenizer first = train_byte_level_bpe(documents, options);
  const Tokenizer second = train_byte_level_bpe(documents, options);
  EXPECT_EQ(merges_of(first), merges_of(second));
  EXPECT_LE(first.vocab_size(), 400U);
  for (const std::string& text : documents) {
    EXPECT_EQ(first.encode(text), second.encode(text));
    EXPECT_EQ(first.decode(first.encode(text)), text);
  }
}

TEST(BpeTrainer, SpecialTokensComeFirstAndAreNotLearnt) {
  std::vector<std::string> documents(50, "<|endoftext|>ab<|sep|>ab");
  const Tokenizer tokenizer = train_byte_level_bpe(
      documents, {.vocab = 300, .special_tokens = {"<|endoftext|>", "<|sep|>"}});
  EXPECT_THAT(tokenizer.encode("<|endoftext|>ab<|sep|>"), ElementsAre(0, 258, 1));
  EXPECT_TRUE(tokenizer.is_special(0));
  EXPECT_EQ(tokenizer.vocab_size(), 259U);  // "a b" is all there was to learn
}

TEST(BpeTrainer, NoTextTurnsIntoASpecialToken) {
  const Tokenizer tokenizer = train_byte_level_bpe(std::vector<std::string>(9, "abab"),
                                                   {.vocab = 300, .special_tokens = {"ab"}});
  EXPECT_THAT(merges_of(tokenizer), IsEmpty());  // every "ab" is cut out
  EXPECT_EQ(tokenizer.encode("ab", {.parse_special_tokens = false}).size(), 2U);
}

TEST(BpeTrainer, ReportsProgressToTheEnd) {
  std::vector<std::pair<std::size_t, std::size_t>> calls;
  const auto progress = [&](std::size_t merges, std::size_t total) {
    calls.emplace_back(merges, total);
  };
  std::mt19937 random(23);
  train_byte_level_bpe(std::vector<std::string>{random_text(random, 3000)},
                       {.vocab = 257 + 200, .min_frequency = 1, .progress = progress});
  ASSERT_GE(calls.size(), 50U);
  EXPECT_EQ(calls.back(), (std::pair<std::size_t, std::size_t>{200, 200}));
  EXPECT_TRUE(std::is_sorted(calls.begin(), calls.end()));
}

TEST(BpeTrainer, BadOptionsAndTextsAreErrors) {
  const std::vector<std::string> none;
  const auto train_with = [&](BpeTrainerOptions options) { train_byte_level_bpe(none, options); };
  const Error::Parts small = error_of([&] { train_with({.vocab = 256}); });
  EXPECT_EQ(small.what, "a vocabulary of 256 entries");
  EXPECT_THAT(small.expected, HasSubstr("from 257"));
  for (const std::vector<std::string>& special :
       {std::vector<std::string>{""}, {"x"}, {"é"}, {"<s>", "<s>"}, {"ab\xFF"}}) {
    EXPECT_THAT(error_of([&] { train_with({.special_tokens = special}); }).what,
                HasSubstr("cannot be used"));
  }
  const std::vector<std::string> broken = {"fine", "bro\xFFken"};
  const Error::Parts parts = error_of([&] { train_byte_level_bpe(broken, {}); });
  EXPECT_EQ(parts.what, "the text is not UTF-8 at byte 3");
  EXPECT_EQ(parts.where, "document 2 of 2");
}

}  // namespace
}  // namespace switchyard
