// Tokenizers from the metadata of a GGUF file.
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "switchyard/error.h"
#include "switchyard/tokenizer.h"

#include "formats/json.h"
#include "formats/tokenizer/gguf_pre_tokenizers.h"
#include "formats/tokenizer/parts.h"
#include "formats/tokenizer/scored_pieces.h"
#include "formats/utf8.h"

namespace switchyard {
namespace tokenizer {
namespace {

using nlohmann::json;

[[noreturn]] void fail(const std::string& what, const std::string& where,
                       const std::string& expected) {
  throw Error({.what = what,
               .where = where,
               .expected = expected,
               .fix = "download or convert the file again"});
}

void check_counts(const GgufVocabulary& source, const std::string& where) {
  const std::size_t tokens = source.tokens.size();
  if (tokens == 0) fail("the file holds no tokens", where + ": tokenizer.ggml.tokens", "tokens");
  if (tokens > static_cast<std::size_t>(kMaxTokenId) + 1) {
    fail("the file has " + std::to_string(tokens) + " tokens", where + ": tokenizer.ggml.tokens",
         "at most " + std::to_string(kMaxTokenId + 1));
  }
  const auto check = [&](std::size_t count, const std::string& name) {
    if (count == 0 || count == tokens) return;
    fail("found " + std::to_string(count) + " items", where + ": " + name,
         std::to_string(tokens) + ", one for each token");
  };
  check(source.scores.size(), "tokenizer.ggml.scores");
  check(source.types.size(), "tokenizer.ggml.token_type");
}

void check_ids(const GgufVocabulary& source, const std::string& where) {
  const auto check = [&](const std::optional<std::int32_t>& id, const std::string& name) {
    if (!id) return;
    const bool known = *id >= 0 && static_cast<std::size_t>(*id) < source.tokens.size() &&
                       !source.tokens[static_cast<std::size_t>(*id)].empty();
    if (known) return;
    fail("the token has the id " + std::to_string(*id), where + ": tokenizer.ggml." + name,
         "the id of one of the " + std::to_string(source.tokens.size()) + " tokens");
  };
  check(source.bos, "bos_token_id");
  check(source.eos, "eos_token_id");
  check(source.unknown, "unknown_token_id");
}

PieceType type_of(const GgufVocabulary& source, std::size_t id, const std::string& where) {
  if (source.types.empty()) {
    const auto is = [&](const std::optional<std::int32_t>& special) {
      return special && static_cast<std::size_t>(*special) == id;
    };
    if (is(source.unknown)) return PieceType::unknown;
    return is(source.bos) || is(source.eos) ? PieceType::control : PieceType::normal;
  }
  const std::int32_t type = source.types[id];
  if (type == 0) return PieceType::normal;  // "undefined"
  if (type < 0 || type > static_cast<std::int32_t>(PieceType::byte)) {
    fail("token " + std::to_string(id) + " is of type " + std::to_string(type),
         where + ": tokenizer.ggml.token_type", "0 to 6");
  }
  return static_cast<PieceType>(type);
}

// The ids to put around a text; `bos` is what the kind of tokenizer does unless the file says.
std::pair<std::optional<TokenId>, std::optional<TokenId>> around(const GgufVocabulary& source,
                                                                 bool bos,
                                                                 const std::string& where) {
  const auto chosen = [&](std::optional<bool> said, bool usual, std::optional<std::int32_t> id,
                          const std::string& name) {
    if (!said.value_or(usual)) return std::optional<TokenId>();
    if (said && !id) {
      fail("the file asks for a " + name + " token and names none",
           where + ": tokenizer.ggml.add_" + name + "_token", name + "_token_id");
    }
    return id;
  };
  return {chosen(source.add_bos, bos, source.bos, "bos"),
          chosen(source.add_eos, false, source.eos, "eos")};
}

json from_scores(const GgufVocabulary& source, const std::string& where) {
  if (source.scores.empty()) {
    fail("the file gives no scores", where + ": tokenizer.ggml.scores",
         "a score for each token of a vocabulary of kind 'llama'");
  }
  ScoredPieces pieces;
  pieces.pieces.reserve(source.tokens.size());
  for (std::size_t i = 0; i < source.tokens.size(); ++i) {
    pieces.pieces.push_back({source.tokens[i], source.scores[i], type_of(source, i, where)});
    if (pieces.pieces.back().type == PieceType::unknown && !pieces.unknown &&
        !source.tokens[i].empty()) {
      pieces.unknown = static_cast<TokenId>(i);
    }
  }
  if (source.unknown) pieces.unknown = source.unknown;
  std::tie(pieces.bos, pieces.eos) = around(source, true, where);
  pieces.add_dummy_prefix = source.add_space_prefix.value_or(true);
  return from_scored_pieces(pieces, where);
}

// The two tokens of "a b".
std::pair<std::string_view, std::string_view> parts_of_merge(std::string_view merge) {
  const std::size_t space = merge.find(' ');
  if (space == std::string_view::npos) return {};
  return {merge.substr(0, space), merge.substr(space + 1)};
}

// Which ids take part in merges; those of another kind than normal are in no byte alphabet
// otherwise.
std::vector<bool> merged_ids(const GgufVocabulary& source, const std::string& where) {
  std::unordered_map<std::string_view, std::size_t> ids;
  ids.reserve(source.tokens.size());
  for (std::size_t i = 0; i < source.tokens.size(); ++i) {
    const std::string& text = source.tokens[i];
    if (find_invalid_utf8(text) != std::string_view::npos) {
      fail("token " + std::to_string(i) + " " + shown(text) + " is not UTF-8",
           where + ": tokenizer.ggml.tokens", "tokens in the byte alphabet of GPT-2");
    }
    if (text.empty()) continue;
    const auto [entry, is_new] = ids.emplace(text, i);
    if (!is_new) {
      fail("token " + shown(text) + " has the ids " + std::to_string(entry->second) + " and " +
               std::to_string(i),
           where + ": tokenizer.ggml.tokens", "one id for each token");
    }
  }
  std::vector<bool> merged(source.tokens.size(), false);
  std::string joined;
  for (std::size_t i = 0; i < source.merges.size(); ++i) {
    const auto [left, right] = parts_of_merge(source.merges[i]);
    joined.assign(left).append(right);
    for (const std::string_view part : {left, right, std::string_view(joined)}) {
      const auto found = ids.find(part);
      if (found == ids.end()) {
        fail("the merge " + shown(source.merges[i]) + " needs the token " + shown(part),
             where + ": tokenizer.ggml.merges[" + std::to_string(i) + "]",
             "two tokens of the file with a space between them");
      }
      merged[found->second] = true;
    }
  }
  return merged;
}

json byte_level(bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", false},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

json pre_tokenizer_of(const GgufPreTokenizer& rule) {
  json steps = json::array();
  for (const std::string_view pattern : rule.patterns) {
    steps.push_back({{"type", "Split"},
                     {"pattern", {{"Regex", std::string(pattern)}}},
                     {"behavior", "Isolated"},
                     {"invert", false}});
  }
  steps.push_back(byte_level(false));
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

json from_merges(const GgufVocabulary& source, const std::string& where) {
  const GgufPreTokenizer& rule = find_gguf_pre_tokenizer(source.pre, where);
  if (source.merges.empty()) {
    fail("the file gives no merges", where + ": tokenizer.ggml.merges",
         "the merges of a vocabulary of kind 'gpt2'");
  }
  const std::vector<bool> merged = merged_ids(source, where);
  json vocabulary = json::object();
  json added = json::array();
  for (std::size_t i = 0; i < source.tokens.size(); ++i) {
    const std::string& text = source.tokens[i];
    if (text.empty()) continue;
    const PieceType type = type_of(source, i, where);
    const bool special = type == PieceType::control || type == PieceType::unknown;
    const bool apart = special || type == PieceType::user_defined;
    if (!apart || merged[i]) vocabulary[text] = i;
    if (!apart) continue;
    added.push_back({{"id", i}, {"content", text}, {"special", special}, {"normalized", false}});
  }
  const bool llama3 = rule.extra == GgufPreTokenizer::Extra::llama3;
  const auto [bos, eos] = around(source, llama3, where);
  const auto named = [&](std::optional<TokenId> id) {
    return id ? std::optional(NamedToken{source.tokens[static_cast<std::size_t>(*id)], *id})
              : std::nullopt;
  };
  json normalizer;
  if (rule.extra == GgufPreTokenizer::Extra::nfc) normalizer = {{"type", "NFC"}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", std::move(added)},
          {"normalizer", std::move(normalizer)},
          {"pre_tokenizer", pre_tokenizer_of(rule)},
          {"post_processor", bos_eos_processor(named(bos), named(eos))},
          {"decoder", byte_level(true)},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"byte_fallback", false},
            {"ignore_merges", llama3},
            {"vocab", std::move(vocabulary)},
            {"merges", source.merges}}}};
}

}  // namespace

json from_gguf(const GgufVocabulary& source, const std::string& where) {
  check_counts(source, where);
  check_ids(source, where);
  if (source.model == "llama") return from_scores(source, where);
  if (source.model == "gpt2") return from_merges(source, where);
  throw Error({.what = "a tokenizer of kind " + shown(source.model) + " is not supported",
               .where = where + ": tokenizer.ggml.model",
               .expected = "'gpt2' (byte-level BPE) or 'llama' (SentencePiece BPE)"});
}

}  // namespace tokenizer

Tokenizer Tokenizer::from_gguf(const GgufVocabulary& vocabulary, const std::string& where) {
  return from_json(tokenizer::from_gguf(vocabulary, where), where);
}

}  // namespace switchyard
