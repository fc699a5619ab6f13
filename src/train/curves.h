// The curves of a run, drawn from its log.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace switchyard::train {

// Training and validation loss over tokens as SVG. `lines` are those of log.jsonl.
std::string draw_curves(const std::vector<nlohmann::json>& lines, const std::string& title);

}  // namespace switchyard::train
