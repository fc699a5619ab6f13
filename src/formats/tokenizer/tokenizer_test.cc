// The whole way from a tokenizer.json to ids and back.
#include "switchyard/tokenizer.h"

#include <thread>

#include "formats/tokenizer/test_files.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::error_of;
using testing_support::MemoryFileSystem;
using tokenizer::byte_level_file;
using tokenizer::random_text;
using tokenizer::sentencepiece_file;

Tokenizer make(const json& file) { return Tokenizer::from_json(file, "tokenizer.json"); }

std::vector<std::string> tokens(const Tokenizer& tokenizer, std::string_view text,
                                const EncodeOptions& options = {}) {
  std::vector<std::string> out;
  for (const std::int32_t id : tokenizer.encode(text, options)) out.push_back(*tokenizer.token(id));
  return out;
}

std::string streamed(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids,
                     DecodeOptions options = {}) {
  StreamDecoder decoder(tokenizer, options);
  std::string text;
  for (const std::int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

// "lower" learnt from "l o", "lo w", "e r"; a space before a word sticks to its first letter.
json lower_file() { return byte_level_file({"l o", "lo w", "e r", "Ġ low", "n e", "ne w"}); }

json llama_file() {
  return sentencepiece_file({"▁", "h", "e", "l", "o", "a"},
                            {"h e", "l l", "he ll", "hell o", "▁ hello", "▁ ▁"});
}

TEST(Tokenizer, ByteLevelByHand) {
  const Tokenizer tokenizer = make(lower_file());
  EXPECT_THAT(tokens(tokenizer, "lower lower newer"),
              ElementsAre("low", "er", "Ġlow", "er", "Ġ", "new", "er"));
  // Ids: "<|end|>" is 0, byte b is b + 1, merges follow from 257.
  EXPECT_THAT(tokenizer.encode("low<|end|>low!"), ElementsAre(258, 0, 258, '!' + 1));
  EXPECT_THAT(tokenizer.encode("é"), ElementsAre(0xC3 + 1, 0xA9 + 1));
  EXPECT_THAT(tokenizer.encode(""), ElementsAre());
  EXPECT_EQ(tokenizer.vocab_size(), 263U);
}

TEST(Tokenizer, SentencePieceStyleByHand) {
  const Tokenizer tokenizer = make(llama_file());
  EXPECT_THAT(tokens(tokenizer, "hello hello"), ElementsAre("<s>", "▁hello", "▁hello"));
  // "▁ hello" ranks before "▁ ▁".
  EXPECT_THAT(tokens(tokenizer, "a  hello"), ElementsAre("<s>", "▁", "a", "▁", "▁hello"));
  EXPECT_THAT(tokens(tokenizer, "a  a"), ElementsAre("<s>", "▁", "a", "▁▁", "a"));
  EXPECT_THAT(tokens(tokenizer, "é\n"), ElementsAre("<s>", "▁", "<0xC3>", "<0xA9>", "<0x0A>"));
  EXPECT_THAT(tokens(tokenizer, "", {.add_special_tokens = false}), ElementsAre());
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("hello  aé", {.add_special_tokens = false})),
            "hello  aé");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("hello"), {.skip_special_tokens = true}), "hello");
}

TEST(Tokenizer, SpecialTokensInTheTextCanBeLeftAsText) {
  const Tokenizer tokenizer = make(byte_level_file());
  EXPECT_THAT(tokenizer.encode("<|end|>", {.parse_special_tokens = true}), ElementsAre(0));
  const auto ids = tokenizer.encode("<|end|>", {.parse_special_tokens = false});
  EXPECT_EQ(ids.size(), 7U);
  EXPECT_EQ(tokenizer.decode(ids), "<|end|>");
}

TEST(Tokenizer, SpecialTokensCanBeLeftOutOfTheText) {
  const Tokenizer tokenizer = make(byte_level_file());
  const std::vector<std::int32_t> ids = {'a' + 1, 0, 'b' + 1};
  EXPECT_EQ(tokenizer.decode(ids), "a<|end|>b");
  EXPECT_EQ(tokenizer.decode(ids, {.skip_special_tokens = true}), "ab");
  EXPECT_TRUE(tokenizer.is_special(0));
  EXPECT_FALSE(tokenizer.is_special(1));
  EXPECT_FALSE(tokenizer.is_special(-1));
  EXPECT_FALSE(tokenizer.is_special(1 << 30));
}

TEST(Tokenizer, TheTemplateAddsTokensOnBothSides) {
  json file = llama_file();
  file["post_processor"]["single"].push_back({{"SpecialToken", {{"id", "</s>"}, {"type_id", 0}}}});
  file["post_processor"]["special_tokens"]["</s>"] = {
      {"id", "</s>"}, {"ids", json::array({2})}, {"tokens", json::array({"</s>"})}};
  const Tokenizer tokenizer = make(file);
  EXPECT_THAT(tokens(tokenizer, "a"), ElementsAre("<s>", "▁", "a", "</s>"));
  EXPECT_THAT(tokens(tokenizer, "a", {.add_special_tokens = false}), ElementsAre("▁", "a"));
}

