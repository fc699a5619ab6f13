#include "formats/tokenizer/json_fields.h"

#include "switchyard/error.h"

#include "formats/utf8.h"

namespace switchyard::tokenizer {
namespace {

// Real files nest one or two deep.
constexpr int kMaxSequenceDepth = 16;

void flatten_into(const nlohmann::json& value, const std::string& where,
                  const std::string& list_name, int depth, std::vector<PlacedJson>& out) {
  const JsonFields fields(value, where);
  if (fields.text("type") != "Sequence") {
    out.push_back({&value, where});
    return;
  }
  if (depth == kMaxSequenceDepth) {
    throw Error({.what = "sequences are nested too deeply",
                 .where = where,
                 .expected = "at most " + std::to_string(kMaxSequenceDepth) + " levels"});
  }
  const nlohmann::json& items = required_array(fields, list_name);
  for (std::size_t i = 0; i < items.size(); ++i) {
    flatten_into(items[i], place(fields, list_name) + "[" + std::to_string(i) + "]", list_name,
                 depth + 1, out);
  }
}

}  // namespace

const nlohmann::json& required(const JsonFields& fields, const std::string& name) {
  const nlohmann::json* value = fields.get(name);
  if (value == nullptr) fields.fail(name, "a tokenizer.json as Hugging Face tokenizers write it");
  return *value;
}

const nlohmann::json& required_array(const JsonFields& fields, const std::string& name) {
  const nlohmann::json& value = required(fields, name);
  if (!value.is_array()) fields.fail(name, "an array");
  return value;
}

std::string place(const JsonFields& fields, const std::string& name) {
  // The file's own name ends where the first field begins.
  const bool in_file = fields.where().find(": ") == std::string::npos;
  return fields.where() + (in_file ? ": " : ".") + name;
}

std::string one_character(const JsonFields& fields, const std::string& name) {
  std::string text = fields.text(name);
  if (text.empty() || utf8_length(text.front()) != text.size()) {
    fields.fail(name, "one character");
  }
  return text;
}

void throw_unknown_kind(const std::string& part, const std::string& kind, const std::string& where,
                        const std::string& known) {
  throw Error({.what = "a " + part + " of kind " + shown(kind) + " is not supported",
               .where = where,
               .expected = "one of " + known});
}

std::vector<PlacedJson> flatten_sequence(const nlohmann::json& value, const std::string& where,
                                         const std::string& list_name) {
  std::vector<PlacedJson> out;
  flatten_into(value, where, list_name, 0, out);
  return out;
}

}  // namespace switchyard::tokenizer
