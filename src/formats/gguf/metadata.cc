#include <array>
#include <cmath>
#include <cstdio>
#include <type_traits>
#include <utility>

#include "switchyard/error.h"
#include "switchyard/gguf.h"

#include "base/check.h"
#include "formats/json.h"

namespace switchyard {
namespace {

constexpr std::array<std::string_view, std::variant_size_v<GgufValue>> kTypeNames = {
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"};

template <typename T>
constexpr bool kIsInteger = std::is_integral_v<T> && !std::is_same_v<T, bool>;

// The value as a signed number; nullopt where it is no integer or above 2^63 - 1.
template <typename T>
std::optional<std::int64_t> as_integer(const T& value) {
  if constexpr (kIsInteger<T>) {
    if (std::in_range<std::int64_t>(value)) return static_cast<std::int64_t>(value);
  }
  return std::nullopt;
}

std::string number_text(double value) {
  std::string text(32, '\0');
  text.resize(static_cast<std::size_t>(std::snprintf(text.data(), text.size(), "%.9g", value)));
  return text;
}

// The value for a message: short whatever it is.
std::string value_text(const GgufValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, bool>) {
          return v ? "true" : "false";
        } else if constexpr (std::is_same_v<T, std::string>) {
          return shown(v);
        } else if constexpr (std::is_same_v<T, GgufArray>) {
          return "an array of " + std::to_string(v.size()) + " " +
                 std::string(gguf_type_name(v.element_type()));
        } else if constexpr (std::is_floating_point_v<T>) {
          return number_text(v);
        } else {
          return std::to_string(v);
        }
      },
      value);
}

std::string range_text(const std::string& what, const std::string& low, const std::string& high) {
  return what + " from " + low + " to " + high;
}

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  return kTypeNames.at(static_cast<std::size_t>(type));
}

std::size_t GgufArray::size() const {
  return std::visit([](const auto& v) { return v.size(); }, values);
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

void GgufMetadata::set(std::string key, GgufValue value) {
  values_.insert_or_assign(std::move(key), std::move(value));
}

void GgufMetadata::fail(std::string_view key, const std::string& expected,
                        const std::string& fix) const {
  const GgufValue* value = find(key);
  const std::string name = "key " + shown(key);
  throw Error({.what = value == nullptr ? name + " is missing" : name + " is " + value_text(*value),
               .where = where_,
               .expected = expected,
               .fix = fix});
}

std::int64_t GgufMetadata::integer(std::string_view key, std::int64_t low, std::int64_t high,
                                   std::optional<std::int64_t> fallback) const {
  const GgufValue* value = find(key);
  if (value == nullptr && fallback) return *fallback;
  const auto number = value == nullptr
                          ? std::nullopt
                          : std::visit([](const auto& v) { return as_integer(v); }, *value);
  if (!number || *number < low || *number > high) {
    fail(key, range_text("an integer", std::to_string(low), std::to_string(high)));
  }
  return *number;
}

double GgufMetadata::number(std::string_view key, double low, double high,
                            std::optional<double> fallback) const {
  const GgufValue* value = find(key);
  if (value == nullptr && fallback) return *fallback;
  const auto number = value == nullptr
                          ? std::nullopt
                          : std::visit(
                                [](const auto& v) -> std::optional<double> {
                                  using T = std::decay_t<decltype(v)>;
                                  if constexpr (kIsInteger<T> || std::is_floating_point_v<T>) {
                                    return static_cast<double>(v);
                                  } else {
                                    return std::nullopt;
                                  }
                                },
                                *value);
  // Written so that a NaN fails.
  if (!number || !(*number >= low && *number <= high) || !std::isfinite(*number)) {
    fail(key, range_text("a number", number_text(low), number_text(high)));
  }
  return *number;
}

bool GgufMetadata::boolean(std::string_view key, std::optional<bool> fallback) const {
  const GgufValue* value = find(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr || gguf_type(*value) != GgufType::boolean) fail(key, "true or false");
  return std::get<bool>(*value);
}

std::string GgufMetadata::text(std::string_view key, std::optional<std::string> fallback) const {
  const GgufValue* value = find(key);
  if (value == nullptr && fallback) return *fallback;
  if (value == nullptr || gguf_type(*value) != GgufType::string) fail(key, "a text");
  return std::get<std::string>(*value);
}

const GgufArray& GgufMetadata::array(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr || gguf_type(*value) != GgufType::array) fail(key, "an array");
  return std::get<GgufArray>(*value);
}

const std::vector<std::string>& GgufMetadata::texts(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value != nullptr && gguf_type(*value) == GgufType::array) {
    const auto* texts = std::get_if<std::vector<std::string>>(&std::get<GgufArray>(*value).values);
    if (texts != nullptr) return *texts;
  }
  fail(key, "an array of texts");
}

std::vector<std::int64_t> GgufMetadata::integers(std::string_view key, std::int64_t low,
                                                 std::int64_t high) const {
  const std::string expected =
      range_text("an array of integers", std::to_string(low), std::to_string(high));
  const GgufValue* value = find(key);
  if (value == nullptr || gguf_type(*value) != GgufType::array) fail(key, expected);
  std::vector<std::int64_t> out;
  std::visit(
      [&](const auto& v) {
        using T = typename std::decay_t<decltype(v)>::value_type;
        if constexpr (kIsInteger<T>) {
          out.reserve(v.size());
          for (const T element : v) {
            const auto number = as_integer(element);
            if (!number || *number < low || *number > high) fail(key, expected);
            out.push_back(*number);
          }
        } else {
          fail(key, expected);
        }
      },
      std::get<GgufArray>(*value).values);
  return out;
}

std::vector<float> GgufMetadata::floats(std::string_view key) const {
  const GgufValue* value = find(key);
  if (value == nullptr || gguf_type(*value) != GgufType::array) fail(key, "an array of numbers");
  std::vector<float> out;
  std::visit(
      [&](const auto& v) {
        using T = typename std::decay_t<decltype(v)>::value_type;
        if constexpr (std::is_floating_point_v<T>) {
          out.assign(v.begin(), v.end());
        } else {
          fail(key, "an array of f32 or f64");
        }
      },
      std::get<GgufArray>(*value).values);
  return out;
}

}  // namespace switchyard
