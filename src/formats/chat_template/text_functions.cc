#include "formats/chat_template/text_functions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utf8proc.h>

#include "formats/tokenizer/unicode.h"
#include "formats/utf8.h"

namespace switchyard::chat_template {
namespace {

bool is_cased(char32_t c) {
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
         category == UTF8PROC_CATEGORY_LT;
}

char32_t upper(char32_t c) {
  return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c)));
}
char32_t lower(char32_t c) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
}

void append_upper(std::string& out, char32_t c) {
  // The one common letter whose capital is two.
  if (c == 0xDF) {
    out += "SS";
  } else {
    append_utf8(out, upper(c));
  }
}

template <typename Drop>  // bool(std::string_view character)
std::string_view strip_begin_if(std::string_view text, Drop drop) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text.front());
    if (!drop(text.substr(0, length))) break;
    text.remove_prefix(length);
  }
  return text;
}

template <typename Drop>
std::string_view strip_end_if(std::string_view text, Drop drop) {
  while (!text.empty()) {
    const std::size_t start = previous_char_start(text, text.size());
    if (!drop(text.substr(start))) break;
    text = text.substr(0, start);
  }
  return text;
}

bool is_space_text(std::string_view character) {
  std::size_t i = 0;
  return is_space(next_char(character, i));
}

auto one_of(std::string_view characters) {
  return [characters](std::string_view c) { return characters.find(c) != std::string_view::npos; };
}

// For long needles: after a mismatch the search goes on without looking back (Knuth, Morris,
// Pratt).
std::size_t find_long(std::string_view text, std::string_view needle) {
  std::vector<std::size_t> border(needle.size(), 0);
  for (std::size_t i = 1, k = 0; i < needle.size(); ++i) {
    while (k > 0 && needle[i] != needle[k]) k = border[k - 1];
    if (needle[i] == needle[k]) ++k;
    border[i] = k;
  }
  for (std::size_t i = 0, k = 0; i < text.size(); ++i) {
    while (k > 0 && text[i] != needle[k]) k = border[k - 1];
    if (text[i] == needle[k]) ++k;
    if (k == needle.size()) return i + 1 - k;
  }
  return std::string_view::npos;
}

}  // namespace

bool is_space(char32_t c) { return tokenizer::is_white_space(c) || (c >= 0x1C && c <= 0x1F); }

std::string_view strip_begin(std::string_view text) { return strip_begin_if(text, is_space_text); }
std::string_view strip_end(std::string_view text) { return strip_end_if(text, is_space_text); }
std::string_view strip_begin(std::string_view text, std::string_view characters) {
  return strip_begin_if(text, one_of(characters));
}
std::string_view strip_end(std::string_view text, std::string_view characters) {
  return strip_end_if(text, one_of(characters));
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::vector<std::string_view> characters_of(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text[i]);
    out.push_back(text.substr(i, length));
    i += length;
  }
  return out;
}

std::string upper_case(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) append_upper(out, next_char(text, i));
  return out;
}

std::string lower_case(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) append_utf8(out, lower(next_char(text, i)));
  return out;
}

std::string capitalized(std::string_view text) {
  if (text.empty()) return {};
  const std::size_t first = utf8_length(text.front());
  return upper_case(text.substr(0, first)) + lower_case(text.substr(first));
}

std::string title_case(std::string_view text) {
  std::string out;
  bool in_word = false;
  for (std::size_t i = 0; i < text.size();) {
    const char32_t c = next_char(text, i);
    if (in_word) {
      append_utf8(out, lower(c));
    } else {
      append_upper(out, c);
    }
    in_word = is_cased(c);
  }
  return out;
}

bool is_all(std::string_view text, std::string (*change)(std::string_view)) {
  return change(text) == text && (upper_case(text) != text || lower_case(text) != text);
}

std::size_t find_text(std::string_view text, std::string_view needle, std::size_t from) {
  constexpr std::size_t kLong = 64;
  if (needle.size() <= kLong) return text.find(needle, from);
  if (from > text.size()) return std::string_view::npos;
  const std::size_t found = find_long(text.substr(from), needle);
  return found == std::string_view::npos ? found : from + found;
}

