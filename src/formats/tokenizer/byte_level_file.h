// The tokenizer.json of a byte-level BPE that we made ourselves.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

#include "formats/tokenizer/vocabulary.h"

namespace switchyard::tokenizer {

// `texts` by id, in the byte alphabet; `merges` as "a b", best first; `special`: the ids of special
// tokens, rising. Texts are cut as GPT-2 cuts them.
nlohmann::json byte_level_bpe_file(std::span<const std::string> texts,
                                   std::span<const std::string> merges,
                                   std::span<const TokenId> special);

}  // namespace switchyard::tokenizer
