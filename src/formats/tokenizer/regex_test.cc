#include "formats/tokenizer/regex.h"

#include <vector>

#include "support/errors.h"

namespace switchyard::tokenizer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::error_of;

std::vector<std::string> matches(const Regex& regex, std::string_view text) {
  std::vector<std::string> found;
  regex.for_each_match(text, [&](std::size_t begin, std::size_t end) {
    found.emplace_back(text.substr(begin, end - begin));
  });
  return found;
}

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  return matches(Regex(pattern, "test"), text);
}

TEST(Regex, ClassesAreThoseOfUnicode) {
  EXPECT_THAT(matches(R"(\p{L}+)", "aé中 1b"), ElementsAre("aé中", "b"));
  EXPECT_THAT(matches(R"(\d+)", "1٣ ½"), ElementsAre("1٣"));
  EXPECT_THAT(matches(R"(\w+)", "e\u0301_1-x"), ElementsAre("e\u0301_1", "x"));
  EXPECT_THAT(matches(R"([\w-]+)", "e\u0301-x y"), ElementsAre("e\u0301-x", "y"));
  EXPECT_THAT(matches(R"(\W)", "e\u0301-"), ElementsAre("-"));
  EXPECT_THAT(matches(R"(\s+)", "a\u0085\u3000b\u180E"), ElementsAre("\u0085\u3000"));
  EXPECT_THAT(matches(R"([^\S\n])", "a \nb\u00A0"), ElementsAre(" ", "\u00A0"));
  EXPECT_THAT(matches(R"(\h+)", "xAfg9"), ElementsAre("Af", "9"));
  EXPECT_THAT(matches(R"((?i:'s))", "'S 's '\u017F"), ElementsAre("'S", "'s", "'\u017F"));
  EXPECT_THAT(matches(R"(a\b)", "ab a\u0301 a"), ElementsAre("a"));
}

TEST(Regex, LinesAreAlwaysLookedAt) {
  EXPECT_THAT(matches("^.", "ab\ncd"), ElementsAre("a", "c"));
  EXPECT_THAT(matches(".$", "ab\ncd"), ElementsAre("b", "d"));
}

TEST(Regex, EmptyMatchesDoNotFollowAMatch) {
  EXPECT_THAT(matches("x*", "axé"), ElementsAre("", "x", ""));
  EXPECT_THAT(matches("", "é"), ElementsAre("", ""));
}

TEST(Regex, ALiteralIsItself) {
  for (const std::string& text :
       {std::string(".*+?()[]{}|^$\\#-&~ \n\t"), std::string("▁"), std::string("a\0b", 3)}) {
    EXPECT_THAT(matches(Regex::literal(text, "test"), "x" + text + "y"), ElementsAre(text));
  }
}

TEST(Regex, WhatTheTwoLanguagesReadDifferentlyIsRefused) {
  for (const char* pattern : {R"([a[bc]])", R"([\p{L}&&[^a]])", R"(\d{1,3}+)", R"([\W])",
                              R"(\Qa\E)", R"(\N)", "(*UTF)a", "(?m)a", "(?si:a)", "a\\"}) {
    const Error::Parts parts = error_of([&] { Regex regex(pattern, "file: pattern"); });
    EXPECT_THAT(parts.what, HasSubstr("regular expression '")) << pattern;
    EXPECT_EQ(parts.where, "file: pattern") << pattern;
    EXPECT_FALSE(parts.expected.empty()) << pattern;
  }
  // These look alike and are fine.
  for (const char* pattern : {R"([[:alpha:]\]])", R"([]a])", R"(\d++)", R"(\}+)", R"([&]&)",
                              "(?i:a)", "(?<!a)b", R"(\p{Han}{2})"}) {
    EXPECT_NO_THROW(Regex(pattern, "test")) << pattern;
  }
}

TEST(Regex, ABrokenPatternSaysWhere) {
  const Error::Parts parts = error_of([] { Regex regex("a(b", "tokenizer.json: pattern"); });
  EXPECT_THAT(parts.what, HasSubstr("'a(b' is not valid"));
  EXPECT_THAT(parts.what, HasSubstr("at byte 3"));
  EXPECT_EQ(parts.where, "tokenizer.json: pattern");
}

TEST(Regex, AHugePatternIsRefused) {
  EXPECT_THAT(error_of([] { Regex regex(std::string(100'000, 'a'), "test"); }).what,
              HasSubstr("is not valid"));
  EXPECT_THAT(error_of([] { Regex regex(std::string(10'000, '('), "test"); }).what,
              HasSubstr("is not valid"));
}

TEST(Regex, BacktrackingWithoutEndBecomesAnError) {
  const Regex regex("(a+)+$", "tokenizer.json: pattern");
  const Error::Parts parts = error_of([&] { matches(regex, std::string(60, 'a') + "b"); });
  EXPECT_THAT(parts.what, HasSubstr("takes too long on this text"));
  EXPECT_EQ(parts.where, "tokenizer.json: pattern");
  EXPECT_FALSE(parts.fix.empty());
}

TEST(Regex, GoingBackOverALongRunIsNoError) {
  const std::string spaces(3'000'000, ' ');
  EXPECT_EQ(matches(R"(\s*[\r\n]+|\s+(?!\S)|\s+)", spaces + "x").size(), 2U);
}

TEST(Regex, DeepRecursionBecomesAnErrorNotACrash) {
  const Regex regex(R"((?:(a)|b)*c|[ab])", "test");
  std::string text(2'000'000, 'a');
  // Either it finds its way within the limits or it says that it cannot.
  try {
    EXPECT_EQ(matches(regex, text).size(), text.size());
  } catch (const Error& error) {
    EXPECT_THAT(error.parts().what, HasSubstr("takes too long"));
  }
}

}  // namespace
}  // namespace switchyard::tokenizer
