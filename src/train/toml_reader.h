// Reading TOML strictly: every key is asked for by name, and what nobody asked for is an Error that
// names the key, its line and the keys that exist. Recipes and experiments are read with it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <string_view>
#include <toml++/toml.h>
#include <utility>
#include <vector>

namespace switchyard::train {

// A parsed file together with what was put over it on the command line.
struct TomlDocument {
  std::string file;  // for messages
  toml::table root;
  std::map<std::string, std::string> overrides;  // "train.lr" -> the "train.lr=0.1" it came from
};

// Throws Error with file and line if `text` is not TOML.
TomlDocument parse_toml(std::string_view text, const std::string& file);

// `assignment` is "section.key=value". The value is read as TOML; what is not TOML counts as a
// string, so that a path needs no quotes. Sections that are not there are made.
void apply_override(TomlDocument& document, const std::string& assignment);

// Removes "section" or "section.key"; throws Error if it is not there.
void remove_key(TomlDocument& document, const std::string& path);

// The known word nearest to `word`, or "" if none is near.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

// One table of a document. Call the getters, then finish().
class TomlReader {
 public:
  // The table `path` ("" is the root, "train", "arm.set"); a table that is not there reads as
  // empty.
  TomlReader(const TomlDocument& document, std::string path);

  bool present() const { return table_ != nullptr; }
  bool has(const std::string& key);

  // Each leaves `out` alone if the key is not there. Throws Error if the value has another type or
  // lies outside [low, high].
  void get(const std::string& key, int& out, std::int64_t low, std::int64_t high);
  void get(const std::string& key, std::int64_t& out, std::int64_t low, std::int64_t high);
  void get(const std::string& key, std::uint64_t& out);
  void get(const std::string& key, double& out, double low, double high);
  void get(const std::string& key, bool& out);
  void get(const std::string& key, std::string& out);
  // A string counts as a list of one.
  void get(const std::string& key, std::vector<std::string>& out);
  // Whole numbers.
  void get(const std::string& key, std::vector<std::int64_t>& out, std::int64_t low,
           std::int64_t high);
  // A list of [number, number]; the first of each lies in [0, 1], the second in [low, high].
  void get_pairs(const std::string& key, std::vector<std::pair<double, double>>& out, double low,
                 double high);
  // One of the words of `choices`; `out` becomes its index.
  void get_choice(const std::string& key, const std::vector<std::string>& choices, int& out);
  // The names of the tables and keys inside, in the file's order; marks nothing as known.
  std::vector<std::string> keys() const;
  // Marks a key as known without reading it (a table that another reader reads).
  void allow(const std::string& key) { known_.insert(key); }
  // The whole table as JSON; marks every key as known.
  nlohmann::json as_json();

  // Throws Error for a key that nobody asked for.
  void finish() const;

  // "recipe.toml:12: [train] lr", or "--set train.lr=0.1".
  std::string where(const std::string& key) const;

 private:
  const toml::node* find(const std::string& key);
  [[noreturn]] void wrong_type(const std::string& key, const toml::node& node,
                               const std::string& expected) const;

  const TomlDocument& document_;
  std::string path_;
  const toml::table* table_ = nullptr;
  std::set<std::string> known_;
};

}  // namespace switchyard::train
