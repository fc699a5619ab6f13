// Python's string functions on UTF-8: positions and lengths count characters, white space and case
// are Unicode's.
//
// REQUIRES everywhere: well-formed UTF-8.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::chat_template {

bool is_space(char32_t c);

std::string_view strip_begin(std::string_view text);
std::string_view strip_end(std::string_view text);
// Takes the characters of `characters` off the ends instead of white space.
std::string_view strip_begin(std::string_view text, std::string_view characters);
std::string_view strip_end(std::string_view text, std::string_view characters);

std::size_t count_characters(std::string_view text);
std::vector<std::string_view> characters_of(std::string_view text);

std::string upper_case(std::string_view text);
std::string lower_case(std::string_view text);
std::string capitalized(std::string_view text);  // first character upper case, the rest lower
std::string title_case(std::string_view text);   // each word so

// Whether `change`, upper_case or lower_case, leaves the text as it is and the text has letters
// with case.
bool is_all(std::string_view text, std::string (*change)(std::string_view));

// Where `needle` is at or after `from`, npos if nowhere. Linear in both.
std::size_t find_text(std::string_view text, std::string_view needle, std::size_t from = 0);

// At most `most` replacements where it is given.
std::string replace_text(std::string_view text, std::string_view old, std::string_view replacement,
                         std::optional<std::int64_t> most);

// At white space, or at a separator; at most `most` cuts where it is not negative.
std::vector<std::string_view> split_words(std::string_view text, std::int64_t most);
std::vector<std::string_view> split_words_from_end(std::string_view text, std::int64_t most);
std::vector<std::string_view> split_at(std::string_view text, std::string_view separator,
                                       std::int64_t most);
std::vector<std::string_view> split_at_from_end(std::string_view text, std::string_view separator,
                                                std::int64_t most);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

// As Python writes a number with a fraction: the fewest digits that mean it.
std::string real_text(double value);

}  // namespace switchyard::chat_template
