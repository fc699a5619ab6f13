// The way back from a tokenizer.json to what a GGUF file says.
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

#include "switchyard/tokenizer.h"

namespace switchyard::tokenizer {

// At least `vocab` tokens: models have rows for ids that no token has. Throws Error naming `where`
// for what GGUF has no key for: a pre-tokenizer or normaliser without a name there, added tokens
// that take spaces with them, merges that no scores give.
GgufVocabulary to_gguf(const nlohmann::json& file, std::size_t vocab, const std::string& where);

}  // namespace switchyard::tokenizer
