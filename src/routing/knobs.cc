#include "routing/knobs.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>
#include <vector>

#include "switchyard/error.h"

#include "routing/closest_name.h"

namespace switchyard::routing {
namespace {

using nlohmann::json;

[[noreturn]] void wrong_value(const json& value, const std::string& where, std::string expected,
                              std::string fix = "") {
  // A whole subtree or a long text in an error line helps nobody.
  constexpr std::size_t kShown = 40;
  std::string shown = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (shown.size() > kShown) shown = shown.substr(0, kShown) + "...";
  throw Error({.what = "router knob has the value " + shown,
               .where = where,
               .expected = std::move(expected),
               .fix = std::move(fix)});
}

// ---- Enums and their names ----------------------------------------------------------------------

template <typename E>
struct Names;

template <typename E>
using NameTable = std::span<const std::pair<std::string_view, E>>;

template <>
struct Names<Score> {
  static constexpr std::pair<std::string_view, Score> kTable[] = {{"softmax", Score::softmax},
                                                                  {"sigmoid", Score::sigmoid}};
};
template <>
struct Names<Gate> {
  static constexpr std::pair<std::string_view, Gate> kTable[] = {
      {"probability", Gate::probability},
      {"straight_through", Gate::straight_through},
      {"mass", Gate::mass},
      {"uniform", Gate::uniform},
      {"none", Gate::none}};
};
template <>
struct Names<GroupScore> {
  static constexpr std::pair<std::string_view, GroupScore> kTable[] = {
      {"max", GroupScore::max}, {"top2_sum", GroupScore::top2_sum}};
};
template <>
struct Names<Overflow> {
  static constexpr std::pair<std::string_view, Overflow> kTable[] = {
      {"drop", Overflow::drop}, {"next_expert", Overflow::next_expert}};
};
template <>
struct Names<NullWeights> {
  static constexpr std::pair<std::string_view, NullWeights> kTable[] = {
      {"true_only", NullWeights::true_only}, {"all_selected", NullWeights::all_selected}};
};
template <>
struct Names<Cell> {
  static constexpr std::pair<std::string_view, Cell> kTable[] = {{"gru", Cell::gru},
                                                                 {"rnn", Cell::rnn}};
};
template <>
struct Names<StatePassing> {
  static constexpr std::pair<std::string_view, StatePassing> kTable[] = {
      {"full", StatePassing::full}, {"detach", StatePassing::detach}, {"none", StatePassing::none}};
};
template <>
struct Names<LossConfig::NullBalance> {
  static constexpr std::pair<std::string_view, LossConfig::NullBalance> kTable[] = {
      {"averaged", LossConfig::NullBalance::averaged},
      {"individual", LossConfig::NullBalance::individual}};
};
template <>
struct Names<LossConfig::BudgetScope> {
  static constexpr std::pair<std::string_view, LossConfig::BudgetScope> kTable[] = {
      {"token", LossConfig::BudgetScope::token},
      {"sequence", LossConfig::BudgetScope::sequence},
      {"batch", LossConfig::BudgetScope::batch}};
};
template <>
struct Names<LossConfig::Balance> {
  static constexpr std::pair<std::string_view, LossConfig::Balance> kTable[] = {
      {"switch", LossConfig::Balance::switch_transformer}, {"gshard", LossConfig::Balance::gshard}};
};
template <>
struct Names<LossConfig::Fraction> {
  static constexpr std::pair<std::string_view, LossConfig::Fraction> kTable[] = {
      {"per_assignment", LossConfig::Fraction::per_assignment},
      {"per_item", LossConfig::Fraction::per_item}};
};

// ---- One reader and one writer per type ---------------------------------------------------------

void read_value(const json& value, const std::string& where, bool& out) {
  if (!value.is_boolean()) wrong_value(value, where, "true or false");
  out = value.get<bool>();
}

void read_value(const json& value, const std::string& where, int& out) {
  const bool fits = value.is_number_unsigned()
                        ? value.get<std::uint64_t>() <=
                              static_cast<std::uint64_t>(std::numeric_limits<int>::max())
                        : value.is_number_integer() &&
                              value.get<std::int64_t>() >= std::numeric_limits<int>::min();
  if (!fits) wrong_value(value, where, "a whole number of 32 bits");
  out = value.get<int>();
}

void read_value(const json& value, const std::string& where, std::uint64_t& out) {
  // A number built in C++ from a signed literal is "integer", from a file "unsigned".
  const bool fits =
      value.is_number_unsigned() || (value.is_number_integer() && value.get<std::int64_t>() >= 0);
  if (!fits) wrong_value(value, where, "a whole number from 0 to 2^64 - 1");
  out = value.get<std::uint64_t>();
}

void read_value(const json& value, const std::string& where, float& out) {
  if (!value.is_number()) wrong_value(value, where, "a number");
  const auto wide = value.get<double>();
  if (!(std::abs(wide) <= static_cast<double>(std::numeric_limits<float>::max()))) {
    wrong_value(value, where, "a finite number of single precision");
  }
  out = static_cast<float>(wide);
}

void read_value(const json& value, const std::string& where, std::vector<float>& out) {
  if (!value.is_array()) wrong_value(value, where, "a list of numbers");
  out.clear();
  for (std::size_t i = 0; i < value.size(); ++i) {
    read_value(value[i], where + "[" + std::to_string(i) + "]", out.emplace_back());
  }
}

template <typename E>
requires std::is_enum_v<E>
void read_value(const json& value, const std::string& where, E& out) {
  std::vector<std::string_view> names;
  for (const auto& [name, member] : Names<E>::kTable) {
    if (value.is_string() && value.get_ref<const std::string&>() == name) {
      out = member;
      return;
    }
    names.push_back(name);
  }
  std::string fix;
  if (value.is_string()) {
    const auto near = closest_name(value.get_ref<const std::string&>(), names);
    if (!near.empty()) fix = "did you mean '" + std::string(near) + "'?";
  }
  wrong_value(value, where, "one of " + join_names(names), std::move(fix));
}

template <typename T>
json write_value(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    for (const auto& [name, member] : Names<T>::kTable) {
      if (member == value) return std::string(name);
    }
    return nullptr;
  } else if constexpr (std::is_same_v<T, float>) {
    // The shortest decimal that reads back as the same float: 0.01, not 0.0099999998.
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    double wide = 0.0;
    std::from_chars(text.data(), end, wide);
    return wide;
  } else if constexpr (std::is_same_v<T, std::vector<float>>) {
    json list = json::array();
    for (const float element : value) list.push_back(write_value(element));
    return list;
  } else {
    return value;
  }
}

// ---- Kind: named by the table of methods --------------------------------------------------------

void read_kind(const json& value, const std::string& where, Config& config) {
  std::vector<std::string_view> names;
  for (const Method& m : methods()) names.push_back(m.name);
  if (!value.is_string()) wrong_value(value, where, "one of " + join_names(names));
  const auto& name = value.get_ref<const std::string&>();
  const auto kind = kind_from_name(name);
  if (!kind) {
    const auto near = closest_name(name, names);
    wrong_value(value, where, "one of " + join_names(names),
                near.empty() ? "" : "did you mean '" + std::string(near) + "'?");
  }
  config.kind = *kind;
}

// ---- Losses: a nested object --------------------------------------------------------------------

struct LossKnob {
  std::string_view name;
  bool (*is_default)(const LossConfig&, const LossConfig& normal);
  void (*read)(const json&, const std::string&, LossConfig&);
  json (*write)(const LossConfig&);
};

template <auto Member>
constexpr LossKnob loss_knob(std::string_view name) {
  return {name,
          [](const LossConfig& c, const LossConfig& normal) { return c.*Member == normal.*Member; },
          [](const json& value, const std::string& where, LossConfig& c) {
            read_value(value, where, c.*Member);
          },
          [](const LossConfig& c) { return write_value(c.*Member); }};
}

constexpr LossKnob kLossKnobs[] = {
    loss_knob<&LossConfig::balance>("balance"),
    loss_knob<&LossConfig::fraction>("fraction"),
    loss_knob<&LossConfig::balance_coefficient>("balance_coefficient"),
    loss_knob<&LossConfig::z_coefficient>("z_coefficient"),
    loss_knob<&LossConfig::importance_coefficient>("importance_coefficient"),
    loss_knob<&LossConfig::entropy_coefficient>("entropy_coefficient"),
    loss_knob<&LossConfig::null_balance>("null_balance"),
    loss_knob<&LossConfig::budget_coefficient>("budget_coefficient"),
    loss_knob<&LossConfig::budget>("budget"),
    loss_knob<&LossConfig::budget_scope>("budget_scope"),
};

void read_losses(const json& value, const std::string& where, Config& config) {
  if (!value.is_object()) wrong_value(value, where, "an object");
  for (const auto& [name, member] : value.items()) {
    const LossKnob* found = nullptr;
    std::vector<std::string_view> names;
    for (const LossKnob& knob : kLossKnobs) {
      names.push_back(knob.name);
      if (knob.name == name) found = &knob;
    }
    if (found == nullptr) {
      const auto near = closest_name(name, names);
      throw Error({.what = "unknown router loss knob '" + name + "'",
                   .where = where,
                   .expected = "one of " + join_names(names),
                   .fix = near.empty() ? "" : "did you mean '" + std::string(near) + "'?"});
    }
    found->read(member, where + "." + name, config.losses);
  }
}

json write_losses(const Config& config) {
  json object = json::object();
  const LossConfig normal = default_config(config.kind).losses;
  for (const LossKnob& knob : kLossKnobs) {
    if (!knob.is_default(config.losses, normal))
      object[std::string(knob.name)] = knob.write(config.losses);
  }
  return object;
}

// ---- The table ----------------------------------------------------------------------------------

template <auto Member>
constexpr Knob knob(std::string_view name) {
  return {name, [](const Config& c, const Config& normal) { return c.*Member == normal.*Member; },
          [](const json& value, const std::string& where, Config& c) {
            read_value(value, where, c.*Member);
          },
          [](const Config& c) { return write_value(c.*Member); }};
}

constexpr Knob kKnobs[] = {
    {"kind", [](const Config& c, const Config& normal) { return c.kind == normal.kind; }, read_kind,
     [](const Config& c) -> json { return std::string(method(c.kind).name); }},
    knob<&Config::experts>("experts"),
    knob<&Config::experts_per_token>("experts_per_token"),
    knob<&Config::score>("score"),
    knob<&Config::softmax_after_selection>("softmax_after_selection"),
    knob<&Config::renormalize>("renormalize"),
    knob<&Config::gate>("gate"),
    knob<&Config::scaling_factor>("scaling_factor"),
    knob<&Config::selection_bias>("selection_bias"),
    knob<&Config::groups>("groups"),
    knob<&Config::groups_per_token>("groups_per_token"),
    knob<&Config::group_score>("group_score"),
    knob<&Config::capacity_factor>("capacity_factor"),
    knob<&Config::overflow>("overflow"),
    knob<&Config::seed>("seed"),
    knob<&Config::probabilities>("probabilities"),
    knob<&Config::frozen>("frozen"),
    knob<&Config::threshold>("threshold"),
    knob<&Config::threshold_inclusive>("threshold_inclusive"),
    knob<&Config::min_experts_per_token>("min_experts_per_token"),
    knob<&Config::null_experts>("null_experts"),
    knob<&Config::null_weights>("null_weights"),
    knob<&Config::router_hidden>("router_hidden"),
    knob<&Config::cell>("cell"),
    knob<&Config::state_passing>("state_passing"),
    knob<&Config::inverse_temperature>("inverse_temperature"),
    knob<&Config::soft_training>("soft_training"),
    {"losses", [](const Config& c, const Config& normal) { return c.losses == normal.losses; },
     read_losses, write_losses},
};

}  // namespace

std::span<const Knob> knobs() { return kKnobs; }

}  // namespace switchyard::routing
