// Tokenizers from GGUF metadata, and the table of pre-tokenizers.
#include <functional>
#include <limits>

#include "switchyard/tokenizer.h"

#include "formats/tokenizer/gguf_pre_tokenizers.h"
#include "formats/tokenizer/pre_tokenizer.h"
#include "formats/tokenizer/test_files.h"
#include "formats/tokenizer/test_sentencepiece.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::error_of;
using testing_support::MemoryFileSystem;
using tokenizer::kByteAlphabet;
using Ids = std::vector<std::int32_t>;

// Byte b is token b, then one for each merge (256 and up), then "<|end|>" (control) and "<tool>"
// (user-defined).
GgufVocabulary byte_level(const std::string& pre, const std::vector<std::string>& merges) {
  GgufVocabulary out;
  out.model = "gpt2";
  out.pre = pre;
  for (unsigned byte = 0; byte < 256; ++byte) {
    append_utf8(out.tokens.emplace_back(), kByteAlphabet[byte]);
  }
  for (const std::string& merge : merges) {
    const std::size_t space = merge.find(' ');
    out.tokens.push_back(merge.substr(0, space) + merge.substr(space + 1));
  }
  out.merges = merges;
  out.types.assign(out.tokens.size(), 1);
  out.tokens.insert(out.tokens.end(), {"<|end|>", "<tool>"});
  out.types.insert(out.types.end(), {3, 4});
  return out;
}

GgufVocabulary scored() {
  GgufVocabulary out;
  out.model = "llama";
  for (const auto& piece : tokenizer::llama_pieces({"▁t", "he", "▁the", "▁", "t", "h", "e"})) {
    out.tokens.push_back(piece.text);
    out.scores.push_back(piece.score);
    out.types.push_back(static_cast<std::int32_t>(piece.type));
  }
  out.bos = 1;
  out.eos = 2;
  out.unknown = 0;
  return out;
}

Ids encode(const GgufVocabulary& vocabulary, const std::string& text,
           const EncodeOptions& options = {}) {
  return Tokenizer::from_gguf(vocabulary, "m.gguf").encode(text, options);
}

TEST(GgufVocabulary, ByteLevelWithMerges) {
  const GgufVocabulary vocabulary = byte_level("gpt-2", {"h e", "Ġ t", "Ġt he"});
  EXPECT_EQ(encode(vocabulary, "he the"), (Ids{256, 258}));
  EXPECT_EQ(encode(vocabulary, "h<|end|><tool>"), (Ids{'h', 259, 260}));
  EXPECT_EQ(encode(vocabulary, "<|end|><tool>", {.parse_special_tokens = false}),
            (Ids{'<', '|', 'e', 'n', 'd', '|', '>', 260}));
  const Tokenizer tokenizer = Tokenizer::from_gguf(vocabulary, "m.gguf");
  EXPECT_EQ(tokenizer.decode(Ids{258, 259}), " the<|end|>");
  EXPECT_TRUE(tokenizer.is_special(259));
  EXPECT_FALSE(tokenizer.is_special(260));
}

TEST(GgufVocabulary, BosAndEosComeFromTheFileOrTheRule) {
  GgufVocabulary vocabulary = byte_level("llama-bpe", {"h e"});
  EXPECT_EQ(encode(vocabulary, "he"), (Ids{256}));  // no BOS is named
  vocabulary.bos = 257;
  EXPECT_EQ(encode(vocabulary, "he"), (Ids{257, 256}));
  vocabulary.add_bos = false;
  EXPECT_EQ(encode(vocabulary, "he"), (Ids{256}));
  vocabulary.pre = "qwen2";
  vocabulary.add_bos.reset();
  EXPECT_EQ(encode(vocabulary, "he"), (Ids{256}));
  vocabulary.eos = 257;
  vocabulary.add_eos = true;
  EXPECT_EQ(encode(vocabulary, "he"), (Ids{256, 257}));
}

TEST(GgufVocabulary, RulesBeyondThePatterns) {
  // "hel" has a token and no merges lead to it: Llama 3 takes the token, others cannot.
  GgufVocabulary vocabulary = byte_level("llama3", {"h e"});
  vocabulary.tokens.push_back("hel");
  vocabulary.types.push_back(1);
  EXPECT_EQ(encode(vocabulary, "hel"), (Ids{259}));
  vocabulary.pre = "gpt-2";
  EXPECT_EQ(encode(vocabulary, "hel"), (Ids{256, 'l'}));
  // e and a combining accent: NFC makes é of them.
  EXPECT_EQ(encode(vocabulary, "e\u0301"), (Ids{'e', 0xCC, 0x81}));
  vocabulary.pre = "olmo";
  EXPECT_EQ(encode(vocabulary, "e\u0301"), (Ids{0xC3, 0xA9}));
}

