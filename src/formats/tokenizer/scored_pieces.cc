#include "formats/tokenizer/scored_pieces.h"

#include <algorithm>
#include <cmath>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "switchyard/error.h"

#include "formats/json.h"
#include "formats/utf8.h"

namespace switchyard::tokenizer {
namespace {

using nlohmann::json;

constexpr const char* kMetaspace = "\u2581";

// Finding the merges costs a piece's length squared; real pieces have up to some 100 bytes.
constexpr std::size_t kMaxPieceBytes = 512;

using Index = std::unordered_map<std::string_view, TokenId>;

// Whether text can become this piece by merging.
bool is_mergeable(PieceType type) {
  return type == PieceType::normal || type == PieceType::user_defined || type == PieceType::unused;
}

void check_piece(const ScoredPiece& piece, std::size_t id, const std::string& where) {
  const auto fail = [&](const std::string& what, const std::string& expected) {
    throw Error({.what = "token " + std::to_string(id) + " " + what,
                 .where = where,
                 .expected = expected,
                 .fix = "download the file again"});
  };
  if (find_invalid_utf8(piece.text) != std::string_view::npos) {
    fail(shown(piece.text) + " is not UTF-8", "well-formed UTF-8");
  }
  if (piece.text.size() > kMaxPieceBytes) {
    fail("has " + std::to_string(piece.text.size()) + " bytes",
         "at most " + std::to_string(kMaxPieceBytes));
  }
  if (std::isnan(piece.score))
    fail(shown(piece.text) + " has a score that is no number", "a score");
}

// All pieces, checked; every text once.
Index index_of(const std::vector<ScoredPiece>& pieces, const std::string& where) {
  Index ids;
  ids.reserve(pieces.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    check_piece(pieces[i], i, where);
    if (pieces[i].text.empty()) continue;
    const auto [entry, is_new] = ids.emplace(pieces[i].text, static_cast<TokenId>(i));
    if (!is_new) {
      throw Error({.what = "token " + shown(pieces[i].text) + " has the ids " +
                           std::to_string(entry->second) + " and " + std::to_string(i),
                   .where = where,
                   .expected = "one id for each token"});
    }
  }
  return ids;
}

json merges_of(const std::vector<ScoredPiece>& pieces, const Index& ids) {
  struct Pair {
    TokenId left, right;
    float score;
  };
  std::vector<Pair> pairs;
  const auto mergeable = [&](std::string_view text) -> std::optional<TokenId> {
    const auto found = ids.find(text);
    if (found == ids.end()) return std::nullopt;
    if (!is_mergeable(pieces[static_cast<std::size_t>(found->second)].type)) return std::nullopt;
    return found->second;
  };
  for (const ScoredPiece& piece : pieces) {
    if (piece.text.empty() || !is_mergeable(piece.type)) continue;
    const std::string_view text = piece.text;
    const auto first = static_cast<std::ptrdiff_t>(pairs.size());
    for (std::size_t cut = utf8_length(text[0]); cut < text.size(); cut += utf8_length(text[cut])) {
      const auto left = mergeable(text.substr(0, cut));
      if (!left) continue;
      const auto right = mergeable(text.substr(cut));
      if (right) pairs.push_back({*left, *right, piece.score});
    }
    std::sort(pairs.begin() + first, pairs.end(), [](const Pair& a, const Pair& b) {
      return std::pair(a.left, a.right) < std::pair(b.left, b.right);
    });
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.score > b.score; });
  json merges = json::array();
  const auto text = [&](TokenId id) { return pieces[static_cast<std::size_t>(id)].text; };
  for (const Pair& pair : pairs) merges.push_back({text(pair.left), text(pair.right)});
  return merges;
}

json added_tokens_of(const std::vector<ScoredPiece>& pieces) {
  json added = json::array();
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const PieceType type = pieces[i].type;
    const bool special = type == PieceType::control || type == PieceType::unknown;
    if (pieces[i].text.empty() || (!special && type != PieceType::user_defined)) continue;
    added.push_back(
        {{"id", i}, {"content", pieces[i].text}, {"special", special}, {"normalized", false}});
  }
  return added;
}

