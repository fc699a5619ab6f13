#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "switchyard/error.h"

#include "formats/tokenizer/json_fields.h"
#include "formats/tokenizer/parts.h"

namespace switchyard::tokenizer {
namespace {

using nlohmann::json;

// Looking for added tokens costs their length at each place where one could start; real ones are
// names.
constexpr std::size_t kMaxAddedTokenBytes = 4096;

// A part of the file, null if absent.
json part(const JsonFields& file, const std::string& name) {
  const json* value = file.get(name);
  return value == nullptr ? json() : *value;
}

void read_vocabulary(const JsonFields& model, Vocabulary& vocabulary) {
  const json& entries = required(model, "vocab");
  if (!entries.is_object()) model.fail("vocab", "an object of tokens and their ids");
  const std::string where = place(model, "vocab");
  vocabulary.reserve(entries.size());
  for (const auto& [text, id] : entries.items()) {
    const bool in_range = id.is_number_integer() && id >= 0 && id <= kMaxTokenId;
    if (!in_range) {
      throw Error({.what = "token " + shown(text) + " has the id " + shown(id.dump()),
                   .where = where,
                   .expected = "an integer from 0 to " + std::to_string(kMaxTokenId)});
    }
    vocabulary.add(text, id.get<TokenId>(), where);
  }
}

// "a b" or ["a", "b"]; nullopt for anything else.
std::optional<std::pair<std::string_view, std::string_view>> read_merge(const json& merge) {
  if (merge.is_string()) {
    const std::string_view text = merge.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
      return std::nullopt;
    }
    return std::pair(text.substr(0, space), text.substr(space + 1));
  }
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return std::pair<std::string_view, std::string_view>(merge[0].get_ref<const std::string&>(),
                                                         merge[1].get_ref<const std::string&>());
  }
  return std::nullopt;
}

MergeTable read_merges(const JsonFields& model, const Vocabulary& vocabulary) {
  const json& list = required_array(model, "merges");
  MergeTable merges(list.size());
  std::string joined;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto fail = [&](std::string what, std::string expected) {
      throw Error({.what = std::move(what),
                   .where = place(model, "merges") + "[" + std::to_string(i) + "]",
                   .expected = std::move(expected)});
    };
    const auto pair = read_merge(list[i]);
    if (!pair) {
      fail("found " + shown(list[i].dump()), R"(two tokens, as "a b" or ["a", "b"])");
      break;
    }
    joined.assign(pair->first).append(pair->second);
    const auto id_of = [&](std::string_view token) {
      const auto id = vocabulary.find(token);
      if (!id) {
        fail("a merge needs the token " + shown(token) + ", which the vocabulary does not have",
             "tokens of model.vocab");
      }
      return *id;
    };
    const TokenId left = id_of(pair->first);
    const TokenId right = id_of(pair->second);
    merges.set(left, right, {static_cast<std::uint32_t>(i), id_of(joined)});
  }
  return merges;
}

void refuse_if_set(const JsonFields& model, const std::string& name) {
  if (model.text(name, "").empty()) return;
  model.fail(name, "null or \"\": tokens that know their place in a word are not supported");
}

std::unique_ptr<Bpe> read_model(const JsonFields& model, const Vocabulary& vocabulary, bool bytes) {
  refuse_if_set(model, "continuing_subword_prefix");
  refuse_if_set(model, "end_of_word_suffix");
  if (model.number("dropout", 0, 1, 0) != 0) {
    model.fail("dropout", "null or 0: merges are not dropped at random");
  }
  BpeOptions options;
  options.bytes = bytes;
  options.byte_fallback = model.boolean("byte_fallback", false);
  options.fuse_unk = model.boolean("fuse_unk", false);
  options.ignore_merges = model.boolean("ignore_merges", false);
  if (model.has("unk_token")) {
    options.unknown = vocabulary.find(model.text("unk_token"));
    if (!options.unknown) model.fail("unk_token", "a token of model.vocab");
  }
  return std::make_unique<Bpe>(vocabulary, read_merges(model, vocabulary), options);
}

