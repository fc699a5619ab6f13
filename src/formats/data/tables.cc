#include "formats/data/tables.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

#include "formats/data/text.h"
#include "formats/json.h"

namespace switchyard::data {
namespace {

std::string at_line(const std::string& where, std::size_t line) {
  return where + ": line " + std::to_string(line);
}

std::vector<std::string> cells_of(std::string_view line) {
  std::vector<std::string> cells;
  for (;;) {
    const auto tab = line.find('\t');
    cells.emplace_back(line.substr(0, tab));
    if (tab == std::string_view::npos) return cells;
    line.remove_prefix(tab + 1);
  }
}

}  // namespace

void for_each_jsonl(std::string_view text, const std::string& where,
                    const std::function<void(const nlohmann::json&, std::size_t)>& use) {
  std::size_t number = 0;
  for (const std::string_view line : split_lines(text)) {
    ++number;
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    const std::string place = at_line(where, number);
    const nlohmann::json object = parse_json(line, place);
    const JsonFields checked(object, place);
    use(object, number);
  }
}

std::vector<std::string> read_jsonl(FileSystem& fs, const std::string& path,
                                    std::string_view field) {
  std::vector<std::string> texts;
  for_each_jsonl(read_text(fs, path), path, [&](const nlohmann::json& object, std::size_t line) {
    texts.push_back(JsonFields(object, at_line(path, line)).text(field));
  });
  return texts;
}

std::size_t Table::column(std::string_view name) const {
  const auto it = std::find(columns.begin(), columns.end(), name);
  if (it != columns.end()) return static_cast<std::size_t>(it - columns.begin());
  std::string known;
  for (const std::string& c : columns) known += (known.empty() ? "" : ", ") + shown(c);
  throw Error({.what = "the table has no column " + shown(name),
               .where = where,
               .expected = columns.empty() ? "a table with a header" : "one of " + known,
               .fix = "correct the name"});
}

Table parse_tsv(std::string_view text, bool header, const std::string& where) {
  Table table;
  table.where = where;
  std::size_t width = 0;
  std::size_t number = 0;
  for (const std::string_view line : split_lines(text)) {
    auto cells = cells_of(line);
    if (++number == 1) width = cells.size();
    if (cells.size() != width) {
      throw Error({.what = "the row has " + std::to_string(cells.size()) + " cells",
                   .where = at_line(where, number),
                   .expected = std::to_string(width) + " as in the first line",
                   .fix = "correct the row"});
    }
    if (header && number == 1) {
      table.columns = std::move(cells);
    } else {
      table.rows.push_back(std::move(cells));
    }
  }
  return table;
}

Table read_tsv(FileSystem& fs, const std::string& path, bool header) {
  return parse_tsv(read_text(fs, path), header, path);
}

std::vector<std::pair<std::string, std::string>> read_parallel(FileSystem& fs,
                                                               const std::string& source,
                                                               const std::string& target) {
  const std::string source_text = read_text(fs, source);
  const std::string target_text = read_text(fs, target);
  const auto source_lines = split_lines(source_text);
  const auto target_lines = split_lines(target_text);
  if (source_lines.size() != target_lines.size()) {
    throw Error({.what = "the two sides have " + std::to_string(source_lines.size()) + " and " +
                         std::to_string(target_lines.size()) + " lines",
                 .where = source + ", " + target,
                 .expected = "line by line parallel text",
                 .fix = "give two files that belong together"});
  }
  std::vector<std::pair<std::string, std::string>> pairs;
  pairs.reserve(source_lines.size());
  for (std::size_t i = 0; i < source_lines.size(); ++i)
    pairs.emplace_back(source_lines[i], target_lines[i]);
  return pairs;
}

}  // namespace switchyard::data
