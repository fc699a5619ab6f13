// The "pattern" field of Replace and Split: {"String": "..."} or {"Regex": "..."}.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "formats/tokenizer/json_fields.h"
#include "formats/tokenizer/regex.h"
#include "formats/tokenizer/split_pattern.h"

namespace switchyard::tokenizer {

struct Pattern {
  Regex regex;
  std::optional<std::string> literal;  // the text, where the file gives one
  std::optional<SplitPattern> known;   // a regular expression we match by hand
};

Pattern read_pattern(const JsonFields& owner);

// `text` with every match replaced by `content` as it stands.
std::string replace_all(const Pattern& pattern, std::string_view content, std::string_view text);

}  // namespace switchyard::tokenizer
