// DeepSeek-V3 and R1: V2 with sigmoid scores, a bias for selection, and layers behind the last that
// predict further tokens, which are not used.
#include "formats/families/families.h"

namespace switchyard {
namespace {

constexpr MlaConfig kAttention = {
    .q_rank = 1536, .kv_rank = 512, .nope_dim = 128, .rope_dim = 64, .value_dim = 128};

}  // namespace

constinit const FamilyTraits kDeepseekV3 = {
    .family = Family::deepseek_v3,
    .model_type = "deepseek_v3",
    .architecture = "DeepseekV3ForCausalLM",
    .kind = FamilyKind::leading_moe,
    .attention_bias_field = true,
    .vocab = 129280,
    .width = 7168,
    .hidden = 18432,
    .layers = 61,
    .heads = 128,
    .kv_heads = 128,
    .context = 4096,
    .norm_epsilon = 1e-6,
    .rope_theta = 1e4,
    .bos = 0,
    .eos = 1,
    .experts_field = "n_routed_experts",
    .expert_hidden_field = "moe_intermediate_size",
    .experts = 256,
    .experts_per_token = 8,
    .expert_hidden = 2048,
    .shared_experts = 1,
    .shared_name = "shared_experts.",
    .router = &kDeepseekV3Router,
    .leading_dense = 3,
    .extra_layers_field = "num_nextn_predict_layers",
    .mla = &kAttention,
};

}  // namespace switchyard
