#include <array>
#include <utility>

#include "switchyard/error.h"

#include "formats/json.h"
#include "formats/tokenizer/regex.h"

namespace switchyard::tokenizer {
namespace {

// What an escape means in Oniguruma, spelled for PCRE2 outside a class and inside one. PCRE2's own
// \s knows U+180E as a space, its \w (before 10.43) knows no marks, and its \h is horizontal space
// instead of a hexadecimal digit.
struct Escape {
  char letter;
  std::string_view outside;
  std::string_view inside;  // empty: cannot be said inside a class
};
constexpr std::array<Escape, 10> kEscapes{{
    {'s', R"(\p{White_Space})", R"(\p{White_Space})"},
    {'S', R"(\P{White_Space})", R"(\P{White_Space})"},
    {'w', R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])", R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc})"},
    {'W', R"([^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])", ""},
    {'h', "[0-9A-Fa-f]", "0-9A-Fa-f"},
    {'H', "[^0-9A-Fa-f]", ""},
    {'d', R"(\p{Nd})", R"(\p{Nd})"},
    {'D', R"(\P{Nd})", R"(\P{Nd})"},
    {'b',
     R"((?:(?<=[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])(?![\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])|)"
     R"((?<![\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])(?=[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])))",
     R"(\b)"},
    {'B',
     R"((?:(?<=[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])(?=[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])|)"
     R"((?<![\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])(?![\p{Alphabetic}\p{M}\p{Nd}\p{Pc}])))",
     ""},
}};

// Escapes the two languages read differently and no tokenizer file needs.
constexpr std::string_view kRefusedEscapes = "CELNOQU";

[[noreturn]] void refuse(const std::string& what, std::string_view pattern,
                         const std::string& where) {
  throw Error({.what = what + " in the regular expression " + shown(pattern),
               .where = where,
               .expected = "plain classes, alternatives, groups, look-ahead and quantifiers",
               .fix = "write the pattern without it"});
}

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& where)
      : pattern_(pattern), where_(where) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\') {
        escape();
      } else if (in_class_) {
        class_char(c);
      } else if (c == '[') {
        open_class();
      } else if (c == '(') {
        open_group();
      } else if (c == '}' && after_quantifier('+')) {
        // Oniguruma repeats the repetition, PCRE2 makes it possessive.
        refuse("'{n,m}+'", pattern_, where_);
      } else {
        take(1);
      }
    }
    return std::move(out_);
  }

 private:
  void take(std::size_t count) {
    out_ += pattern_.substr(at_, count);
    at_ += count;
  }

  bool after_quantifier(char next) const {
    return at_ + 1 < pattern_.size() && pattern_[at_ + 1] == next && in_braces_quantifier();
  }

  // Whether the '}' at at_ closes "{3}", "{1,}" or "{1,3}".
  bool in_braces_quantifier() const {
    std::size_t i = at_;
    while (i > 0 &&
           (pattern_[i - 1] == ',' || (pattern_[i - 1] >= '0' && pattern_[i - 1] <= '9'))) {
      --i;
    }
    return i > 0 && i < at_ && pattern_[i - 1] == '{';
  }

  void escape() {
    if (at_ + 1 == pattern_.size()) refuse("a '\\' at the end", pattern_, where_);
    const char letter = pattern_[at_ + 1];
    for (const Escape& known : kEscapes) {
      if (known.letter != letter) continue;
      const std::string_view meaning = in_class_ ? known.inside : known.outside;
      if (meaning.empty())
        refuse(std::string("'\\") + letter + "' inside a class", pattern_, where_);
      out_ += meaning;
      at_ += 2;
      return;
    }
    if (kRefusedEscapes.find(letter) != std::string_view::npos) {
      refuse(std::string("'\\") + letter + "'", pattern_, where_);
    }
    take(2);
  }

  // "(?m" makes '.' match newlines there and changes ^ and $ here; "(*" is a PCRE2 directive.
  void open_group() {
    const std::string_view rest = pattern_.substr(at_);
    if (rest.starts_with("(*")) refuse("'(*'", pattern_, where_);
    if (rest.starts_with("(?")) {
      for (std::size_t i = 2;
           i < rest.size() && (rest[i] == '-' || (rest[i] >= 'a' && rest[i] <= 'z')); ++i) {
        if (rest[i] == 'm' || rest[i] == 's') refuse("the flag 'm' or 's'", pattern_, where_);
      }
    }
    take(1);
  }

  void open_class() {
    in_class_ = true;
    take(1);
    if (at_ < pattern_.size() && pattern_[at_] == '^') take(1);
    if (at_ < pattern_.size() && pattern_[at_] == ']') {  // a literal ']' stands first
      out_ += '\\';
      take(1);
    }
  }

  void class_char(char c) {
    if (c == ']') in_class_ = false;
    const std::string_view rest = pattern_.substr(at_);
    if (rest.starts_with("&&")) refuse("'&&' inside a class", pattern_, where_);
    if (rest.starts_with("[:")) {
      const std::size_t end = rest.find(":]");
      if (end == std::string_view::npos) refuse("an unclosed '[:'", pattern_, where_);
      take(end + 2);
      return;
    }
    if (c == '[') refuse("a class inside a class", pattern_, where_);
    take(1);
  }

  std::string_view pattern_;
  const std::string& where_;
  std::size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

std::string translate_oniguruma(std::string_view pattern, const std::string& where) {
  return Translator(pattern, where).run();
}

}  // namespace switchyard::tokenizer