AddedToken read_added_token(const JsonFields& entry) {
  AddedToken token;
  token.content = entry.text("content");
  token.special = entry.boolean("special", false);
  token.normalized = entry.boolean("normalized", !token.special);
  token.single_word = entry.boolean("single_word", false);
  token.lstrip = entry.boolean("lstrip", false);
  token.rstrip = entry.boolean("rstrip", false);
  if (token.content.size() > kMaxAddedTokenBytes) {
    throw Error({.what = "the token has " + std::to_string(token.content.size()) + " bytes",
                 .where = place(entry, "content"),
                 .expected = "at most " + std::to_string(kMaxAddedTokenBytes)});
  }
  return token;
}

void read_added_tokens(const JsonFields& file, Parts& parts) {
  if (!file.has("added_tokens")) return;
  const json& list = required_array(file, "added_tokens");
  std::vector<TokenId> new_ids;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const JsonFields entry(list[i], place(file, "added_tokens[" + std::to_string(i) + "]"));
    AddedToken token = read_added_token(entry);
    const auto id = static_cast<TokenId>(entry.integer("id", 0, kMaxTokenId));
    if (token.content.empty() || parts.vocabulary.find(token.content) != id) {
      parts.vocabulary.add(token.content, id, entry.where());
      new_ids.push_back(id);
    }
    token.id = id;
    parts.added.push_back(std::move(token));
  }
  parts.only_added.assign(parts.vocabulary.size(), false);
  for (const TokenId id : new_ids) parts.only_added[static_cast<std::size_t>(id)] = true;
  parts.special.assign(parts.vocabulary.size(), false);
  for (const AddedToken& token : parts.added) {
    if (token.special) parts.special[static_cast<std::size_t>(token.id)] = true;
  }
}

std::unique_ptr<AddedTokenMatcher> make_matcher(const Parts& parts, bool normalized) {
  std::vector<AddedToken> tokens;
  std::vector<std::string> contents;
  for (const AddedToken& token : parts.added) {
    if (token.normalized != normalized) continue;
    tokens.push_back(token);
    contents.push_back(normalized && parts.normalizer ? parts.normalizer->apply(token.content)
                                                      : token.content);
  }
  return std::make_unique<AddedTokenMatcher>(std::move(tokens), contents);
}

void check_model_kind(const JsonFields& model) {
  // Files from before the field existed are BPE if they have merges.
  const std::string kind = model.text("type", model.has("merges") ? "BPE" : "unnamed");
  if (kind != "BPE") throw_unknown_kind("model", kind, model.where(), "BPE");
}

// The file less what the parts hold themselves.
json without_lists(const json& file) {
  json rest = json::object();
  for (const auto& [key, value] : file.items()) {
    if (key == "added_tokens") continue;
    if (key != "model") {
      rest[key] = value;
      continue;
    }
    rest[key] = json::object();
    for (const auto& [model_key, model_value] : value.items()) {
      if (model_key != "vocab" && model_key != "merges") rest[key][model_key] = model_value;
    }
  }
  return rest;
}

}  // namespace

std::unique_ptr<const Parts> build_parts(const json& json, const std::string& where) {
  const JsonFields file(json, where);
  const JsonFields model(required(file, "model"), where + ": model");
  check_model_kind(model);

  auto parts = std::make_unique<Parts>();
  read_vocabulary(model, parts->vocabulary);
  parts->normalizer = make_normalizer(part(file, "normalizer"), where + ": normalizer");
  parts->pre_tokenization =
      make_pre_tokenization(part(file, "pre_tokenizer"), where + ": pre_tokenizer");
  parts->bpe = read_model(model, parts->vocabulary, parts->pre_tokenization.byte_level);
  if (parts->bpe->splits_at_metaspace()) {
    parts->pre_tokenization.steps.push_back(make_metaspace_cutter());
  }
  parts->only_added.assign(parts->vocabulary.size(), false);
  parts->special.assign(parts->vocabulary.size(), false);
  read_added_tokens(file, *parts);
  parts->raw_matcher = make_matcher(*parts, false);
  parts->normalized_matcher = make_matcher(*parts, true);
  parts->post_processor = make_post_processor(part(file, "post_processor"), parts->vocabulary,
                                              where + ": post_processor");
  parts->decoder = std::make_unique<Decoder>(part(file, "decoder"), where + ": decoder");
  parts->source = without_lists(json);
  return parts;
}

}  // namespace switchyard::tokenizer
