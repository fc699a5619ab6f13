#include "base/byte_size.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <optional>

#include "switchyard/error.h"

namespace switchyard {
namespace {

constexpr std::string_view kPrefixes = "kmgtpe";

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// The number a text starts with, without sign, exponent, hex, nan or inf; `text` becomes what
// follows it.
std::optional<double> take_number(std::string_view& text) {
  const auto length = std::min(text.find_first_not_of("0123456789."), text.size());
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + length, value, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + length) return std::nullopt;
  text = trim(text.substr(length));
  return value;
}

// 1 for "" and "B", 2^20 for "M" and "MiB", 10^6 for "MB".
std::optional<double> unit_factor(std::string_view unit) {
  std::string lower(unit);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (lower.empty() || lower == "b") return 1.0;
  const auto power = kPrefixes.find(lower[0]);
  if (power == std::string_view::npos) return std::nullopt;
  const std::string rest = lower.substr(1);
  const auto exponent = static_cast<double>(power + 1);
  if (rest.empty() || rest == "ib") return std::pow(1024.0, exponent);
  if (rest == "b") return std::pow(1000.0, exponent);
  return std::nullopt;
}

}  // namespace

std::uint64_t parse_bytes(std::string_view text, std::string_view where) {
  std::string_view rest = trim(text);
  const auto number = take_number(rest);
  const auto factor = unit_factor(rest);
  if (!number || !factor) {
    throw Error({.what = fmt::format("'{}' is not a size", text),
                 .where = std::string(where),
                 .expected = "a number of bytes such as 1.5GiB, 512MB or 1073741824"});
  }
  const double bytes = std::floor(*number * *factor);
  if (!(bytes < 0x1p64)) {
    throw Error({.what = fmt::format("'{}' is too large", text),
                 .where = std::string(where),
                 .expected = "less than 16 EiB"});
  }
  return static_cast<std::uint64_t>(bytes);
}

bool is_share(std::string_view text) {
  const std::string_view trimmed = trim(text);
  return !trimmed.empty() && trimmed.back() == '%';
}

double parse_share(std::string_view text, std::string_view where) {
  std::string_view rest = trim(text);
  const auto number = take_number(rest);
  if (!number || rest != "%" || !(*number > 0) || *number > 100) {
    throw Error({.what = fmt::format("'{}' is not a share", text),
                 .where = std::string(where),
                 .expected = "more than 0% and at most 100%, such as 25%"});
  }
  return *number / 100;
}

std::string format_bytes(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  std::size_t power = 0;
  do {
    value /= 1024;
    ++power;
  } while (value >= 1023.5 && power < kPrefixes.size());  // 1023.7 KiB would be printed as 1024
  const char prefix = static_cast<char>(std::toupper(kPrefixes[power - 1]));
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}iB", value, decimals, prefix);
}

}  // namespace switchyard
