#include "formats/gguf/architecture.h"

#include <array>

#include "formats/family.h"

namespace switchyard {
namespace {

constexpr std::array kArchitectures = {
    GgufArchitecture{.name = "llama", .family = Family::llama, .paired_rows = true},
    GgufArchitecture{.name = "llama", .family = Family::mistral, .paired_rows = true},
    GgufArchitecture{.name = "llama",
                     .family = Family::mixtral,
                     .paired_rows = true,
                     .renormalize = true,
                     .expert_width = "feed_forward_length"},
    GgufArchitecture{.name = "qwen2", .family = Family::qwen2},
    GgufArchitecture{.name = "qwen2moe",
                     .family = Family::qwen2_moe,
                     .renormalize = false,
                     .expert_width = "expert_feed_forward_length"},
    GgufArchitecture{.name = "qwen3moe",
                     .family = Family::qwen3_moe,
                     .renormalize = true,
                     .expert_width = "expert_feed_forward_length"},
    GgufArchitecture{.name = "olmoe",
                     .family = Family::olmoe,
                     .renormalize = false,
                     .expert_width = "feed_forward_length"},
};

bool has_experts(const GgufArchitecture& architecture) {
  return !architecture.expert_width.empty();
}

}  // namespace

std::span<const GgufArchitecture> gguf_architectures() { return kArchitectures; }

const GgufArchitecture* find_gguf_architecture(std::string_view name, bool experts) {
  const GgufArchitecture* found = nullptr;
  for (const GgufArchitecture& row : kArchitectures) {
    if (row.name != name) continue;
    if (has_experts(row) == experts) return &row;
    if (found == nullptr) found = &row;
  }
  return found;
}

const GgufArchitecture* find_gguf_architecture(Family family) {
  for (const GgufArchitecture& row : kArchitectures) {
    if (row.family == family) return &row;
  }
  return nullptr;
}

const GgufArchitecture* architecture_for(const ModelConfig& config) {
  const GgufArchitecture* row = find_gguf_architecture(config.family);
  if (row == nullptr) return nullptr;
  // validate() has seen to it that the family's own fields can say the rest.
  if (config.dense.activation != Activation::silu) return nullptr;
  if (!config.moe) return row;
  const routing::Config& router = config.moe->router;
  const bool renormalize = router.renormalize || router.softmax_after_selection;
  if (config.moe->expert.activation != Activation::silu || renormalize != row->renormalize) {
    return nullptr;
  }
  return row;
}

}  // namespace switchyard
