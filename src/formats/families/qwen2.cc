// Qwen2: Llama with a bias on q, k and v; the upper layers may have a window.
#include "formats/families/families.h"

namespace switchyard {

constinit const FamilyTraits kQwen2 = {
    .family = Family::qwen2,
    .model_type = "qwen2",
    .architecture = "Qwen2ForCausalLM",
    .kind = FamilyKind::dense,
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
    .window = WindowRule::upper_layers,
};

}  // namespace switchyard
