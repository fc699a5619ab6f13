#include "formats/gguf/architecture.h"

#include <algorithm>
#include <array>

#include "formats/family.h"
#include "formats/gguf/rope_keys.h"

namespace switchyard {
namespace {

constexpr std::array kArchitectures = {
    GgufArchitecture{.name = "llama", .family = Family::llama, .paired_rows = true},
    GgufArchitecture{.name = "llama", .family = Family::mistral, .paired_rows = true},
    GgufArchitecture{.name = "llama",
                     .family = Family::mixtral,
                     .paired_rows = true,
                     .expert_width = "feed_forward_length",
                     .renormalize = true},
    GgufArchitecture{.name = "qwen2", .family = Family::qwen2},
    GgufArchitecture{.name = "qwen3", .family = Family::qwen3},
    GgufArchitecture{.name = "qwen2moe",
                     .family = Family::qwen2_moe,
                     .expert_width = "expert_feed_forward_length"},
    GgufArchitecture{.name = "qwen3moe",
                     .family = Family::qwen3_moe,
                     .expert_width = "expert_feed_forward_length",
                     .renormalize = true},
    GgufArchitecture{
        .name = "olmoe", .family = Family::olmoe, .expert_width = "feed_forward_length"},
    GgufArchitecture{.name = "deepseek2",
                     .family = Family::deepseek_v2,
                     .expert_width = "expert_feed_forward_length",
                     .router_keys = true},
    GgufArchitecture{.name = "deepseek2",
                     .family = Family::deepseek_v3,
                     .expert_width = "expert_feed_forward_length",
                     .gating = GgufGating::sigmoid,
                     .router_keys = true},
    GgufArchitecture{.name = "gpt-oss",
                     .family = Family::gpt_oss,
                     .expert_width = "expert_feed_forward_length",
                     .renormalize = true},
};

// Whether other programs route as `router` says; validate() has seen to it that it is one the
// family's fields can describe.
bool router_fits(const routing::Config& router, const GgufArchitecture& row) {
  if (!row.router_keys) {
    return (router.renormalize || router.softmax_after_selection) == row.renormalize;
  }
  // They score groups as DeepSeek-V3 does or not at all.
  return router.groups == 1 || row.gating == GgufGating::sigmoid;
}

// Whether other programs normalise and rotate as latent attention says.
bool latent_fits(const ModelConfig& config) {
  return config.mla->interleaved && config.norm_epsilon == MlaConfig::kNormEpsilon;
}

// Whether other programs know which layers have the window.
bool window_fits(const ModelConfig& config) {
  if (config.sliding_window == 0) return true;
  return traits(config.family).window == WindowRule::alternating &&
         config.layer_is_windowed == gguf_alternating_window(config.layers);
}

// Layers with experts behind those without.
bool dense_leads(const std::vector<bool>& layer_is_moe) {
  return std::is_sorted(layer_is_moe.begin(), layer_is_moe.end());
}

}  // namespace

std::span<const GgufArchitecture> gguf_architectures() { return kArchitectures; }

const GgufArchitecture* find_gguf_architecture(std::string_view name, bool experts,
                                               GgufGating gating) {
  const GgufArchitecture* found = nullptr;
  for (const bool exact : {true, false}) {
    for (const GgufArchitecture& row : kArchitectures) {
      if (row.name != name) continue;
      if (row.has_experts() == experts && (!exact || row.gating == gating)) return &row;
      if (found == nullptr) found = &row;
    }
  }
  return found;
}

const GgufArchitecture* find_gguf_architecture(Family family) {
  for (const GgufArchitecture& row : kArchitectures) {
    if (row.family == family) return &row;
  }
  return nullptr;
}

std::vector<bool> gguf_alternating_window(int layers) {
  std::vector<bool> windowed(static_cast<std::size_t>(layers));
  for (std::size_t l = 0; l < windowed.size(); l += 2) windowed[l] = true;
  return windowed;
}

const GgufArchitecture* architecture_for(const ModelConfig& config) {
  const GgufArchitecture* row = find_gguf_architecture(config.family);
  if (row == nullptr || !window_fits(config) || !gguf_rope_fits(config, *row)) return nullptr;
  if (config.mla && !latent_fits(config)) return nullptr;
  if (config.dense.activation != Activation::silu) return nullptr;
  if (!config.moe) return row;
  if (config.moe->expert.activation != Activation::silu) return nullptr;
  const bool leading = traits(config.family).kind == FamilyKind::leading_moe;
  if (leading && !dense_leads(config.layer_is_moe)) return nullptr;
  return router_fits(config.moe->router, *row) ? row : nullptr;
}

}  // namespace switchyard
