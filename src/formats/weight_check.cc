#include "formats/weight_check.h"

#include <algorithm>

#include "switchyard/error.h"

#include "formats/dtype.h"
#include "formats/family.h"
#include "formats/json.h"
#include "routing/recurrent.h"

namespace switchyard {
namespace {

std::string fix_for(const WeightFiles& weights) {
  return "correct " + weights.description() + ", or take the weights that belong to it";
}

class Lister {
 public:
  explicit Lister(const ModelConfig& config)
      : config_(config),
        family_(traits(config.family)),
        names_(config.family),
        own_(config.family == Family::switchyard),
        width_{config.width, "hidden_size"},
        q_{config.q_width(), "num_attention_heads * head_dim"},
        kv_{config.kv_width(), "num_key_value_heads * head_dim"} {}

  std::vector<ExpectedTensor> list() {
    const ExpectedDimension vocab{config_.vocab, "vocab_size"};
    add(names_.embedding(), {vocab, width_});
    for (int l = 0; l < config_.layers; ++l) {
      attention(l);
      if (config_.layer_is_moe[static_cast<std::size_t>(l)]) {
        moe(l);
      } else {
        const ExpectedDimension hidden{config_.dense.hidden,
                                       own_ ? "switchyard.dense.hidden" : "intermediate_size"};
        ffn(config_.dense, hidden, [&](std::string_view part) { return names_.dense(l, part); });
      }
    }
    router_cell();
    add(names_.final_norm(), {width_});
    if (!config_.tied_embeddings) add(names_.output(), {vocab, width_});
    return std::move(tensors_);
  }

 private:
  void add(std::string name, std::vector<ExpectedDimension> dimensions) {
    tensors_.push_back({std::move(name), std::move(dimensions)});
  }

  template <typename Name>
  void ffn(const FfnConfig& config, const ExpectedDimension& hidden, Name name) {
    if (config.gated) add(name("gate"), {hidden, width_});
    add(name("up"), {hidden, width_});
    add(name("down"), {width_, hidden});
  }

  void attention(int l) {
    add(names_.layer(l, "input_norm"), {width_});
    if (config_.mla) {
      latent_attention(l, *config_.mla);
      add(names_.layer(l, "post_norm"), {width_});
      return;
    }
    add(names_.layer(l, "q"), {q_, width_});
    add(names_.layer(l, "k"), {kv_, width_});
    add(names_.layer(l, "v"), {kv_, width_});
    add(names_.layer(l, "o"), {width_, q_});
    if (config_.attention_bias) {
      add(names_.layer(l, "q_bias"), {q_});
      add(names_.layer(l, "k_bias"), {kv_});
      add(names_.layer(l, "v_bias"), {kv_});
    }
    if (config_.attention_output_bias) add(names_.layer(l, "o_bias"), {width_});
    if (config_.attention_sinks) {
      add(names_.layer(l, "sinks"), {{config_.heads, "num_attention_heads"}});
    }
    const ExpectedDimension head{config_.head_dim, "head_dim"};
    if (config_.qk_norm != QkNorm::none) {
      add(names_.layer(l, "q_norm"), {config_.qk_norm == QkNorm::full ? q_ : head});
      add(names_.layer(l, "k_norm"), {config_.qk_norm == QkNorm::full ? kv_ : head});
    }
    add(names_.layer(l, "post_norm"), {width_});
  }

  void latent_attention(int l, const MlaConfig& mla) {
    const std::int64_t heads = config_.heads;
    const ExpectedDimension queries{config_.q_width(),
                                    "num_attention_heads * (qk_nope_head_dim + qk_rope_head_dim)"};
    const ExpectedDimension kv_rank{mla.kv_rank, "kv_lora_rank"};
    const ExpectedDimension cached{mla.cached_width(), "kv_lora_rank + qk_rope_head_dim"};
    const ExpectedDimension expanded{heads * (mla.nope_dim + mla.value_dim),
                                     "num_attention_heads * (qk_nope_head_dim + v_head_dim)"};
    const ExpectedDimension mixed{config_.mixed_width(), "num_attention_heads * v_head_dim"};
    if (mla.q_rank > 0) {
      const ExpectedDimension q_rank{mla.q_rank, "q_lora_rank"};
      add(names_.layer(l, "q_a"), {q_rank, width_});
      add(names_.layer(l, "q_a_norm"), {q_rank});
      add(names_.layer(l, "q_b"), {queries, q_rank});
    } else {
      add(names_.layer(l, "q"), {queries, width_});
    }
    add(names_.layer(l, "kv_a"), {cached, width_});
    add(names_.layer(l, "kv_a_norm"), {kv_rank});
    add(names_.layer(l, "kv_b"), {expanded, kv_rank});
    add(names_.layer(l, "o"), {width_, mixed});
  }

