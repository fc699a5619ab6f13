// Text to token ids and back, from a Hugging Face tokenizer.json.
//
// Two styles: byte-level BPE (GPT-2, GPT-NeoX, OLMoE, Qwen, Llama 3) and SentencePiece-style BPE with byte fallback
// (Llama 2, Mixtral). Special and added tokens, NFC/NFKC where the file asks for it. decode(encode(text)) == text for any
// valid UTF-8 where the tokenizer's own normaliser keeps the text; what is not UTF-8 is an Error with the byte offset.
//
// Thread rule: const after loading; concurrent calls are fine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "switchyard/file_system.h"

namespace switchyard {

struct EncodeOptions {
  bool add_special_tokens = true;    // what the file's post-processor adds: BOS, EOS
  bool parse_special_tokens = true;  // "<|endoftext|>" in the text becomes its token instead of its characters
};

struct DecodeOptions {
  bool skip_special_tokens = false;
};

class Tokenizer {
 public:
  // `path`: a tokenizer.json, or a directory that holds one.
  static Tokenizer load(FileSystem& fs, const std::string& path);
  static Tokenizer from_json(const nlohmann::json& json, const std::string& where);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  std::string decode(std::span<const std::int32_t> ids, const DecodeOptions& options = {}) const;

  std::size_t vocab_size() const;  // highest id + 1
  // The token as written in the vocabulary file; nullopt for an id it does not have.
  std::optional<std::string> token(std::int32_t id) const;
  std::optional<std::int32_t> id(std::string_view token) const;
  bool is_special(std::int32_t id) const;

  void save(FileSystem& fs, const std::string& path) const;

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

// Decodes a growing sequence: push() returns the text that became certain, holding back bytes of an unfinished UTF-8
// character.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options = {});
  std::string push(std::int32_t id);
  std::string finish();

 private:
  const Tokenizer& tokenizer_;
  DecodeOptions options_;
  std::vector<std::int32_t> ids_;
  std::size_t prefix_ = 0;
  std::string pending_;
};

struct BpeTrainerOptions {
  std::size_t vocab = 4096;      // entries in all: 256 bytes, special tokens, merges
  std::size_t min_frequency = 2; // pairs seen less often are not merged
  std::vector<std::string> special_tokens = {"<|endoftext|>"};
  std::function<void(std::size_t merges, std::size_t total)> progress;
};

// Trains a byte-level BPE tokenizer (GPT-2 pre-tokenisation) and returns it as a loadable tokenizer. Deterministic.
Tokenizer train_byte_level_bpe(std::span<const std::string> documents, const BpeTrainerOptions& options);

}  // namespace switchyard
