// What a model is: the shape of a decoder, read from a Hugging Face config.json and checked, and
// the names of its weights in each known family. One description serves the runtime, training and
// conversion.
//
// Dimension letters: V vocabulary, D model width, L layers, H heads, F expert hidden width, E
// experts.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/file_system.h"
#include "switchyard/routing.h"

namespace switchyard {

// Weight naming and details of the block. Chosen by config.json "model_type".
enum class Family {
  llama,
  mistral,
  qwen2,
  qwen3,
  mixtral,
  olmoe,
  qwen2_moe,
  qwen3_moe,
  deepseek_v2,
  deepseek_v3,
  gpt_oss,
  switchyard
};

// The name in "model_type", in recipes and on the command line.
std::string_view family_name(Family family);
std::optional<Family> family_from_name(std::string_view name);

enum class Activation { silu, gelu, gelu_tanh, relu };

// Hugging Face's name ("silu", "gelu", "gelu_pytorch_tanh", "relu"); reading also knows its
// synonyms.
std::string_view activation_name(Activation activation);
std::optional<Activation> activation_from_name(std::string_view name);

// Normalisation of queries and keys before RoPE.
enum class QkNorm {
  none,
  full,      // over all heads at once, weight [H * head_dim] (OLMoE)
  per_head,  // over each head, weight [head_dim] (Qwen3)
};

// A feed-forward network: gated (down(act(gate(x)) * up(x))) or plain (down(act(up(x)))).
struct FfnConfig {
  int hidden = 0;  // F
  Activation activation = Activation::silu;
  bool gated = true;
  // gpt-oss: with g = min(gate(x), 7) and u = up(x) within 7 of 0, down((u + 1) g sigmoid(1.702
  // g)). Gated silu only
  bool clamped = false;

  static constexpr float kClamp = 7.0F;
  static constexpr float kSlope = 1.702F;

  bool operator==(const FfnConfig&) const = default;
};

// What changes the angles of RoPE so that positions beyond those of the first training are told
// apart. Names in config.json: "linear", "llama3", "yarn", "dynamic".
enum class RopeKind {
  plain,
  linear,   // every frequency divided by the factor
  llama3,   // only low frequencies, with a smooth passage (Llama 3.1)
  yarn,     // only low frequencies, and larger scores (Peng 2023)
  dynamic,  // the base grows with the context, or by a number of its own (NTK-aware)
};

struct RopeScaling {
  RopeKind kind = RopeKind::plain;
  float factor = 1.0F;       // by how much the context grew
  int original_context = 0;  // tokens before; llama3, yarn, dynamic
  // dynamic: the base times alpha^(d / (d - 2)), d dimensions rotated. 0: not given; alpha is then
  // factor * context / original_context - (factor - 1) where a session's context is longer than
  // original_context, and 1 where not. The context is the one the model is opened with, so that no
  // angle changes while a text grows
  float alpha = 0.0F;
  // llama3: wavelengths above original_context / low are divided, those below original_context /
  // high are left alone
  float low_frequency_factor = 1.0F;
  float high_frequency_factor = 4.0F;
  // yarn: frequencies that turn less than beta_slow times in original_context tokens are divided,
  // those that turn more than beta_fast times are left alone
  float beta_fast = 32.0F;
  float beta_slow = 1.0F;
  bool truncate = true;  // yarn: the bounds of the passage are whole dimensions
  // yarn: multiplies cosines and sines; 0: m(mscale) / m(mscale_all_dim), or m(1) without the two,
  // where m(s) = 0.1 s ln(factor) + 1
  float attention_factor = 0.0F;
  // yarn: 0: not given. With latent attention scores are multiplied by m(mscale_all_dim)^2
  float mscale = 0.0F;
  float mscale_all_dim = 0.0F;

