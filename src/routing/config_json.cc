// Config to and from JSON: strict, driven by the table in knobs.cc.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "switchyard/error.h"
#include "switchyard/routing.h"

#include "routing/closest_name.h"
#include "routing/knobs.h"

namespace switchyard::routing {
namespace {

// Always written, and required when read: a router without them is a guess. Only kinds for
// which experts_per_token is a limit do without it: all E then.
constexpr std::string_view kRequired[] = {"kind", "experts", "experts_per_token"};

bool required(std::string_view name) {
  return std::ranges::find(kRequired, name) != std::end(kRequired);
}

bool has_default(const nlohmann::json& json, std::string_view name) {
  if (name != "experts_per_token" || !json.contains("kind") || !json.at("kind").is_string()) {
    return false;
  }
  const auto kind = kind_from_name(json.at("kind").get_ref<const std::string&>());
  return kind && method(*kind).k_is_limit;
}

[[noreturn]] void unknown_knob(const std::string& name, const std::string& where) {
  std::vector<std::string_view> names;
  for (const Knob& knob : knobs()) names.push_back(knob.name);
  const auto near = closest_name(name, names);
  throw Error({.what = "unknown router knob '" + name + "'",
               .where = where,
               .expected = "one of " + join_names(names),
               .fix = near.empty() ? "" : "did you mean '" + std::string(near) + "'?"});
}

}  // namespace

Config config_from_json(const nlohmann::json& json, const std::string& where) {
  if (!json.is_object()) {
    throw Error({.what = "router settings are not an object",
                 .where = where,
                 .expected = R"({"kind": ..., "experts": ..., "experts_per_token": ...})",
                 .fix = ""});
  }
  for (const std::string_view name : kRequired) {
    if (!json.contains(name) && !has_default(json, name)) {
      throw Error({.what = "router knob '" + std::string(name) + "' is missing",
                   .where = where,
                   .expected = join_names(kRequired),
                   .fix = "add it"});
    }
  }
  Config kind_only;
  const auto read_knob = [&](std::string_view name, Config& into) {
    const auto knob = std::ranges::find(knobs(), name, &Knob::name);
    if (knob == knobs().end()) unknown_knob(std::string(name), where);
    knob->read(json.at(std::string(name)), where + ": " + std::string(name), into);
  };
  read_knob("kind", kind_only);
  Config config = default_config(kind_only.kind);
  for (const auto& [name, value] : json.items()) read_knob(name, config);
  if (!json.contains("experts_per_token")) config.experts_per_token = config.experts;
  validate_at(config, where);
  return config;
}

nlohmann::json to_json(const Config& config) {
  nlohmann::json json = nlohmann::json::object();
  const Config normal = default_config(config.kind);
  for (const Knob& knob : knobs()) {
    if (required(knob.name) || !knob.is_default(config, normal)) {
      json[std::string(knob.name)] = knob.write(config);
    }
  }
  return json;
}

}  // namespace switchyard::routing
