#include "cli/token_class.h"

#include <gtest/gtest.h>
#include <vector>

namespace switchyard::cli {
namespace {

std::vector<TokenClass> classes(const std::vector<std::string_view>& tokens) {
  TokenClassifier classifier;
  std::vector<TokenClass> out;
  for (const std::string_view token : tokens)
    out.push_back(classifier.next(token, token == "<end>"));
  return out;
}

TEST(TokenClass, SubWords) {
  using enum TokenClass;
  EXPECT_EQ(classes({"Rou", "ting", " 42", " costs", ",", "  ", " it", "'s", ".\n", "\n", "<end>",
                     "ing"}),
            (std::vector{word_start, word_inside, number, word_start, punctuation, white_space,
                         word_start, punctuation, line_end, line_end, line_end, word_start}));
}

TEST(TokenClass, BytesOfATextAndOfACharacter) {
  using enum TokenClass;
  EXPECT_EQ(classes({"a", "b", " ", "c", "1", "d", "", "\xC3\xA9", "e"}),
            (std::vector{word_start, word_inside, white_space, word_start, number, word_start,
                         word_inside, word_inside, word_inside}));
}

}  // namespace
}  // namespace switchyard::cli
