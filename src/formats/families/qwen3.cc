// Qwen3: q and k normalised per head, heads of a width of their own, no bias.
#include "formats/families/families.h"

namespace switchyard {

constinit const FamilyTraits kQwen3 = {
    .family = Family::qwen3,
    .model_type = "qwen3",
    .architecture = "Qwen3ForCausalLM",
    .kind = FamilyKind::dense,
    .qk_norm = QkNorm::per_head,
    .attention_bias_field = true,
    .vocab = 151936,
    .width = 4096,
    .hidden = 22016,
    .layers = 32,
    .heads = 32,
    .kv_heads = 32,
    .head_dim = 128,
    .context = 32768,
    .norm_epsilon = 1e-6,
    .rope_theta = 1e4,
    .sliding_window = 4096,
    .window = WindowRule::upper_layers,
};

}  // namespace switchyard
