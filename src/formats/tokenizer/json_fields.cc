#include "formats/tokenizer/json_fields.h"

#include <utility>

#include "switchyard/error.h"

namespace switchyard::tokenizer {
namespace {

// Real files nest one or two deep.
constexpr int kMaxSequenceDepth = 16;

void flatten_into(const nlohmann::json& value, const std::string& where,
                  const std::string& list_key, int depth, std::vector<PlacedJson>& out) {
  const Fields fields(value, where);
  if (fields.type() != "Sequence") {
    out.push_back({&value, where});
    return;
  }
  if (depth == kMaxSequenceDepth) {
    throw Error({.what = "sequences are nested too deeply",
                 .where = where,
                 .expected = "at most " + std::to_string(kMaxSequenceDepth) + " levels"});
  }
  const nlohmann::json& items = fields.array(list_key);
  for (std::size_t i = 0; i < items.size(); ++i) {
    flatten_into(items[i], where + "." + list_key + "[" + std::to_string(i) + "]", list_key,
                 depth + 1, out);
  }
}

}  // namespace

Fields::Fields(const nlohmann::json& value, std::string where)
    : value_(value), where_(std::move(where)) {
  if (!value_.is_object()) {
    throw Error({.what = std::string("found a JSON ") + value_.type_name(),
                 .where = where_,
                 .expected = "an object"});
  }
}

bool Fields::has(const std::string& key) const {
  const auto found = value_.find(key);
  return found != value_.end() && !found->is_null();
}

const nlohmann::json& Fields::at(const std::string& key) const {
  if (!has(key)) {
    throw Error({.what = "the field '" + key + "' is missing",
                 .where = where_,
                 .expected = "a tokenizer.json as Hugging Face tokenizers write it"});
  }
  return *value_.find(key);
}

namespace {

[[noreturn]] void throw_wrong_type(const nlohmann::json& value, const std::string& where,
                                   const char* expected) {
  throw Error({.what = std::string("found a JSON ") + value.type_name(),
               .where = where,
               .expected = expected});
}

}  // namespace

std::string Fields::string(const std::string& key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_string()) throw_wrong_type(value, where(key), "a string");
  return value.get<std::string>();
}

std::string Fields::string(const std::string& key, const std::string& otherwise) const {
  return has(key) ? string(key) : otherwise;
}

bool Fields::boolean(const std::string& key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_boolean()) throw_wrong_type(value, where(key), "true or false");
  return value.get<bool>();
}

bool Fields::boolean(const std::string& key, bool otherwise) const {
  return has(key) ? boolean(key) : otherwise;
}

std::int64_t Fields::integer(const std::string& key) const {
  const nlohmann::json& value = at(key);
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) {
    throw_wrong_type(value, where(key), "an integer below 2^63");
  }
  if (!value.is_number_integer()) throw_wrong_type(value, where(key), "an integer");
  return value.get<std::int64_t>();
}

const nlohmann::json& Fields::array(const std::string& key) const {
  const nlohmann::json& value = at(key);
  if (!value.is_array()) throw_wrong_type(value, where(key), "an array");
  return value;
}

void throw_unknown_kind(const std::string& part, const std::string& kind, const std::string& where,
                        const std::string& known) {
  throw Error({.what = "a " + part + " of kind '" + kind + "' is not supported",
               .where = where,
               .expected = "one of " + known});
}

std::vector<PlacedJson> flatten_sequence(const nlohmann::json& value, const std::string& where,
                                         const std::string& list_key) {
  std::vector<PlacedJson> out;
  flatten_into(value, where, list_key, 0, out);
  return out;
}

}  // namespace switchyard::tokenizer
