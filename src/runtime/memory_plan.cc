#include "runtime/memory_plan.h"

#include <algorithm>
#include <cmath>

#include "switchyard/error.h"

#include "base/byte_size.h"
#include "runtime/kv_cache.h"

namespace switchyard::runtime {
namespace {

int session_tokens(const ModelConfig& config, const ModelOptions& options) {
  return options.session_tokens > 0 ? options.session_tokens : config.context;
}

std::string parts(const MemoryPlan& plan) {
  return "process " + format_bytes(plan.process) + ", dense weights " +
         format_bytes(plan.dense_weights) + ", KV cache " + format_bytes(plan.kv_cache) +
         ", scratch " + format_bytes(plan.scratch) + ", experts " + format_bytes(plan.experts);
}

// The share of experts that the options ask for, between floor and full.
std::uint64_t expert_share(const ModelOptions& options, const ExpertNeeds& experts) {
  if (options.expert_share <= 0) return experts.full;
  const auto wanted = static_cast<std::uint64_t>(
      std::ceil(options.expert_share * static_cast<double>(experts.full)));
  return std::clamp(wanted, experts.floor, experts.full);
}

}  // namespace

MemoryPlan plan_memory(const ModelConfig& config, const ModelOptions& options,
                       std::uint64_t process_bytes, std::uint64_t dense_bytes,
                       const ExpertNeeds& experts, bool quantised) {
  MemoryPlan plan;
  plan.process = process_bytes;
  plan.dense_weights = dense_bytes;
  plan.sessions = options.max_sessions;
  plan.session_tokens = session_tokens(config, options);
  plan.kv_cache = static_cast<std::uint64_t>(options.max_sessions) *
                  kv_bytes(config, plan.session_tokens, kv_types(config, options));

  const int most = std::max(1, options.max_batch_tokens);
  const int least = std::max(1, options.max_sessions);
  plan.full_experts = experts.full;
  plan.floor =
      plan.total() + experts.floor + scratch_bytes(config, least, options.max_sessions, quantised);
  if (options.memory_budget == 0) {
    plan.batch_tokens = std::max(most, least);
    plan.scratch = scratch_bytes(config, plan.batch_tokens, options.max_sessions, quantised);
    plan.experts = expert_share(options, experts);
    return plan;
  }

  const std::uint64_t scratch_share = options.memory_budget / 8;
  plan.batch_tokens = std::max(most, least);
  while (plan.batch_tokens > least && scratch_bytes(config, plan.batch_tokens, options.max_sessions,
                                                    quantised) > scratch_share) {
    plan.batch_tokens = std::max(least, plan.batch_tokens / 2);
  }
  plan.scratch = scratch_bytes(config, plan.batch_tokens, options.max_sessions, quantised);
  if (plan.total() + experts.floor > options.memory_budget) {
    plan.batch_tokens = least;
    plan.scratch = scratch_bytes(config, least, options.max_sessions, quantised);
    plan.experts = experts.floor;
  }
  if (plan.total() > options.memory_budget) {
    throw Error(
        {.what = "memory budget " + format_bytes(options.memory_budget) +
                 " is too small for this model",
         .where = "--mem-budget",
         .expected = "at least " + format_bytes(plan.total()) + " (" + parts(plan) + ")",
         .fix = "raise the budget, shorten the context (-c) or shrink the KV cache (-ctk, -ctv)"});
  }
  plan.experts = std::min(options.memory_budget - (plan.total() - plan.experts),
                          expert_share(options, experts));
  return plan;
}

}  // namespace switchyard::runtime