json replace_step(const json& pattern, const std::string& content) {
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
}

json normalizer_of(const ScoredPieces& source) {
  const std::string space = source.escape_whitespaces ? kMetaspace : " ";
  json steps = json::array();
  if (source.remove_extra_whitespaces) {
    steps.push_back(replace_step({{"Regex", R"(\A +| +\z)"}}, ""));
    steps.push_back(replace_step({{"Regex", " {2,}"}}, " "));
  }
  if (source.add_dummy_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", space}});
  if (source.escape_whitespaces) steps.push_back(replace_step({{"String", " "}}, kMetaspace));
  if (steps.empty()) return nullptr;
  return {{"type", "Sequence"}, {"normalizers", std::move(steps)}};
}

json decoder_of(const ScoredPieces& source) {
  json steps = json::array();
  if (source.escape_whitespaces) steps.push_back(replace_step({{"String", kMetaspace}}, " "));
  steps.push_back({{"type", "ByteFallback"}});
  steps.push_back({{"type", "Fuse"}});
  if (source.add_dummy_prefix) {
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return {{"type", "Sequence"}, {"decoders", std::move(steps)}};
}

std::optional<NamedToken> named(const std::vector<ScoredPiece>& pieces, std::optional<TokenId> id,
                                const std::string& name, const std::string& where) {
  if (!id) return std::nullopt;
  const bool known = *id >= 0 && static_cast<std::size_t>(*id) < pieces.size() &&
                     !pieces[static_cast<std::size_t>(*id)].text.empty();
  if (known) return NamedToken{pieces[static_cast<std::size_t>(*id)].text, *id};
  throw Error({.what = "the " + name + " token has the id " + std::to_string(*id),
               .where = where,
               .expected = "the id of one of the " + std::to_string(pieces.size()) + " tokens",
               .fix = "download the file again"});
}

}  // namespace

json bos_eos_processor(const std::optional<NamedToken>& bos, const std::optional<NamedToken>& eos) {
  if (!bos && !eos) return nullptr;
  json single = json::array();
  json specials = json::object();
  const auto add = [&](const std::optional<NamedToken>& token) {
    if (!token) return;
    single.push_back({{"SpecialToken", {{"id", token->text}, {"type_id", 0}}}});
    specials[token->text] = {{"id", token->text},
                             {"ids", json::array({token->id})},
                             {"tokens", json::array({token->text})}};
  };
  add(bos);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  add(eos);
  // The template for two texts is not used here, but other readers of a saved file want one.
  json pair = single;
  for (json item : single) {
    for (auto& [kind, value] : item.items()) {
      value["type_id"] = 1;
      if (kind == "Sequence") value["id"] = "B";
    }
    pair.push_back(std::move(item));
  }
  return {{"type", "TemplateProcessing"},
          {"single", std::move(single)},
          {"pair", std::move(pair)},
          {"special_tokens", std::move(specials)}};
}

json from_scored_pieces(const ScoredPieces& source, const std::string& where) {
  const Index ids = index_of(source.pieces, where);
  json vocabulary = json::object();
  for (std::size_t i = 0; i < source.pieces.size(); ++i) {
    if (!source.pieces[i].text.empty()) vocabulary[source.pieces[i].text] = i;
  }
  const auto at = [&](std::optional<TokenId> id, const std::string& name) {
    return named(source.pieces, id, name, where);
  };
  const auto unknown = at(source.unknown, "unknown");
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added_tokens_of(source.pieces)},
          {"normalizer", normalizer_of(source)},
          {"pre_tokenizer", nullptr},
          {"post_processor", bos_eos_processor(at(source.bos, "BOS"), at(source.eos, "EOS"))},
          {"decoder", decoder_of(source)},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", unknown ? json(unknown->text) : json()},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", true},
            {"byte_fallback", source.byte_fallback},
            {"ignore_merges", false},
            {"vocab", std::move(vocabulary)},
            {"merges", merges_of(source.pieces, ids)}}}};
}

}  // namespace switchyard::tokenizer
