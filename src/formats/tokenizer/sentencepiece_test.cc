// tokenizer.model: what comes out of it, and what is refused.
#include "formats/tokenizer/sentencepiece.h"

#include <limits>

#include "switchyard/tokenizer.h"

#include "formats/tokenizer/protobuf.h"
#include "formats/tokenizer/test_files.h"
#include "formats/tokenizer/test_sentencepiece.h"
#include "support/errors.h"
#include "support/memory_file_system.h"

namespace switchyard::tokenizer {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing_support::error_of;
using testing_support::MemoryFileSystem;
using Ids = std::vector<std::int32_t>;

// Ids: ▁t 259, he 260, ▁the 261, ▁▁ 262, ▁ 263, t 264, h 265, e 266, aa 267, aaa 268, a 269.
const std::vector<std::string> kPieces = {"▁t", "he", "▁the", "▁▁",  "▁", "t",
                                          "h",  "e",  "aa",   "aaa", "a"};

Tokenizer load(const std::string& model, const std::string& config = "",
               const std::string& added = "") {
  MemoryFileSystem fs;
  fs.put("m/tokenizer.model", model);
  if (!config.empty()) fs.put("m/tokenizer_config.json", config);
  if (!added.empty()) fs.put("m/added_tokens.json", added);
  return Tokenizer::load(fs, "m/tokenizer.model");
}

Ids plain(const Tokenizer& tokenizer, const std::string& text) {
  return tokenizer.encode(text, {.add_special_tokens = false});
}

TEST(SentencePiece, PairsMergeByTheScoreOfTheirResult) {
  const Tokenizer tokenizer = load(sentencepiece_model(llama_pieces(kPieces)));
  EXPECT_EQ(tokenizer.encode("the"), (Ids{1, 261}));
  EXPECT_EQ(plain(tokenizer, "the the"), (Ids{261, 261}));
  // "▁t" and "he" come before "▁▁", which comes before "▁the" could.
  EXPECT_EQ(plain(tokenizer, " the"), (Ids{263, 261}));
  EXPECT_EQ(plain(tokenizer, "  h"), (Ids{262, 263, 265}));
  EXPECT_EQ(plain(tokenizer, "aaaa"), (Ids{263, 267, 267}));
  EXPECT_EQ(plain(tokenizer, "aaa"), (Ids{263, 268}));
  EXPECT_EQ(plain(tokenizer, ""), Ids{});
}

TEST(SentencePiece, CharactersWithoutAPieceBecomeBytes) {
  const Tokenizer tokenizer = load(sentencepiece_model(llama_pieces(kPieces)));
  EXPECT_EQ(plain(tokenizer, "é\n"), (Ids{263, 3 + 0xC3, 3 + 0xA9, 3 + 0x0A}));
  EXPECT_EQ(tokenizer.decode(Ids{1, 263, 3 + 0xC3, 3 + 0xA9, 261}, {.skip_special_tokens = true}),
            "é the");
  // The text of a control piece or a byte piece is made of characters.
  EXPECT_EQ(tokenizer.encode("<s>", {.add_special_tokens = false, .parse_special_tokens = false}),
            (Ids{263, 3 + '<', 3 + 's', 3 + '>'}));
  EXPECT_EQ(plain(tokenizer, "<s>"), (Ids{1}));
  EXPECT_EQ(plain(tokenizer, "<0x41>").size(), 7U);
}

TEST(SentencePiece, EveryTextComesBack) {
  const Tokenizer tokenizer = load(sentencepiece_model(llama_pieces(kPieces)));
  std::mt19937 random(5);
  for (int i = 0; i < 300; ++i) {
    const std::string text = random_text(random, 1 + random() % 40);
    if (text.find("▁") != std::string::npos) continue;
    EXPECT_EQ(tokenizer.decode(plain(tokenizer, text)), text);
  }
}

TEST(SentencePiece, SavedAsTokenizerJsonItIsTheSame) {
  const Tokenizer tokenizer = load(sentencepiece_model(llama_pieces(kPieces)));
  MemoryFileSystem fs;
  tokenizer.save(fs, "tokenizer.json");
  const Tokenizer again = Tokenizer::load(fs, "tokenizer.json");
  for (const char* text : {"the  heat", "aaaaa aa aaa", "<s>the</s>", "é"}) {
    EXPECT_EQ(again.encode(text), tokenizer.encode(text)) << text;
  }
}

TEST(SentencePiece, WithoutByteFallbackUnknownCharactersAreOneToken) {
  std::string model = sentencepiece_model(llama_pieces(kPieces));
  model += protobuf_bytes(2, protobuf_number(3, 2) + protobuf_number(35, 0));
  EXPECT_EQ(plain(load(model), "théé the"), (Ids{259, 265, 0, 261}));
}

TEST(SentencePiece, WhiteSpaceRulesOfTheNormalizer) {
  const std::string model = sentencepiece_model(llama_pieces(kPieces));
  const auto with = [&](const std::string& fields) {
    return load(model + protobuf_bytes(3, protobuf_bytes(1, "identity") + fields));
  };
  EXPECT_EQ(plain(with(protobuf_number(3, 0)), "the"), (Ids{264, 260}));
  const Tokenizer lean = with(protobuf_number(4, 1));
  EXPECT_EQ(plain(lean, "  the   the "), (Ids{261, 261}));
  EXPECT_EQ(plain(lean, "   "), Ids{});
  EXPECT_EQ(plain(with(protobuf_number(4, 0)), "the "), (Ids{261, 263}));
  const Tokenizer unescaped = with(protobuf_number(3, 0) + protobuf_number(5, 0));
  EXPECT_EQ(plain(unescaped, " the"), (Ids{3 + ' ', 264, 260}));
  EXPECT_EQ(unescaped.decode(Ids{261}), "▁the");
}

TEST(SentencePiece, UserDefinedPiecesAreTokensOfTheText) {
  std::vector<ScoredPiece> pieces = llama_pieces(kPieces);
  pieces.push_back({"<tool>", 0, PieceType::user_defined});  // 270
  const Tokenizer tokenizer = load(sentencepiece_model(pieces));
  EXPECT_EQ(plain(tokenizer, "the<tool>the"), (Ids{261, 270, 261}));
  EXPECT_FALSE(tokenizer.is_special(270));
  EXPECT_TRUE(tokenizer.is_special(2));
}

TEST(SentencePiece, TheConfigurationBesideItCounts) {
  const std::string model = sentencepiece_model(llama_pieces(kPieces));
  EXPECT_EQ(load(model, R"({"add_bos_token": false})").encode("the"), (Ids{261}));
  EXPECT_EQ(load(model, R"({"add_eos_token": true, "bos_token": "<s>", "eos_token": "</s>"})")
                .encode("the"),
            (Ids{1, 261, 2}));
  const Tokenizer tokenizer =
      load(model, R"({"bos_token": {"content": "<go>"}, "added_tokens_decoder": {
                      "2": {"content": "</s>", "special": true},
                      "270": {"content": "<go>", "special": true, "rstrip": true}}})");
  EXPECT_EQ(tokenizer.encode("the<go>  the"), (Ids{270, 261, 270, 261}));
  EXPECT_EQ(load(model, "", R"({"<pad>": 271})").encode("<pad>"), (Ids{1, 271}));
  EXPECT_EQ(load(model, "", R"({"<pad>": 271})").vocab_size(), 272U);
}

