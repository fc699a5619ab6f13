// SentencePiece's tokenizer.model, and the files that lie beside it in a model's directory.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "formats/tokenizer/scored_pieces.h"

namespace switchyard::tokenizer {

// Reads a model of type BPE. Throws Error for damaged files, for the other types (Unigram, words,
// characters), and for normalisations that rewrite characters.
ScoredPieces read_sentencepiece(std::string_view bytes, const std::string& where);

// Changes the tokenizer.json of such a model (`file`) as a tokenizer_config.json beside it says:
// added_tokens_decoder, add_bos_token, add_eos_token, bos_token, eos_token.
void apply_tokenizer_config(nlohmann::json& file, const nlohmann::json& config,
                            const std::string& where);

// Adds the tokens of an added_tokens.json: an object of texts and ids.
void apply_added_tokens(nlohmann::json& file, const nlohmann::json& added,
                        const std::string& where);

}  // namespace switchyard::tokenizer
