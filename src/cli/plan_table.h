// The memory plan of a model as people and machines read it: --plan.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "runtime/memory_plan.h"

namespace switchyard::cli {

enum class PlanFormat { text, json };
// "text" or "json"; throws Error for others.
PlanFormat parse_plan_format(std::string_view name);

// `budget`: in bytes, 0 for none.
std::string render(const runtime::MemoryPlan& plan, std::uint64_t budget, PlanFormat format);
nlohmann::ordered_json to_json(const runtime::MemoryPlan& plan, std::uint64_t budget);

}  // namespace switchyard::cli
