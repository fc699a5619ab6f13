#include "formats/own_section.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/check.h"

namespace switchyard {
namespace {

constexpr std::int64_t kMaxSize = 1 << 28;

struct QkNormName {
  std::string_view name;
  QkNorm norm;
};

constexpr std::array kQkNorms = {
    QkNormName{"none", QkNorm::none},
    QkNormName{"full", QkNorm::full},
    QkNormName{"per_head", QkNorm::per_head},
};

QkNorm qk_norm_field(const JsonFields& own) {
  const std::string name = own.text("qk_norm", "none");
  for (const QkNormName& known : kQkNorms) {
    if (known.name == name) return known.norm;
  }
  own.fail("qk_norm", "none, full or per_head");
}

std::string_view qk_norm_name(QkNorm norm) {
  for (const QkNormName& known : kQkNorms) {
    if (known.norm == norm) return known.name;
  }
  check_failed("the norm is in the table", __FILE__, __LINE__);
}

// Throws Error about a field that is not in `known`.
template <std::size_t n>
void check_known(const JsonFields& fields, const nlohmann::json& section,
                 const std::array<std::string_view, n>& known) {
  for (const auto& [key, value] : section.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string names;
    for (const std::string_view name : known) {
      names.append(names.empty() ? "one of " : ", ").append(name);
    }
    fields.fail(key, names);
  }
}

FfnConfig read_ffn(const JsonFields& fields, std::string_view name) {
  const nlohmann::json* json = fields.get(name);
  if (json == nullptr) fields.fail(name, "an object: hidden, activation, gated");
  const JsonFields ffn(*json, fields.where() + "." + std::string(name));
  check_known(ffn, *json,
              std::to_array<std::string_view>({"hidden", "activation", "gated", "clamped"}));
  return {.hidden = static_cast<int>(ffn.integer("hidden", 0, kMaxSize)),
          .activation = activation_field(ffn, "activation"),
          .gated = ffn.boolean("gated", true),
          .clamped = ffn.boolean("clamped", false)};
}

nlohmann::json ffn_json(const FfnConfig& ffn) {
  nlohmann::json json = {{"hidden", ffn.hidden},
                         {"activation", activation_name(ffn.activation)},
                         {"gated", ffn.gated}};
  if (ffn.clamped) json["clamped"] = true;
  return json;
}

MlaConfig read_latent(const JsonFields& own, const nlohmann::json& json) {
  const JsonFields mla(json, own.where() + ".mla");
  check_known(mla, json,
              std::to_array<std::string_view>(
                  {"q_rank", "kv_rank", "nope_dim", "rope_dim", "value_dim", "interleaved"}));
  const auto size = [&](std::string_view name) {
    return static_cast<int>(mla.integer(name, 0, kMaxSize));
  };
  return {.q_rank = size("q_rank"),
          .kv_rank = size("kv_rank"),
          .nope_dim = size("nope_dim"),
          .rope_dim = size("rope_dim"),
          .value_dim = size("value_dim"),
          .interleaved = mla.boolean("interleaved", true)};
}

nlohmann::json latent_json(const MlaConfig& mla) {
  return {{"q_rank", mla.q_rank},       {"kv_rank", mla.kv_rank},
          {"nope_dim", mla.nope_dim},   {"rope_dim", mla.rope_dim},
          {"value_dim", mla.value_dim}, {"interleaved", mla.interleaved}};
}

// Which layers a list of their numbers names.
std::vector<bool> layer_list(const JsonFields& own, std::string_view name, int layers) {
  std::vector<bool> out(static_cast<std::size_t>(layers), false);
  const nlohmann::json* list = own.get(name);
  if (list == nullptr) return out;
  if (!list->is_array()) own.fail(name, "a list of layer numbers");
  for (const nlohmann::json& l : *list) {
    if (!l.is_number_integer() || l < 0 || l >= layers) {
      own.fail(name, "layer numbers from 0 to " + std::to_string(layers - 1));
    }
    out[l.get<std::size_t>()] = true;
  }
  return out;
}

void read_expert_widths(const JsonFields& own, MoeConfig& moe) {
  const nlohmann::json* widths = own.get("expert_hidden");
  if (widths == nullptr) return;
  const char* expected = "a list of widths, one an expert";
  if (!widths->is_array()) own.fail("expert_hidden", expected);
  for (const nlohmann::json& width : *widths) {
    if (!width.is_number_integer() || width < 1 || width > kMaxSize) {
      own.fail("expert_hidden", expected);
    }
    moe.expert_hidden.push_back(width.get<int>());
  }
}

MoeConfig read_moe(const JsonFields& own) {
  MoeConfig moe;
  moe.expert = read_ffn(own, "expert");
  read_expert_widths(own, moe);
  moe.shared_hidden = static_cast<int>(own.integer("shared_hidden", 0, kMaxSize, 0));
  moe.shared_gate = own.boolean("shared_gate", false);
  moe.router_bias = own.boolean("router_bias", false);
  moe.expert_bias = own.boolean("expert_bias", false);
  const nlohmann::json* router = own.get("router");
  if (router == nullptr) own.fail("router", "the routing method and its knobs");
  moe.router = routing::config_from_json(*router, own.where() + ".router");
  moe.fewest_experts_in_training = static_cast<int>(own.integer(kFewestExperts, 0, kMaxSize, 0));
  return moe;
}

constexpr auto kKnown = std::to_array<std::string_view>(
    {"attention_bias", "attention_output_bias", "attention_sinks", "qk_norm", "mla",
     "sliding_window", "windowed_layers", "dense", "moe_layers", "expert", "expert_hidden",
     "shared_hidden", "shared_gate", "router_bias", "expert_bias", "router", kFewestExperts});

}  // namespace

Activation activation_field(const JsonFields& fields, std::string_view name) {
  const auto activation = activation_from_name(fields.text(name, "silu"));
  if (!activation) {
    fields.fail(name, "silu, gelu, gelu_pytorch_tanh or relu", "use a model without it");
  }
  return *activation;
}

std::vector<int> layers_where(const std::vector<bool>& layers, bool value) {
  std::vector<int> out;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    if (layers[l] == value) out.push_back(static_cast<int>(l));
  }
  return out;
}

