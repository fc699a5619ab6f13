// Mixtral: Mistral with experts in every layer.
#include "formats/families/families.h"

namespace switchyard {

constinit const FamilyTraits kMixtral = {
    .family = Family::mixtral,
    .model_type = "mixtral",
    .architecture = "MixtralForCausalLM",
    .kind = FamilyKind::all_moe,
    .vocab = 32000,
    .width = 4096,
    .hidden = 14336,
    .layers = 32,
    .heads = 32,
    .kv_heads = 8,
    .context = 131072,
    .norm_epsilon = 1e-5,
    .rope_theta = 1e6,
    .bos = 1,
    .eos = 2,
    .experts_field = "num_local_experts",
    .expert_hidden_field = "intermediate_size",
    .experts = 8,
    .experts_per_token = 2,
    .expert_hidden = 14336,
    .router = &kRenormalizedTopK,
    .window = WindowRule::every_layer,
};

}  // namespace switchyard
