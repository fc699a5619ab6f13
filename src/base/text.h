// Text as it is shown: width on a terminal, escaping for markup, times for people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace switchyard {

// Takes the next code point off the front of `text`, which must not be empty. A byte that does not
// start well-formed UTF-8 is taken alone and gives U+FFFD.
char32_t take_code_point(std::string_view& text);

// Terminal cells the text takes: 0 for combining marks, 2 for East Asian wide characters and emoji,
// 1 for all others. Sequences joined into one picture are counted by their parts.
std::size_t display_width(std::string_view text);

// The text, cut to at most `width` cells; "…" stands for what was cut.
std::string fit_width(std::string_view text, std::size_t width);

// For XML and HTML, in elements and in quoted attributes. Characters that XML forbids and bytes
// that are not UTF-8 become U+FFFD, so the document is always well formed.
std::string escape_markup(std::string_view text);

// "0:07", "12:34", "1:02:03", "3d 04:05"; "?" for what is not a finite number of seconds or is
// negative.
std::string format_duration(double seconds);

// Three significant digits: "0.0123", "4.50", "678", "12345", "1.23e+09", "nan".
std::string format_significant(double value);

}  // namespace switchyard
