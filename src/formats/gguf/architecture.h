// Which families GGUF files can hold under names that other programs know: one row each. A new
// family is added here, its tensors in model_parts.cc.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "switchyard/model_config.h"

namespace switchyard {

struct GgufArchitecture {
  std::string_view name;  // general.architecture, and what the model's keys begin with
  Family family;
  // Rotary pairs stand side by side in q and k, so that their rows are permuted against Hugging
  // Face's order.
  bool paired_rows = false;
  // Whether programs divide the chosen experts' weights by their sum. Files can say so
  // (expert_weights_norm), but most programs take the architecture's word for it.
  bool renormalize = false;
  // The key with an expert's width. feed_forward_length where every layer has experts.
  std::string_view expert_width = "";

  // "llama.block_count"
  std::string key(std::string_view rest) const {
    return std::string(name).append(".").append(rest);
  }
};

// The visible table. Where several families share a name, the first with and the first without
// experts are what a file is taken for unless it says more (kFamilyKey).
std::span<const GgufArchitecture> gguf_architectures();

// A model of `name` with or without experts; nullptr for an unknown name.
const GgufArchitecture* find_gguf_architecture(std::string_view name, bool experts);
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

// The row whose rules compute what `config` says; nullptr where none does.
const GgufArchitecture* architecture_for(const ModelConfig& config);

}  // namespace switchyard
