// Mistral: Llama with a sliding window.
#include "formats/families/families.h"

namespace switchyard {

constinit const FamilyTraits kMistral = {
    .family = Family::mistral,
    .model_type = "mistral",
    .architecture = "MistralForCausalLM",
    .kind = FamilyKind::dense,
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
    .window = WindowRule::every_layer,
};

}  // namespace switchyard
