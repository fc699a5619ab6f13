#include "cli/bench/size_class.h"

#include <fmt/format.h>

namespace switchyard::cli::bench {

std::string short_count(std::uint64_t n) {
  constexpr const char* kUnits[] = {"", "K", "M", "B", "T"};
  auto value = static_cast<double>(n);
  std::size_t unit = 0;
  // 999.6 would be shown as 1000.
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  std::string digits = fmt::format("{:.{}f}", value, value < 9.95 && unit > 0 ? 1 : 0);
  if (digits.ends_with(".0")) digits.resize(digits.size() - 2);
  return digits + kUnits[unit];
}

std::string size_class(const ModelConfig& config) {
  std::string text =
      fmt::format("{} {}", family_name(config.family), short_count(config.parameters()));
  if (config.moe) text += "-A" + short_count(config.active_parameters());
  return text;
}

}  // namespace switchyard::cli::bench
