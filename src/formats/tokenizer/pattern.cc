#include "formats/tokenizer/pattern.h"

#include "switchyard/error.h"

namespace switchyard::tokenizer {

Pattern read_pattern(const Fields& owner) {
  const std::string where = owner.where("pattern");
  const nlohmann::json& value = owner.at("pattern");
  // Old files give the text itself.
  const bool plain = value.is_string();
  if (plain || Fields(value, where).has("String")) {
    const std::string text =
        plain ? value.get<std::string>() : Fields(value, where).string("String");
    if (text.empty()) {
      throw Error({.what = "the pattern is empty", .where = where, .expected = "some text"});
    }
    return {Regex::literal(text, where), text, std::nullopt};
  }
  const std::string expression = Fields(value, where).string("Regex");
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
