#include "formats/tokenizer/bpe.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "switchyard/error.h"

#include "formats/json.h"
#include "formats/tokenizer/byte_alphabet.h"
#include "formats/utf8.h"

namespace switchyard::tokenizer {
namespace {

constexpr std::string_view kMetaspace = "\u2581";

// Positions in a piece are 32 bits wide.
constexpr std::size_t kMaxPieceBytes = std::numeric_limits<std::uint32_t>::max();

std::string fallback_name(unsigned byte) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

bool joins_to_metaspace(const Vocabulary& vocabulary, const MergeTable& merges) {
  bool found = false;
  merges.for_each([&](TokenId left, TokenId right, const Merge&) {
    found |= vocabulary.text(right)->starts_with(kMetaspace) &&
             !vocabulary.text(left)->ends_with(kMetaspace);
  });
  return found;
}

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, MergeTable merges, const BpeOptions& options)
    : vocabulary_(vocabulary), merges_(std::move(merges)), options_(options) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    std::string character;
    append_utf8(character, kByteAlphabet[byte]);
    byte_tokens_[byte] = vocabulary_.find(character).value_or(-1);
    fallback_tokens_[byte] = vocabulary_.find(fallback_name(byte)).value_or(-1);
    if (byte >= 128) continue;
    const char ascii = static_cast<char>(byte);
    ascii_tokens_[byte] = vocabulary_.find({&ascii, 1}).value_or(-1);
  }
  splits_at_metaspace_ = !options_.bytes && !options_.ignore_merges &&
                         vocabulary_.find(kMetaspace) && !joins_to_metaspace(vocabulary_, merges_);
}

void Bpe::encode(std::string_view piece, BpeScratch& scratch, std::vector<TokenId>& out) const {
  if (piece.empty()) return;
  if (const auto known = scratch.cache.find(piece); !known.empty()) {
    out.insert(out.end(), known.begin(), known.end());
    return;
  }
  if (piece.size() >= kMaxPieceBytes) {
    throw Error(
        {.what = "a piece of the normalised text has " + std::to_string(piece.size()) + " bytes",
         .where = "text to encode",
         .expected = "fewer than " + std::to_string(kMaxPieceBytes),
         .fix = "encode the text in parts"});
  }
  std::vector<TokenId>& ids = scratch.ids;
  ids.clear();
  const std::optional<TokenId> token = options_.ignore_merges ? whole(piece) : std::nullopt;
  if (token) {
    ids.push_back(*token);
  } else {
    symbols_of(piece, ids);
    merge_symbols(merges_, scratch);
  }
  scratch.cache.put(piece, ids);
  out.insert(out.end(), ids.begin(), ids.end());
}

std::optional<TokenId> Bpe::whole(std::string_view piece) const {
  return vocabulary_.find(options_.bytes ? bytes_to_alphabet(piece) : std::string(piece));
}

void Bpe::symbols_of(std::string_view piece, std::vector<TokenId>& ids) const {
  bool after_unknown = false;
  for (std::size_t i = 0; i < piece.size();) {
    const std::size_t begin = i;
    const auto byte = static_cast<unsigned char>(piece[i]);
    TokenId id = -1;
    if (options_.bytes) {
      id = byte_tokens_[byte];
      ++i;
    } else if (byte < 128) {
      id = ascii_tokens_[byte];
      ++i;
    } else {
      i += utf8_length(piece[i]);
      id = vocabulary_.find(piece.substr(begin, i - begin)).value_or(-1);
    }
    if (id >= 0) {
      ids.push_back(id);
      after_unknown = false;
    } else {
      symbols_of_unknown(piece.substr(begin, i - begin), after_unknown, ids);
    }
  }
}

void Bpe::symbols_of_unknown(std::string_view character, bool& after_unknown,
                             std::vector<TokenId>& ids) const {
  // Byte tokens are named for the bytes of the text as the model's vocabulary writes it.
  const std::string written =
      options_.bytes ? bytes_to_alphabet(character) : std::string(character);
  const auto fallback = [&](char c) { return fallback_tokens_[static_cast<unsigned char>(c)]; };
  if (options_.byte_fallback &&
      std::all_of(written.begin(), written.end(), [&](char c) { return fallback(c) >= 0; })) {
    for (const char c : written) ids.push_back(fallback(c));
    after_unknown = false;
    return;
  }
  if (!options_.unknown) {
    throw Error({.what = "the tokenizer has no token for " + shown(written),
                 .where = "text to encode",
                 .expected = "characters of the vocabulary, which has neither byte tokens nor an "
                             "unknown token for others"});
  }
  if (!(after_unknown && options_.fuse_unk)) ids.push_back(*options_.unknown);
  after_unknown = true;
}

}  // namespace switchyard::tokenizer
