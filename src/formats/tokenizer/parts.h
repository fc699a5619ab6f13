// What stands behind the public Tokenizer: the parts of a tokenizer.json, in the order a text goes
// through them.
#pragma once

#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "switchyard/tokenizer.h"

#include "formats/tokenizer/added_tokens.h"
#include "formats/tokenizer/bpe.h"
#include "formats/tokenizer/decoder.h"
#include "formats/tokenizer/normalizer.h"
#include "formats/tokenizer/post_processor.h"
#include "formats/tokenizer/pre_tokenizer.h"
#include "formats/tokenizer/vocabulary.h"

namespace switchyard::tokenizer {

// Lends each concurrent call a scratch of its own and keeps them, so that their word caches stay
// warm.
class ScratchPool {
 public:
  class Lease {
   public:
    explicit Lease(ScratchPool& pool);
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease();
    BpeScratch& operator*() const { return *scratch_; }

   private:
    ScratchPool& pool_;
    std::unique_ptr<BpeScratch> scratch_;
  };

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<BpeScratch>> idle_;
};

// Thread rule: const once built (the scratches lock for themselves).
struct Parts {
  Vocabulary vocabulary;
  std::vector<AddedToken> added;
  std::unique_ptr<AddedTokenMatcher> raw_matcher;         // on the text as it comes
  std::unique_ptr<Normalizer> normalizer;                 // null: none
  std::unique_ptr<AddedTokenMatcher> normalized_matcher;  // on what the normaliser made of it
  PreTokenization pre_tokenization;
  std::unique_ptr<Bpe> bpe;
  PostProcessor post_processor;
  std::unique_ptr<Decoder> decoder;

  std::vector<bool> special;     // by id
  std::vector<bool> only_added;  // by id: not in the model's own vocabulary
  nlohmann::json source;         // the file without vocabulary, merges and added tokens, for save()

  mutable ScratchPool scratches;

  bool is_special(TokenId id) const {
    return vocabulary.text(id) && special[static_cast<std::size_t>(id)];
  }

  void encode(std::string_view text, const EncodeOptions& options, std::vector<TokenId>& out) const;

  // Ids without a token (models pad their vocabulary) give no text; a negative id is an Error.
  void decode_into(Decoding& decoding, TokenId id, const DecodeOptions& options) const;
};

// `where` names the file in errors.
std::unique_ptr<const Parts> build_parts(const nlohmann::json& json, const std::string& where);

// The tokenizer.json of these parts.
std::string to_json_text(const Parts& parts);

// GPT-2's encoder.json (or vocab.json) and vocab.bpe (or merges.txt) as the tokenizer.json they
// mean.
nlohmann::json from_gpt2_files(const std::string& vocabulary_text, const std::string& merges_text,
                               const std::string& where);

}  // namespace switchyard::tokenizer
