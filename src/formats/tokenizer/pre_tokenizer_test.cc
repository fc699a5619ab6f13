#include "formats/tokenizer/pre_tokenizer.h"

#include <nlohmann/json.hpp>
#include <random>

#include "formats/tokenizer/test_files.h"
#include "support/errors.h"

namespace switchyard::tokenizer {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::error_of;

class Collect : public PieceSink {
 public:
  void take(const Piece& piece) override { pieces.emplace_back(piece.text); }
  std::vector<std::string> pieces;
};

std::vector<std::string> cut(const json& file, std::string_view text, bool first = true) {
  Collect collect;
  make_pre_tokenization(file, "t.json: pre_tokenizer").cut({text, first}, collect);
  return collect.pieces;
}

json split(const std::string& behavior, bool invert = false) {
  return {{"type", "Split"},
          {"pattern", {{"String", "-"}}},
          {"behavior", behavior},
          {"invert", invert}};
}

json sequence(const std::vector<json>& steps) {
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

TEST(PreTokenizer, NullGivesTheWholeText) {
  EXPECT_THAT(cut(nullptr, "a b"), ElementsAre("a b"));
  EXPECT_THAT(cut(nullptr, ""), IsEmpty());
}

// The examples in the documentation of Hugging Face tokenizers: "the-final--countdown".
TEST(Split, Behaviours) {
  const std::string text = "the-final--countdown";
  EXPECT_THAT(cut(split("Removed"), text), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(cut(split("Isolated"), text),
              ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(cut(split("MergedWithPrevious"), text),
              ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(cut(split("MergedWithNext"), text), ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(cut(split("Contiguous"), text), ElementsAre("the", "-", "final", "--", "countdown"));
}

TEST(Split, DelimitersAtTheEnds) {
  EXPECT_THAT(cut(split("MergedWithPrevious"), "-a-"), ElementsAre("-", "a-"));
  EXPECT_THAT(cut(split("MergedWithNext"), "-a-"), ElementsAre("-a", "-"));
  EXPECT_THAT(cut(split("MergedWithPrevious"), "--"), ElementsAre("-", "-"));
  EXPECT_THAT(cut(split("Contiguous"), "--"), ElementsAre("--"));
  EXPECT_THAT(cut(split("Removed"), "--"), IsEmpty());
}

TEST(Split, InvertedTheRestIsTheDelimiter) {
  EXPECT_THAT(cut(split("Removed", true), "a-b"), ElementsAre("-"));
  EXPECT_THAT(cut(split("MergedWithNext", true), "a-b-"), ElementsAre("a-", "b-"));
}

TEST(Split, NothingIsLostWhereNothingIsRemoved) {
  std::mt19937 random(3);
  for (const char* behavior : {"Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"}) {
    for (const bool invert : {false, true}) {
      const json file = {{"type", "Split"},
                         {"pattern", {{"Regex", R"(\s+|\d)"}}},
                         {"behavior", behavior},
                         {"invert", invert}};
      const PreTokenization steps = make_pre_tokenization(file, "test");
      for (int round = 0; round < 200; ++round) {
        const std::string text = random_text(random, 12);
        Collect collect;
        steps.cut({text, true}, collect);
        std::string joined;
        for (const std::string& piece : collect.pieces) {
          EXPECT_FALSE(piece.empty());
          joined += piece;
        }
        ASSERT_EQ(joined, text);
      }
    }
  }
}

TEST(PreTokenizer, DigitsTogetherOrEach) {
  const auto digits = [](bool each) {
    return json{{"type", "Digits"}, {"individual_digits", each}};
  };
  EXPECT_THAT(cut(digits(false), "a12½b٣"), ElementsAre("a", "12½", "b", "٣"));
  EXPECT_THAT(cut(digits(true), "a12b"), ElementsAre("a", "1", "2", "b"));
}

TEST(PreTokenizer, PunctuationWithItsBehaviour) {
  EXPECT_THAT(cut({{"type", "Punctuation"}}, "a,b..$。"),
              ElementsAre("a", ",", "b", ".", ".", "$", "。"));
  EXPECT_THAT(cut({{"type", "Punctuation"}, {"behavior", "Contiguous"}}, "a..b"),
              ElementsAre("a", "..", "b"));
}

TEST(PreTokenizer, Whitespace) {
  EXPECT_THAT(cut({{"type", "Whitespace"}}, " it's e\u0301\u3000<=> x_1"),
              ElementsAre("it", "'", "s", "e\u0301", "<=>", "x_1"));
  EXPECT_THAT(cut({{"type", "WhitespaceSplit"}}, " it's\n\u00A0b "), ElementsAre("it's", "b"));
}

TEST(PreTokenizer, MetaspacePrependsByItsScheme) {
  const auto metaspace = [](const char* scheme, bool split_words = true) {
    return json{{"type", "Metaspace"},
                {"replacement", "▁"},
                {"prepend_scheme", scheme},
                {"split", split_words}};
  };
  EXPECT_THAT(cut(metaspace("always"), "a  b"), ElementsAre("▁a", "▁", "▁b"));
  EXPECT_THAT(cut(metaspace("always"), " a"), ElementsAre("▁a"));
  EXPECT_THAT(cut(metaspace("never"), "a b"), ElementsAre("a", "▁b"));
  EXPECT_THAT(cut(metaspace("first"), "a"), ElementsAre("▁a"));
  EXPECT_THAT(cut(metaspace("first"), "a", false), ElementsAre("a"));
  EXPECT_THAT(cut(metaspace("always", false), "a b "), ElementsAre("▁a▁b▁"));
  // From before there were schemes.
  EXPECT_THAT(cut({{"type", "Metaspace"}, {"replacement", "▁"}, {"add_prefix_space", false}}, "a"),
              ElementsAre("a"));
}

TEST(PreTokenizer, ByteLevelAtTheEndLeavesTheBytesToTheModel) {
  const PreTokenization last = make_pre_tokenization(byte_level_json(), "t");
  EXPECT_TRUE(last.byte_level);
  EXPECT_THAT(cut(byte_level_json(), "é b"), ElementsAre("é", " b"));
  EXPECT_THAT(cut(byte_level_json(true), "é b"), ElementsAre(" é", " b"));
  EXPECT_THAT(cut(byte_level_json(true), " b"), ElementsAre(" b"));
  EXPECT_THAT(cut(byte_level_json(false, false), "a b"), ElementsAre("a b"));
}

TEST(PreTokenizer, ByteLevelBeforeOthersMapsItself) {
  const json file = sequence({byte_level_json(), split("Removed")});
  EXPECT_FALSE(make_pre_tokenization(file, "t").byte_level);
  EXPECT_THAT(cut(file, "é-x y"), ElementsAre("Ã©", "x", "Ġy"));
}

TEST(PreTokenizer, SequencesCutWhatWasCut) {
  const json file =
      sequence({split("Isolated"), sequence({{{"type", "Digits"}, {"individual_digits", true}}}),
                byte_level_json(false, false)});
  EXPECT_THAT(cut(file, "a1-22"), ElementsAre("a", "1", "-", "2", "2"));
}

TEST(MetaspaceCutter, CutsBeforeEachRunOfSpaces) {
  Collect collect;
  make_metaspace_cutter()->cut({"▁a▁▁bc▁d▁", true}, collect);
  EXPECT_THAT(collect.pieces, ElementsAre("▁a", "▁▁bc", "▁d", "▁"));
}

TEST(PreTokenizer, WhatIsUnknownIsNamed) {
  const Error::Parts kind = error_of([] {
    cut(sequence({byte_level_json(), {{"type", "UnicodeScripts"}}}), "a");
  });
  EXPECT_EQ(kind.what, "a pre-tokenizer of kind 'UnicodeScripts' is not supported");
  EXPECT_EQ(kind.where, "t.json: pre_tokenizer.pretokenizers[1]");
  EXPECT_THAT(error_of([] { cut(split("Sideways"), "a"); }).what, HasSubstr("'Sideways'"));
  EXPECT_THAT(error_of([] {
                cut({{"type", "Metaspace"}, {"replacement", "ab"}}, "a");
              }).expected,
              "one character");
  EXPECT_THAT(error_of([] {
                cut({{"type", "Metaspace"}, {"replacement", "▁"}, {"prepend_scheme", "last"}}, "a");
              }).expected,
              "always, first or never");
}

TEST(PreTokenizer, DeepSequencesAreRefused) {
  json file = byte_level_json();
  for (int i = 0; i < 20; ++i) file = sequence({file});
  EXPECT_EQ(error_of([&] { make_pre_tokenization(file, "t"); }).what,
            "sequences are nested too deeply");
}

}  // namespace
}  // namespace switchyard::tokenizer