  bool operator==(const RopeScaling&) const = default;
};

// Multi-head latent attention (DeepSeek-V2, section 2.1). Keys and values of all heads are made
// from one latent vector of kv_rank values, which is all that is cached, with one rotated key that
// all heads share:
//
//   [c, r] = kv_a x;  c normalised;  [k_h, v_h] = kv_b_h c;  score_h = q_h . [k_h, rope(r)]
//
// A query head is [nope_dim, rope_dim]; ModelConfig::head_dim is their sum.
struct MlaConfig {
  int q_rank = 0;  // of the queries' two matrices, with a norm between them; 0: one matrix
  int kv_rank = 0;
  int nope_dim = 0;   // of a head, not rotated
  int rope_dim = 0;   // of a head, rotated; even
  int value_dim = 0;  // of a head's value
  // Rotated pairs stand side by side in the weights, as DeepSeek stores them; false: half a head
  // apart as in every other family
  bool interleaved = true;

  // Of the two norms inside, whatever ModelConfig::norm_epsilon is (Hugging Face transformers).
  static constexpr float kNormEpsilon = 1e-6F;

  int cached_width() const { return kv_rank + rope_dim; }  // values cached per token and layer

  bool operator==(const MlaConfig&) const = default;
};

struct MoeConfig {
  FfnConfig expert;
  // Widths of the experts where they differ (Duo-LLM's big and small), in router order; empty: all
  // are expert.hidden wide. expert.hidden is then the largest
  std::vector<int> expert_hidden{};
  routing::Config router;
  int shared_hidden = 0;     // width of the shared expert outside the router, 0: none
  bool router_bias = false;  // added to the router's logits
  bool expert_bias = false;  // on gate, up and down of every expert, not of the shared one
  bool shared_gate = false;  // the shared expert's output times sigmoid(w . x) (Qwen2-MoE)
  // Smallest K that training used, where a schedule changed it (SMoE-Dropout); 0: not known. Says
  // how far down K can be chosen at run time; no computation depends on it
  int fewest_experts_in_training = 0;

  // The network of expert e.
  FfnConfig ffn(int e) const;

  bool operator==(const MoeConfig&) const = default;
};

struct ModelConfig {
  Family family = Family::llama;
  int vocab = 0;       // V
  int width = 0;       // D
  int layers = 0;      // L
  int heads = 0;       // H
  int kv_heads = 0;    // divides H
  int head_dim = 0;    // of queries and keys; what is rotated of it is even
  int context = 2048;  // longest sequence the model was made for, tokens
  float norm_epsilon = 1e-5F;
  float rope_theta = 10000.0F;
  RopeScaling rope_scaling;
  // Tokens that a windowed layer sees, the newest included; 0: every layer sees all
  int sliding_window = 0;
  std::vector<bool> layer_is_windowed{};  // [L]; empty without a window
  bool tied_embeddings = false;
  bool attention_bias = false;         // bias on q, k, v (Qwen2)
  bool attention_output_bias = false;  // bias on o
  // A learned score per head that joins every softmax and has no value (gpt-oss)
  bool attention_sinks = false;
  QkNorm qk_norm = QkNorm::none;
  std::optional<MlaConfig> mla;  // instead of grouped queries
  FfnConfig dense;               // layers without experts
  std::optional<MoeConfig> moe;
  std::vector<bool> layer_is_moe;  // [L]
  std::vector<std::int32_t> eos;   // any of these ends a text; may be empty
  std::optional<std::int32_t> bos;
  // Layers after the L that the file may hold and no token passes through (DeepSeek-V3's prediction
  // of further tokens)
  int extra_layers = 0;

  int q_width() const { return heads * head_dim; }
  int kv_width() const { return kv_heads * head_dim; }
  // What the output projection of attention reads.
  int mixed_width() const { return mla ? heads * mla->value_dim : q_width(); }
  // What RoPE turns of each head.
  int rope_dim() const { return mla ? mla->rope_dim : head_dim; }
  // The window of layer l in tokens; 0: none.
  int window(int l) const {
    return sliding_window > 0 && layer_is_windowed[static_cast<std::size_t>(l)] ? sliding_window
                                                                                : 0;
  }
  // What scores are multiplied by before the softmax.
  float attention_scale() const;

