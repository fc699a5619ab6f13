#include "routing/closest_name.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <vector>

namespace switchyard::routing {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replace = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replace, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view closest_name(std::string_view name, std::span<const std::string_view> known) {
  constexpr std::size_t kLongestName = 64;  // a longer one is not a typing mistake
  if (name.size() > kLongestName) return {};
  std::string_view best;
  std::size_t best_distance = name.size() / 2 + 1;
  for (const std::string_view candidate : known) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

std::string join_names(std::span<const std::string_view> names) {
  std::string line;
  for (const std::string_view name : names) {
    if (!line.empty()) line += ", ";
    line += name;
  }
  return line;
}

}  // namespace switchyard::routing
