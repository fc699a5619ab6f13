// gpt-oss: experts in every layer with biases and a clamped activation, a bias on every projection,
// attention sinks, a window in every other layer, YaRN.
#include "formats/families/families.h"

namespace switchyard {
namespace {

constexpr RopeScaling kYarn = {
    .kind = RopeKind::yarn, .factor = 32.0F, .original_context = 4096, .truncate = false};

}  // namespace

constinit const FamilyTraits kGptOss = {
    .family = Family::gpt_oss,
    .model_type = "gpt_oss",
    .architecture = "GptOssForCausalLM",
    .kind = FamilyKind::all_moe,
    .bias = true,
    .vocab = 201088,
    .width = 2880,
    .layers = 36,
    .heads = 64,
    .kv_heads = 8,
    .head_dim = 64,
    .context = 131072,
    .norm_epsilon = 1e-5,
    .rope_theta = 150000,
    .sliding_window = 128,
    .experts_field = "num_local_experts",
    .expert_hidden_field = "intermediate_size",
    .experts = 128,
    .experts_per_token = 4,
    .expert_hidden = 2880,
    .router_name = "router",
    .router = &kRenormalizedTopK,
    .output_bias = true,
    .sinks = true,
    .router_bias = true,
    .expert_bias = true,
    .clamped = true,
    .experts_in_turn = true,
    .window = WindowRule::alternating,
    .rope_scaling = &kYarn,
};

}  // namespace switchyard
