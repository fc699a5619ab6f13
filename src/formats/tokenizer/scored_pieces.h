// Vocabularies that give scores instead of merges: SentencePiece's BPE, in its own file and in
// GGUF.
//
// There the pair of neighbours merges whose result has the highest score. A tokenizer.json lists
// merges, so every way to cut a piece in two that are pieces becomes a merge, ranked by the score
// of its result.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "formats/tokenizer/vocabulary.h"

namespace switchyard::tokenizer {

// The numbers are those of the files: SentencePiece's model and GGUF's token_type agree on them.
enum class PieceType : std::int32_t {
  normal = 1,
  unknown = 2,
  control = 3,
  user_defined = 4,
  unused = 5,
  byte = 6,
};

struct ScoredPiece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::normal;
};

struct ScoredPieces {
  std::vector<ScoredPiece> pieces;  // by id; one without text leaves its id without a token
  std::optional<TokenId> unknown;
  std::optional<TokenId> bos;  // put before a text
  std::optional<TokenId> eos;  // put after it
  bool byte_fallback = true;
  bool add_dummy_prefix = true;           // a space before the text
  bool remove_extra_whitespaces = false;  // none at the ends, one where there are several
  bool escape_whitespaces = true;         // spaces become U+2581
};

// The tokenizer.json they mean, as Hugging Face's converter would write it. Throws Error naming
// `where` for pieces that are not UTF-8, too long or there twice, scores that are no numbers and
// ids outside the vocabulary.
nlohmann::json from_scored_pieces(const ScoredPieces& source, const std::string& where);

// A token that is put before or after every text.
struct NamedToken {
  std::string text;
  TokenId id = 0;
};

// The part "post_processor" that does so; null for neither.
nlohmann::json bos_eos_processor(const std::optional<NamedToken>& bos,
                                 const std::optional<NamedToken>& eos);

}  // namespace switchyard::tokenizer
