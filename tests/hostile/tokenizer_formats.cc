// Tokenizers: the file, and any text through a good one.
#include <nlohmann/json.hpp>

#include "switchyard/tokenizer.h"

#include "base/check.h"
#include "formats/json.h"
#include "hostile/formats.h"
#include "support/memory_file_system.h"

namespace switchyard::hostile {
namespace {

using testing_support::MemoryFileSystem;

constexpr std::string_view kSample =
    "Hello, world! 3.14 caf\xc3\xa9\n  \xf0\x9f\x98\x80<|endoftext|> the end";

Tokenizer small_byte_level() {
  const std::vector<std::string> documents = {"the cat sat on the mat, the cat ate",
                                              "hello world, hello there 2024"};
  return train_byte_level_bpe(
      documents,
      {.vocab = 290, .min_frequency = 2, .special_tokens = {"<|endoftext|>"}, .progress = {}});
}

// SentencePiece-style: a marker for spaces, tokens for bytes that no other token covers.
std::string small_sentencepiece() {
  nlohmann::json vocab = {{"<unk>", 0}, {"<s>", 1}, {"</s>", 2}};
  int id = 3;
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", byte);
    vocab[name] = id++;
  }
  for (const char* token :
       {"\xe2\x96\x81", "t", "h", "e", "l", "o", "th", "the", "\xe2\x96\x81the", "ll", "llo"})
    vocab[token] = id++;
  const auto special = [](int number, const char* content) {
    return nlohmann::json{{"id", number},         {"content", content}, {"special", true},
                          {"single_word", false}, {"lstrip", false},    {"rstrip", false},
                          {"normalized", false}};
  };
  const nlohmann::json json = {
      {"version", "1.0"},
      {"added_tokens", {special(0, "<unk>"), special(1, "<s>"), special(2, "</s>")}},
      {"normalizer",
       {{"type", "Sequence"},
        {"normalizers",
         {{{"type", "Prepend"}, {"prepend", "\xe2\x96\x81"}},
          {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "\xe2\x96\x81"}}}}}},
      {"pre_tokenizer", nullptr},
      {"post_processor", nullptr},
      {"decoder",
       {{"type", "Sequence"},
        {"decoders",
         {{{"type", "Replace"}, {"pattern", {{"String", "\xe2\x96\x81"}}}, {"content", " "}},
          {{"type", "ByteFallback"}},
          {{"type", "Fuse"}},
          {{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}}}}},
      {"model",
       {{"type", "BPE"},
        {"unk_token", "<unk>"},
        {"fuse_unk", true},
        {"byte_fallback", true},
        {"vocab", vocab},
        {"merges", {"t h", "th e", "\xe2\x96\x81 the", "l l", "ll o"}}}}};
  return json.dump();
}

// Decoding piece by piece gives what decoding at once gives.
void check_stream(const Tokenizer& tokenizer, const std::vector<std::int32_t>& ids) {
  StreamDecoder stream(tokenizer);
  std::string pieces;
  for (const std::int32_t id : ids) pieces += stream.push(id);
  pieces += stream.finish();
  SWITCHYARD_CHECK(pieces == tokenizer.decode(ids));
}

}  // namespace

std::vector<std::string> tokenizer_file_seeds() {
  MemoryFileSystem fs;
  small_byte_level().save(fs, "tokenizer.json");
  return {read_file(fs, "tokenizer.json"), small_sentencepiece()};
}

void read_tokenizer_file(std::string_view bytes) {
  const Tokenizer tokenizer =
      Tokenizer::from_json(parse_json(bytes, "tokenizer.json"), "tokenizer.json");
  const auto ids = tokenizer.encode(kSample);
  for (const std::int32_t id : ids)
    SWITCHYARD_CHECK(id >= 0 && static_cast<std::size_t>(id) < tokenizer.vocab_size());
  check_stream(tokenizer, ids);
  MemoryFileSystem fs;
  tokenizer.save(fs, "tokenizer.json");
  const Tokenizer again = Tokenizer::load(fs, "tokenizer.json");
  SWITCHYARD_CHECK(again.vocab_size() == tokenizer.vocab_size());
  SWITCHYARD_CHECK(again.encode(kSample) == ids);
}

std::vector<std::string> tokenizer_text_seeds() {
  return {std::string(kSample), "a\r\n\t  b\xe2\x80\x8b", ""};
}

void read_tokenizer_text(std::string_view bytes) {
  static const Tokenizer byte_level = small_byte_level();
  static const Tokenizer sentencepiece =
      Tokenizer::from_json(nlohmann::json::parse(small_sentencepiece()), "sentencepiece");
  for (const bool parse_special : {true, false}) {
    const EncodeOptions options{.add_special_tokens = false, .parse_special_tokens = parse_special};
    const auto ids = byte_level.encode(bytes, options);
    SWITCHYARD_CHECK(byte_level.decode(ids) == bytes);
    check_stream(byte_level, ids);
    // A marker of its own reads back as the space it stands for, so only text without it comes back
    // as it was.
    const auto pieces = sentencepiece.encode(bytes, options);
    if (!parse_special && bytes.find("\xe2\x96\x81") == std::string_view::npos) {
      SWITCHYARD_CHECK(sentencepiece.decode(pieces) == bytes);
    }
    check_stream(sentencepiece, pieces);
  }
}

}  // namespace switchyard::hostile
