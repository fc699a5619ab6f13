#include "cli/bench/output.h"

#include <fmt/format.h>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "switchyard/error.h"

#include "base/check.h"
#include "base/statistics.h"
#include "base/table.h"
#include "cli/bench/size_class.h"

namespace switchyard::cli::bench {
namespace {

using Json = nlohmann::ordered_json;

// Names may come from file names that are not UTF-8; the document must be.
std::string dump(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

Table table_for_people(std::span<const Row> rows, bool with_budgets) {
  std::vector<Table::Column> columns{{"model"},   {"type"},  {"size"},   {"params"},
                                     {"threads"}, {"batch"}, {"kernels"}};
  if (with_budgets) columns.insert(columns.end(), {{"budget"}, {"expert slots"}});
  columns.insert(columns.end(),
                 {{"test"}, {"t/s"}, {"median"}, {"GB/s"}, {"of DRAM"}, {"Gop/s"}, {"of peak"}});
  if (with_budgets) columns.insert(columns.end(), {{"hit ratio"}, {"read/token"}});
  columns.insert(columns.end(), {{"peak memory"}, {"token hash"}, {"same tokens"}});
  Table table(columns);
  for (const Row& row : rows) {
    const Result& r = row.result;
    const std::vector<double> speeds = row.speeds();
    std::vector<Cell> cells{Cell(r.model_type),
                            Cell(r.file_type),
                            Cell::bytes(r.model_bytes),
                            Cell(short_count(r.parameters)),
                            Cell(r.threads),
                            Cell(r.batch_tokens),
                            Cell(r.kernels)};
    if (with_budgets) {
      cells.emplace_back(row.job.budget.empty() ? "unlimited" : row.job.budget);
      cells.push_back(Cell::bytes(r.expert_slots));
    }
    const std::vector<Cell> speed{
        Cell(row.job.test.name()),
        Cell(fmt::format("{:.2f} ± {:.2f}", mean(speeds), standard_deviation(speeds))),
        Cell::number(median(speeds), 2),
        Cell::number(row.gigabytes_per_second(), 2),
        Cell::percent(row.share_of_dram()),
        Cell::number(row.gigaoperations_per_second(), 1),
        Cell::percent(row.share_of_peak())};
    cells.insert(cells.end(), speed.begin(), speed.end());
    if (with_budgets) {
      cells.push_back(Cell::percent(row.hit_ratio()));
      cells.push_back(Cell::bytes(static_cast<std::uint64_t>(row.read_bytes_per_token())));
    }
    cells.push_back(Cell::bytes(row.peak_memory));
    cells.emplace_back(fmt::format("{:016x}", r.token_hash));
    cells.push_back(Cell::yes_no(row.same_tokens));
    table.add_row(std::move(cells));
  }
  return table;
}

Cell csv_cell(const Json& value) {
  if (value.is_boolean()) return Cell::yes_no(value.get<bool>());
  if (value.is_number_unsigned()) return {value.get<std::uint64_t>()};
  if (value.is_number_integer()) return {value.get<std::int64_t>()};
  if (value.is_number()) return Cell::number(value.get<double>());
  return {value.is_string() ? value.get<std::string>() : dump(value)};
}

std::string csv(std::span<const Row> rows) {
  std::vector<Table::Column> columns;
  const Json first = to_json(rows.empty() ? Row{} : rows.front());
  for (const auto& field : first.items()) columns.push_back({field.key()});
  Table table(columns);
  for (const Row& row : rows) {
    std::vector<Cell> cells;
    for (const auto& field : to_json(row)) cells.push_back(csv_cell(field));
    table.add_row(std::move(cells));
  }
  return table.render(TableFormat::csv);
}

std::string json(std::span<const Row> rows) {
  Json list = Json::array();
  for (const Row& row : rows) list.push_back(to_json(row));
  return dump(list, 2) + "\n";
}

std::string jsonl(std::span<const Row> rows) {
  std::string lines;
  for (const Row& row : rows) lines += dump(to_json(row)) + "\n";
  return lines;
}

std::string_view sql_type(const Json& value) {
  if (value.is_boolean() || value.is_number_integer()) return "INTEGER";
  return value.is_number() ? "REAL" : "TEXT";
}

std::string sql_value(const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? "1" : "0";
  if (value.is_string()) return sql_text(value.get<std::string>());
  if (value.is_array()) return sql_text(dump(value));
  // JSON has no word for what is not a number and writes null.
  return value.is_null() || dump(value) == "null" ? "NULL" : dump(value);
}

std::string sql(std::span<const Row> rows) {
  std::string text;
  for (const Row& row : rows) {
    std::string definitions;
    std::string names;
    std::string values;
    const Json fields = to_json(row);
    for (const auto& field : fields.items()) {
      const std::string_view comma = names.empty() ? "" : ", ";
      definitions += fmt::format("{}\n  {} {}", names.empty() ? "" : ",", field.key(),
                                 sql_type(field.value()));
      names += fmt::format("{}{}", comma, field.key());
      values += fmt::format("{}{}", comma, sql_value(field.value()));
    }
    if (text.empty())
      text = fmt::format("CREATE TABLE IF NOT EXISTS switchyard_bench ({}\n);\n", definitions);
    text += fmt::format("INSERT INTO switchyard_bench ({})\nVALUES ({});\n", names, values);
  }
  return text;
}

}  // namespace

std::string sql_text(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') quoted += c;
    quoted += c;
  }
  return quoted + "'";
}

Format parse_format(std::string_view name) {
  constexpr std::pair<std::string_view, Format> kFormats[] = {
      {"text", Format::text}, {"md", Format::markdown}, {"csv", Format::csv},
      {"json", Format::json}, {"jsonl", Format::jsonl}, {"sql", Format::sql}};
  for (const auto& [known, format] : kFormats) {
    if (name == known) return format;
  }
  throw Error({.what = fmt::format("unknown output format '{}'", name),
               .where = "--output",
               .expected = "text, md, csv, json, jsonl or sql",
               .fix = {}});
}

std::string render(std::span<const Row> rows, Format format, bool with_budgets) {
  switch (format) {
    case Format::text:
      return table_for_people(rows, with_budgets).render(TableFormat::text);
    case Format::markdown:
      return table_for_people(rows, with_budgets).render(TableFormat::markdown);
    case Format::csv:
      return csv(rows);
    case Format::json:
      return json(rows);
    case Format::jsonl:
      return jsonl(rows);
    case Format::sql:
      return sql(rows);
  }
  SWITCHYARD_CHECK(false);
  return {};
}

}  // namespace switchyard::cli::bench
