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

std::vector<TokenId> ids_of_special(const Fields& processor, const std::string& name,
                                    const Vocabulary& vocabulary) {
  const Fields tokens(processor.at("special_tokens"), processor.where("special_tokens"));
  const Fields token(tokens.at(name), tokens.where(name));
  std::vector<TokenId> ids;
  for (const nlohmann::json& id : token.array("ids")) {
    ids.push_back(checked_id(id, vocabulary, token.where("ids")));
  }
  return ids;
}

PostProcessor read_template(const Fields& fields, const Vocabulary& vocabulary) {
  PostProcessor result;
  bool text_seen = false;
  for (const nlohmann::json& item : fields.array("single")) {
    const Fields entry(item, fields.where("single"));
    if (entry.has("SpecialToken")) {
      const std::string name =
          Fields(entry.at("SpecialToken"), entry.where("SpecialToken")).string("id");
      for (const TokenId id : ids_of_special(fields, name, vocabulary)) {
        (text_seen ? result.after : result.before).push_back(id);
      }
      continue;
    }
    const std::string sequence = Fields(entry.at("Sequence"), entry.where("Sequence")).string("id");
    if (sequence != "A" || text_seen) {
      throw Error({.what = "the template for one text holds another text",
                   .where = entry.where(),
                   .expected = "the sequence 'A' once"});
    }
    text_seen = true;
  }
  if (!text_seen) {
    throw Error({.what = "the template for one text leaves the text out",
                 .where = fields.where("single"),
                 .expected = "the sequence 'A' once"});
  }
  return result;
}

// ["[SEP]", 102]
TokenId read_pair(const Fields& fields, const std::string& key, const Vocabulary& vocabulary) {
  const nlohmann::json& pair = fields.array(key);
  if (pair.size() != 2) {
    throw Error({.what = "found " + std::to_string(pair.size()) + " items",
                 .where = fields.where(key),
                 .expected = "a token and its id"});
  }
  return checked_id(pair[1], vocabulary, fields.where(key));
}

PostProcessor make_one(const PlacedJson& item, const Vocabulary& vocabulary) {
  const Fields fields(*item.value, item.where);
  const std::string kind = fields.type();
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