TEST(SentencePiece, TokenizerJsonWinsInADirectory) {
  MemoryFileSystem fs;
  fs.put("m/tokenizer.model", sentencepiece_model(llama_pieces(kPieces)));
  EXPECT_EQ(Tokenizer::load(fs, "m").encode("the"), (Ids{1, 261}));
  fs.put("m/tokenizer.json", byte_level_file().dump());
  EXPECT_EQ(Tokenizer::load(fs, "m").encode("t").size(), 1U);
}

struct Refused {
  const char* name;
  std::string model;
  std::string config;
  const char* what;
  const char* where;
};

void PrintTo(const Refused& refused, std::ostream* out) { *out << refused.name; }

class RefusedModel : public ::testing::TestWithParam<Refused> {};

TEST_P(RefusedModel, IsOneErrorThatNamesThePlace) {
  const Refused& refused = GetParam();
  const Error::Parts parts = error_of([&] { load(refused.model, refused.config); });
  EXPECT_THAT(parts.what, HasSubstr(refused.what));
  EXPECT_EQ(parts.where, refused.where);
  EXPECT_FALSE(parts.expected.empty());
}

std::string with_piece(const ScoredPiece& piece) {
  std::vector<ScoredPiece> pieces = llama_pieces(kPieces);
  pieces.push_back(piece);
  return sentencepiece_model(pieces);
}

std::string with_field(std::uint32_t message, const std::string& field) {
  return sentencepiece_model(llama_pieces(kPieces)) + protobuf_bytes(message, field);
}

