// Every knob of Config as a row: its JSON name, and how to read, write and compare it. Reading is
// strict; whether the values fit together is validate()'s matter.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "switchyard/routing.h"

namespace switchyard::routing {

struct Knob {
  std::string_view name;
  // `normal`: default_config() of the kind.
  bool (*is_default)(const Config&, const Config& normal);
  // Throws Error naming `where` and the knob when the value has the wrong type or is out of its
  // type's range.
  void (*read)(const nlohmann::json& value, const std::string& where, Config&);
  nlohmann::json (*write)(const Config&);
};

// In the order in which they are written. "kind" is among them.
std::span<const Knob> knobs();

// validate() with the place to name in the Error.
void validate_at(const Config& config, const std::string& where);

}  // namespace switchyard::routing
