// Ours. Everything stands in the file; only the numbers of the norm and of RoPE have defaults.
#include "formats/families/families.h"

namespace switchyard {

constinit const FamilyTraits kSwitchyard = {
    .family = Family::switchyard,
    .model_type = "switchyard",
    .architecture = "SwitchyardForCausalLM",
    .kind = FamilyKind::some_moe,
    .bias = std::nullopt,
    .context = 2048,
    .norm_epsilon = 1e-5,
    .rope_theta = 1e4,
    .experts_field = "switchyard.router.experts",
    .expert_hidden_field = "switchyard.expert.hidden",
};

}  // namespace switchyard
