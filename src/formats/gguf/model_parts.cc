#include "formats/gguf/model_parts.h"

#include <array>
#include <map>
#include <utility>

#include "base/check.h"

namespace switchyard {
namespace {

struct LayerPart {
  std::string_view part;  // of WeightNames::layer()
  std::string_view name;
  RotaryRows rotary = RotaryRows::none;
};

constexpr std::array kLayerParts = {
    LayerPart{"input_norm", "attn_norm.weight"},
    LayerPart{"q", "attn_q.weight", RotaryRows::queries},
    LayerPart{"k", "attn_k.weight", RotaryRows::keys},
    LayerPart{"v", "attn_v.weight"},
    LayerPart{"o", "attn_output.weight"},
    LayerPart{"q_bias", "attn_q.bias", RotaryRows::queries},
    LayerPart{"k_bias", "attn_k.bias", RotaryRows::keys},
    LayerPart{"v_bias", "attn_v.bias"},
    LayerPart{"o_bias", "attn_output.bias"},
    LayerPart{"sinks", "attn_sinks.weight"},
    LayerPart{"q_norm", "attn_q_norm.weight"},
    LayerPart{"k_norm", "attn_k_norm.weight"},
    LayerPart{"q_a", "attn_q_a.weight"},
    LayerPart{"q_a_norm", "attn_q_a_norm.weight"},
    LayerPart{"q_b", "attn_q_b.weight"},
    LayerPart{"kv_a", "attn_kv_a_mqa.weight"},
    LayerPart{"kv_a_norm", "attn_kv_a_norm.weight"},
    LayerPart{"kv_b", "attn_kv_b.weight"},
    LayerPart{"post_norm", "ffn_norm.weight"},
};

struct Projection {
  std::string_view part;  // of WeightNames
  std::string_view name;
  std::string_view kind;  // "weight" or "bias"
};
constexpr std::array kProjections = {
    Projection{"gate", "gate", "weight"}, Projection{"up", "up", "weight"},
    Projection{"down", "down", "weight"}, Projection{"gate_bias", "gate", "bias"},
    Projection{"up_bias", "up", "bias"},  Projection{"down_bias", "down", "bias"},
};

// Of the recurrent router that all layers share; ours.
constexpr std::array<std::string_view, 4> kCellParts = {"weight_ih", "weight_hh", "bias_ih",
                                                        "bias_hh"};

std::string in_layer(int l, std::string_view rest) {
  return "blk." + std::to_string(l) + "." + std::string(rest);
}

std::string ffn(int l, std::string_view name, std::string_view suffix, std::string_view kind) {
  return in_layer(l, "ffn_").append(name).append(suffix).append(".").append(kind);
}

// Every name a model of the family could use.
class Names {
 public:
  explicit Names(const ModelConfig& config) : family_(config.family), names_(config.family) {
    add(names_.embedding(), {.tensor = "token_embd.weight"});
    add(names_.final_norm(), {.tensor = "output_norm.weight"});
    add(names_.output(), {.tensor = "output.weight"});
    for (int l = 0; l < config.layers; ++l) add_layer(l);
    if (!config.moe) return;
    for (const std::string_view part : kCellParts) {
      add(names_.router_cell(part),
          {.tensor = "router_cell." + std::string(part), .always_f32 = true});
    }
    for (int l = 0; l < config.layers; ++l) add_experts(l, config.moe->router.experts);
  }

  GgufPart take(const ExpectedTensor& expected) {
    const auto it = parts_.find(expected.name);
    SWITCHYARD_CHECK(it != parts_.end());
    GgufPart part = std::move(it->second);
    part.weight = expected.name;
    part.shape = expected.shape();
    part.always_f32 = part.always_f32 || part.shape.size() == 1;
    return part;
  }

 private:
  void add(std::string weight, GgufPart part) {
    parts_.insert_or_assign(std::move(weight), std::move(part));
  }

  void add_layer(int l) {
    for (const LayerPart& row : kLayerParts) {
      add(names_.layer(l, row.part), {.tensor = in_layer(l, row.name), .rotary = row.rotary});
    }
    // The one architecture that calls the norm before the FFN by its place behind attention.
    if (family_ == Family::gpt_oss) {
      add(names_.layer(l, "post_norm"), {.tensor = in_layer(l, "post_attention_norm.weight")});
    }
    for (const Projection& row : kProjections) {
      add(names_.dense(l, row.part), {.tensor = ffn(l, row.name, "", row.kind)});
      add(names_.shared_expert(l, row.part), {.tensor = ffn(l, row.name, "_shexp", row.kind)});
    }
    add(names_.router(l), {.tensor = gguf_router_tensor(l), .always_f32 = true});
    add(names_.router_bias(l), {.tensor = in_layer(l, "ffn_gate_inp.bias"), .always_f32 = true});
    add(names_.router_projection(l),
        {.tensor = in_layer(l, "ffn_gate_inp_proj.weight"), .always_f32 = true});
    add(names_.selection_bias(l), {.tensor = in_layer(l, "exp_probs_b.bias"), .always_f32 = true});
    add(names_.shared_gate(l),
        {.tensor = in_layer(l, "ffn_gate_inp_shexp.weight"), .always_f32 = true});
  }

  void add_experts(int l, int experts) {
    for (int e = 0; e < experts; ++e) {
      for (const Projection& row : kProjections) {
        add(names_.expert(l, e, row.part), {.tensor = ffn(l, row.name, "_exps", row.kind),
                                            .layer = l,
                                            .expert = e,
                                            .projection = row.name,
                                            .kind = row.kind});
      }
    }
  }

  Family family_;
  WeightNames names_;
  std::map<std::string, GgufPart, std::less<>> parts_;
};

}  // namespace

std::string GgufPart::own_tensor() const {
  return ffn(layer, projection, "." + std::to_string(expert), kind);
}

std::string GgufPart::gate_up_tensor() const { return ffn(layer, "gate_up", "_exps", kind); }

std::vector<std::uint64_t> GgufPart::dims() const {
  std::vector<std::uint64_t> out;
  for (auto n = shape.rbegin(); n != shape.rend(); ++n) {
    out.push_back(static_cast<std::uint64_t>(*n));
  }
  if (out.size() == 2 && out.back() == 1 && always_f32) out.pop_back();
  return out;
}

std::vector<GgufPart> gguf_parts(const ModelConfig& config) {
  Names names(config);
  std::vector<GgufPart> parts;
  for (const ExpectedTensor& tensor : expected_tensors(config)) parts.push_back(names.take(tensor));
  return parts;
}

std::string gguf_router_tensor(int layer) { return in_layer(layer, "ffn_gate_inp.weight"); }
std::string gguf_query_bias_tensor(int layer) { return in_layer(layer, "attn_q.bias"); }
std::string gguf_down_experts_tensor(int layer) { return ffn(layer, "down", "_exps", "weight"); }

}  // namespace switchyard