TEST(Tokenizer, EachTextBetweenSpecialTokensIsNormalisedByItself) {
  EXPECT_THAT(tokens(make(llama_file()), "a</s>a"), ElementsAre("<s>", "▁", "a", "</s>", "▁", "a"));
}

TEST(Tokenizer, NormalizedAddedTokensAreFoundInTheNormalisedText) {
  json file = byte_level_file();
  file["normalizer"] = {{"type", "Lowercase"}};
  file["added_tokens"].push_back(
      {{"id", 257}, {"content", "Foo"}, {"special", false}, {"normalized", true}});
  file["added_tokens"].push_back(
      {{"id", 258}, {"content", "Bar"}, {"special", false}, {"normalized", false}});
  const Tokenizer tokenizer = make(file);
  EXPECT_THAT(tokenizer.encode("FOO"), ElementsAre(257));
  EXPECT_THAT(tokenizer.encode("Bar"), ElementsAre(258));
  EXPECT_EQ(tokenizer.encode("BAR").size(), 3U);
}

TEST(Tokenizer, AddedTokensWithLettersOutsideAsciiComeBack) {
  json file = byte_level_file();
  file["added_tokens"].push_back(
      {{"id", 300}, {"content", "naïve é"}, {"special", false}, {"normalized", false}});
  const Tokenizer tokenizer = make(file);
  EXPECT_THAT(tokenizer.encode("naïve é"), ElementsAre(300));
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{300}), "naïve é");
  EXPECT_EQ(tokenizer.vocab_size(), 301U);
  EXPECT_EQ(tokenizer.token(299), std::nullopt);
}

TEST(Tokenizer, NfcIsAppliedWhereTheFileAsks) {
  json file = byte_level_file();
  EXPECT_EQ(make(file).encode("e\u0301").size(), 3U);
  file["normalizer"] = {{"type", "NFC"}};
  EXPECT_THAT(make(file).encode("e\u0301"), ElementsAre(0xC3 + 1, 0xA9 + 1));
}

TEST(Tokenizer, AnyTextComesBackFromBytes) {
  const Tokenizer tokenizer = make(lower_file());
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    const std::string text = random_text(random, random() % 40);
    ASSERT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

TEST(Tokenizer, AnyTextComesBackFromSentencePiece) {
  const Tokenizer tokenizer = make(llama_file());
  std::mt19937 random(2);
  for (int round = 0; round < 2000; ++round) {
    const std::string text = random_text(random, random() % 40);
    // A metaspace in the text reads as a space: the format's own loss.
    if (text.find("▁") != std::string::npos) continue;
    ASSERT_EQ(tokenizer.decode(tokenizer.encode(text), {.skip_special_tokens = true}), text);
  }
}

TEST(Tokenizer, CuttingAtMetaspacesChangesNothing) {
  // The same file with a merge that crosses, so that the text is one piece; the merge itself never
  // applies to this text.
  json whole = llama_file();
  whole["model"]["vocab"]["z"] = whole["model"]["vocab"].size();
  whole["model"]["vocab"]["z▁"] = whole["model"]["vocab"].size();
  json cut = whole;
  whole["model"]["merges"].push_back("z ▁");
  const Tokenizer one = make(whole);
  const Tokenizer many = make(cut);
  std::mt19937 random(4);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (unsigned i = random() % 60; i > 0; --i) text += "hello a hel"[random() % 11];
    ASSERT_EQ(one.encode(text), many.encode(text)) << text;
  }
}

TEST(Tokenizer, TextThatIsNotUtf8IsAnErrorWithThePlace) {
  const Tokenizer tokenizer = make(byte_level_file());
  const Error::Parts parts = error_of([&] { tokenizer.encode("abc\xC3("); });
  EXPECT_EQ(parts.what, "the text is not UTF-8 at byte 3");
  EXPECT_EQ(parts.expected, "well-formed UTF-8");
  EXPECT_FALSE(parts.fix.empty());
}

TEST(Tokenizer, IdsWithoutTokenGiveNoText) {
  const Tokenizer tokenizer = make(byte_level_file());
  EXPECT_EQ(tokenizer.decode(std::vector<std::int32_t>{'a' + 1, 257, 1'000'000, 'b' + 1}), "ab");
  EXPECT_EQ(error_of([&] { tokenizer.decode(std::vector<std::int32_t>{-1}); }).what,
            "the token id -1 is negative");
}

