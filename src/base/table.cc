#include "base/table.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <utility>

#include "switchyard/error.h"

#include "base/byte_size.h"
#include "base/check.h"
#include "base/text.h"

namespace switchyard {
namespace {

constexpr std::string_view kGap = "  ";

std::string padded(const std::string& text, std::size_t width, bool right) {
  const std::size_t used = display_width(text);
  const std::string space(width > used ? width - used : 0, ' ');
  return right ? space + text : text + space;
}

// A cell stays on its line.
std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r' || c == '\t') c = ' ';
  }
  return text;
}

std::string markdown_text(const std::string& text) {
  std::string escaped;
  for (const char c : one_line(text)) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string csv_text(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + "\"";
}

std::string csv_value(const Cell& cell) {
  struct Visitor {
    std::string operator()(std::monostate) const { return ""; }
    std::string operator()(const std::string& text) const { return csv_text(text); }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(std::uint64_t value) const { return fmt::format("{}", value); }
    std::string operator()(double value) const { return fmt::format("{}", value); }
  };
  return std::visit(Visitor{}, cell.value());
}

nlohmann::ordered_json json_value(const Cell& cell) {
  struct Visitor {
    nlohmann::ordered_json operator()(std::monostate) const { return nullptr; }
    nlohmann::ordered_json operator()(double value) const {
      if (!std::isfinite(value)) return nullptr;
      return value;
    }
    nlohmann::ordered_json operator()(const std::string& text) const { return text; }
    nlohmann::ordered_json operator()(bool value) const { return value; }
    nlohmann::ordered_json operator()(std::int64_t value) const { return value; }
    nlohmann::ordered_json operator()(std::uint64_t value) const { return value; }
  };
  return std::visit(Visitor{}, cell.value());
}

}  // namespace

Cell Cell::number(double value, int decimals) {
  return {value, std::isfinite(value) ? fmt::format("{:.{}f}", value, decimals)
                                      : format_significant(value)};
}

Cell Cell::number(double value) { return {value, format_significant(value)}; }

Cell Cell::percent(double share, int decimals) {
  return {share, std::isfinite(share) ? fmt::format("{:.{}f} %", share * 100, decimals)
                                      : format_significant(share)};
}

Cell Cell::bytes(std::uint64_t value) { return {value, format_bytes(value)}; }

Cell Cell::yes_no(bool value) { return {value, value ? "yes" : "no"}; }

TableFormat parse_table_format(std::string_view name, std::string_view where) {
  if (name == "text") return TableFormat::text;
  if (name == "md") return TableFormat::markdown;
  if (name == "csv") return TableFormat::csv;
  if (name == "json") return TableFormat::json;
  throw Error({.what = fmt::format("unknown table format '{}'", name),
               .where = std::string(where),
               .expected = "text, md, csv or json"});
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (Column& column : columns_) {
    if (column.key.empty()) column.key = column.title;
  }
}

void Table::add_row(std::vector<Cell> cells) {
  SWITCHYARD_CHECK(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::render(TableFormat format) const {
  switch (format) {
    case TableFormat::text:
      return text();
    case TableFormat::markdown:
      return markdown();
    case TableFormat::csv:
      return csv();
    case TableFormat::json:
      return json();
  }
  SWITCHYARD_CHECK(false);
  return {};
}

bool Table::right_aligned(std::size_t column) const {
  bool any = false;
  for (const auto& row : rows_) {
    const Cell& cell = row[column];
    if (cell.is_number()) {
      any = true;
    } else if (!std::holds_alternative<std::monostate>(cell.value())) {
      return false;
    }
  }
  return any;
}

std::vector<std::size_t> Table::widths() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = display_width(one_line(columns_[i].title));
    for (const auto& row : rows_) width = std::max(width, display_width(one_line(row[i].shown())));
    widths.push_back(width);
  }
  return widths;
}

std::string Table::text() const {
  const auto width = widths();
  std::string out;
  const auto add_line = [&](const auto& text_of) {
    std::string line;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      if (i > 0) line += kGap;
      line += padded(one_line(text_of(i)), width[i], right_aligned(i));
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  add_line([&](std::size_t i) { return columns_[i].title; });
  add_line([&](std::size_t i) { return std::string(width[i], '-'); });
  for (const auto& row : rows_) add_line([&](std::size_t i) { return row[i].shown(); });
  return out;
}

std::string Table::markdown() const {
  std::string out = "|";
  for (const Column& column : columns_) out += " " + markdown_text(column.title) + " |";
  out += "\n|";
  for (std::size_t i = 0; i < columns_.size(); ++i) out += right_aligned(i) ? " ---: |" : " --- |";
  out += "\n";
  for (const auto& row : rows_) {
    out += "|";
    for (const Cell& cell : row) out += " " + markdown_text(cell.shown()) + " |";
    out += "\n";
  }
  return out;
}

std::string Table::csv() const {
  std::string out;
  for (std::size_t i = 0; i < columns_.size(); ++i)
    out += (i > 0 ? "," : "") + csv_text(columns_[i].key);
  out += "\n";
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) out += (i > 0 ? "," : "") + csv_value(row[i]);
    out += "\n";
  }
  return out;
}

std::string Table::json() const {
  auto list = nlohmann::ordered_json::array();
  for (const auto& row : rows_) {
    auto object = nlohmann::ordered_json::object();
    for (std::size_t i = 0; i < row.size(); ++i) object[columns_[i].key] = json_value(row[i]);
    list.push_back(std::move(object));
  }
  // Names from files may not be UTF-8; the document must be.
  return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace switchyard