std::string replace_text(std::string_view text, std::string_view old, std::string_view replacement,
                         std::optional<std::int64_t> most) {
  std::string out;
  std::size_t copied = 0;
  std::int64_t left = most.value_or(-1);
  if (old.empty()) {  // between all characters and at both ends
    for (const std::string_view character : characters_of(text)) {
      if (left != 0) out += replacement;
      if (left > 0) --left;
      out += character;
    }
    if (left != 0) out += replacement;
    return out;
  }
  while (left != 0) {
    const std::size_t found = find_text(text, old, copied);
    if (found == std::string_view::npos) break;
    out += text.substr(copied, found - copied);
    out += replacement;
    copied = found + old.size();
    if (left > 0) --left;
  }
  return out += text.substr(copied);
}

std::vector<std::string_view> split_words(std::string_view text, std::int64_t most) {
  std::vector<std::string_view> out;
  for (text = strip_begin(text); !text.empty(); text = strip_begin(text)) {
    if (most == 0) {
      out.push_back(strip_end(text));
      break;
    }
    if (most > 0) --most;
    std::size_t end = 0;
    while (end < text.size()) {
      std::size_t next = end;
      if (is_space(next_char(text, next))) break;
      end = next;
    }
    out.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return out;
}

std::vector<std::string_view> split_words_from_end(std::string_view text, std::int64_t most) {
  std::vector<std::string_view> out;
  for (text = strip_end(text); !text.empty(); text = strip_end(text)) {
    if (most == 0) {
      out.push_back(strip_begin(text));
      break;
    }
    if (most > 0) --most;
    std::size_t begin = text.size();
    while (begin > 0) {
      const std::size_t start = previous_char_start(text, begin);
      std::size_t next = start;
      if (is_space(next_char(text, next))) break;
      begin = start;
    }
    out.push_back(text.substr(begin));
    text = text.substr(0, begin);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view separator,
                                       std::int64_t most) {
  std::vector<std::string_view> out;
  std::size_t begin = 0;
  for (; most != 0; most -= most > 0 ? 1 : 0) {
    const std::size_t found = find_text(text, separator, begin);
    if (found == std::string_view::npos) break;
    out.push_back(text.substr(begin, found - begin));
    begin = found + separator.size();
  }
  out.push_back(text.substr(begin));
  return out;
}

std::vector<std::string_view> split_at_from_end(std::string_view text, std::string_view separator,
                                                std::int64_t most) {
  const std::string backwards(text.rbegin(), text.rend());
  const std::string separator_backwards(separator.rbegin(), separator.rend());
  std::vector<std::string_view> out;
  std::size_t taken = 0;  // bytes at the end
  for (; most != 0; most -= most > 0 ? 1 : 0) {
    const std::size_t found = find_text(backwards, separator_backwards, taken);
    if (found == std::string_view::npos) break;
    out.push_back(text.substr(text.size() - found, found - taken));
    taken = found + separator.size();
  }
  out.push_back(text.substr(0, text.size() - taken));
  std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> out;
  const auto ends_line = [](char32_t c) {
    return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
  };
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t at = i;
    const char32_t c = next_char(text, i);
    if (!ends_line(c)) continue;
    if (c == '\r' && i < text.size() && text[i] == '\n') ++i;
    out.push_back(text.substr(begin, (keep_ends ? i : at) - begin));
    begin = i;
  }
  if (begin < text.size()) out.push_back(text.substr(begin));
  return out;
}

std::string real_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::scientific);
  const std::string_view written(buffer.data(), static_cast<std::size_t>(end.ptr - buffer.data()));
  const std::size_t e = written.find('e');
  int exponent = 0;
  const std::string_view exponent_text = written.substr(written[e + 1] == '+' ? e + 2 : e + 1);
  std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  constexpr int kSmallestFixed = -4;
  constexpr int kLargestFixed = 16;
  if (exponent < kSmallestFixed || exponent >= kLargestFixed) return std::string(written);
  const auto fixed =
      std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed);
  std::string out(buffer.data(), fixed.ptr);
  if (out.find('.') == std::string::npos) out += ".0";
  return out;
}

}  // namespace switchyard::chat_template
