#include <algorithm>
#include <utility>

#include "switchyard/error.h"

#include "formats/tokenizer/json_fields.h"
#include "formats/tokenizer/parts.h"

namespace switchyard::tokenizer {
namespace {

using nlohmann::json;

// Looking for added tokens costs their length at each place where one could start; real ones are
// names.
constexpr std::size_t kMaxAddedTokenBytes = 4096;

// An absent part of the file.
const json& part(const Fields& file, const std::string& key) {
  static const json kNull;
  return file.has(key) ? file.at(key) : kNull;
}

void read_vocabulary(const Fields& model, Vocabulary& vocabulary) {
  const json& entries = model.at("vocab");
  const std::string where = model.where("vocab");
  if (!entries.is_object()) {
    throw Error({.what = std::string("found a JSON ") + entries.type_name(),
                 .where = where,
                 .expected = "an object of tokens and their ids"});
  }
  for (const auto& [text, id] : entries.items()) {
    if (!id.is_number_integer()) {
      throw Error({.what = "token '" + text + "' has the id " + id.dump().substr(0, 40),
                   .where = where,
                   .expected = "an integer"});
    }
    // Beyond the signed range is beyond every allowed id.
    const bool huge = id.is_number_unsigned() && id.get<std::uint64_t>() > INT64_MAX;
    vocabulary.add(text, huge ? INT64_MAX : id.get<std::int64_t>(), where);
  }
}

// "a b" or ["a", "b"].
std::pair<std::string, std::string> read_merge(const json& merge, const std::string& where) {
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const std::size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
             merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  throw Error({.what = "found " + merge.dump().substr(0, 80),
               .where = where,
               .expected = "two tokens, as \"a b\" or [\"a\", \"b\"]"});
}

MergeTable read_merges(const Fields& model, const Vocabulary& vocabulary) {
  const json& list = model.array("merges");
  MergeTable merges(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string where = model.where("merges[" + std::to_string(i) + "]");
    const auto [left, right] = read_merge(list[i], where);
    const auto id_of = [&](const std::string& token) {
      const auto id = vocabulary.find(token);
      if (!id) {
        throw Error({.what = "the merge of '" + left + "' and '" + right + "' needs the token '" +
                             token + "', which the vocabulary does not have",
                     .where = where,
                     .expected = "tokens of model.vocab"});
      }
      return *id;
    };
    const Merge merge{static_cast<std::uint32_t>(i), id_of(left + right)};
    merges.set(id_of(left), id_of(right), merge);
  }
  return merges;
}

void refuse_if_set(const Fields& model, const std::string& key) {
  if (!model.has(key) || model.string(key).empty()) return;
  throw Error({.what = "'" + key + "' is set, which is not supported",
               .where = model.where(key),
               .expected = "null or \"\""});
}

std::unique_ptr<Bpe> read_model(const Fields& model, const Vocabulary& vocabulary, bool bytes) {
  refuse_if_set(model, "continuing_subword_prefix");
  refuse_if_set(model, "end_of_word_suffix");
  if (model.has("dropout") && model.at("dropout") != 0) {
    throw Error({.what = "the model drops merges at random",
                 .where = model.where("dropout"),
                 .expected = "null or 0"});
  }
  BpeOptions options;
  options.bytes = bytes;
  options.byte_fallback = model.boolean("byte_fallback", false);
  options.fuse_unk = model.boolean("fuse_unk", false);
  options.ignore_merges = model.boolean("ignore_merges", false);
  if (model.has("unk_token")) {
    options.unknown = vocabulary.find(model.string("unk_token"));
    if (!options.unknown) {
      throw Error({.what = "the unknown token '" + model.string("unk_token") + "' is not a token",
                   .where = model.where("unk_token"),
                   .expected = "a token of model.vocab"});
    }
  }
  return std::make_unique<Bpe>(vocabulary, read_merges(model, vocabulary), options);
}

AddedToken read_added_token(const Fields& entry) {
  AddedToken token;
  token.content = entry.string("content");
  token.special = entry.boolean("special", false);
  token.normalized = entry.boolean("normalized", !token.special);
  token.single_word = entry.boolean("single_word", false);
  token.lstrip = entry.boolean("lstrip", false);
  token.rstrip = entry.boolean("rstrip", false);
  if (token.content.size() > kMaxAddedTokenBytes) {
    throw Error({.what = "the token has " + std::to_string(token.content.size()) + " bytes",
                 .where = entry.where("content"),
                 .expected = "at most " + std::to_string(kMaxAddedTokenBytes)});
  }
  return token;
}

void read_added_tokens(const Fields& file, Parts& parts) {
  if (!file.has("added_tokens")) return;
  const json& list = file.array("added_tokens");
  std::vector<std::int64_t> new_ids;
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Fields entry(list[i], file.where("added_tokens[" + std::to_string(i) + "]"));
    AddedToken token = read_added_token(entry);
    const std::int64_t id = entry.integer("id");
    if (token.content.empty() || parts.vocabulary.find(token.content) != id) {
      parts.vocabulary.add(token.content, id, entry.where());
      new_ids.push_back(id);
    }
    token.id = static_cast<TokenId>(id);
    parts.added.push_back(std::move(token));
  }
  parts.only_added.assign(parts.vocabulary.size(), false);
  for (const std::int64_t id : new_ids) parts.only_added[static_cast<std::size_t>(id)] = true;
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

void check_model_kind(const Fields& model) {
  // Files from before the field existed are BPE if they have merges.
  const std::string kind = model.string("type", model.has("merges") ? "BPE" : "of no name");
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
  const Fields file(json, where);
  const Fields model(file.at("model"), where + ": model");
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
