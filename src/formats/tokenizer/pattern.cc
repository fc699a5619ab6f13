#include "formats/tokenizer/pattern.h"

namespace switchyard::tokenizer {

Pattern read_pattern(const JsonFields& owner) {
  const std::string where = place(owner, "pattern");
  const nlohmann::json& value = required(owner, "pattern");
  // Old files give the text itself.
  const bool plain = value.is_string();
  if (plain || JsonFields(value, where).has("String")) {
    std::string text = plain ? owner.text("pattern") : JsonFields(value, where).text("String");
    if (text.empty()) owner.fail("pattern", "some text to look for");
    return {Regex::literal(text, where), text, std::nullopt};
  }
  const std::string expression = JsonFields(value, where).text("Regex");
  return {Regex(expression, where), std::nullopt, recognise_split_pattern(expression)};
}

std::string replace_all(const Pattern& pattern, std::string_view content, std::string_view text) {
  std::string out;
  out.reserve(text.size());
  std::size_t copied = 0;
  const auto replace = [&](std::size_t begin, std::size_t end) {
    out.append(text.substr(copied, begin - copied));
    out += content;
    copied = end;
  };
  if (pattern.literal) {
    const std::string& needle = *pattern.literal;
    for (std::size_t i = text.find(needle); i != std::string_view::npos;
         i = text.find(needle, copied)) {
      replace(i, i + needle.size());
    }
  } else {
    pattern.regex.for_each_match(text, replace);
  }
  out.append(text.substr(copied));
  return out;
}

}  // namespace switchyard::tokenizer
