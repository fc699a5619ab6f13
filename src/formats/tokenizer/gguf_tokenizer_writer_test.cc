// Tokenizers as GGUF says them: the same ids when they are read again.
#include "formats/tokenizer/gguf_tokenizer_writer.h"

#include "formats/tokenizer/split_pattern.h"
#include "formats/tokenizer/test_files.h"
#include "formats/tokenizer/test_sentencepiece.h"
#include "support/errors.h"

namespace switchyard {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::error_of;

constexpr const char* kText = "the Theory's 12345  of\n\n the\tth é\u00e9 ▁ <|end|>they";

Tokenizer load(const json& file) { return Tokenizer::from_json(file, "tokenizer.json"); }

void expect_same_ids(const json& file, std::size_t vocab = 0) {
  const Tokenizer original = load(file);
  const GgufVocabulary vocabulary = original.to_gguf(vocab);
  const Tokenizer again = Tokenizer::from_gguf(vocabulary, "m.gguf");
  for (const bool special : {true, false}) {
    const EncodeOptions options{.add_special_tokens = special, .parse_special_tokens = special};
    EXPECT_EQ(again.encode(kText, options), original.encode(kText, options));
  }
  const auto ids = original.encode(kText);
  EXPECT_EQ(again.decode(ids), original.decode(ids));
  // And the way round once more.
  EXPECT_EQ(again.to_gguf(vocab).tokens, vocabulary.tokens);
  EXPECT_EQ(again.to_gguf(vocab).merges, vocabulary.merges);
  EXPECT_EQ(again.to_gguf(vocab).scores, vocabulary.scores);
  // Rows without a token have become tokens.
  if (vocab == 0) {
    EXPECT_EQ(again.to_gguf(0).types, vocabulary.types);
  }
  EXPECT_EQ(again.to_gguf(vocab).pre, vocabulary.pre);
}

json split_file(std::string_view pattern) {
  json file = tokenizer::byte_level_file({"t h", "th e", "Ġ the"});
  file["pre_tokenizer"] = {{"type", "Sequence"},
                           {"pretokenizers",
                            {{{"type", "Split"},
                              {"pattern", {{"Regex", pattern}}},
                              {"behavior", "Isolated"},
                              {"invert", false}},
                             tokenizer::byte_level_json(false, false)}}};
  return file;
}

json llama_file() {
  tokenizer::ScoredPieces pieces;
  pieces.pieces = tokenizer::llama_pieces({"▁t", "he", "▁the", "▁", "t", "h", "e"});
  pieces.unknown = 0;
  pieces.bos = 1;
  return from_scored_pieces(pieces, "test");
}

TEST(GgufTokenizerWriter, ByteLevelOfEachRule) {
  json gpt2 = tokenizer::byte_level_file({"t h", "th e", "Ġ the"});
  EXPECT_EQ(load(gpt2).to_gguf(0).pre, "gpt-2");
  EXPECT_EQ(load(gpt2).to_gguf(0).model, "gpt2");
  expect_same_ids(gpt2, 300);
  gpt2["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(load(gpt2).to_gguf(0).pre, "mpt");
  expect_same_ids(gpt2);
  json llama3 = split_file(tokenizer::kLlama3Pattern);
  llama3["model"]["ignore_merges"] = true;
  EXPECT_EQ(load(llama3).to_gguf(0).pre, "llama-bpe");
  expect_same_ids(llama3);
  json qwen2 = split_file(tokenizer::kQwen2Pattern);
  qwen2["normalizer"] = {{"type", "NFC"}};
  EXPECT_EQ(load(qwen2).to_gguf(0).pre, "qwen2");
  expect_same_ids(qwen2);
}

TEST(GgufTokenizerWriter, TokensTypesAndRowsWithoutToken) {
  json file = tokenizer::byte_level_file({"t h"});
  file["added_tokens"].push_back({{"id", 260}, {"content", "<tool>"}, {"special", false}});
  const GgufVocabulary vocabulary = load(file).to_gguf(264);
  ASSERT_EQ(vocabulary.tokens.size(), 264U);
  EXPECT_EQ(vocabulary.types.size(), 264U);
  EXPECT_EQ(vocabulary.tokens[0], "<|end|>");
  EXPECT_EQ(vocabulary.types[0], 3);
  EXPECT_EQ(vocabulary.tokens[257], "th");
  EXPECT_EQ(vocabulary.types[257], 1);
  EXPECT_EQ(vocabulary.tokens[260], "<tool>");
  EXPECT_EQ(vocabulary.types[260], 4);
  EXPECT_EQ(vocabulary.tokens[263], "[PAD263]");
  EXPECT_EQ(vocabulary.types[263], 5);
  EXPECT_THAT(vocabulary.merges, ElementsAre("t h"));
  EXPECT_EQ(vocabulary.add_bos, false);
}

TEST(GgufTokenizerWriter, TokensAroundAText) {
  json file = tokenizer::byte_level_file({"t h"});
  file["post_processor"] = tokenizer::bos_eos_processor(tokenizer::NamedToken{"<|end|>", 0}, {});
  const GgufVocabulary vocabulary = load(file).to_gguf(0);
  EXPECT_EQ(vocabulary.add_bos, true);
  EXPECT_EQ(vocabulary.bos, 0);
  EXPECT_EQ(vocabulary.add_eos, false);
  EXPECT_FALSE(vocabulary.eos.has_value());
  expect_same_ids(file);
}

TEST(GgufTokenizerWriter, SentencePiece) {
  const GgufVocabulary vocabulary = load(llama_file()).to_gguf(0);
  EXPECT_EQ(vocabulary.model, "llama");
  EXPECT_EQ(vocabulary.unknown, 0);
  EXPECT_EQ(vocabulary.types[0], 2);
  EXPECT_EQ(vocabulary.types[1], 3);
  EXPECT_EQ(vocabulary.types[3], 6);
  EXPECT_EQ(vocabulary.add_space_prefix, true);
  expect_same_ids(llama_file(), 280);
}

TEST(GgufTokenizerWriter, TrainedHere) {
  const std::vector<std::string> documents(20, "the theory of the thing and the other thing");
  const Tokenizer trained = train_byte_level_bpe(documents, {.vocab = 270});
  const Tokenizer again = Tokenizer::from_gguf(trained.to_gguf(300), "m.gguf");
  EXPECT_EQ(again.encode(kText), trained.encode(kText));
}

TEST(GgufTokenizerWriter, WhatGgufHasNoKeyFor) {
  const auto error = [](const json& file) { return error_of([&] { load(file).to_gguf(0); }); };
  const auto pattern = error(split_file("[a-z]+"));
  EXPECT_EQ(pattern.what, "texts are cut in a way that GGUF has no name for");
  EXPECT_EQ(pattern.where, "tokenizer: pre_tokenizer");
  EXPECT_THAT(pattern.fix, HasSubstr("without a tokenizer"));
  json prefix = tokenizer::byte_level_file();
  prefix["pre_tokenizer"] = tokenizer::byte_level_json(true);
  EXPECT_EQ(error(prefix).what, "a space is put before every text");
  json lower = tokenizer::byte_level_file();
  lower["normalizer"] = {{"type", "Lowercase"}};
  EXPECT_THAT(error(lower).what, HasSubstr("normalizer has a step of kind 'Lowercase'"));
  json strips = tokenizer::byte_level_file();
  strips["added_tokens"][0]["rstrip"] = true;
  EXPECT_EQ(error(strips).what, "the added token '<|end|>' has rstrip");
  json merges = llama_file();
  merges["model"]["merges"].erase(merges["model"]["merges"].begin());
  EXPECT_EQ(error(merges).what, "the merges are not those of scored pieces");
  json bytes = llama_file();
  bytes["model"]["byte_fallback"] = false;
  EXPECT_EQ(error(bytes).where, "tokenizer: model.byte_fallback");
}

}  // namespace
}  // namespace switchyard
