#include "formats/tokenizer/made_up.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "support/errors.h"

namespace switchyard {
namespace {

using ::testing::HasSubstr;

constexpr const char* kText = "The experts lived on a disk;\n\tüber 1234 Ünïcödé 你好 <|im_end|>x";

TEST(MadeUpTokenizerTest, HasAsManyTokensAsAskedForAndAllDiffer) {
  for (const std::size_t vocab : {259U, 260U, 1000U, 5000U, 32000U}) {
    const MadeUpTokenizer made = made_up_tokenizer(vocab);
    EXPECT_EQ(made.tokenizer.vocab_size(), vocab);
    std::set<std::string> texts;
    for (std::size_t id = 0; id < vocab; ++id) {
      const auto text = made.tokenizer.token(static_cast<std::int32_t>(id));
      ASSERT_TRUE(text.has_value()) << id;
      texts.insert(*text);
    }
    EXPECT_EQ(texts.size(), vocab);
    EXPECT_EQ(made.tokenizer.id(MadeUpTokenizer::kEndOfText), made.end_of_text);
    EXPECT_EQ(made.tokenizer.id(MadeUpTokenizer::kTurnBegin), made.turn_begin);
    EXPECT_EQ(made.tokenizer.id(MadeUpTokenizer::kTurnEnd), made.turn_end);
    EXPECT_TRUE(made.tokenizer.is_special(made.turn_end));
  }
}

TEST(MadeUpTokenizerTest, AnyTextComesBack) {
  std::size_t fewest = 1000;
  for (const std::size_t vocab : {259U, 1000U, 20000U}) {
    const MadeUpTokenizer made = made_up_tokenizer(vocab);
    const auto ids = made.tokenizer.encode(kText);
    EXPECT_EQ(made.tokenizer.decode(ids), kText);
    EXPECT_THAT(ids, ::testing::Contains(made.turn_end));
    EXPECT_LT(ids.size(), fewest) << "a larger vocabulary makes no shorter texts";
    fewest = ids.size();
  }
}

TEST(MadeUpTokenizerTest, GgufFilesCanSayIt) {
  const MadeUpTokenizer made = made_up_tokenizer(1000);
  const GgufVocabulary vocabulary = made.tokenizer.to_gguf(1000);
  EXPECT_EQ(vocabulary.model, "gpt2");
  EXPECT_EQ(vocabulary.pre, "gpt-2");
  EXPECT_EQ(vocabulary.tokens.size(), 1000U);
  EXPECT_EQ(vocabulary.merges.size(), 1000U - 256 - 3);
  EXPECT_EQ(Tokenizer::from_gguf(vocabulary, "m.gguf").encode(kText), made.tokenizer.encode(kText));
}

TEST(MadeUpTokenizerTest, TooFewTokensForTheBytesIsAnError) {
  EXPECT_THAT(testing_support::error_of([] { made_up_tokenizer(258); }).expected,
              HasSubstr("from 259"));
}

}  // namespace
}  // namespace switchyard
