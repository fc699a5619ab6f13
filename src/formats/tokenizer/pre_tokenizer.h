// The "pre_tokenizer" of a tokenizer.json: cuts a text into the pieces that the model sees one by
// one.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::tokenizer {

struct Piece {
  std::string_view text;
  bool first = false;  // begins where the encoded text begins
};

// Takes pieces one after another; the text of a piece lives until the call returns.
class PieceSink {
 public:
  virtual ~PieceSink() = default;
  virtual void take(const Piece& piece) = 0;
};

// One step: cuts a piece into smaller ones, or rewrites it. Thread rule: const after construction.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void cut(const Piece& piece, PieceSink& out) const = 0;
};

struct PreTokenization {
  std::vector<std::unique_ptr<PreTokenizer>> steps;
  // The last step is ByteLevel: its mapping to the byte alphabet is left to the model, which then
  // works on bytes.
  bool byte_level = false;

  void cut(const Piece& piece, PieceSink& out) const;
};

// Kinds: ByteLevel, Digits, Metaspace, Punctuation, Sequence, Split, Whitespace, WhitespaceSplit.
// Null gives no steps; any other kind is an Error that names it.
PreTokenization make_pre_tokenization(const nlohmann::json& json, const std::string& where);

// Cuts before each U+2581 that follows another character. Not in any file: added where it cannot
// change the result (Bpe::splits_at_metaspace), so that a text without pre-tokenizer is not one
// endless word.
std::unique_ptr<PreTokenizer> make_metaspace_cutter();

}  // namespace switchyard::tokenizer
