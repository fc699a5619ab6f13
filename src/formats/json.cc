#include "formats/json.h"

#include <charconv>
#include <cstdio>
#include <set>
#include <utility>
#include <vector>

#include "switchyard/error.h"

namespace switchyard {
namespace {

constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxQuoted = 120;

// The library's message without its "[json.exception.parse_error.101] " label.
std::string parser_message(const std::exception& error) {
  std::string message = error.what();
  const auto end = message.find("] ");
  if (end != std::string::npos) message.erase(0, end + 2);
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  }
  if (message.size() > 300) message.resize(300);
  return message;
}

}  // namespace

nlohmann::json parse_json(std::string_view text, const std::string& where) {
  using Event = nlohmann::json::parse_event_t;
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, Event event, nlohmann::json& value) {
    if (depth > static_cast<int>(kMaxDepth)) {
      throw Error({.what = "JSON nests deeper than " + std::to_string(kMaxDepth) + " levels",
                   .where = where,
                   .fix = "this is not a file of the expected kind"});
    }
    if (event == Event::object_start) {
      keys.emplace_back();
    } else if (event == Event::object_end) {
      keys.pop_back();
    } else if (event == Event::key) {
      const auto& key = value.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) {
        throw Error({.what = "key " + shown(key) + " stands twice in one JSON object",
                     .where = where,
                     .fix = "remove one of the two"});
      }
    }
    return true;
  };
  // The parser takes a zero byte for the end of the text and would not look at what follows.
  if (text.find('\0') != std::string_view::npos) {
    throw Error({.what = "not valid JSON: it contains a zero byte",
                 .where = where,
                 .expected = "a JSON text"});
  }
  try {
    return nlohmann::json::parse(text.begin(), text.end(), check);
  } catch (const nlohmann::json::exception& error) {
    throw Error({.what = "not valid JSON: " + parser_message(error),
                 .where = where,
                 .expected = "a JSON text",
                 .fix = "get the file again or correct it"});
  }
}

double shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double number = 0;
  std::from_chars(text, end, number);
  return number;
}

std::string shown(std::string_view text) {
  std::string out = "'";
  for (std::size_t i = 0; i < text.size() && i < kMaxQuoted; ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c < 0x7f) {
      out += text[i];
    } else {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", c);
      out += escaped;
    }
  }
  out += text.size() > kMaxQuoted ? "...'" : "'";
  return out;
}

JsonFields::JsonFields(const nlohmann::json& object, std::string where)
    : object_(object), where_(std::move(where)) {
  if (!object.is_object()) {
    throw Error({.what = std::string("found a JSON ") + object.type_name(),
                 .where = where_,
                 .expected = "a JSON object",
                 .fix = "correct the file"});
  }
}

const nlohmann::json* JsonFields::get(std::string_view name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

void JsonFields::fail(std::string_view name, const std::string& expected,
                      const std::string& fix) const {
  const nlohmann::json* value = get(name);
  std::string found;
  if (value != nullptr) {
    found = value->is_structured()
                ? std::string("a JSON ") + value->type_name()
                : value->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    if (found.size() > kMaxQuoted) found = found.substr(0, kMaxQuoted) + "...";
  }
  throw Error({.what = value == nullptr ? "field '" + std::string(name) + "' is missing"
                                        : "field '" + std::string(name) + "' is " + found,
               .where = where_,
               .expected = expected,
               .fix = fix.empty() ? "correct the field" : fix});
}

std::int64_t JsonFields::integer(std::string_view name, std::int64_t low, std::int64_t high,
                                 std::optional<std::int64_t> fallback) const {
  const std::string expected =
      "an integer from " + std::to_string(low) + " to " + std::to_string(high);
  const nlohmann::json* value = get(name);
  if (value == nullptr) {
    if (fallback) return *fallback;
    fail(name, expected);
  }
  if (!value->is_number_integer()) fail(name, expected);
  if (value->is_number_unsigned() &&
      value->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) {
    fail(name, expected);
  }
  const auto number = value->get<std::int64_t>();
  if (number < low || number > high) fail(name, expected);
  return number;
}

double JsonFields::number(std::string_view name, double low, double high,
                          std::optional<double> fallback) const {
  char expected[96];
  std::snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
  const nlohmann::json* value = get(name);
  if (value == nullptr) {
    if (fallback) return *fallback;
    fail(name, expected);
  }
  if (!value->is_number()) fail(name, expected);
  const auto number = value->get<double>();
  if (!(number >= low && number <= high)) fail(name, expected);
  return number;
}

bool JsonFields::boolean(std::string_view name, std::optional<bool> fallback) const {
  const nlohmann::json* value = get(name);
  if (value == nullptr) {
    if (fallback) return *fallback;
    fail(name, "true or false");
  }
  if (!value->is_boolean()) fail(name, "true or false");
  return value->get<bool>();
}

std::string JsonFields::text(std::string_view name, std::optional<std::string> fallback) const {
  const nlohmann::json* value = get(name);
  if (value == nullptr) {
    if (fallback) return *fallback;
    fail(name, "a text");
  }
  if (!value->is_string()) fail(name, "a text");
  return value->get<std::string>();
}

}  // namespace switchyard