TEST(GgufVocabulary, ScoresInsteadOfMerges) {
  GgufVocabulary vocabulary = scored();
  EXPECT_EQ(encode(vocabulary, "the"), (Ids{1, 261}));
  EXPECT_EQ(encode(vocabulary, "é"), (Ids{1, 262, 3 + 0xC3, 3 + 0xA9}));
  vocabulary.add_space_prefix = false;
  vocabulary.add_bos = false;
  vocabulary.add_eos = true;
  EXPECT_EQ(encode(vocabulary, "the"), (Ids{263, 260, 2}));
  EXPECT_EQ(Tokenizer::from_gguf(scored(), "m.gguf").decode(Ids{261, 261}), "the the");
}

TEST(GgufVocabulary, SavedAsTokenizerJsonItIsTheSame) {
  for (const auto& pre : tokenizer::gguf_pre_tokenizers()) {
    GgufVocabulary vocabulary = byte_level(std::string(pre.name), {"h e", "Ġ t", "Ġt he", "1 2"});
    const Tokenizer tokenizer = Tokenizer::from_gguf(vocabulary, "m.gguf");
    MemoryFileSystem fs;
    tokenizer.save(fs, "tokenizer.json");
    const Tokenizer again = Tokenizer::load(fs, "tokenizer.json");
    std::mt19937 random(3);
    for (int i = 0; i < 20; ++i) {
      const std::string text = tokenizer::random_text(random, 30) + "the 12<tool>";
      const Ids ids = tokenizer.encode(text);
      EXPECT_EQ(again.encode(text), ids) << pre.name;
      if (pre.extra != tokenizer::GgufPreTokenizer::Extra::nfc) {
        EXPECT_EQ(tokenizer.decode(ids), text) << pre.name;
      }
    }
  }
}

TEST(GgufVocabulary, TokensWithoutTextLeaveGaps) {
  GgufVocabulary vocabulary = byte_level("gpt-2", {"h e"});
  vocabulary.tokens.insert(vocabulary.tokens.end(), {"", ""});
  vocabulary.types.insert(vocabulary.types.end(), {1, 5});
  EXPECT_EQ(encode(vocabulary, "he"), (Ids{256}));
  EXPECT_EQ(Tokenizer::from_gguf(vocabulary, "m.gguf").token(259), std::nullopt);
}

std::vector<std::string> pieces(const std::string& name, const std::string& text) {
  json steps = json::array();
  for (const std::string_view pattern : tokenizer::find_gguf_pre_tokenizer(name, "f").patterns) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", std::string(pattern)}}},
                     {"behavior", "Isolated"}});
  }
  struct Sink : tokenizer::PieceSink {
    void take(const tokenizer::Piece& piece) override { out.emplace_back(piece.text); }
    std::vector<std::string> out;
  } sink;
  tokenizer::make_pre_tokenization({{"type", "Sequence"}, {"pretokenizers", steps}}, "f")
      .cut({text, true}, sink);
  return sink.out;
}

TEST(GgufPreTokenizer, EachFamilyCutsInItsWay) {
  EXPECT_THAT(pieces("gpt-2", "I'll pay 1234 now"),
              ElementsAre("I", "'ll", " pay", " 1234", " now"));
  EXPECT_THAT(pieces("llama-bpe", "pay 1234!\n"), ElementsAre("pay", " ", "123", "4", "!\n"));
  EXPECT_THAT(pieces("qwen2", "pay 12"), ElementsAre("pay", " ", "1", "2"));
  EXPECT_THAT(pieces("starcoder", "pay 12"), ElementsAre("pay", " ", "1", "2"));
  EXPECT_THAT(pieces("falcon", "pay $12345."), ElementsAre("pay", " ", "$", "123", "45", "."));
  EXPECT_THAT(pieces("default", "pay $12345."), ElementsAre("pay", " ", "$", "123", "45", "."));
  // Its third pattern reaches from ':' to '~', over the letters of ASCII: they part from others.
  EXPECT_THAT(pieces("deepseek-llm", "Größe 12\n中文, ok"),
              ElementsAre("Gr", "öß", "e", " ", "1", "2", "\n", "中文", ",", " ok"));
  EXPECT_THAT(pieces("deepseek-coder", "x=12\n中"), ElementsAre("x", "=", "1", "2", "\n", "中"));
  EXPECT_THAT(pieces("deepseek-v3", "pay 1234 .max 中文かな"),
              ElementsAre("pay", " ", "123", "4", " .", "max", " ", "中文かな"));
  EXPECT_THAT(pieces("gpt-4o", "XMLParser isn't 1234//\n"),
              ElementsAre("XMLParser", " isn't", " ", "123", "4", "//\n"));
  EXPECT_THAT(pieces("tekken", "camelCase 12"), ElementsAre("camel", "Case", " ", "1", "2"));
  EXPECT_THAT(pieces("bailingmoe", "It's 12\n\n"), ElementsAre("It", "'s", " ", "1", "2", "\n\n"));
}

