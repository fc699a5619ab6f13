#include "formats/tokenizer/vocabulary.h"

#include "switchyard/error.h"

namespace switchyard::tokenizer {

void Vocabulary::add(std::string_view text, std::int64_t id, const std::string& where) {
  const auto fail = [&](std::string what, std::string expected) {
    throw Error({.what = std::move(what), .where = where, .expected = std::move(expected)});
  };
  if (id < 0 || id > kMaxTokenId) {
    fail("token '" + std::string(text) + "' has the id " + std::to_string(id),
         "an id from 0 to " + std::to_string(kMaxTokenId));
  }
  const auto slot = static_cast<std::size_t>(id);
  if (slot < slots_.size() && slots_[slot] != nullptr) {
    fail("tokens '" + *slots_[slot] + "' and '" + std::string(text) + "' both have the id " +
             std::to_string(id),
         "one token for each id");
  }
  const auto [entry, is_new] = ids_.emplace(std::string(text), static_cast<TokenId>(id));
  if (!is_new) {
    fail("token '" + std::string(text) + "' has the ids " + std::to_string(entry->second) +
             " and " + std::to_string(id),
         "one id for each token");
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
