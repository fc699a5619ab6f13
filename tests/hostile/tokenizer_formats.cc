// Tokenizers: the file, and any text through a good one.
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "switchyard/tokenizer.h"

#include "base/check.h"
#include "formats/json.h"
#include "formats/tokenizer/byte_alphabet.h"
#include "formats/tokenizer/test_sentencepiece.h"
#include "formats/utf8.h"
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

// Encodes and decodes the sample, and saves and loads the tokenizer.
void use(const Tokenizer& tokenizer) {
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

// A vocabulary as lines: kind, pre-tokenizer, special ids and flags, then the tokens (type, score,
// text), an empty line, the merges.
GgufVocabulary vocabulary_of(std::string_view bytes) {
  const auto line = [&] {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    const std::string_view out = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    return out;
  };
  const auto number = [](std::string_view text) {
    int value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  GgufVocabulary out;
  out.model = line();
  out.pre = line();
  const std::string_view ids = line();
  if (!ids.empty()) out.bos = number(ids);
  if (ids.ends_with('e')) out.eos = 0;
  if (ids.ends_with('b')) out.add_bos = true;
  while (!bytes.empty()) {
    const std::string_view token = line();
    if (token.empty()) break;
    out.types.push_back(token.front() - '0');
    out.scores.push_back(static_cast<float>(-number(token.substr(1))));
    out.tokens.emplace_back(token.substr(std::min(token.find(' ') + 1, token.size())));
  }
  while (!bytes.empty()) out.merges.emplace_back(line());
  return out;
}

std::string lines_of(const GgufVocabulary& vocabulary) {
  std::string out = vocabulary.model + "\n" + vocabulary.pre + "\n1e\n";
  for (std::size_t i = 0; i < vocabulary.tokens.size(); ++i) {
    out += std::to_string(vocabulary.types[i]) + std::to_string(i) + " " + vocabulary.tokens[i];
    out += '\n';
  }
  for (const std::string& merge : vocabulary.merges) out += "\n" + merge;
  return out;
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
  use(tokenizer);
}

std::vector<std::string> tokenizer_model_seeds() {
  return {tokenizer::sentencepiece_model(
      tokenizer::llama_pieces({"\u2581t", "he", "\u2581the", "\u2581", "t", "h", "e", "l", "o"}))};
}

void read_tokenizer_model(std::string_view bytes) {
  MemoryFileSystem fs;
  fs.put("tokenizer.model", std::string(bytes));
  use(Tokenizer::load(fs, "tokenizer.model"));
}

std::vector<std::string> tokenizer_gguf_seeds() {
  GgufVocabulary scored{.model = "llama"};
  GgufVocabulary merged{.model = "gpt2", .pre = "llama-bpe"};
  for (const auto& piece : tokenizer::llama_pieces({"\u2581", "t", "\u2581t"})) {
    scored.tokens.push_back(piece.text);
    scored.types.push_back(static_cast<std::int32_t>(piece.type));
  }
  for (const unsigned char c : kSample) {
    std::string text;
    append_utf8(text, tokenizer::kByteAlphabet[c]);
    if (std::find(merged.tokens.begin(), merged.tokens.end(), text) == merged.tokens.end()) {
      merged.tokens.push_back(text);
    }
  }
  merged.tokens.insert(merged.tokens.end(), {"th", "the", "<|endoftext|>"});
  merged.types.assign(merged.tokens.size(), 1);
  merged.types.back() = 3;
  merged.merges = {"t h", "th e"};
  return {lines_of(scored), lines_of(merged)};
}

void read_tokenizer_gguf(std::string_view bytes) {
  use(Tokenizer::from_gguf(vocabulary_of(bytes), "model.gguf"));
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
