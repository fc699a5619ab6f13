// Text to token ids and back, from a Hugging Face tokenizer.json, a SentencePiece tokenizer.model
// or the metadata of a GGUF file.
//
// Two styles: byte-level BPE (GPT-2, GPT-NeoX, OLMoE, Qwen, Llama 3) and SentencePiece-style BPE
// with byte fallback (Llama 2, Mixtral). Special and added tokens, NFC/NFKC where the file asks for
// it. decode(encode(text)) == text for any valid UTF-8 where the tokenizer's own normaliser keeps
// the text; what is not UTF-8 is an Error with the byte offset.
//
// Thread rule: const after loading; concurrent calls are fine.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard {

namespace tokenizer {
struct Parts;
}

struct EncodeOptions {
  bool add_special_tokens = true;  // what the file's post-processor adds: BOS, EOS
  bool parse_special_tokens =
      true;  // "<|endoftext|>" in the text becomes its token instead of its characters
};

struct DecodeOptions {
  bool skip_special_tokens = false;
};

// What a GGUF file says of its tokenizer: the keys tokenizer.ggml.*, in the order of the file and
// unchecked.
struct GgufVocabulary {
  std::string model = {};                     // "gpt2": byte-level BPE; "llama": SentencePiece BPE
  std::string pre = {};                       // how "gpt2" cuts texts; empty: the file does not say
  std::vector<std::string> tokens = {};       // by id
  std::vector<float> scores = {};             // by id, or empty
  std::vector<std::int32_t> types = {};       // by id, or empty; 1 normal, 2 unknown, 3 control, 4
                                              // user-defined, 5 unused, 6 byte
  std::vector<std::string> merges = {};       // "a b", best first
  std::optional<std::int32_t> bos = {};       // bos_token_id
  std::optional<std::int32_t> eos = {};       // eos_token_id
  std::optional<std::int32_t> unknown = {};   // unknown_token_id
  std::optional<bool> add_bos = {};           // add_bos_token
  std::optional<bool> add_eos = {};           // add_eos_token
  std::optional<bool> add_space_prefix = {};  // "llama" only
};

class Tokenizer {
 public:
  // `path`: a tokenizer.json, tokenizer.model or GGUF file, or a directory. In a directory the
  // first of these counts: tokenizer.json; tokenizer.model; encoder.json with vocab.bpe; vocab.json
  // with merges.txt. Beside a tokenizer.model, added_tokens.json and tokenizer_config.json are read
  // too. Throws Error for what is damaged or asks for something not supported; what is:
  // docs/formats/tokenizer.md.
  static Tokenizer load(FileSystem& fs, const std::string& path);
  // Whether a directory holds one of these.
  static bool exists(FileSystem& fs, const std::string& directory);
  // Throws Error naming `where`, the file, and the key of what is damaged or not supported.
  static Tokenizer from_gguf(const GgufVocabulary& vocabulary, const std::string& where);
  static Tokenizer from_json(const nlohmann::json& json, const std::string& where);

  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Throws Error with the byte offset for text that is not UTF-8.
  std::vector<std::int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;
  // Bytes that form no character become U+FFFD. Ids that no token has give no text, since models
  // pad their vocabulary.
  std::string decode(std::span<const std::int32_t> ids, const DecodeOptions& options = {}) const;

  std::size_t vocab_size() const;  // highest id + 1
  // The token as written in the vocabulary file; nullopt for an id it does not have.
  std::optional<std::string> token(std::int32_t id) const;
  std::optional<std::int32_t> id(std::string_view token) const;
  bool is_special(std::int32_t id) const;

  void save(FileSystem& fs, const std::string& path) const;
  // What a GGUF file says of this tokenizer: from_gguf() of it gives the same ids. `vocab` tokens
  // at least, as models have rows for ids without a token. Throws Error for what GGUF has no key
  // for.
  GgufVocabulary to_gguf(std::size_t vocab) const;

 private:
  friend class StreamDecoder;
  explicit Tokenizer(std::unique_ptr<const tokenizer::Parts> parts);
  std::unique_ptr<const tokenizer::Parts> parts_;
};

// Decodes a growing sequence: push() returns the text that became certain, holding back what a
// later token could still change (bytes of an unfinished character). All pushes and finish()
// together give exactly what decode() gives.
//
// The tokenizer must outlive the decoder (it may be moved). One thread at a time.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options = {});
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;
  ~StreamDecoder();

  std::string push(std::int32_t id);
  // The rest; afterwards the decoder starts anew.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct BpeTrainerOptions {
  std::size_t vocab = 4096;       // entries in all: 256 bytes, special tokens, merges
  std::size_t min_frequency = 2;  // pairs seen less often are not merged
  std::vector<std::string> special_tokens = {"<|endoftext|>"};
  std::function<void(std::size_t merges, std::size_t total)> progress =
      {};  // called now and then, and at the end
};

// Trains a byte-level BPE tokenizer (GPT-2 pre-tokenisation) and returns it as a loadable
// tokenizer. Special tokens have the first ids, then the bytes, then merges in the order found;
// special tokens inside documents are left out of the counts. Deterministic: of pairs seen equally
// often the one with the lower ids merges first. Throws Error for a document that is not UTF-8 and
// a vocabulary too small for bytes and special tokens.
Tokenizer train_byte_level_bpe(std::span<const std::string> documents,
                               const BpeTrainerOptions& options);

}  // namespace switchyard
