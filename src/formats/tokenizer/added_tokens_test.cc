#include "formats/tokenizer/added_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace switchyard::tokenizer {
namespace {

using ::testing::ElementsAre;

// Texts between tokens as they are, tokens as [content of the text they take].
std::vector<std::string> split(const std::vector<AddedToken>& tokens, std::string_view text,
                               bool special_tokens = true) {
  std::vector<std::string> contents;
  for (const AddedToken& token : tokens) contents.push_back(token.content);
  std::vector<std::string> out;
  AddedTokenMatcher(tokens, contents)
      .split(text, special_tokens, [&](TokenId id, std::size_t begin, std::size_t end) {
        const std::string part(text.substr(begin, end - begin));
        out.push_back(id < 0 ? part : std::to_string(id) + "[" + part + "]");
      });
  return out;
}

TEST(AddedTokens, LeftmostThenLongest) {
  const std::vector<AddedToken> tokens = {{.id = 1, .content = "ab"},
                                          {.id = 2, .content = "abcd"},
                                          {.id = 3, .content = "bcde"},
                                          {.id = 4, .content = "c"}};
  EXPECT_THAT(split(tokens, "xabcdey"), ElementsAre("x", "2[abcd]", "ey"));
  EXPECT_THAT(split(tokens, "abce"), ElementsAre("1[ab]", "4[c]", "e"));
  EXPECT_THAT(split(tokens, "bcd"), ElementsAre("b", "4[c]", "d"));
  EXPECT_THAT(split(tokens, ""), ElementsAre(""));
  EXPECT_THAT(split(tokens, "c"), ElementsAre("4[c]"));
  EXPECT_THAT(split({}, "abc"), ElementsAre("abc"));
}

TEST(AddedTokens, SpacesAreTakenWhereAsked) {
  const std::vector<AddedToken> tokens = {{.id = 1, .content = "<l>", .lstrip = true},
                                          {.id = 2, .content = "<r>", .rstrip = true},
                                          {.id = 3, .content = "<n>"}};
  EXPECT_THAT(split(tokens, "a \u3000<l> b"), ElementsAre("a", "1[ \u3000<l>]", " b"));
  EXPECT_THAT(split(tokens, "a <r> \n b"), ElementsAre("a ", "2[<r> \n ]", "b"));
  EXPECT_THAT(split(tokens, " <n> "), ElementsAre(" ", "3[<n>]", " "));
  // Spaces between two are taken once.
  EXPECT_THAT(split(tokens, "<r>  <l>"), ElementsAre("2[<r>  ]", "1[<l>]"));
}

TEST(AddedTokens, SingleWordsTouchNoWord) {
  const std::vector<AddedToken> tokens = {{.id = 1, .content = "cat", .single_word = true}};
  EXPECT_THAT(split(tokens, "cat"), ElementsAre("1[cat]"));
  EXPECT_THAT(split(tokens, "a cat."), ElementsAre("a ", "1[cat]", "."));
  EXPECT_THAT(split(tokens, "concat"), ElementsAre("concat"));
  EXPECT_THAT(split(tokens, "caté"), ElementsAre("caté"));
  EXPECT_THAT(split(tokens, "_cat"), ElementsAre("_cat"));
  EXPECT_THAT(split(tokens, "cats cat"), ElementsAre("cats ", "1[cat]"));
}

TEST(AddedTokens, SpecialOnesCanBeLeftAsText) {
  const std::vector<AddedToken> tokens = {{.id = 1, .content = "<s>", .special = true},
                                          {.id = 2, .content = "<n>"}};
  EXPECT_THAT(split(tokens, "<s>a<n>", false), ElementsAre("<s>a", "2[<n>]"));
  EXPECT_THAT(split(tokens, "<s>a<n>", true), ElementsAre("1[<s>]", "a", "2[<n>]"));
}

TEST(AddedTokens, TokensMayStandSideBySideAndHoldAnyBytes) {
  const std::vector<AddedToken> tokens = {{.id = 1, .content = "  "},
                                          {.id = 2, .content = "    "},
                                          {.id = 3, .content = "中"},
                                          {.id = 4, .content = std::string("\0", 1)}};
  EXPECT_THAT(split(tokens, "       x"), ElementsAre("2[    ]", "1[  ]", " x"));
  EXPECT_THAT(split(tokens, std::string_view("中中\0a", 8)),
              ElementsAre("3[中]", "3[中]", std::string("4[\0]", 4), "a"));
}

TEST(AddedTokens, OfEqualContentsTheFirstCounts) {
  EXPECT_THAT(split({{.id = 1, .content = "x"}, {.id = 2, .content = "x"}}, "x"),
              ElementsAre("1[x]"));
}

}  // namespace
}  // namespace switchyard::tokenizer
