// What sets the known model families apart, as one table: names, and the values Hugging Face
// transformers takes for fields that a config.json leaves out.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "switchyard/model_config.h"

namespace switchyard {

enum class FamilyKind {
  dense,     // no experts
  all_moe,   // every layer routes
  some_moe,  // layers are picked by decoder_sparse_step and mlp_only_layers, or by a list
};

struct FamilyTraits {
  Family family;
  std::string_view model_type;
  std::string_view architecture;
  FamilyKind kind;
  QkNorm qk_norm;
  // Bias on q, k and v: always, never, or nullopt where a field decides (its default is
  // bias_default).
  std::optional<bool> bias;
  bool bias_default;

  // Defaults of absent fields.
  int vocab, width, hidden, layers, heads;
  int kv_heads;  // 0: as many as heads
  int context;
  double norm_epsilon;
  double rope_theta;
  int sliding_window;  // 0: none
  int bos, eos;        // -1: none

  // Routed families only.
  std::string_view experts_field;        // E
  std::string_view expert_hidden_field;  // F of an expert
  int experts, experts_per_token, expert_hidden, shared_hidden;
  bool norm_topk_field;  // "norm_topk_prob" exists (default false); without it gate weights are
                         // always renormalised
};

std::span<const FamilyTraits> families();
const FamilyTraits& traits(Family family);

}  // namespace switchyard
