#include "formats/chat_template/lexer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "switchyard/error.h"

#include "formats/chat_template/text_functions.h"
#include "formats/json.h"
#include "formats/utf8.h"

namespace switchyard::chat_template {
namespace {

using Kind = Token::Kind;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f';
}

constexpr std::array<std::string_view, 6> kLongSymbols = {"==", "!=", "<=", ">=", "//", "**"};
constexpr std::string_view kSymbols = "+-*/%~<>=()[]{},.:|";

// "\r\n" and "\r" become "\n"; one newline at the end goes.
std::string with_plain_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      out += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      out += source[i];
    }
  }
  if (out.ends_with('\n')) out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& where) : source_(source), where_(where) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) text_and_tag();
    add(Kind::end, {});
    return std::move(tokens_);
  }

 private:
  void add(Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  char peek(std::size_t offset = 0) const {
    return at_ + offset < source_.size() ? source_[at_ + offset] : '\0';
  }
  bool starts(std::string_view text) const { return source_.substr(at_).starts_with(text); }

  // Moves on and counts the lines passed.
  void advance(std::size_t count) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         source_.begin() + static_cast<std::ptrdiff_t>(at_ + count),
                                         '\n'));
    at_ += count;
  }

  [[noreturn]] void fail(const std::string& what, const std::string& expected = {}) const {
    fail_at(where_, line_, what, expected);
  }

  // Text up to the next tag, then that tag.
  void text_and_tag() {
    std::size_t open = at_;
    for (;; ++open) {
      open = source_.find('{', open);
      if (open == std::string_view::npos || open + 1 >= source_.size()) {
        take_text(source_.substr(at_));
        advance(source_.size() - at_);
        return;
      }
      const char next = source_[open + 1];
      if (next == '{' || next == '%' || next == '#') break;
    }
    const char tag = source_[open + 1];
    const char sign = open + 2 < source_.size() ? source_[open + 2] : '\0';
    const std::string_view text = source_.substr(at_, open - at_);
    take_text(before_tag(text, tag, sign));
    advance(open - at_ + 2);
    if (sign == '-' || sign == '+') advance(1);
    if (tag == '#') {
      comment();
    } else if (tag == '%' && is_raw()) {
      raw();
    } else {
      tag_content(tag == '%');
    }
  }

  void take_text(std::string_view text) {
    if (!text.empty()) add(Kind::text, std::string(text));
  }

  // The text less what the tag behind it takes.
  std::string_view before_tag(std::string_view text, char tag, char sign) const {
    if (sign == '-') return strip_end(text);
    if (sign == '+' || tag == '{') return text;
    const std::size_t newline = text.rfind('\n');
    if (newline == std::string_view::npos && !line_starts_) return text;
    const std::size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    return strip_end(text.substr(begin)).empty() ? text.substr(0, begin) : text;
  }

  // Behind the tag that ended at at_: takes what it takes. `trims`: it is no output.
  void after_tag(char sign, bool trims) {
    const std::size_t begin = at_;
    if (sign == '-') {
      const std::string_view rest = source_.substr(at_);
      advance(rest.size() - strip_begin(rest).size());
    } else if (trims && sign != '+' && peek() == '\n') {
      advance(1);
    }
    line_starts_ = at_ > begin && source_[at_ - 1] == '\n';
  }

  void comment() {
    const std::size_t end = source_.find("#}", at_);
    if (end == std::string_view::npos) fail("a comment is not closed", "'#}'");
    const char sign = end > at_ ? source_[end - 1] : '\0';
    advance(end + 2 - at_);
    after_tag(sign == '-' || sign == '+' ? sign : '\0', true);
  }

  // Matches "raw %}" from at_; the sign before '%' in `sign`.
  std::optional<std::size_t> word_and_end(std::string_view word, std::size_t from,
                                          char& sign) const {
    std::size_t i = from;
    const auto skip = [&] {
      while (i < source_.size() && is_blank(source_[i])) ++i;
    };
    skip();
    if (!source_.substr(i).starts_with(word)) return std::nullopt;
    i += word.size();
    skip();
    sign = '\0';
    if (i < source_.size() && (source_[i] == '-' || source_[i] == '+')) sign = source_[i++];
    if (!source_.substr(i).starts_with("%}")) return std::nullopt;
    return i + 2;
  }

  bool is_raw() const {
    char sign = '\0';
    return word_and_end("raw", at_, sign).has_value();
  }

  void raw() {
    char sign = '\0';
    advance(*word_and_end("raw", at_, sign) - at_);
    after_tag(sign, true);
    for (std::size_t open = source_.find("{%", at_); open != std::string_view::npos;
         open = source_.find("{%", open + 2)) {
      std::size_t name = open + 2;
      const char before = name < source_.size() ? source_[name] : '\0';
      if (before == '-' || before == '+') ++name;
      const auto end = word_and_end("endraw", name, sign);
      if (!end) continue;
      take_text(before_tag(source_.substr(at_, open - at_), '%', before));
      advance(*end - at_);
      after_tag(sign, true);
      return;
    }
    fail("a raw block is not closed", "{% endraw %}");
  }

  // The tokens of an output or a block, and its end.
  void tag_content(bool block) {
    const int opened = line_;
    add(block ? Kind::block_begin : Kind::output_begin, {});
    const std::string_view close = block ? "%}" : "}}";
    std::string open_brackets;  // what closes each
    for (;;) {
      while (at_ < source_.size() && is_blank(peek())) advance(1);
      if (at_ >= source_.size()) {
        fail_at(where_, opened, "a tag is not closed", "'" + std::string(close) + "'");
      }
      if (open_brackets.empty()) {
        const bool sign = peek() == '-' || peek() == '+';
        if (starts(close) || (sign && source_.substr(at_ + 1).starts_with(close))) {
          const char which = sign ? peek() : '\0';
          add(block ? Kind::block_end : Kind::output_end, {});
          advance(close.size() + (sign ? 1 : 0));
          after_tag(which, block);
          return;
        }
      }
      token(open_brackets);
    }
  }

  void token(std::string& open_brackets) {
    const char c = peek();
    if (is_name_start(c)) return name();
    if (is_digit(c)) return number();
    if (c == '"' || c == '\'') return string(c);
    for (const std::string_view symbol : kLongSymbols) {
      if (!starts(symbol)) continue;
      add(Kind::symbol, std::string(symbol));
      return advance(symbol.size());
    }
    if (kSymbols.find(c) == std::string_view::npos) {
      fail("the character " + shown(source_.substr(at_, 1)) + " means nothing in a tag");
    }
    if (c == '(') open_brackets += ')';
    if (c == '[') open_brackets += ']';
    if (c == '{') open_brackets += '}';
    if (c == ')' || c == ']' || c == '}') {
      const std::string found = std::string("'") + c + "'";
      if (open_brackets.empty()) fail(found + " closes nothing");
      if (open_brackets.back() != c) {
        fail("found " + found, std::string("'") + open_brackets.back() + "'");
      }
      open_brackets.pop_back();
    }
    add(Kind::symbol, std::string(1, c));
    advance(1);
  }

  void name() {
    std::size_t length = 1;
    while (is_name_start(peek(length)) || is_digit(peek(length))) ++length;
    add(Kind::name, std::string(source_.substr(at_, length)));
    advance(length);
  }

  void number() {
    std::size_t length = 1;
    while (is_digit(peek(length)) || (peek(length) == '_' && is_digit(peek(length + 1)))) ++length;
    bool real = false;
    if (peek(length) == '.' && is_digit(peek(length + 1))) {
      real = true;
      ++length;
      while (is_digit(peek(length))) ++length;
    }
    const char exponent = peek(length);
    if (exponent == 'e' || exponent == 'E') {
      const bool sign = peek(length + 1) == '+' || peek(length + 1) == '-';
      if (is_digit(peek(length + (sign ? 2 : 1)))) {
        real = true;
        length += sign ? 2 : 1;
        while (is_digit(peek(length))) ++length;
      }
    }
    std::string text(source_.substr(at_, length));
    std::erase(text, '_');
    add(real ? Kind::real : Kind::integer, std::move(text));
    advance(length);
  }

  void string(char quote) {
    std::string out;
    const int opened = line_;
    advance(1);
    while (peek() != quote || at_ >= source_.size()) {
      if (at_ >= source_.size()) fail_at(where_, opened, "a string is not closed");
      if (peek() == '\\') {
        escape(out);
      } else {
        out += peek();
        advance(1);
      }
    }
    advance(1);
    tokens_.push_back({Kind::string, std::move(out), opened});
  }

  // Python's escapes.
  void escape(std::string& out) {
    constexpr std::string_view kLetters = "abfnrtv\\'\"";
    constexpr std::string_view kMeanings = "\a\b\f\n\r\t\v\\'\"";
    if (at_ + 1 >= source_.size()) fail("a string is not closed");
    const char letter = peek(1);
    if (letter == '\n') return advance(2);
    if (const std::size_t i = kLetters.find(letter); i != std::string_view::npos) {
      out += kMeanings[i];
      return advance(2);
    }
    if (letter >= '0' && letter <= '7') {
      std::size_t digits = 1;
      while (digits < 3 && peek(1 + digits) >= '0' && peek(1 + digits) <= '7') ++digits;
      return code_point(out, 1, digits, 8);
    }
    if (letter == 'x') return code_point(out, 2, 2, 16);
    if (letter == 'u') return code_point(out, 2, 4, 16);
    if (letter == 'U') return code_point(out, 2, 8, 16);
    out += '\\';
    advance(1);
  }

  void code_point(std::string& out, std::size_t skip, std::size_t digits, std::uint32_t base) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      const char c = peek(skip + i);
      const int digit = is_digit(c)            ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : 99;
      if (digit >= static_cast<int>(base)) fail("an escape in a string lacks digits");
      value = value * base + static_cast<std::uint64_t>(digit);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
      fail("an escape in a string names no character");
    }
    append_utf8(out, static_cast<char32_t>(value));
    advance(skip + digits);
  }

  std::string_view source_;
  const std::string& where_;
  std::size_t at_ = 0;
  int line_ = 1;
  bool line_starts_ = true;  // the text at at_ begins a line
  std::vector<Token> tokens_;
};

}  // namespace

void fail_at(const std::string& where, int line, const std::string& what,
             const std::string& expected) {
  throw Error({.what = what,
               .where = where + ": line " + std::to_string(line),
               .expected = expected,
               .fix = {}});
}

std::vector<Token> lex(std::string_view source, const std::string& where) {
  const std::string plain = with_plain_newlines(source);
  return Lexer(plain, where).run();
}

}  // namespace switchyard::chat_template
