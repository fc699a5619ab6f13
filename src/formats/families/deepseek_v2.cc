// DeepSeek-V2 and V2-Lite: latent attention, ungated shared experts, softmax top-k that may be
// limited to groups of experts.
#include "formats/families/families.h"

namespace switchyard {
namespace {

constexpr MlaConfig kAttention = {
    .q_rank = 1536, .kv_rank = 512, .nope_dim = 128, .rope_dim = 64, .value_dim = 128};

}  // namespace

constinit const FamilyTraits kDeepseekV2 = {
    .family = Family::deepseek_v2,
    .model_type = "deepseek_v2",
    .architecture = "DeepseekV2ForCausalLM",
    .kind = FamilyKind::leading_moe,
    .attention_bias_field = true,
    .vocab = 32000,
    .width = 4096,
    .hidden = 11008,
    .layers = 32,
    .heads = 32,
    .context = 2048,
    .norm_epsilon = 1e-6,
    .rope_theta = 1e4,
    .bos = 1,
    .eos = 2,
    .experts_field = "n_routed_experts",
    .expert_hidden_field = "moe_intermediate_size",
    .experts = 64,
    .expert_hidden = 1407,
    .shared_experts = 2,
    .shared_name = "shared_experts.",
    .router = &kDeepseekV2Router,
    .leading_dense = 0,
    .mla = &kAttention,
};

}  // namespace switchyard
