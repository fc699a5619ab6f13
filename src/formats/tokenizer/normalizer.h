// The "normalizer" of a tokenizer.json: what happens to the text before it is cut.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace switchyard::tokenizer {

// Thread rule: const after construction; concurrent calls are fine.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  // REQUIRES: well-formed UTF-8.
  virtual std::string apply(std::string_view text) const = 0;
};

// Kinds: NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip, StripAccents, Sequence. Null
// gives no normaliser (nullptr); any other kind is an Error that names it.
std::unique_ptr<Normalizer> make_normalizer(const nlohmann::json& json, const std::string& where);

}  // namespace switchyard::tokenizer
