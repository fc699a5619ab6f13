// Reading a JSON object from a file nobody vouches for: every access names the field it misses or
// finds of the wrong kind.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace switchyard::tokenizer {

class Fields {
 public:
  // Throws if `value` is not an object. `where`: the file and the path to this object, for errors.
  Fields(const nlohmann::json& value, std::string where);

  const std::string& where() const { return where_; }
  std::string where(const std::string& key) const { return where_ + ": " + key; }

  // Absent and null are the same in these files.
  bool has(const std::string& key) const;
  const nlohmann::json& at(const std::string& key) const;

  std::string string(const std::string& key) const;
  std::string string(const std::string& key, const std::string& otherwise) const;
  bool boolean(const std::string& key) const;
  bool boolean(const std::string& key, bool otherwise) const;
  std::int64_t integer(const std::string& key) const;
  const nlohmann::json& array(const std::string& key) const;

  // The field "type", which selects among kinds.
  std::string type() const { return string("type"); }

 private:
  const nlohmann::json& value_;
  std::string where_;
};

// "a normalizer of kind 'X' is not supported (...)".
[[noreturn]] void throw_unknown_kind(const std::string& part, const std::string& kind,
                                     const std::string& where, const std::string& known);

// The items of a "Sequence", flattened: sequences inside sequences in place. Each with its place in
// the file.
struct PlacedJson {
  const nlohmann::json* value;
  std::string where;
};
std::vector<PlacedJson> flatten_sequence(const nlohmann::json& value, const std::string& where,
                                         const std::string& list_key);

}  // namespace switchyard::tokenizer
