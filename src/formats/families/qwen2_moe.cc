// Qwen2-MoE: Qwen2 with experts and a gated shared expert.
#include "formats/families/families.h"

namespace switchyard {

constinit const FamilyTraits kQwen2Moe = {
    .family = Family::qwen2_moe,
    .model_type = "qwen2_moe",
    .architecture = "Qwen2MoeForCausalLM",
    .kind = FamilyKind::some_moe,
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
    .experts_field = "num_experts",
    .expert_hidden_field = "moe_intermediate_size",
    .experts = 60,
    .experts_per_token = 4,
    .expert_hidden = 1408,
    .shared_hidden = 5632,
    .router = &kTopK,
    .window = WindowRule::listed,
};

}  // namespace switchyard
