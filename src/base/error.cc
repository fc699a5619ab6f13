#include "switchyard/error.h"

#include <utility>

namespace switchyard {
namespace {

std::string one_line(const Error::Parts& parts) {
  std::string line = parts.what;
  if (!parts.where.empty()) line += " (" + parts.where + ")";
  if (!parts.expected.empty()) line += "; expected " + parts.expected;
  if (!parts.fix.empty()) line += "; " + parts.fix;
  // Names from files may hold anything; a control character must not break the line or steer the
  // terminal.
  for (char& c : line) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = ' ';
  }
  return line;
}

}  // namespace

Error::Error(Parts parts) : parts_(std::move(parts)), line_(one_line(parts_)) {}

}  // namespace switchyard
