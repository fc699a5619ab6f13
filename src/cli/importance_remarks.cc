#include "cli/importance_remarks.h"

#include <fmt/format.h>

namespace switchyard::cli {

std::vector<std::string> importance_remarks(const ColumnImportance& importance) {
  const ImportanceCoverage& c = importance.coverage();
  const std::string where = "switchyard: " + importance.data().where + ": ";
  std::vector<std::string> lines;
  if (c.unvisited > 0) {
    lines.push_back(fmt::format(
        "{}{} of {} experts saw no token of the text; they are rounded by their layer's mean",
        where, c.unvisited, c.experts));
  }
  if (c.few > 0) {
    lines.push_back(fmt::format(
        "{}{} of {} experts saw fewer than {:.0f} tokens; theirs is mixed with their layer's mean",
        where, c.few, c.experts, ColumnImportance::kPriorTokens));
  }
  if (!c.missing.empty()) {
    lines.push_back(fmt::format(
        "{}nothing is known of {} matri{}, such as {}; all columns count "
        "alike there",
        where, c.missing.size(), c.missing.size() == 1 ? "x" : "ces", c.missing.front()));
  }
  return lines;
}

}  // namespace switchyard::cli
