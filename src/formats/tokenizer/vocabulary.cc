#include "formats/tokenizer/vocabulary.h"

#include "switchyard/error.h"

#include "base/check.h"
#include "formats/json.h"

namespace switchyard::tokenizer {

void Vocabulary::reserve(std::size_t tokens) {
  ids_.reserve(tokens);
  slots_.reserve(tokens);
}

void Vocabulary::add(std::string_view text, TokenId id, const std::string& where) {
  SWITCHYARD_CHECK(id >= 0 && id <= kMaxTokenId);
  const auto slot = static_cast<std::size_t>(id);
  if (slot < slots_.size() && slots_[slot] != nullptr) {
    throw Error({.what = "tokens " + shown(*slots_[slot]) + " and " + shown(text) +
                         " both have the id " + std::to_string(id),
                 .where = where,
                 .expected = "one token for each id"});
  }
  const auto [entry, is_new] = ids_.emplace(std::string(text), id);
  if (!is_new) {
    throw Error({.what = "token " + shown(text) + " has the ids " + std::to_string(entry->second) +
                         " and " + std::to_string(id),
                 .where = where,
                 .expected = "one id for each token"});
  }
  if (slot >= slots_.size()) slots_.resize(slot + 1, nullptr);
  slots_[slot] = &entry->first;
}

std::optional<TokenId> Vocabulary::find(std::string_view text) const {
  const auto found = ids_.find(text);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

const std::string* Vocabulary::text(TokenId id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= slots_.size()) return nullptr;
  return slots_[static_cast<std::size_t>(id)];
}

}  // namespace switchyard::tokenizer
