// The "post_processor" of a tokenizer.json, as far as it adds tokens to one text.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "formats/tokenizer/vocabulary.h"

namespace switchyard::tokenizer {

struct PostProcessor {
  std::vector<TokenId> before;  // BOS
  std::vector<TokenId> after;   // EOS
};

// Kinds: ByteLevel (which only moves offsets, so adds nothing), TemplateProcessing (its "single"
// template), BertProcessing, RobertaProcessing, Sequence. Null adds nothing; any other kind is an
// Error that names it. Every token must be in `vocabulary`.
PostProcessor make_post_processor(const nlohmann::json& json, const Vocabulary& vocabulary,
                                  const std::string& where);

}  // namespace switchyard::tokenizer