struct Broken {
  const char* name;
  std::function<void(GgufVocabulary&)> damage;
  const char* what;
  const char* where;
};

void PrintTo(const Broken& broken, std::ostream* out) { *out << broken.name; }

class BrokenVocabulary : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenVocabulary, IsOneErrorThatNamesTheKey) {
  GgufVocabulary vocabulary = byte_level("gpt-2", {"h e", "he l"});
  EXPECT_NO_THROW(Tokenizer::from_gguf(vocabulary, "m.gguf"));
  GetParam().damage(vocabulary);
  const Error::Parts parts = error_of([&] { Tokenizer::from_gguf(vocabulary, "m.gguf"); });
  EXPECT_THAT(parts.what, HasSubstr(GetParam().what));
  EXPECT_EQ(parts.where, std::string("m.gguf: tokenizer.ggml.") + GetParam().where);
  EXPECT_FALSE(parts.expected.empty());
}

const std::vector<Broken> kBroken = {
    {"kind", [](auto& v) { v.model = "bert"; }, "kind 'bert' is not supported", "model"},
    {"no_kind", [](auto& v) { v.model.clear(); }, "kind '' is not supported", "model"},
    {"pre", [](auto& v) { v.pre = "new"; }, "pre-tokenizer 'new' is not known", "pre"},
    {"no_tokens", [](auto& v) { v.tokens.clear(); }, "no tokens", "tokens"},
    {"no_merges", [](auto& v) { v.merges.clear(); }, "no merges", "merges"},
    {"types", [](auto& v) { v.types.pop_back(); }, "found 259 items", "token_type"},
    {"scores", [](auto& v) { v.scores = {1}; }, "found 1 items", "scores"},
    {"type", [](auto& v) { v.types[5] = 7; }, "token 5 is of type 7", "token_type"},
    {"negative_type", [](auto& v) { v.types[5] = -1; }, "is of type -1", "token_type"},
    {"twice", [](auto& v) { v.tokens[5] = "h"; }, "'h' has the ids 5 and 104", "tokens"},
    {"no_utf8", [](auto& v) { v.tokens[5] = "\xC3"; }, "token 5 '\\xc3' is not UTF-8", "tokens"},
    {"merge", [](auto& v) { v.merges[1] = "he x"; }, "'he x' needs the token 'hex'", "merges[1]"},
    {"merge_part", [](auto& v) { v.merges[0] = "h qq"; }, "needs the token 'qq'", "merges[0]"},
    {"merge_of_one", [](auto& v) { v.merges[0] = "he"; }, "needs the token ''", "merges[0]"},
    {"merge_of_three", [](auto& v) { v.merges[1] = "h e l"; }, "needs the token 'e l'",
     "merges[1]"},
    {"bos", [](auto& v) { v.bos = 260; }, "has the id 260", "bos_token_id"},
    {"eos", [](auto& v) { v.eos = -1; }, "has the id -1", "eos_token_id"},
    {"unknown", [](auto& v) { v.unknown = 4000000; }, "has the id 4000000", "unknown_token_id"},
    {"add_bos", [](auto& v) { v.add_bos = true; }, "asks for a bos token and names none",
     "add_bos_token"},
    {"no_scores", [](auto& v) { v.model = "llama"; }, "no scores", "scores"},
};

INSTANTIATE_TEST_SUITE_P(Gguf, BrokenVocabulary, ::testing::ValuesIn(kBroken),
                         [](const auto& broken) { return std::string(broken.param.name); });

}  // namespace
}  // namespace switchyard