TEST(StreamDecoder, GivesWhatDecodeGives) {
  std::mt19937 random(6);
  for (const Tokenizer& tokenizer : {make(lower_file()), make(llama_file())}) {
    for (int round = 0; round < 2000; ++round) {
      std::vector<std::int32_t> ids(random() % 20);
      for (std::int32_t& id : ids)
        id = static_cast<std::int32_t>(random() % (tokenizer.vocab_size() + 2));
      for (const bool skip : {false, true}) {
        ASSERT_EQ(streamed(tokenizer, ids, {skip}), tokenizer.decode(ids, {skip}));
      }
    }
  }
}

TEST(StreamDecoder, HoldsBackAnUnfinishedCharacterAndStartsAnew) {
  const Tokenizer tokenizer = make(byte_level_file());
  StreamDecoder decoder(tokenizer);
  EXPECT_EQ(decoder.push('a' + 1), "a");
  EXPECT_EQ(decoder.push(0xC3 + 1), "");
  EXPECT_EQ(decoder.push(0xA9 + 1), "é");
  EXPECT_EQ(decoder.push(0xF0 + 1), "");
  EXPECT_EQ(decoder.finish(), "\uFFFD");
  EXPECT_EQ(decoder.push('b' + 1), "b");
  EXPECT_EQ(decoder.finish(), "");
}

TEST(Tokenizer, SavedAndLoadedItIsTheSame) {
  std::mt19937 random(8);
  json pairs = lower_file();
  for (json& merge : pairs["model"]["merges"]) {
    const std::string text = merge;
    merge = json::array({text.substr(0, text.find(' ')), text.substr(text.find(' ') + 1)});
  }
  json spaced = llama_file();
  spaced["model"]["vocab"]["a a"] = spaced["model"]["vocab"].size();
  spaced["model"]["vocab"][" a"] = spaced["model"]["vocab"].size();
  spaced["model"]["vocab"][" "] = spaced["model"]["vocab"].size();
  spaced["model"]["merges"] = json::array({json::array({" ", "a"}), json::array({"a", " a"})});
  for (const json& file : {lower_file(), llama_file(), pairs, spaced}) {
    MemoryFileSystem fs;
    const Tokenizer first = make(file);
    first.save(fs, "tokenizer.json");
    const Tokenizer second = Tokenizer::load(fs, "tokenizer.json");
    second.save(fs, "again.json");
    EXPECT_EQ(read_file(fs, "tokenizer.json"), read_file(fs, "again.json"));
    EXPECT_EQ(first.vocab_size(), second.vocab_size());
    for (int round = 0; round < 100; ++round) {
      const std::string text = random_text(random, 20);
      const auto ids = first.encode(text);
      ASSERT_EQ(ids, second.encode(text));
      ASSERT_EQ(first.decode(ids), second.decode(ids));
    }
  }
}

TEST(Tokenizer, LoadsFromADirectory) {
  MemoryFileSystem fs;
  fs.put("model/tokenizer.json", lower_file().dump());
  EXPECT_EQ(Tokenizer::load(fs, "model").vocab_size(), 263U);
  EXPECT_EQ(Tokenizer::load(fs, "model/").vocab_size(), 263U);
  fs.create_directories("empty");
  const Error::Parts parts = error_of([&] { Tokenizer::load(fs, "empty"); });
  EXPECT_EQ(parts.what, "the directory holds no tokenizer");
  EXPECT_EQ(parts.where, "empty");
}

TEST(Tokenizer, LoadsThePairOfFilesOfGpt2) {
  json vocabulary = lower_file()["model"]["vocab"];
  vocabulary["<|endoftext|>"] = 0;
  MemoryFileSystem fs;
  fs.put("gpt2/encoder.json", vocabulary.dump());
  fs.put("gpt2/vocab.bpe", "#version: 0.2\nl o\r\nlo w\ne r\nĠ low\nn e\nne w\n");
  const Tokenizer tokenizer = Tokenizer::load(fs, "gpt2");
  EXPECT_THAT(tokens(tokenizer, "lower newer<|endoftext|>"),
              ElementsAre("low", "er", "Ġ", "new", "er", "<|endoftext|>"));
  EXPECT_TRUE(tokenizer.is_special(0));
}

TEST(Tokenizer, ManyThreadsGetWhatOneGets) {
  const Tokenizer tokenizer = make(lower_file());
  std::mt19937 random(12);
  std::vector<std::string> texts;
  std::vector<std::vector<std::int32_t>> expected;
  for (int i = 0; i < 50; ++i) {
    texts.push_back(random_text(random, 60) + " lower newer");
    expected.push_back(tokenizer.encode(texts.back()));
  }
  std::vector<std::jthread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::size_t k = (i * 7 + t) % texts.size();
        if (tokenizer.encode(texts[k]) != expected[k] || tokenizer.decode(expected[k]) != texts[k])
          ++wrong[t];
      }
    });
  }
  threads.clear();
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

}  // namespace
}  // namespace switchyard
