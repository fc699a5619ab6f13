#include "switchyard/error.h"

#include <utility>

namespace switchyard {
namespace {

std::string one_line(const Error::Parts& parts) {
  std::string line = parts.what;
  if (!parts.where.empty()) line += " (" + parts.where + ")";
  if (!parts.expected.empty()) line += "; expected " + parts.expected;
  if (!parts.fix.empty()) line += "; " + parts.fix;
  for (char& c : line) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return line;
}

}  // namespace

Error::Error(Parts parts) : parts_(std::move(parts)), line_(one_line(parts_)) {}

}  // namespace switchyard
