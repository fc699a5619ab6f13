#include "formats/tokenizer/split_pattern.h"

#include <array>
#include <utility>

#include "formats/tokenizer/unicode.h"
#include "formats/utf8.h"

namespace switchyard::tokenizer {
namespace {

constexpr std::array<std::pair<std::string_view, SplitPattern>, 3> kKnown{{
    {kGpt2Pattern, SplitPattern::gpt2},
    {kLlama3Pattern, SplitPattern::llama3},
    {kQwen2Pattern, SplitPattern::qwen2},
}};

// A text with the class of the character at any position.
struct Cursor {
  std::string_view text;

  bool ends(std::size_t at) const { return at >= text.size(); }
  char byte(std::size_t at) const { return at < text.size() ? text[at] : '\0'; }

  struct Char {
    CharClass kind;
    std::size_t end;
  };
  Char at(std::size_t position) const {
    std::size_t end = position;
    const char32_t c = next_char(text, end);
    return {char_class(c), end};
  }

  bool is(std::size_t position, CharClass kind) const {
    return !ends(position) && at(position).kind == kind;
  }

  // Past the characters of one class, at most `most` of them.
  std::size_t skip(std::size_t position, CharClass kind,
                   std::size_t most = std::string_view::npos) const {
    for (; most > 0 && !ends(position); --most) {
      const Char c = at(position);
      if (c.kind != kind) break;
      position = c.end;
    }
    return position;
  }
};

bool is_newline(char c) { return c == '\r' || c == '\n'; }

// Length of 's 't 're 've 'm 'll 'd at `begin`, 0 if none is there.
std::size_t contraction(std::string_view text, std::size_t begin, bool any_case) {
  const auto letter = [&](std::size_t offset) -> char {
    if (begin + offset >= text.size()) return '\0';
    const char c = text[begin + offset];
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char first = letter(1);
  const char second = letter(2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  if (first == 'l' && second == 'l') return 3;
  // U+017F, the long s, is an s in another case.
  if (any_case && first == '\xC5' && second == '\xBF') return 3;
  return 0;
}

// \s+(?!\S)|\s+ : a run of spaces, less its last one if something else follows and the run has more
// than one.
std::size_t space_run_end(const Cursor& text, std::size_t begin, std::size_t run_end) {
  if (text.ends(run_end)) return run_end;
  const std::size_t last = previous_char_start(text.text, run_end);
  return last > begin ? last : run_end;
}

std::size_t next_gpt2(const Cursor& text, std::size_t begin) {
  if (text.byte(begin) == '\'') {
    const std::size_t length = contraction(text.text, begin, false);
    if (length > 0) return begin + length;
  }
  const bool space = text.byte(begin) == ' ';
  const std::size_t word = begin + (space ? 1 : 0);
  if (!text.ends(word)) {
    const Cursor::Char first = text.at(word);
    if (first.kind != CharClass::space) return text.skip(first.end, first.kind);
  }
  return space_run_end(text, begin, text.skip(begin, CharClass::space));
}

std::size_t next_llama3(const Cursor& text, std::size_t begin, std::size_t most_digits) {
  if (text.byte(begin) == '\'') {
    const std::size_t length = contraction(text.text, begin, true);
    if (length > 0) return begin + length;
  }
  const Cursor::Char first = text.at(begin);
  if (first.kind == CharClass::letter) return text.skip(first.end, CharClass::letter);
  if (first.kind == CharClass::number) return text.skip(begin, CharClass::number, most_digits);
  if (!is_newline(text.byte(begin)) && text.is(first.end, CharClass::letter)) {
    return text.skip(first.end, CharClass::letter);
  }
  const std::size_t symbols = text.byte(begin) == ' ' ? first.end : begin;
  if (text.is(symbols, CharClass::other)) {
    std::size_t end = text.skip(symbols, CharClass::other);
    while (is_newline(text.byte(end))) ++end;
    return end;
  }
  // Only spaces start here: \s*[\r\n]+ reaches to the last newline of the run.
  const std::size_t run_end = text.skip(begin, CharClass::space);
  for (std::size_t i = run_end; i > begin; --i) {
    if (is_newline(text.byte(i - 1))) return i;
  }
  return space_run_end(text, begin, run_end);
}

}  // namespace

std::optional<SplitPattern> recognise_split_pattern(std::string_view pattern) {
  for (const auto& [known, kind] : kKnown) {
    if (pattern == known) return kind;
  }
  return std::nullopt;
}

std::size_t next_piece_end(SplitPattern pattern, std::string_view text, std::size_t begin) {
  switch (pattern) {
    case SplitPattern::gpt2:
      return next_gpt2({text}, begin);
    case SplitPattern::llama3:
      return next_llama3({text}, begin, 3);
    case SplitPattern::qwen2:
      break;
  }
  return next_llama3({text}, begin, 1);
}

}  // namespace switchyard::tokenizer
