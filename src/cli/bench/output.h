// The bench's rows, as people and programs read them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "cli/bench/row.h"

namespace switchyard::cli::bench {

// Tables for people show the main figures; the others carry every field of to_json(Row).
enum class Format { text, markdown, csv, json, jsonl, sql };
// "text", "md", "csv", "json", "jsonl", "sql"; throws Error for others.
Format parse_format(std::string_view name);

// `with_budgets`: tables for people also show what a memory budget changes. SQL creates the table
// switchyard_bench if there is none and inserts the rows; no rows give no statement.
std::string render(std::span<const Row> rows, Format format, bool with_budgets);

// 'text' with quotes doubled.
std::string sql_text(std::string_view text);

}  // namespace switchyard::cli::bench
