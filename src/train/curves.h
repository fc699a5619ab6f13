// The curves of a run, drawn from its log.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace switchyard::train {

// Training and validation loss over steps as SVG and, below it where it varies, the mean number of
// experts per token. `lines` are those of log.jsonl.
std::string draw_curves(const std::vector<nlohmann::json>& lines, const std::string& title);

}  // namespace switchyard::train
