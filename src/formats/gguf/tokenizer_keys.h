// The keys tokenizer.* of a GGUF file.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "switchyard/gguf.h"
#include "switchyard/tokenizer.h"

namespace switchyard {

// Throws Error naming the key for a value of another type than the key's; that the values belong
// together is for Tokenizer::from_gguf() to see. Throws too where there is no tokenizer.ggml.model.
GgufVocabulary gguf_vocabulary(const GgufMetadata& metadata);

// For GgufWriteOptions::metadata. `chat_template` may be empty.
std::vector<std::pair<std::string, GgufValue>> gguf_tokenizer_keys(
    const GgufVocabulary& vocabulary, const std::string& chat_template = {});

}  // namespace switchyard
