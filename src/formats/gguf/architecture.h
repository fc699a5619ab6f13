// Which families GGUF files can hold under names that other programs know: one row each. A new
// family is added here, its tensors in model_parts.cc.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/model_config.h"

namespace switchyard {

// expert_gating_func: what turns a router's logits into scores.
enum class GgufGating : std::uint32_t { softmax = 1, sigmoid = 2, softmax_of_chosen = 3 };

struct GgufArchitecture {
  std::string_view name;  // general.architecture, and what the model's keys begin with
  Family family;
  // Rotary pairs stand side by side in q and k, so that their rows are permuted against Hugging
  // Face's order.
  bool paired_rows = false;
  // The key with an expert's width; feed_forward_length where every layer has experts. Empty: a
  // model without experts.
  std::string_view expert_width = "";
  GgufGating gating = GgufGating::softmax;
  // Whether programs divide the chosen experts' weights by their sum. Files can say so
  // (expert_weights_norm), but most programs take the architecture's word for it, unless
  // router_keys.
  bool renormalize = false;
  // Programs read gating function, norm, scale and groups of the router from the file.
  bool router_keys = false;

  bool has_experts() const { return !expert_width.empty(); }
  // "llama.block_count"
  std::string key(std::string_view rest) const {
    return std::string(name).append(".").append(rest);
  }
};

// The visible table. Where several rows share a name, experts and the gating function tell them
// apart, and after that the first one counts unless the file says more (kFamilyKey).
std::span<const GgufArchitecture> gguf_architectures();

// nullptr for an unknown name. Where no row of the name has such experts, its first row.
const GgufArchitecture* find_gguf_architecture(std::string_view name, bool experts,
                                               GgufGating gating);
const GgufArchitecture* find_gguf_architecture(Family family);

// The name under which a model of any family is stored that the table cannot say everything about,
// our own routers above all: config.json stands in kConfigKey.
inline constexpr std::string_view kOwnArchitecture = "switchyard";
inline constexpr const char* kConfigKey = "switchyard.config";

// What the keys of an architecture cannot say and does not change the model's output; other
// programs ignore them.
inline constexpr const char* kFamilyKey = "switchyard.family";
inline constexpr const char* kRouterKey = "switchyard.router";
inline constexpr const char* kFewestKey = "switchyard.fewest_experts_in_training";
inline constexpr const char* kEosKey = "switchyard.eos_token_ids";
inline constexpr const char* kExtraLayersKey = "switchyard.extra_layers";

// Every other layer from the first on: what attention.sliding_window means in gpt-oss.
std::vector<bool> gguf_alternating_window(int layers);

// The row whose rules compute what `config` says; nullptr where none does.
const GgufArchitecture* architecture_for(const ModelConfig& config);

}  // namespace switchyard