  void moe(int l) {
    const MoeConfig& moe = *config_.moe;
    const ExpectedDimension outputs{routing::router_width(moe.router),
                                    std::string(family_.experts_field)};
    const ExpectedDimension hidden_router{moe.router.router_hidden,
                                          "switchyard.router.router_hidden"};
    if (hidden_router.size > 0) add(names_.router_projection(l), {hidden_router, width_});
    if (outputs.size > 0)
      add(names_.router(l), {outputs, hidden_router.size > 0 ? hidden_router : width_});
    if (moe.router_bias) add(names_.router_bias(l), {outputs});
    if (moe.router.selection_bias) add(names_.selection_bias(l), {outputs});
    for (int e = 0; e < moe.router.experts; ++e) {
      const ExpectedDimension hidden{moe.ffn(e).hidden,
                                     moe.expert_hidden.empty()
                                         ? std::string(family_.expert_hidden_field)
                                         : "switchyard.expert_hidden[" + std::to_string(e) + "]"};
      ffn(moe.expert, hidden, [&](std::string_view part) { return names_.expert(l, e, part); });
      if (!moe.expert_bias) continue;
      if (moe.expert.gated) add(names_.expert(l, e, "gate_bias"), {hidden});
      add(names_.expert(l, e, "up_bias"), {hidden});
      add(names_.expert(l, e, "down_bias"), {width_});
    }
    if (moe.shared_hidden == 0) return;
    const ExpectedDimension shared{
        moe.shared_hidden, own_                         ? "switchyard.shared_hidden"
                           : family_.shared_experts > 0 ? "n_shared_experts * moe_intermediate_size"
                                                        : "shared_expert_intermediate_size"};
    ffn(moe.expert, shared, [&](std::string_view part) { return names_.shared_expert(l, part); });
    if (moe.shared_gate) add(names_.shared_gate(l), {{1, "one gate"}, width_});
  }

  // One for all layers.
  void router_cell() {
    const int gates = config_.moe ? routing::cell_gates(config_.moe->router) : 0;
    if (gates == 0) return;
    const ExpectedDimension state{config_.moe->router.router_hidden,
                                  "switchyard.router.router_hidden"};
    const ExpectedDimension rows{gates * state.size,
                                 "gates of the cell * switchyard.router.router_hidden"};
    add(names_.router_cell("weight_ih"), {rows, state});
    add(names_.router_cell("weight_hh"), {rows, state});
    add(names_.router_cell("bias_ih"), {rows});
    add(names_.router_cell("bias_hh"), {rows});
  }

