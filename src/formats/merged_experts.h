// Checkpoints that keep all experts of a layer in one tensor, under the names and in the order that
// everything else knows: each expert's gate, up and down by itself.
//
// What is known (E experts, F wide, D the model's width; all in [outermost, ..., innermost] order):
//
//   gpt-oss as published       gate_up_proj_blocks [E, 2 F, D / 32, 16] and _scales [E, 2 F, D /
//   32], (MXFP4, U8)                down_proj_blocks [E, D, F / 32, 16] and _scales [E, D, F / 32]
//   gpt-oss with plain types   gate_up_proj [E, D, 2 F], down_proj [E, F, D]: inputs outermost
//   both                       gate_up_proj_bias [E, 2 F], down_proj_bias [E, D]
//   other families, as newer   gate_up_proj [E, 2 F, D], down_proj [E, D, F]
//   transformers hold them
//
// gpt-oss has rows of gate and up in turn, the others all of gate before all of up.
#pragma once

#include "switchyard/model_config.h"
#include "switchyard/weight_files.h"

namespace switchyard {

// The same weights with each expert by itself; those that are so already stay as they are. Nothing
// is read: what lies in one piece becomes a slice, the rest a tensor with sources. Throws Error
// naming the tensor if one has another shape or type than these layouts.
WeightFiles with_experts_apart(const WeightFiles& weights, const ModelConfig& config);

}  // namespace switchyard
