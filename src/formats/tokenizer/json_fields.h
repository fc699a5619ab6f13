// What tokenizer files need beyond JsonFields: fields that must be there, places for errors,
// sequences.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "formats/json.h"

namespace switchyard::tokenizer {

// A field that must not be absent or null.
const nlohmann::json& required(const JsonFields& fields, const std::string& name);
const nlohmann::json& required_array(const JsonFields& fields, const std::string& name);

// "tokenizer.json: normalizer" and "content" give "tokenizer.json: normalizer.content".
std::string place(const JsonFields& fields, const std::string& name);

// A string of exactly one character.
std::string one_character(const JsonFields& fields, const std::string& name);

[[noreturn]] void throw_unknown_kind(const std::string& part, const std::string& kind,
                                     const std::string& where, const std::string& known);

// The items of a "Sequence", flattened: sequences inside sequences in place. Anything else is a
// sequence of one.
struct PlacedJson {
  const nlohmann::json* value;
  std::string where;
};
std::vector<PlacedJson> flatten_sequence(const nlohmann::json& value, const std::string& where,
                                         const std::string& list_name);

}  // namespace switchyard::tokenizer
