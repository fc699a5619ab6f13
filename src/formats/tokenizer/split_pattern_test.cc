#include "formats/tokenizer/split_pattern.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

#include "formats/tokenizer/regex.h"
#include "formats/tokenizer/test_files.h"

namespace switchyard::tokenizer {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> pieces(SplitPattern pattern, std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = next_piece_end(pattern, text, begin);
    out.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return out;
}

std::vector<std::string> pieces_by_regex(const Regex& regex, std::string_view text) {
  std::vector<std::string> out;
  std::size_t last = 0;
  regex.for_each_match(text, [&](std::size_t begin, std::size_t end) {
    EXPECT_EQ(begin, last) << "a gap in " << text;
    out.emplace_back(text.substr(begin, end - begin));
    last = end;
  });
  EXPECT_EQ(last, text.size());
  return out;
}

TEST(SplitPattern, Gpt2ByHand) {
  const auto cut = [](std::string_view text) { return pieces(SplitPattern::gpt2, text); };
  EXPECT_THAT(cut("Hello world's 42!"), ElementsAre("Hello", " world", "'s", " 42", "!"));
  EXPECT_THAT(cut("we'LL they'll"), ElementsAre("we", "'", "LL", " they", "'ll"));
  EXPECT_THAT(cut("a   b"), ElementsAre("a", "  ", " b"));
  EXPECT_THAT(cut("a \n\n b  "), ElementsAre("a", " \n\n", " b", "  "));
  EXPECT_THAT(cut("x\ty"), ElementsAre("x", "\t", "y"));
  EXPECT_THAT(cut("1234567 ...a"), ElementsAre("1234567", " ...", "a"));
  EXPECT_THAT(cut("e\u0301 中文。"), ElementsAre("e", "\u0301", " 中文", "。"));
}

TEST(SplitPattern, Llama3ByHand) {
  const auto cut = [](std::string_view text) { return pieces(SplitPattern::llama3, text); };
  EXPECT_THAT(cut("we'LL 1234567"), ElementsAre("we", "'LL", " ", "123", "456", "7"));
  EXPECT_THAT(cut("(foo) \tbar"), ElementsAre("(foo", ")", " ", "\tbar"));
  EXPECT_THAT(cut("end.\n\n  next"), ElementsAre("end", ".\n\n", " ", " next"));
  EXPECT_THAT(cut("a \n \n  b"), ElementsAre("a", " \n \n", " ", " b"));
  EXPECT_THAT(cut("it'\u017F"), ElementsAre("it", "'\u017F"));
  EXPECT_THAT(cut("\r\nx"), ElementsAre("\r\n", "x"));
}

TEST(SplitPattern, Qwen2TakesDigitsOneByOne) {
  EXPECT_THAT(pieces(SplitPattern::qwen2, "a 12"), ElementsAre("a", " ", "1", "2"));
}

TEST(SplitPattern, IsRecognisedByItsText) {
  EXPECT_EQ(recognise_split_pattern(kGpt2Pattern), SplitPattern::gpt2);
  EXPECT_EQ(recognise_split_pattern(kLlama3Pattern), SplitPattern::llama3);
  EXPECT_EQ(recognise_split_pattern(kQwen2Pattern), SplitPattern::qwen2);
  EXPECT_EQ(recognise_split_pattern(std::string(kQwen2Pattern) + "|x"), std::nullopt);
}

class AgainstRegex : public ::testing::TestWithParam<std::string_view> {};

TEST_P(AgainstRegex, RandomTextsAreCutAlike) {
  const auto pattern = recognise_split_pattern(GetParam());
  ASSERT_TRUE(pattern);
  const Regex regex(GetParam(), "test");
  std::mt19937 random(11);
  for (int round = 0; round < 4000; ++round) {
    const std::string text = random_text(random, 1 + random() % 24);
    ASSERT_EQ(pieces(*pattern, text), pieces_by_regex(regex, text));
  }
}

TEST_P(AgainstRegex, EveryCharacterOfTheFirstPlanesIsCutAlike) {
  const auto pattern = recognise_split_pattern(GetParam());
  const Regex regex(GetParam(), "test");
  // The two libraries may know different versions of Unicode: only what both know is the same.
  const Regex unassigned(R"(\p{Cn})", "test");
  for (char32_t c = 1; c < 0x20000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string character;
    append_utf8(character, c);
    bool known = true;
    unassigned.for_each_match(character, [&](std::size_t, std::size_t) { known = false; });
    if (!known) continue;
    const std::string text = "a" + character + character + "1 " + character;
    ASSERT_EQ(pieces(*pattern, text), pieces_by_regex(regex, text))
        << std::hex << static_cast<std::uint32_t>(c);
  }
}

INSTANTIATE_TEST_SUITE_P(KnownPatterns, AgainstRegex,
                         ::testing::Values(kGpt2Pattern, kLlama3Pattern, kQwen2Pattern));

}  // namespace
}  // namespace switchyard::tokenizer
