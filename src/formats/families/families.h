// The descriptions in this folder, for the table in family.cc, and what they share.
#pragma once

#include "formats/family.h"

namespace switchyard {

extern const FamilyTraits kLlama, kMistral, kQwen2, kQwen3;
extern const FamilyTraits kMixtral, kOlmoe, kQwen2Moe, kQwen3Moe, kDeepseekV2, kDeepseekV3, kGptOss;
extern const FamilyTraits kSwitchyard;

extern const RouterFields kRenormalizedTopK;  // softmax over all, the K weights sum to 1
extern const RouterFields kTopK;              // the same where norm_topk_prob is true
extern const RouterFields kDeepseekV2Router;
extern const RouterFields kDeepseekV3Router;

}  // namespace switchyard
