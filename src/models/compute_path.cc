#include "models/compute_path.h"

#include <array>
#include <string>

#include "switchyard/error.h"

namespace switchyard::models {
namespace {

struct Entry {
  ComputePath path;
  std::string_view name;
};
constexpr std::array kPaths{
    Entry{ComputePath::automatic, "auto"},
    Entry{ComputePath::naive, "naive"},
    Entry{ComputePath::grouped, "grouped"},
    Entry{ComputePath::masked_dense, "masked-dense"},
};

}  // namespace

std::string_view path_name(ComputePath path) {
  for (const auto& entry : kPaths) {
    if (entry.path == path) return entry.name;
  }
  return "unknown";
}

ComputePath path_from_name(std::string_view name) {
  std::string known;
  for (const auto& entry : kPaths) {
    if (entry.name == name) return entry.path;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw Error(
      {.what = "unknown compute path '" + std::string(name) + "'", .expected = "one of " + known});
}

ComputePath choose_path(const PathShape& shape) {
  // One expert that everybody uses is a dense layer: two products, nothing to sort.
  if (shape.assignments == shape.items * shape.experts && shape.experts == 1)
    return ComputePath::masked_dense;
  return ComputePath::grouped;
}

}  // namespace switchyard::models
