#include "formats/family.h"

#include <array>

#include "base/check.h"

namespace switchyard {
namespace {

constexpr std::array kFamilies = {
    FamilyTraits{.family = Family::llama,
                 .model_type = "llama",
                 .architecture = "LlamaForCausalLM",
                 .kind = FamilyKind::dense,
                 .qk_norm = QkNorm::none,
                 .bias = false,
                 .bias_default = false,
                 .vocab = 32000,
                 .width = 4096,
                 .hidden = 11008,
                 .layers = 32,
                 .heads = 32,
                 .kv_heads = 0,
                 .context = 2048,
                 .norm_epsilon = 1e-6,
                 .rope_theta = 1e4,
                 .sliding_window = 0,
                 .bos = 1,
                 .eos = 2,
                 .experts_field = "",
                 .expert_hidden_field = "",
                 .experts = 0,
                 .experts_per_token = 0,
                 .expert_hidden = 0,
                 .shared_hidden = 0,
                 .norm_topk_field = false},
    FamilyTraits{.family = Family::mistral,
                 .model_type = "mistral",
                 .architecture = "MistralForCausalLM",
                 .kind = FamilyKind::dense,
                 .qk_norm = QkNorm::none,
                 .bias = false,
                 .bias_default = false,
                 .vocab = 32000,
                 .width = 4096,
                 .hidden = 14336,
                 .layers = 32,
                 .heads = 32,
                 .kv_heads = 8,
                 .context = 131072,
                 .norm_epsilon = 1e-6,
                 .rope_theta = 1e4,
                 .sliding_window = 4096,
                 .bos = 1,
                 .eos = 2,
                 .experts_field = "",
                 .expert_hidden_field = "",
                 .experts = 0,
                 .experts_per_token = 0,
                 .expert_hidden = 0,
                 .shared_hidden = 0,
                 .norm_topk_field = false},
    FamilyTraits{.family = Family::qwen2,
                 .model_type = "qwen2",
                 .architecture = "Qwen2ForCausalLM",
                 .kind = FamilyKind::dense,
                 .qk_norm = QkNorm::none,
                 .bias = true,
                 .bias_default = true,
                 .vocab = 151936,
                 .width = 4096,
                 .hidden = 22016,
                 .layers = 32,
                 .heads = 32,
                 .kv_heads = 32,
                 .context = 32768,
                 .norm_epsilon = 1e-6,
                 .rope_theta = 1e4,
                 .sliding_window = 4096,
                 .bos = -1,
                 .eos = -1,
                 .experts_field = "",
                 .expert_hidden_field = "",
                 .experts = 0,
                 .experts_per_token = 0,
                 .expert_hidden = 0,
                 .shared_hidden = 0,
                 .norm_topk_field = false},
    FamilyTraits{.family = Family::mixtral,
                 .model_type = "mixtral",
                 .architecture = "MixtralForCausalLM",
                 .kind = FamilyKind::all_moe,
                 .qk_norm = QkNorm::none,
                 .bias = false,
                 .bias_default = false,
                 .vocab = 32000,
                 .width = 4096,
                 .hidden = 14336,
                 .layers = 32,
                 .heads = 32,
                 .kv_heads = 8,
                 .context = 131072,
                 .norm_epsilon = 1e-5,
                 .rope_theta = 1e6,
                 .sliding_window = 0,
                 .bos = 1,
                 .eos = 2,
                 .experts_field = "num_local_experts",
                 .expert_hidden_field = "intermediate_size",
                 .experts = 8,
                 .experts_per_token = 2,
                 .expert_hidden = 14336,
                 .shared_hidden = 0,
                 .norm_topk_field = false},
    FamilyTraits{.family = Family::olmoe,
                 .model_type = "olmoe",
                 .architecture = "OlmoeForCausalLM",
                 .kind = FamilyKind::all_moe,
                 .qk_norm = QkNorm::full,
                 .bias = false,
                 .bias_default = false,
                 .vocab = 50304,
                 .width = 2048,
                 .hidden = 2048,
                 .layers = 16,
                 .heads = 16,
                 .kv_heads = 0,
                 .context = 4096,
                 .norm_epsilon = 1e-5,
                 .rope_theta = 1e4,
                 .sliding_window = 0,
                 .bos = -1,
                 .eos = 50279,
                 .experts_field = "num_experts",
                 .expert_hidden_field = "intermediate_size",
                 .experts = 64,
                 .experts_per_token = 8,
                 .expert_hidden = 2048,
                 .shared_hidden = 0,
                 .norm_topk_field = true},
    FamilyTraits{.family = Family::qwen2_moe,
                 .model_type = "qwen2_moe",
                 .architecture = "Qwen2MoeForCausalLM",
                 .kind = FamilyKind::some_moe,
                 .qk_norm = QkNorm::none,
                 .bias = std::nullopt,
                 .bias_default = true,
                 .vocab = 151936,
                 .width = 2048,
                 .hidden = 5632,
                 .layers = 24,
                 .heads = 16,
                 .kv_heads = 16,
                 .context = 32768,
                 .norm_epsilon = 1e-6,
                 .rope_theta = 1e4,
                 .sliding_window = 4096,
                 .bos = -1,
                 .eos = -1,
                 .experts_field = "num_experts",
                 .expert_hidden_field = "moe_intermediate_size",
                 .experts = 60,
                 .experts_per_token = 4,
                 .expert_hidden = 1408,
                 .shared_hidden = 5632,
                 .norm_topk_field = true},
    FamilyTraits{.family = Family::qwen3_moe,
                 .model_type = "qwen3_moe",
                 .architecture = "Qwen3MoeForCausalLM",
                 .kind = FamilyKind::some_moe,
                 .qk_norm = QkNorm::per_head,
                 .bias = false,
                 .bias_default = false,
                 .vocab = 151936,
                 .width = 2048,
                 .hidden = 6144,
                 .layers = 24,
                 .heads = 32,
                 .kv_heads = 4,
                 .context = 32768,
                 .norm_epsilon = 1e-6,
                 .rope_theta = 1e4,
                 .sliding_window = 4096,
                 .bos = -1,
                 .eos = -1,
                 .experts_field = "num_experts",
                 .expert_hidden_field = "moe_intermediate_size",
                 .experts = 128,
                 .experts_per_token = 8,
                 .expert_hidden = 768,
                 .shared_hidden = 0,
                 .norm_topk_field = true},
    // Ours. Everything stands in the file; only the numbers of the norm and of RoPE have defaults.
    FamilyTraits{.family = Family::switchyard,
                 .model_type = "switchyard",
                 .architecture = "SwitchyardForCausalLM",
                 .kind = FamilyKind::some_moe,
                 .qk_norm = QkNorm::none,
                 .bias = std::nullopt,
                 .bias_default = false,
                 .vocab = 0,
                 .width = 0,
                 .hidden = 0,
                 .layers = 0,
                 .heads = 0,
                 .kv_heads = 0,
                 .context = 2048,
                 .norm_epsilon = 1e-5,
                 .rope_theta = 1e4,
                 .sliding_window = 0,
                 .bos = -1,
                 .eos = -1,
                 .experts_field = "switchyard.router.experts",
                 .expert_hidden_field = "switchyard.expert.hidden",
                 .experts = 0,
                 .experts_per_token = 0,
                 .expert_hidden = 0,
                 .shared_hidden = 0,
                 .norm_topk_field = false},
};

struct ActivationName {
  std::string_view name;
  Activation activation;
};

// The first name of an activation is the one that is written.
constexpr std::array kActivations = {
    ActivationName{"silu", Activation::silu},
    ActivationName{"swish", Activation::silu},
    ActivationName{"gelu", Activation::gelu},
    ActivationName{"gelu_pytorch_tanh", Activation::gelu_tanh},
    ActivationName{"gelu_new", Activation::gelu_tanh},
    ActivationName{"relu", Activation::relu},
};

}  // namespace

std::span<const FamilyTraits> families() { return kFamilies; }

const FamilyTraits& traits(Family family) {
  for (const FamilyTraits& t : kFamilies) {
    if (t.family == family) return t;
  }
  check_failed("the family is in the table", __FILE__, __LINE__);
}

std::string_view family_name(Family family) { return traits(family).model_type; }

std::optional<Family> family_from_name(std::string_view name) {
  for (const FamilyTraits& t : kFamilies) {
    if (t.model_type == name) return t.family;
  }
  return std::nullopt;
}

std::string_view activation_name(Activation activation) {
  for (const ActivationName& a : kActivations) {
    if (a.activation == activation) return a.name;
  }
  check_failed("the activation is in the table", __FILE__, __LINE__);
}

std::optional<Activation> activation_from_name(std::string_view name) {
  for (const ActivationName& a : kActivations) {
    if (a.name == name) return a.activation;
  }
  return std::nullopt;
}

}  // namespace switchyard
