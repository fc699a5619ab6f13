// Data that comes line by line: JSONL, tab-separated tables, parallel text.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard::data {

// Calls `use` for each line of JSON. Blank lines are left out. Throws Error with the line number
// (from 1) if a line is not a JSON object. `where` names the file.
void for_each_jsonl(std::string_view text, const std::string& where,
                    const std::function<void(const nlohmann::json& object, std::size_t line)>& use);
// The text in `field` of every line. Throws Error with the line number if a line has no such text.
std::vector<std::string> read_jsonl(FileSystem& fs, const std::string& path,
                                    std::string_view field);

// A table of texts. Every row has as many cells as the first line.
struct Table {
  std::vector<std::string> columns;  // from the header; empty without one
  std::vector<std::vector<std::string>> rows;
  std::string where;  // the file, for messages

  // The column of that name; throws Error naming the known ones.
  std::size_t column(std::string_view name) const;
};

// Cells between tabs, as GLUE has them: no quoting, so a quotation mark is a character like any
// other. Throws Error with the line number if a row has more or fewer cells than the first line.
Table parse_tsv(std::string_view text, bool header, const std::string& where);
Table read_tsv(FileSystem& fs, const std::string& path, bool header);

// Two texts line by line. Throws Error if one has more lines.
std::vector<std::pair<std::string, std::string>> read_parallel(FileSystem& fs,
                                                               const std::string& source,
                                                               const std::string& target);

}  // namespace switchyard::data
