// Text: UTF-8 checked, cut into lines or documents. Views point into the text they were made from.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard::data {

// The whole file (plain, .xz or .gz) without a byte order mark. Throws Error with the byte offset
// if it is not UTF-8.
std::string read_text(FileSystem& fs, const std::string& path);

// Lines without their end, "\n" or "\r\n". A line end at the end of the text starts no further
// line.
std::vector<std::string_view> split_lines(std::string_view text);

// The texts between occurrences of `separator`, such as "<|endoftext|>", without line ends around
// them. Empty ones are left out.
std::vector<std::string_view> split_documents(std::string_view text, std::string_view separator);

struct MarkedDocument {
  std::string_view name;  // between <| and |>
  std::string_view text;  // without line ends around it
};

// Documents that each begin with a line "<|name|>". Text before the first such line is left out.
std::vector<MarkedDocument> split_marked_documents(std::string_view text);

}  // namespace switchyard::data
