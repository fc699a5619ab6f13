// Llama, and the many models that copy its block.
#include "formats/families/families.h"

namespace switchyard {

constinit const FamilyTraits kLlama = {
    .family = Family::llama,
    .model_type = "llama",
    .architecture = "LlamaForCausalLM",
    .kind = FamilyKind::dense,
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
};

}  // namespace switchyard
