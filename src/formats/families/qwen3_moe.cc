// Qwen3-MoE: q and k normalised per head, no bias, no shared expert.
#include "formats/families/families.h"

namespace switchyard {

constinit const FamilyTraits kQwen3Moe = {
    .family = Family::qwen3_moe,
    .model_type = "qwen3_moe",
    .architecture = "Qwen3MoeForCausalLM",
    .kind = FamilyKind::some_moe,
    .qk_norm = QkNorm::per_head,
    .attention_bias_field = true,
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
    .experts_field = "num_experts",
    .expert_hidden_field = "moe_intermediate_size",
    .experts = 128,
    .experts_per_token = 8,
    .expert_hidden = 768,
    .router = &kTopK,
    .window = WindowRule::switched,
};

}  // namespace switchyard
