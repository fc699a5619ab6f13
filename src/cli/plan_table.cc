#include "cli/plan_table.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"
#include "switchyard/ledger.h"

#include "base/byte_size.h"
#include "base/memory_info.h"
#include "base/table.h"

namespace switchyard::cli {
namespace {

std::string counted(int n, std::string_view what) {
  return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s");
}

std::string experts_note(const runtime::MemoryPlan& plan) {
  if (plan.full_experts == 0) return "the model has no experts";
  if (plan.experts >= plan.full_experts) return "all of them";
  return fmt::format(
      "{:.1f} % of {}",
      100.0 * static_cast<double>(plan.experts) / static_cast<double>(plan.full_experts),
      format_bytes(plan.full_experts));
}

std::string text(const runtime::MemoryPlan& plan, std::uint64_t budget) {
  Table table{{"memory"}, {"bytes"}, {"for"}};
  const auto row = [&](std::string_view name, std::uint64_t bytes, const std::string& note) {
    table.add_row({Cell(name), Cell::bytes(bytes), Cell(note)});
  };
  row(purpose_name(Purpose::process), plan.process, "the program as it is now, and a reserve");
  row(purpose_name(Purpose::dense_weights), plan.dense_weights, "what every token uses");
  row(purpose_name(Purpose::kv_cache), plan.kv_cache,
      fmt::format("{} of {}", counted(plan.sessions, "sequence"),
                  counted(plan.session_tokens, "token")));
  row(purpose_name(Purpose::scratch), plan.scratch,
      fmt::format("{} at once", counted(plan.batch_tokens, "token")));
  row(purpose_name(Purpose::io_buffers), 0, "reads go straight into expert slots");
  row(purpose_name(Purpose::expert_slots), plan.experts, experts_note(plan));
  row("total", plan.total(), "");
  row("floor", plan.floor, "the least --mem-budget for this");
  if (budget == 0) {
    table.add_row({Cell("limit"), Cell(), Cell("no --mem-budget in bytes")});
  } else {
    row("limit", budget, "--mem-budget");
  }
  const std::uint64_t usable = usable_memory();
  row("machine", usable,
      plan.total() > usable ? "LESS THAN THE TOTAL" : "what this process may use here");
  return table.render(TableFormat::text);
}

}  // namespace

PlanFormat parse_plan_format(std::string_view name) {
  if (name == "text") return PlanFormat::text;
  if (name == "json") return PlanFormat::json;
  throw Error({.what = fmt::format("unknown format '{}'", name),
               .where = "--plan",
               .expected = "text or json",
               .fix = {}});
}

nlohmann::ordered_json to_json(const runtime::MemoryPlan& plan, std::uint64_t budget) {
  nlohmann::ordered_json json{{"process", plan.process},
                              {"dense_weights", plan.dense_weights},
                              {"kv_cache", plan.kv_cache},
                              {"scratch", plan.scratch},
                              {"io_buffers", 0},
                              {"expert_slots", plan.experts},
                              {"total", plan.total()},
                              {"floor", plan.floor},
                              {"limit", nullptr},
                              {"machine", usable_memory()},
                              {"all_experts", plan.full_experts},
                              {"batch_tokens", plan.batch_tokens},
                              {"sessions", plan.sessions},
                              {"session_tokens", plan.session_tokens}};
  if (budget > 0) json["limit"] = budget;
  return json;
}

std::string render(const runtime::MemoryPlan& plan, std::uint64_t budget, PlanFormat format) {
  return format == PlanFormat::json ? to_json(plan, budget).dump(2) + "\n" : text(plan, budget);
}

}  // namespace switchyard::cli