void read_own_section(const JsonFields& fields, ModelConfig& config) {
  const nlohmann::json* section = fields.get("switchyard");
  if (section == nullptr) fields.fail("switchyard", "the section that describes the layers");
  const JsonFields own(*section, fields.where() + ": switchyard");
  check_known(own, *section, kKnown);
  config.attention_bias = own.boolean("attention_bias", false);
  config.attention_output_bias = own.boolean("attention_output_bias", false);
  config.attention_sinks = own.boolean("attention_sinks", false);
  config.qk_norm = qk_norm_field(own);
  if (const nlohmann::json* mla = own.get("mla")) {
    config.mla = read_latent(own, *mla);
    config.head_dim = config.mla->nope_dim + config.mla->rope_dim;
  }
  config.sliding_window = static_cast<int>(own.integer("sliding_window", 0, kMaxSize, 0));
  if (config.sliding_window > 0) {
    config.layer_is_windowed = layer_list(own, "windowed_layers", config.layers);
  }
  if (own.has("dense")) config.dense = read_ffn(own, "dense");
  config.layer_is_moe = layer_list(own, "moe_layers", config.layers);
  if (!layers_where(config.layer_is_moe, true).empty()) config.moe = read_moe(own);
}

nlohmann::json own_section(const ModelConfig& config) {
  nlohmann::json own = {{"attention_bias", config.attention_bias},
                        {"qk_norm", qk_norm_name(config.qk_norm)},
                        {"dense", ffn_json(config.dense)},
                        {"moe_layers", layers_where(config.layer_is_moe, true)}};
  if (config.attention_output_bias) own["attention_output_bias"] = true;
  if (config.attention_sinks) own["attention_sinks"] = true;
  if (config.mla) own["mla"] = latent_json(*config.mla);
  if (config.sliding_window > 0) {
    own["sliding_window"] = config.sliding_window;
    own["windowed_layers"] = layers_where(config.layer_is_windowed, true);
  }
  if (!config.moe) return own;
  own["expert"] = ffn_json(config.moe->expert);
  if (!config.moe->expert_hidden.empty()) own["expert_hidden"] = config.moe->expert_hidden;
  own["shared_hidden"] = config.moe->shared_hidden;
  own["shared_gate"] = config.moe->shared_gate;
  if (config.moe->router_bias) own["router_bias"] = true;
  if (config.moe->expert_bias) own["expert_bias"] = true;
  own["router"] = routing::to_json(config.moe->router);
  if (config.moe->fewest_experts_in_training > 0) {
    own[kFewestExperts] = config.moe->fewest_experts_in_training;
  }
  return own;
}

}  // namespace switchyard