  const ModelConfig& config_;
  const FamilyTraits& family_;
  WeightNames names_;
  bool own_;
  ExpectedDimension width_, q_, kv_;
  std::vector<ExpectedTensor> tensors_;
};

std::string describe(const std::vector<ExpectedDimension>& dimensions) {
  std::string text = "[";
  for (const ExpectedDimension& d : dimensions) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(d.size) + " (" + d.field + ")";
  }
  return text + "]";
}

std::string describe(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const std::int64_t n : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  return text + "]";
}

void check_present(const ExpectedTensor& expected, const WeightFiles& weights) {
  const std::string says = " as " + weights.description() + " says";
  if (!weights.has(expected.name)) {
    throw Error(
        {.what = "the tensor is missing",
         .where = weights.files().front() + ": tensor " + shown(weights.stored_name(expected.name)),
         .expected = "shape " + describe(expected.dimensions) + says,
         .fix = fix_for(weights)});
  }
  const TensorInfo& tensor = weights.find(expected.name);
  const std::string where =
      weights.files()[tensor.file] + ": tensor " + shown(weights.stored_name(expected.name));
  if (tensor.shape != expected.shape()) {
    throw Error({.what = "the shape is " + describe(tensor.shape),
                 .where = where,
                 .expected = describe(expected.dimensions) + says,
                 .fix = fix_for(weights)});
  }
  if (!is_floating(tensor.dtype) && !is_quantised(tensor.dtype)) {
    throw Error({.what = "the dtype is " + std::string(dtype_name(tensor.dtype)),
                 .where = where,
                 .expected = "F32, F16, BF16, F64 or a quantised type of GGUF",
                 .fix = "convert the model to one of these types"});
  }
}

void check_absent(const std::string& name, const std::string& field, const WeightFiles& weights) {
  if (!weights.has(name)) return;
  throw Error(
      {.what = weights.description() + " says that the model has no such tensor (" + field + ")",
       .where = weights.files()[weights.find(name).file] + ": tensor " +
                shown(weights.stored_name(name)),
       .expected = "weights and " + weights.description() + " that agree",
       .fix = fix_for(weights)});
}

// What open_weights() takes apart and plain readers of safetensors leave as it is.
void check_experts_apart(const ModelConfig& config, const WeightFiles& weights) {
  const WeightNames names(config.family);
  for (int l = 0; l < config.layers; ++l) {
    for (const char* name : {"gate_up_proj_blocks", "gate_up_proj"}) {
      const std::string merged = names.merged_experts(l, name);
      if (!weights.has(merged)) continue;
      throw Error({.what = "one tensor holds all experts of a layer",
                   .where = weights.files()[weights.find(merged).file] + ": tensor " + merged,
                   .expected = "a tensor for each expert and matrix",
                   .fix = "convert the model: switchyard convert MODEL OUT --to bf16"});
    }
  }
}

}  // namespace

std::vector<std::int64_t> ExpectedTensor::shape() const {
  std::vector<std::int64_t> sizes;
  for (const ExpectedDimension& d : dimensions) sizes.push_back(d.size);
  return sizes;
}

std::vector<ExpectedTensor> expected_tensors(const ModelConfig& config) {
  return Lister(config).list();
}

void check_weights(const ModelConfig& config, const WeightFiles& weights) {
  if (config.moe) check_experts_apart(config, weights);
  for (const ExpectedTensor& tensor : expected_tensors(config)) check_present(tensor, weights);
  // What a config that is too small would leave out without a word.
  const WeightNames names(config.family);
  check_absent(names.layer(config.layers + config.extra_layers, "input_norm"),
               "num_hidden_layers is " + std::to_string(config.layers), weights);
  if (config.mla && config.mla->q_rank > 0) {
    check_absent(names.layer(0, "q"), "q_lora_rank is set", weights);
  } else {
    check_absent(names.layer(0, "q_a"),
                 config.mla ? "q_lora_rank is null" : "attention is not latent", weights);
  }
  if (!config.attention_output_bias)
    check_absent(names.layer(0, "o_bias"), "no bias on o", weights);
  if (!config.attention_sinks) check_absent(names.layer(0, "sinks"), "no attention sinks", weights);
  if (!config.attention_bias)
    check_absent(names.layer(0, "q_bias"), "no bias on q, k and v", weights);
  if (config.qk_norm == QkNorm::none)
    check_absent(names.layer(0, "q_norm"), "no norm of q and k", weights);
  if (!config.moe || routing::cell_gates(config.moe->router) == 0)
    check_absent(names.router_cell("weight_ih"), "the router is not recurrent", weights);
  for (int l = 0; l < config.layers; ++l) {
    if (config.layer_is_moe[static_cast<std::size_t>(l)]) {
      if (config.moe->router.router_hidden == 0)
        check_absent(names.router_projection(l), "router_hidden is 0", weights);
      const int experts = config.moe->router.experts;
      check_absent(
          names.expert(l, experts, "down"),
          std::string(traits(config.family).experts_field) + " is " + std::to_string(experts),
          weights);
      if (!config.moe->router_bias)
        check_absent(names.router_bias(l), "no bias on the router", weights);
      if (!config.moe->expert_bias)
        check_absent(names.expert(l, 0, "down_bias"), "no bias on experts", weights);
      if (config.moe->shared_hidden == 0)
        check_absent(names.shared_expert(l, "down"), "no shared expert", weights);
      if (!config.moe->expert.gated)
        check_absent(names.expert(l, 0, "gate"), "experts are not gated", weights);
    } else {
      check_absent(names.router(l), "layer " + std::to_string(l) + " has no experts", weights);
      if (!config.dense.gated)
        check_absent(names.dense(l, "gate"), "dense layers are not gated", weights);
    }
  }
}

}  // namespace switchyard