INSTANTIATE_TEST_SUITE_P(
    SentencePiece, RefusedModel,
    ::testing::Values(
        Refused{"empty", "", "", "holds no tokens", "m/tokenizer.model"},
        Refused{"unigram", with_field(2, protobuf_number(3, 1)), "",
                "model of type Unigram is not supported", "m/tokenizer.model: trainer_spec"},
        Refused{"unknown_type", with_field(2, protobuf_number(3, 9)), "", "model of type 9",
                "m/tokenizer.model: trainer_spec"},
        Refused{"suffix", with_field(2, protobuf_number(3, 2) + protobuf_number(24, 1)), "",
                "spaces that end a word", "m/tokenizer.model: trainer_spec"},
        Refused{"character_map",
                with_field(3, protobuf_bytes(1, "nmt_nfkc") + protobuf_bytes(2, "xyz")), "",
                "normalisation 'nmt_nfkc' rewrites characters",
                "m/tokenizer.model: normalizer_spec"},
        Refused{"twice", with_piece({"he", -20, PieceType::normal}), "",
                "'he' has the ids 260 and 270", "m/tokenizer.model"},
        Refused{"no_text", with_piece({"\xFF", -20, PieceType::normal}), "", "is not UTF-8",
                "m/tokenizer.model"},
        Refused{"long_piece", with_piece({std::string(600, 'a'), -20, PieceType::normal}), "",
                "token 270 has 600 bytes", "m/tokenizer.model"},
        Refused{"score",
                with_piece({"x", std::numeric_limits<float>::quiet_NaN(), PieceType::normal}), "",
                "a score that is no number", "m/tokenizer.model"},
        Refused{"piece_type", with_piece({"x", 0, static_cast<PieceType>(7)}), "", "is of type 7",
                "m/tokenizer.model: piece 270"},
        Refused{"config_bos", with_piece({"x", 0, PieceType::normal}), R"({"bos_token": "<b>"})",
                "'bos_token' is \"<b>\"", "m/tokenizer_config.json"},
        Refused{"config_eos", with_piece({"x", 0, PieceType::normal}), R"({"add_eos_token": true})",
                "'eos_token' is missing", "m/tokenizer_config.json"},
        Refused{"config_key", with_piece({"x", 0, PieceType::normal}),
                R"({"added_tokens_decoder": {"-1": {"content": "y"}}})", "'added_tokens_decoder'",
                "m/tokenizer_config.json"},
        Refused{"config_id", with_piece({"x", 0, PieceType::normal}),
                R"({"added_tokens_decoder": {"260": {"content": "y"}}})", "both have the id 260",
                "m/tokenizer.model: added_tokens[3]"}),
    [](const auto& refused) { return std::string(refused.param.name); });

TEST(Protobuf, EveryCutIsAnErrorOrAShorterModel) {
  const std::string good = sentencepiece_model(llama_pieces({"▁", "a"}));
  for (std::size_t size = 0; size < good.size(); size += 7) {
    try {
      load(good.substr(0, size));
    } catch (const Error& error) {
      EXPECT_THAT(error.parts().where, HasSubstr("m/tokenizer.model")) << size;
    }
  }
}

TEST(Protobuf, ReadsTheKindsAndRefusesTheRest) {
  const std::string fields =
      protobuf_number(1, -1) + protobuf_float(2, 0.5F) + protobuf_bytes(3, "abc");
  ProtobufReader reader(fields, "f");
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.integer(), -1);
  EXPECT_EQ(error_of([&] { reader.bytes(); }).what, "field 1 is not text at byte 11");
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.real(), 0.5F);
  ASSERT_TRUE(reader.next());
  EXPECT_EQ(reader.field(), 3U);
  EXPECT_EQ(reader.bytes(), "abc");
  EXPECT_FALSE(reader.next());
  const auto refusal = [](const std::string& bytes) {
    return error_of([&] { ProtobufReader(bytes, "f").next(); }).what;
  };
  EXPECT_THAT(refusal("\x03"), HasSubstr("no valid number"));
  EXPECT_THAT(refusal("\x0b"), HasSubstr("field 1 is of an unknown kind"));
  EXPECT_THAT(refusal("\x08"), HasSubstr("ends with the file"));
  EXPECT_THAT(refusal(std::string(12, '\xFF')), HasSubstr("longer than ten bytes"));
  EXPECT_THAT(refusal("\x0a\x7f"), HasSubstr("claims 127 bytes where 0 are left"));
  EXPECT_THAT(refusal("\x0d\x01"), HasSubstr("claims 4 bytes where 1 are left"));
}

}  // namespace
}  // namespace switchyard::tokenizer
