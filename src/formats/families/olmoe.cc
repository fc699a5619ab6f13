// OLMoE: experts in every layer, q and k normalised over all heads.
#include "formats/families/families.h"

namespace switchyard {

constinit const FamilyTraits kOlmoe = {
    .family = Family::olmoe,
    .model_type = "olmoe",
    .architecture = "OlmoeForCausalLM",
    .kind = FamilyKind::all_moe,
    .qk_norm = QkNorm::full,
    .attention_bias_field = true,
    .vocab = 50304,
    .width = 2048,
    .hidden = 2048,
    .layers = 16,
    .heads = 16,
    .context = 4096,
    .norm_epsilon = 1e-5,
    .rope_theta = 1e4,
    .eos = 50279,
    .experts_field = "num_experts",
    .expert_hidden_field = "intermediate_size",
    .experts = 64,
    .experts_per_token = 8,
    .expert_hidden = 2048,
    .router = &kTopK,
};

}  // namespace switchyard
