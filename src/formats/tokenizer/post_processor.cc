#include "formats/tokenizer/post_processor.h"

#include "switchyard/error.h"

#include "formats/tokenizer/json_fields.h"

namespace switchyard::tokenizer {
namespace {

TokenId checked_id(const nlohmann::json& value, const Vocabulary& vocabulary,
                   const std::string& where) {
  if (value.is_number_integer()) {
    const auto id = value.get<std::int64_t>();
    if (id >= 0 && id <= kMaxTokenId && vocabulary.text(static_cast<TokenId>(id)) != nullptr) {
      return static_cast<TokenId>(id);
    }
  }
  throw Error({.what = "the post-processor adds a token with the id " + value.dump(),
               .where = where,
               .expected = "an id of the vocabulary"});
}

std::vector<TokenId> ids_of_special(const JsonFields& processor, const std::string& name,
                                    const Vocabulary& vocabulary) {
  const JsonFields tokens(required(processor, "special_tokens"),
                          place(processor, "special_tokens"));
  const JsonFields token(required(tokens, name), place(tokens, name));
  std::vector<TokenId> ids;
  for (const nlohmann::json& id : required_array(token, "ids")) {
    ids.push_back(checked_id(id, vocabulary, place(token, "ids")));
  }
  return ids;
}

PostProcessor read_template(const JsonFields& fields, const Vocabulary& vocabulary) {
  PostProcessor result;
  bool text_seen = false;
  for (const nlohmann::json& item : required_array(fields, "single")) {
    const JsonFields entry(item, place(fields, "single"));
    if (entry.has("SpecialToken")) {
      const std::string name =
          JsonFields(required(entry, "SpecialToken"), place(entry, "SpecialToken")).text("id");
      for (const TokenId id : ids_of_special(fields, name, vocabulary)) {
        (text_seen ? result.after : result.before).push_back(id);
      }
      continue;
    }
    const std::string sequence =
        JsonFields(required(entry, "Sequence"), place(entry, "Sequence")).text("id");
    if (sequence != "A" || text_seen) {
      throw Error({.what = "the template for one text holds another text",
                   .where = entry.where(),
                   .expected = "the sequence 'A' once"});
    }
    text_seen = true;
  }
  if (!text_seen) {
    throw Error({.what = "the template for one text leaves the text out",
                 .where = place(fields, "single"),
                 .expected = "the sequence 'A' once"});
  }
  return result;
}

// ["[SEP]", 102]
TokenId read_pair(const JsonFields& fields, const std::string& key, const Vocabulary& vocabulary) {
  const nlohmann::json& pair = required_array(fields, key);
  if (pair.size() != 2) {
    throw Error({.what = "found " + std::to_string(pair.size()) + " items",
                 .where = place(fields, key),
                 .expected = "a token and its id"});
  }
  return checked_id(pair[1], vocabulary, place(fields, key));
}

PostProcessor make_one(const PlacedJson& item, const Vocabulary& vocabulary) {
  const JsonFields fields(*item.value, item.where);
  const std::string kind = fields.text("type");
  if (kind == "ByteLevel") return {};
  if (kind == "TemplateProcessing") return read_template(fields, vocabulary);
  if (kind == "BertProcessing" || kind == "RobertaProcessing") {
    return {{read_pair(fields, "cls", vocabulary)}, {read_pair(fields, "sep", vocabulary)}};
  }
  throw_unknown_kind("post-processor", kind, item.where,
                     "BertProcessing, ByteLevel, RobertaProcessing, Sequence, TemplateProcessing");
}

}  // namespace

PostProcessor make_post_processor(const nlohmann::json& json, const Vocabulary& vocabulary,
                                  const std::string& where) {
  PostProcessor result;
  if (json.is_null()) return result;
  for (const PlacedJson& item : flatten_sequence(json, where, "processors")) {
    // Each processor wraps what the ones before it made.
    const PostProcessor one = make_one(item, vocabulary);
    result.before.insert(result.before.begin(), one.before.begin(), one.before.end());
    result.after.insert(result.after.end(), one.after.begin(), one.after.end());
  }
  return result;
}

}  // namespace switchyard::tokenizer
