#include "train/toml_reader.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "switchyard/error.h"

namespace switchyard::train {
namespace {

std::vector<std::string> split_path(const std::string& path) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::string one_line(const toml::node& node) {
  std::ostringstream out;
  node.visit([&](const auto& value) { out << value; });
  std::string text = out.str();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

nlohmann::json node_to_json(const toml::node& node, const std::string& where) {
  if (const auto* table = node.as_table()) {
    nlohmann::json object = nlohmann::json::object();
    for (const auto& [key, value] : *table)
      object[std::string(key.str())] = node_to_json(value, where);
    return object;
  }
  if (const auto* array = node.as_array()) {
    nlohmann::json list = nlohmann::json::array();
    for (const auto& value : *array) list.push_back(node_to_json(value, where));
    return list;
  }
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_floating_point()) return value->get();
  if (const auto* value = node.as_boolean()) return value->get();
  throw Error({.what = "a date or time cannot stand here",
               .where = where,
               .expected = "a string, number, true/false, list or table",
               .fix = ""});
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

TomlDocument parse_toml(std::string_view text, const std::string& file) {
  try {
    return {.file = file, .root = toml::parse(text, file), .overrides = {}};
  } catch (const toml::parse_error& error) {
    const auto begin = error.source().begin;
    throw Error({.what = "not valid TOML: " + std::string(error.description()),
                 .where = fmt::format("{}:{}:{}", file, begin.line, begin.column),
                 .expected = "",
                 .fix = "correct the line"});
  }
}

void apply_override(TomlDocument& document, const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  const std::string path = assignment.substr(0, equals);
  const std::vector<std::string> parts = split_path(path);
  const bool hole =
      std::any_of(parts.begin(), parts.end(), [](const std::string& p) { return p.empty(); });
  if (equals == std::string::npos || hole) {
    throw Error({.what = "an override is not an assignment",
                 .where = "--set " + assignment,
                 .expected = "section.key=value, for example train.lr=0.001",
                 .fix = ""});
  }
  toml::table* table = &document.root;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    toml::node* node = table->get(parts[i]);
    if (node == nullptr) node = &table->insert_or_assign(parts[i], toml::table{}).first->second;
    table = node->as_table();
    if (table == nullptr) {
      throw Error({.what = fmt::format("'{}' is a value, not a section", parts[i]),
                   .where = "--set " + assignment,
                   .expected = "section.key=value",
                   .fix = ""});
    }
  }
  const std::string text = assignment.substr(equals + 1);
  try {
    toml::table parsed = toml::parse("value = " + text);
    if (parsed.size() != 1) throw Error({.what = "", .where = "", .expected = "", .fix = ""});
    table->insert_or_assign(parts.back(), std::move(*parsed.get("value")));
  } catch (const std::exception&) {
    table->insert_or_assign(parts.back(), text);
  }
  document.overrides[path] = assignment;
}

void remove_key(TomlDocument& document, const std::string& path) {
  const std::vector<std::string> parts = split_path(path);
  toml::table* table = &document.root;
  for (std::size_t i = 0; i + 1 < parts.size() && table != nullptr; ++i) {
    toml::node* node = table->get(parts[i]);
    table = node == nullptr ? nullptr : node->as_table();
  }
  if (table == nullptr || table->erase(parts.back()) == 0) {
    throw Error({.what = fmt::format("'{}' cannot be taken out, it is not there", path),
                 .where = document.file,
                 .expected = "a section or section.key of the recipe",
                 .fix = ""});
  }
}

TomlReader::TomlReader(const TomlDocument& document, std::string path)
    : document_(document), path_(std::move(path)) {
  table_ = &document.root;
  if (path_.empty()) return;
  for (const std::string& part : split_path(path_)) {
    const toml::node* node = table_->get(part);
    if (node == nullptr) {
      table_ = nullptr;
      return;
    }
    table_ = node->as_table();
    if (table_ == nullptr) {
      throw Error({.what = fmt::format("'{}' must be a section", path_),
                   .where = fmt::format("{}:{}", document.file, node->source().begin.line),
                   .expected = fmt::format("[{}] and keys below it", path_),
                   .fix = ""});
    }
  }
}

std::string TomlReader::where(const std::string& key) const {
  const std::string full = path_.empty() ? key : path_ + "." + key;
  if (const auto found = document_.overrides.find(full); found != document_.overrides.end()) {
    return "--set " + found->second;
  }
  const toml::node* node = table_ == nullptr ? nullptr : table_->get(key);
  if (node == nullptr && table_ != nullptr) node = table_;
  const auto line = node == nullptr ? 0U : node->source().begin.line;
  std::string place = document_.file;
  if (line > 0) place += fmt::format(":{}", line);
  if (!path_.empty()) place += fmt::format(": [{}]", path_);
  return key.empty() ? place : fmt::format("{}{}{}", place, path_.empty() ? ": " : " ", key);
}

const toml::node* TomlReader::find(const std::string& key) {
  known_.insert(key);
  return table_ == nullptr ? nullptr : table_->get(key);
}

bool TomlReader::has(const std::string& key) { return find(key) != nullptr; }

void TomlReader::wrong_type(const std::string& key, const toml::node& node,
                            const std::string& expected) const {
  throw Error({.what = fmt::format("'{}' has a wrong value: {}", key, one_line(node)),
               .where = where(key),
               .expected = expected,
               .fix = ""});
}

void TomlReader::get(const std::string& key, std::int64_t& out, std::int64_t low,
                     std::int64_t high) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const auto* value = node->as_integer();
  if (value == nullptr || value->get() < low || value->get() > high) {
    wrong_type(key, *node, fmt::format("a whole number from {} to {}", low, high));
  }
  out = value->get();
}

void TomlReader::get(const std::string& key, int& out, std::int64_t low, std::int64_t high) {
  std::int64_t wide = out;
  get(key, wide, low, high);
  out = static_cast<int>(wide);
}

void TomlReader::get(const std::string& key, std::uint64_t& out) {
  auto wide = static_cast<std::int64_t>(out);
  get(key, wide, 0, INT64_MAX);
  out = static_cast<std::uint64_t>(wide);
}

void TomlReader::get(const std::string& key, double& out, double low, double high) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const std::optional<double> value = node->is_number() ? node->value<double>() : std::nullopt;
  if (!value || !(*value >= low && *value <= high)) {
    wrong_type(key, *node, fmt::format("a number from {} to {}", low, high));
  }
  out = *value;
}

