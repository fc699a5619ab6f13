// The tokens of a tokenizer and their ids, added tokens included.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace switchyard::tokenizer {

using TokenId = std::int32_t;

// No tokenizer in use comes near this; a file that names a larger id would only make us allocate.
inline constexpr TokenId kMaxTokenId = (1 << 22) - 1;

// Thread rule: const after the last add().
class Vocabulary {
 public:
  void reserve(std::size_t tokens);

  // Throws Error naming `where` if the id or the text is taken. REQUIRES: 0 <= id <= kMaxTokenId.
  void add(std::string_view text, TokenId id, const std::string& where);

  std::size_t size() const { return slots_.size(); }  // highest id + 1
  std::optional<TokenId> find(std::string_view text) const;
  // nullptr for an id that no token has.
  const std::string* text(TokenId id) const;

 private:
  // Ids may have gaps; the texts stay where they are, so that the index can point to them.
  std::vector<const std::string*> slots_;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
};

}  // namespace switchyard::tokenizer
