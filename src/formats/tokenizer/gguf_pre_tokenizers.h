// How byte-level tokenizers in GGUF files cut a text: a name in tokenizer.ggml.pre stands for a
// list of regular expressions.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace switchyard::tokenizer {

// The patterns work one after another, each on the pieces the one before it left; what a pattern
// matches and what lies between its matches become pieces of their own.
struct GgufPreTokenizer {
  enum class Extra {
    none,
    nfc,     // the models' own tokenizers put a text into NFC first
    llama3,  // a piece that is a token as a whole is that token; BOS unless the file says otherwise
  };
  std::string_view name;
  std::span<const std::string_view> patterns;
  Extra extra = Extra::none;
};

// All names that are known.
std::span<const GgufPreTokenizer> gguf_pre_tokenizers();

// Throws Error naming `where` for an unknown name. An empty one, from files older than the field,
// is "default".
const GgufPreTokenizer& find_gguf_pre_tokenizer(const std::string& name, const std::string& where);

}  // namespace switchyard::tokenizer
