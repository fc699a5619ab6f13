// JSON from files we did not write: strict, with a depth limit, and with errors that name the file
// and the field.
//
// Thread rule: pure functions.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace switchyard {

// Parses one JSON value. Throws Error naming `where` if the text is not JSON, nests deeper than 64,
// or has an object in which a key stands twice (which of the two holds is anyone's guess).
nlohmann::json parse_json(std::string_view text, const std::string& where);

// `text` between quotation marks with control characters and bytes outside ASCII escaped, cut after
// 120 bytes: what a hostile file calls its tensors must not reach a terminal as it is.
std::string shown(std::string_view text);

// The decimal number a person would write for this fp32: 1e-05, not 9.999999747378752e-06.
double shortest(float value);

// Access to the fields of one JSON object. Each getter throws Error naming the file, the field, the
// value and what it may be. A field that is null counts as absent.
//
//   JsonFields fields(json, "config.json");
//   const int layers = fields.integer("num_hidden_layers", 1, 1 << 14);
class JsonFields {
 public:
  // Throws Error if `object` is not an object. Both must outlive the JsonFields.
  JsonFields(const nlohmann::json& object, std::string where);

  bool has(std::string_view name) const { return get(name) != nullptr; }
  // The value, nullptr if absent or null.
  const nlohmann::json* get(std::string_view name) const;
  const std::string& where() const { return where_; }

  std::int64_t integer(std::string_view name, std::int64_t low, std::int64_t high,
                       std::optional<std::int64_t> fallback = std::nullopt) const;
  double number(std::string_view name, double low, double high,
                std::optional<double> fallback = std::nullopt) const;
  bool boolean(std::string_view name, std::optional<bool> fallback = std::nullopt) const;
  std::string text(std::string_view name, std::optional<std::string> fallback = std::nullopt) const;

  // For the caller's own checks: an Error about field `name` as it stands in the file.
  [[noreturn]] void fail(std::string_view name, const std::string& expected,
                         const std::string& fix = {}) const;

 private:
  const nlohmann::json& object_;
  std::string where_;
};

}  // namespace switchyard
