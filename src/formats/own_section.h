// The section "switchyard" of config.json, in which the family of that name says what its layers
// are.
#pragma once

#include <string_view>
#include <vector>

#include "switchyard/model_config.h"

#include "formats/json.h"

namespace switchyard {

// A field of the section in every family with experts.
inline constexpr const char* kFewestExperts = "fewest_experts_in_training";

// Needs config.layers and config.context. An unknown field is an Error.
void read_own_section(const JsonFields& fields, ModelConfig& config);
nlohmann::json own_section(const ModelConfig& config);

// Used by the other families as well.
Activation activation_field(const JsonFields& fields, std::string_view name);
std::vector<int> layers_where(const std::vector<bool>& layers, bool value);

}  // namespace switchyard
