// One table, four ways to show it: aligned text for people, markdown, CSV and JSON.
//
//   Table table{{"budget"}, {"tokens/s", "tokens_per_second"}};
//   table.add_row({Cell::bytes(64 << 20), Cell::number(31.24, 1)});
//   std::cout << table.render(TableFormat::text);
//
// People see rounded numbers and units; CSV and JSON carry the full value under the column's key.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace switchyard {

// A value and how people see it.
class Cell {
 public:
  Cell() = default;  // nothing: "-", JSON null, an empty CSV field
  Cell(std::string text)
      : value_(text), shown_(std::move(text)) {}  // NOLINT: implicit, as {"name", 3} reads well
  Cell(const char* text) : Cell(std::string(text)) {}                          // NOLINT
  Cell(std::string_view text) : Cell(std::string(text)) {}                     // NOLINT
  Cell(int value) : Cell(static_cast<std::int64_t>(value)) {}                  // NOLINT
  Cell(std::int64_t value) : value_(value), shown_(std::to_string(value)) {}   // NOLINT
  Cell(std::uint64_t value) : value_(value), shown_(std::to_string(value)) {}  // NOLINT

  // Fixed decimals. Not a number is shown as "nan" and is null in JSON, which has no word for it.
  static Cell number(double value, int decimals);
  // Three significant digits.
  static Cell number(double value);
  // 0.1234 is shown as "12.3 %"; the value stays 0.1234.
  static Cell percent(double share, int decimals = 1);
  // Shown as "1.50 MiB"; the value is the bytes.
  static Cell bytes(std::uint64_t value);
  // "yes" or "no"; true or false.
  static Cell yes_no(bool value);

  using Value =
      std::variant<std::monostate, std::string, std::int64_t, std::uint64_t, double, bool>;
  const Value& value() const { return value_; }
  const std::string& shown() const { return shown_; }
  bool is_number() const { return value_.index() >= 2 && value_.index() <= 4; }

 private:
  Cell(Value value, std::string shown) : value_(std::move(value)), shown_(std::move(shown)) {}

  Value value_;
  std::string shown_ = "-";
};

enum class TableFormat { text, markdown, csv, json };
// "text", "md", "csv" or "json"; throws Error for others, with `where` naming the flag.
TableFormat parse_table_format(std::string_view name, std::string_view where);

class Table {
 public:
  struct Column {
    std::string title = {};
    std::string key = {};  // name in CSV and JSON; empty: the title
  };

  explicit Table(std::vector<Column> columns);
  Table(std::initializer_list<Column> columns) : Table(std::vector<Column>(columns)) {}

  // One cell a column.
  void add_row(std::vector<Cell> cells);
  std::size_t rows() const { return rows_.size(); }

  // Ends with a newline. A column whose cells are all numbers (or nothing) is aligned to the right.
  std::string render(TableFormat format) const;

 private:
  bool right_aligned(std::size_t column) const;
  std::vector<std::size_t> widths() const;
  std::string text() const;
  std::string markdown() const;
  std::string csv() const;
  std::string json() const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace switchyard