  // Counts of weights. `active` counts what one token uses: K experts, the shared expert, the
  // router. Experts of different width enter by the share of tokens that is expected of them: the
  // probabilities of random routing (where a skip uses nothing), the budget a router is trained
  // for, else all alike.
  std::uint64_t parameters() const;
  std::uint64_t active_parameters() const;
  std::uint64_t expert_parameters() const;  // of the largest expert
  // Multiply-adds times two for one token at the given context length, experts as in active.
  std::uint64_t flops_per_token(int context_tokens) const;

  // Of the MoE layers alone, with K experts in each: routers, experts, shared experts.
  std::uint64_t moe_flops_per_token(int experts_per_token) const;

  bool operator==(const ModelConfig&) const = default;
};

// The largest K whose moe_flops_per_token() is at most `budget`. Throws Error for a dense model and
// where the budget is not enough for one expert.
int experts_for_flops(const ModelConfig& config, std::uint64_t budget);

// Throws Error naming the field: a size out of range, sizes that do not fit together, and what the
// family's own fields cannot say (Family::switchyard can say everything).
void validate(const ModelConfig& config);

// Of a GGUF file, its metadata (gguf_model.h). Of a directory, config.json, and what ends a text
// from generation_config.json if there is one. Unknown fields of known families are ignored (they
// are many); a field that would change the computation and is not supported (longrope,
// clip_qkv) is an Error that names it.
ModelConfig read_model_config(FileSystem& fs, const std::string& path);
ModelConfig model_config_from_json(const nlohmann::json& json, const std::string& where);
// HF field names of the family, as Hugging Face transformers loads them. What no family field can
// say and does not change the model's output (coefficients of losses) stands in "switchyard":
// {"router": {...}}. `torch_dtype` is "float32", "bfloat16" or empty, which leaves the field out.
nlohmann::json to_json(const ModelConfig& config, std::string_view torch_dtype = {});

// Names of weights in a family, Hugging Face style. All matrices are [out, in].
class WeightNames {
 public:
  explicit WeightNames(Family family) : family_(family) {}

  std::string embedding() const;   // [V, D]
  std::string final_norm() const;  // [D]
  std::string output() const;      // [V, D], absent when tied

  // Parts of layer l's attention: "input_norm", "q", "k", "v", "o", "q_bias", "k_bias", "v_bias",
  // "o_bias", "sinks" [H], "q_norm", "k_norm", "post_norm" (the norm before the FFN). Of latent
  // attention: "q" or "q_a", "q_a_norm", "q_b"; "kv_a" [kv_rank + rope_dim, D], "kv_a_norm", "kv_b"
  // [H (nope_dim + value_dim), kv_rank]; "o" [D, H value_dim]. Some GGUF files have kv_b in two:
  // "k_b", keys transposed in each head [H kv_rank, nope_dim], and "v_b" [H value_dim, kv_rank].
  std::string layer(int l, std::string_view part) const;
  // part: "gate" (absent when not gated) [F, D], "up" [F, D], "down" [D, F]; "gate_bias",
  // "up_bias" [F], "down_bias" [D].
  std::string dense(int l, std::string_view part) const;
  std::string expert(int l, int e, std::string_view part) const;
  // A tensor that holds all experts of a layer, by the end of its name: "gate_up_proj".
  std::string merged_experts(int l, std::string_view name) const;
  std::string shared_expert(int l, std::string_view part) const;
  std::string shared_gate(int l) const;  // [1, D]
  // [R, D]; behind a projection [R, p]
  std::string router(int l) const;
  std::string router_bias(int l) const;  // [R]
  // [p, D], p = router_hidden: the first layer of an MLP router, what a recurrent cell reads
  std::string router_projection(int l) const;
  // The cell that all layers of a recurrent router share: "weight_ih" [G p, p], "weight_hh" [G p,
  // p], "bias_ih" [G p], "bias_hh" [G p], G = 3 (gru: r, z, n) or 1 (rnn).
  std::string router_cell(std::string_view part) const;
  std::string selection_bias(int l) const;  // [R]

 private:
  Family family_;
};

}  // namespace switchyard
