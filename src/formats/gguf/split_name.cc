#include "formats/gguf/split_name.h"

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace switchyard {
namespace {

constexpr std::size_t kDigits = 5;
constexpr std::string_view kOf = "-of-";
constexpr std::string_view kExtension = ".gguf";

int digits(std::string_view text) {
  int number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return 0;
    number = 10 * number + (c - '0');
  }
  return number;
}

}  // namespace

std::string GgufSplitName::path() const {
  char suffix[64];
  std::snprintf(suffix, sizeof suffix, "-%05d-of-%05d.gguf", number, count);
  return stem + suffix;
}

std::optional<GgufSplitName> parse_gguf_split_name(const std::string& path) {
  constexpr std::size_t kSuffix = 1 + kDigits + kOf.size() + kDigits + kExtension.size();
  if (path.size() < kSuffix) return std::nullopt;
  const auto suffix = std::string_view(path).substr(path.size() - kSuffix);
  GgufSplitName name{.stem = path.substr(0, path.size() - kSuffix),
                     .number = digits(suffix.substr(1, kDigits)),
                     .count = digits(suffix.substr(1 + kDigits + kOf.size(), kDigits))};
  if (name.number < 1 || name.number > name.count || name.path() != path) return std::nullopt;
  return name;
}

}  // namespace switchyard
