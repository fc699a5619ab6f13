#include "formats/gguf/tokenizer_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/errors.h"

namespace switchyard {
namespace {

using testing::HasSubstr;
using testing_support::error_of;

GgufMetadata metadata_of(const std::vector<std::pair<std::string, GgufValue>>& keys) {
  GgufMetadata metadata("m.gguf");
  for (const auto& [key, value] : keys) metadata.set(key, value);
  return metadata;
}

GgufVocabulary vocabulary() {
  GgufVocabulary out;
  out.model = "llama";
  out.pre = "default";
  out.tokens = {"<unk>", "<s>", "▁a"};
  out.scores = {0, 0, -1.5F};
  out.types = {2, 3, 1};
  out.merges = {"▁ a"};
  out.bos = 1;
  out.unknown = 0;
  out.add_bos = true;
  out.add_space_prefix = false;
  return out;
}

TEST(GgufTokenizerKeys, ComeBack) {
  const GgufMetadata metadata = metadata_of(gguf_tokenizer_keys(vocabulary(), "{{ template }}"));
  EXPECT_EQ(metadata.text("tokenizer.chat_template"), "{{ template }}");
  EXPECT_EQ(gguf_type(*metadata.find("tokenizer.ggml.bos_token_id")), GgufType::u32);
  EXPECT_EQ(metadata.array("tokenizer.ggml.token_type").element_type(), GgufType::i32);
  EXPECT_EQ(metadata.array("tokenizer.ggml.scores").element_type(), GgufType::f32);
  const GgufVocabulary read = gguf_vocabulary(metadata);
  const GgufVocabulary expected = vocabulary();
  EXPECT_EQ(read.model, expected.model);
  EXPECT_EQ(read.pre, expected.pre);
  EXPECT_EQ(read.tokens, expected.tokens);
  EXPECT_EQ(read.scores, expected.scores);
  EXPECT_EQ(read.types, expected.types);
  EXPECT_EQ(read.merges, expected.merges);
  EXPECT_EQ(read.bos, expected.bos);
  EXPECT_EQ(read.eos, expected.eos);
  EXPECT_EQ(read.unknown, expected.unknown);
  EXPECT_EQ(read.add_bos, expected.add_bos);
  EXPECT_EQ(read.add_eos, expected.add_eos);
  EXPECT_EQ(read.add_space_prefix, expected.add_space_prefix);
}

TEST(GgufTokenizerKeys, OnlyWhatIsThere) {
  GgufVocabulary least;
  least.model = "gpt2";
  least.tokens = {"a"};
  EXPECT_EQ(gguf_tokenizer_keys(least).size(), 2U);
  GgufMetadata metadata = metadata_of(gguf_tokenizer_keys(least));
  metadata.set("tokenizer.ggml.eos_token_id", std::uint32_t{0xffffffff});
  EXPECT_FALSE(gguf_vocabulary(metadata).eos.has_value());
}

TEST(GgufTokenizerKeys, WrongTypes) {
  GgufMetadata metadata("m.gguf");
  EXPECT_EQ(error_of([&] { gguf_vocabulary(metadata); }).what,
            "key 'tokenizer.ggml.model' is missing");
  metadata.set("tokenizer.ggml.model", std::string("gpt2"));
  metadata.set("tokenizer.ggml.tokens", GgufArray{std::vector<std::int32_t>{1}});
  EXPECT_EQ(error_of([&] { gguf_vocabulary(metadata); }).expected, "an array of texts");
  metadata.set("tokenizer.ggml.tokens", GgufArray{std::vector<std::string>{"a"}});
  metadata.set("tokenizer.ggml.token_type", GgufArray{std::vector<std::int32_t>{-1}});
  EXPECT_THAT(error_of([&] { gguf_vocabulary(metadata); }).what, HasSubstr("token_type"));
}

}  // namespace
}  // namespace switchyard
