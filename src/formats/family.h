// What sets the known model families apart: names, how config.json describes the layers, and the
// values Hugging Face transformers takes for fields that it leaves out. One file a family in
// families/; the blocks they are made of are shared.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "switchyard/model_config.h"

namespace switchyard {

class JsonFields;

enum class FamilyKind {
  dense,        // no experts
  all_moe,      // every layer routes
  some_moe,     // layers are picked by decoder_sparse_step and mlp_only_layers, or by a list
  leading_moe,  // all but the first_k_dense_replace first layers, of these each moe_layer_freq-th
};

// Which layers have a sliding window, if there is one.
enum class WindowRule {
  none,
  every_layer,   // sliding_window
  switched,      // every layer, if use_sliding_window
  upper_layers,  // if use_sliding_window: those in layer_types, else from max_window_layers on
  listed,        // if use_sliding_window: those in layer_types
  alternating,   // those in layer_types, else every other one from the first on
};

// How a family's own fields describe its router.
struct RouterFields {
  // Sets what the fields say in a config that has experts and experts_per_token already.
  void (*read)(const JsonFields& fields, routing::Config& router);
  // REQUIRES: what nearest() gives.
  void (*write)(const routing::Config& router, nlohmann::json& json);
  // What the fields can say of this router's computation; the rest is left at its default.
  routing::Config (*nearest)(const routing::Config& router);
  std::string_view what;  // for messages
};

struct FamilyTraits {
  Family family;
  std::string_view model_type;
  std::string_view architecture;
  FamilyKind kind;
  QkNorm qk_norm = QkNorm::none;
  // Bias on q, k and v: always, never, or nullopt where qkv_bias decides (its default is
  // bias_default).
  std::optional<bool> bias = false;
  bool bias_default = false;
  // "attention_bias" exists; it also means the output projection, so that true is refused.
  bool attention_bias_field = false;

  // Defaults of absent fields; 0: none.
  int vocab = 0, width = 0, hidden = 0, layers = 0, heads = 0;
  int kv_heads = 0;  // 0: as many as heads
  int head_dim = 0;  // 0: width / heads
  int context = 0;
  double norm_epsilon = 0;
  double rope_theta = 0;
  int sliding_window = 0;
  int bos = -1, eos = -1;  // -1: none

  // Routed families only.
  std::string_view experts_field = "";        // E
  std::string_view expert_hidden_field = "";  // F of an expert
  int experts = 0, experts_per_token = 0, expert_hidden = 0;
  int shared_hidden = 0;   // above 0: a gated shared expert, shared_expert_intermediate_size wide
  int shared_experts = 0;  // above 0: an ungated one, n_shared_experts times an expert's width
  std::string_view router_name = "gate";
  std::string_view shared_name = "shared_expert.";
  const RouterFields* router = nullptr;
  int leading_dense = 0;  // first_k_dense_replace; leading_moe only

  // The blocks of gpt-oss: biases everywhere, attention sinks, clamped networks.
  bool output_bias = false, sinks = false, router_bias = false, expert_bias = false,
       clamped = false;
  // Where one tensor holds all experts (merged_experts.h): rows of gate and up in turn.
  bool experts_in_turn = false;

  WindowRule window = WindowRule::none;
  const RopeScaling* rope_scaling = nullptr;  // where the file says nothing
  std::string_view extra_layers_field = "";   // how many layers stand behind the last, unused
  const MlaConfig* mla = nullptr;             // latent attention, with these defaults
};

// The visible table.
std::span<const FamilyTraits* const> families();
const FamilyTraits& traits(Family family);

// What FamilyKind::leading_moe means: layers from `first` on whose number is a multiple of `step`.
struct LeadingMoe {
  int first = 0;
  int step = 1;
};
std::vector<bool> leading_moe_layers(int layers, std::int64_t first, std::int64_t step);
// The two numbers that give these layers, nullopt if none do.
std::optional<LeadingMoe> as_leading_moe(const std::vector<bool>& layer_is_moe);

}  // namespace switchyard