void TomlReader::get(const std::string& key, bool& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (!node->is_boolean()) wrong_type(key, *node, "true or false");
  out = node->as_boolean()->get();
}

void TomlReader::get(const std::string& key, std::string& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (!node->is_string()) wrong_type(key, *node, "a string in quotes");
  out = node->as_string()->get();
}

void TomlReader::get(const std::string& key, std::vector<std::string>& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  if (const auto* one = node->as_string()) {
    out = {one->get()};
    return;
  }
  const auto* array = node->as_array();
  if (array == nullptr) wrong_type(key, *node, "a string or a list of strings");
  out.clear();
  for (const auto& item : *array) {
    if (!item.is_string()) wrong_type(key, *node, "a string or a list of strings");
    out.push_back(item.as_string()->get());
  }
}

void TomlReader::get(const std::string& key, std::vector<std::int64_t>& out, std::int64_t low,
                     std::int64_t high) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const std::string expected = fmt::format("a list of whole numbers from {} to {}", low, high);
  const auto* array = node->as_array();
  if (array == nullptr) wrong_type(key, *node, expected);
  out.clear();
  for (const auto& item : *array) {
    const auto* number = item.as_integer();
    if (number == nullptr || number->get() < low || number->get() > high)
      wrong_type(key, *node, expected);
    out.push_back(number->get());
  }
}

void TomlReader::get_pairs(const std::string& key, std::vector<std::pair<double, double>>& out,
                           double low, double high) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const std::string expected =
      fmt::format("a list of [share from 0 to 1, number from {} to {}]", low, high);
  const auto* array = node->as_array();
  if (array == nullptr) wrong_type(key, *node, expected);
  out.clear();
  for (const auto& item : *array) {
    const auto* pair = item.as_array();
    if (pair == nullptr || pair->size() != 2) wrong_type(key, *node, expected);
    const auto share = pair->get(0)->value<double>();
    const auto value = pair->get(1)->value<double>();
    // Written so that NaN fails, too.
    const bool fits =
        share && value && *share >= 0.0 && *share <= 1.0 && *value >= low && *value <= high;
    if (!fits) wrong_type(key, *node, expected);
    out.emplace_back(*share, *value);
  }
}

void TomlReader::get_choice(const std::string& key, const std::vector<std::string>& choices,
                            int& out) {
  const toml::node* node = find(key);
  if (node == nullptr) return;
  const std::string expected = fmt::format("one of {}", fmt::join(choices, ", "));
  if (!node->is_string()) wrong_type(key, *node, expected);
  const std::string& word = node->as_string()->get();
  const auto found = std::find(choices.begin(), choices.end(), word);
  if (found == choices.end()) {
    const std::string guess = nearest(word, choices);
    throw Error({.what = fmt::format("'{}' has an unknown value '{}'", key, word),
                 .where = where(key),
                 .expected = expected,
                 .fix = guess.empty() ? "" : fmt::format("did you mean '{}'?", guess)});
  }
  out = static_cast<int>(found - choices.begin());
}

std::vector<std::string> TomlReader::keys() const {
  std::vector<std::pair<std::uint32_t, std::string>> ordered;
  if (table_ != nullptr) {
    for (const auto& [key, value] : *table_)
      ordered.emplace_back(value.source().begin.line, std::string(key.str()));
  }
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> names;
  names.reserve(ordered.size());
  for (auto& [line, name] : ordered) names.push_back(std::move(name));
  return names;
}

nlohmann::json TomlReader::as_json() {
  if (table_ == nullptr) return nlohmann::json::object();
  for (const auto& [key, value] : *table_) known_.insert(std::string(key.str()));
  return node_to_json(*table_, where(""));
}

void TomlReader::finish() const {
  if (table_ == nullptr) return;
  for (const std::string& name : keys()) {
    if (known_.count(name) != 0) continue;
    const std::vector<std::string> words(known_.begin(), known_.end());
    const std::string guess = nearest(name, words);
    throw Error({.what = fmt::format("unknown key '{}'", name),
                 .where = where(name),
                 .expected = fmt::format("one of {}", fmt::join(words, ", ")),
                 .fix = guess.empty() ? "remove it" : fmt::format("did you mean '{}'?", guess)});
  }
}

}  // namespace switchyard::train
