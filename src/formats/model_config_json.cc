#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "switchyard/error.h"
#include "switchyard/model_config.h"
#include "switchyard/model_files.h"

#include "formats/attention_json.h"
#include "formats/family.h"
#include "formats/gguf/gguf_model.h"
#include "formats/json.h"
#include "formats/own_section.h"

namespace switchyard {
namespace {

constexpr std::int64_t kMaxSize =
    1 << 28;  // of any dimension; validate() is stricter where it knows better
constexpr std::uint64_t kMaxConfigBytes = 16 << 20;
constexpr const char* kUnsupported = "use a model without it";

// ---- reading ------------------------------------------------------------------------------------

Family read_family(const JsonFields& fields) {
  const std::string type = fields.text("model_type");
  const auto family = family_from_name(type);
  if (family) return *family;
  std::string known;
  for (const FamilyTraits* t : families())
    known.append(known.empty() ? "" : ", ").append(t->model_type);
  fields.fail("model_type", "one of " + known, "use a model of a known family");
}

// An integer that the family has a default for; ours has none.
int size_field(const JsonFields& fields, std::string_view name, int fallback) {
  const auto value = fields.integer(
      name, 1, kMaxSize, fallback > 0 ? std::optional<std::int64_t>(fallback) : std::nullopt);
  return static_cast<int>(value);
}

std::vector<std::int32_t> token_ids(const JsonFields& fields, const nlohmann::json& json,
                                    std::string_view name, int fallback) {
  if (!json.contains(name))
    return fallback < 0 ? std::vector<std::int32_t>{} : std::vector<std::int32_t>{fallback};
  const nlohmann::json* value = fields.get(name);
  if (value == nullptr) return {};
  std::vector<std::int32_t> ids;
  for (const nlohmann::json& id : value->is_array() ? *value : nlohmann::json::array({*value})) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX)
      fields.fail(name, "a token id or a list of token ids");
    ids.push_back(id.get<std::int32_t>());
  }
  return ids;
}

// gpt-oss as it is published: experts are in MXFP4, and their tensors say so themselves.
bool has_mxfp4_experts(const JsonFields& fields, const FamilyTraits& t) {
  const nlohmann::json* quantisation = fields.get("quantization_config");
  return t.experts_in_turn && quantisation->is_object() &&
         quantisation->value("quant_method", nlohmann::json()) == "mxfp4";
}

// Fields that change the computation in a way that is not supported.
void check_unsupported(const JsonFields& fields, const FamilyTraits& t) {
  if (fields.has("quantization_config") && !has_mxfp4_experts(fields, t)) {
    fields.fail("quantization_config", "no quantised weights in this layout, FP8 included",
                "use the model in BF16, or a GGUF file of it");
  }
  if (fields.has("clip_qkv")) {
    fields.fail("clip_qkv", "null: clipping of q, k and v is not supported", kUnsupported);
  }
  if (fields.boolean("mlp_bias", false)) fields.fail("mlp_bias", "false", kUnsupported);
  if (fields.number("partial_rotary_factor", 0, 1, 1.0) != 1.0)
    fields.fail("partial_rotary_factor", "1", kUnsupported);
  if (t.attention_bias_field && fields.boolean("attention_bias", false))
    fields.fail("attention_bias", "false", kUnsupported);
  if (t.output_bias && !fields.boolean("attention_bias", true))
    fields.fail("attention_bias", "true in this family", kUnsupported);
  if (t.clamped && fields.number("swiglu_limit", 0, 1e9, FfnConfig::kClamp) != FfnConfig::kClamp)
    fields.fail("swiglu_limit", "7", kUnsupported);
}

// Layers with experts by decoder_sparse_step and mlp_only_layers.
std::vector<bool> sparse_layers(const JsonFields& fields, int layers) {
  std::vector<bool> routed(static_cast<std::size_t>(layers));
  const auto step = fields.integer("decoder_sparse_step", 1, kMaxSize, 1);
  for (int l = 0; l < layers; ++l) routed[static_cast<std::size_t>(l)] = (l + 1) % step == 0;
  const nlohmann::json* dense = fields.get("mlp_only_layers");
  if (dense == nullptr) return routed;
  if (!dense->is_array()) fields.fail("mlp_only_layers", "a list of layer numbers");
  for (const nlohmann::json& l : *dense) {
    // A number that is no layer has no effect elsewhere either.
    if (!l.is_number_integer()) fields.fail("mlp_only_layers", "a list of layer numbers");
    if (l >= 0 && l < layers) routed[l.get<std::size_t>()] = false;
  }
  return routed;
}

std::vector<bool> moe_layers(const JsonFields& fields, const FamilyTraits& t, int layers) {
  switch (t.kind) {
    case FamilyKind::dense:
      break;
    case FamilyKind::all_moe:
      return std::vector<bool>(static_cast<std::size_t>(layers), true);
    case FamilyKind::some_moe:
      return sparse_layers(fields, layers);
    case FamilyKind::leading_moe:
      return leading_moe_layers(
          layers, fields.integer("first_k_dense_replace", 0, kMaxSize, t.leading_dense),
          fields.integer("moe_layer_freq", 1, kMaxSize, 1));
  }
  return std::vector<bool>(static_cast<std::size_t>(layers), false);
}

// The "switchyard" section beside a known family's own fields: {"router": {...}}.
void read_router_section(const JsonFields& fields, MoeConfig& moe) {
  const nlohmann::json* section = fields.get("switchyard");
  if (section == nullptr) return;
  const std::string where = fields.where() + ": switchyard";
  const JsonFields inner(*section, where);
  for (const auto& [key, value] : section->items()) {
    if (key != "router" && key != kFewestExperts) {
      inner.fail(key, "only router and fewest_experts_in_training in this family",
                 "remove the field or use family switchyard");
    }
  }
  moe.fewest_experts_in_training = static_cast<int>(inner.integer(kFewestExperts, 0, kMaxSize, 0));
  const nlohmann::json* router = inner.get("router");
  if (router == nullptr) return;
  const auto config = routing::config_from_json(*router, where + ".router");
  if (config.experts != moe.router.experts ||
      config.experts_per_token != moe.router.experts_per_token) {
    throw Error({.what = "switchyard.router says " + std::to_string(config.experts) + " experts, " +
                         std::to_string(config.experts_per_token) + " per token",
                 .where = fields.where(),
                 .expected = std::to_string(moe.router.experts) + " and " +
                             std::to_string(moe.router.experts_per_token) +
                             " as in the fields of the family",
                 .fix = "make the two agree"});
  }
  moe.router = config;
}

// Width and gate of the shared expert.
void read_shared(const JsonFields& fields, const nlohmann::json& json, const FamilyTraits& t,
                 MoeConfig& moe) {
  if (t.shared_hidden > 0) {
    moe.shared_hidden = size_field(fields, "shared_expert_intermediate_size", t.shared_hidden);
    moe.shared_gate = true;
  }
  const bool null = json.contains("n_shared_experts") && !fields.has("n_shared_experts");
  if (t.shared_experts > 0 && !null) {
    const auto count = fields.integer("n_shared_experts", 0, 1 << 10, t.shared_experts);
    moe.shared_hidden =
        static_cast<int>(std::min<std::int64_t>(count * moe.expert.hidden, kMaxSize));
  }
}

void read_known_ffn(const JsonFields& fields, const nlohmann::json& json, const FamilyTraits& t,
                    ModelConfig& config) {
  const Activation activation = activation_field(fields, "hidden_act");
  config.dense.activation = activation;
  if (t.kind != FamilyKind::all_moe)
    config.dense.hidden = size_field(fields, "intermediate_size", t.hidden);
  config.layer_is_moe.assign(static_cast<std::size_t>(config.layers), false);
  if (t.kind == FamilyKind::dense) return;

  MoeConfig moe;
  moe.expert = {.hidden = size_field(fields, t.expert_hidden_field, t.expert_hidden),
                .activation = activation,
                .clamped = t.clamped};
  moe.router_bias = t.router_bias;
  moe.expert_bias = t.expert_bias;
  // Transformers takes either name of the number of experts for the other.
  const std::string_view other =
      t.experts_field == "num_experts" ? "num_local_experts" : "num_experts";
  const std::string_view experts =
      !fields.has(t.experts_field) && fields.has(other) ? other : t.experts_field;
  moe.router.experts = static_cast<int>(
      fields.integer(experts, t.kind == FamilyKind::some_moe ? 0 : 1, 1 << 16, t.experts));
  if (moe.router.experts > 0) config.layer_is_moe = moe_layers(fields, t, config.layers);
  if (layers_where(config.layer_is_moe, true).empty()) return;

  moe.router.experts_per_token = static_cast<int>(fields.integer(
      "num_experts_per_tok", 1, moe.router.experts,
      t.experts_per_token > 0 ? std::optional<std::int64_t>(t.experts_per_token) : std::nullopt));
  t.router->read(fields, moe.router);
  read_shared(fields, json, t, moe);
  read_router_section(fields, moe);
  config.moe = moe;
}

// Sets heads, head_dim and what goes with them.
void read_attention(const JsonFields& fields, const nlohmann::json& json, const FamilyTraits& t,
                    ModelConfig& config) {
  config.heads = size_field(fields, "num_attention_heads", t.heads);
  const bool as_many_as_heads = t.kv_heads == 0 || json.contains("num_key_value_heads");
  config.kv_heads =
      size_field(fields, "num_key_value_heads", as_many_as_heads ? config.heads : t.kv_heads);
  config.qk_norm = t.qk_norm;
  config.attention_bias = t.bias ? *t.bias : fields.boolean("qkv_bias", t.bias_default);
  config.attention_output_bias = t.output_bias;
  config.attention_sinks = t.sinks;
  if (t.mla != nullptr) {
    config.mla = read_mla(fields, json, *t.mla);
    config.head_dim = config.mla->nope_dim + config.mla->rope_dim;
    return;
  }
  if (!fields.has("head_dim") && t.head_dim == 0 && config.width % config.heads != 0) {
    fields.fail("num_attention_heads", "a divisor of hidden_size " + std::to_string(config.width),
                "correct it or add head_dim");
  }
  config.head_dim = size_field(
      fields, "head_dim", t.head_dim > 0 ? t.head_dim : std::max(1, config.width / config.heads));
}

// ---- writing ------------------------------------------------------------------------------------

void write_known_ffn(const ModelConfig& config, const FamilyTraits& t, nlohmann::json& json) {
  json["hidden_act"] =
      activation_name(config.moe ? config.moe->expert.activation : config.dense.activation);
  if (t.kind != FamilyKind::all_moe) json["intermediate_size"] = config.dense.hidden;
  if (t.kind == FamilyKind::some_moe) {
    json["decoder_sparse_step"] = 1;
    json["mlp_only_layers"] = layers_where(config.layer_is_moe, false);
  }
  if (t.kind == FamilyKind::leading_moe) {
    const auto leading = as_leading_moe(config.layer_is_moe);  // validate() made sure that it is
    json["first_k_dense_replace"] = leading->first;
    json["moe_layer_freq"] = leading->step;
  }
  if (!config.moe) return;
  const MoeConfig& moe = *config.moe;
  json[t.expert_hidden_field] = moe.expert.hidden;
  json[t.experts_field] = moe.router.experts;
  json["num_experts_per_tok"] = moe.router.experts_per_token;
  const routing::Config said = t.router->nearest(moe.router);
  t.router->write(said, json);
  if (t.shared_hidden > 0) json["shared_expert_intermediate_size"] = moe.shared_hidden;
  if (t.shared_experts > 0) {
    const int count = moe.shared_hidden / moe.expert.hidden;
    json["n_shared_experts"] = count > 0 ? nlohmann::json(count) : nlohmann::json(nullptr);
  }
  if (moe.router != said) json["switchyard"]["router"] = routing::to_json(moe.router);
  if (moe.fewest_experts_in_training > 0)
    json["switchyard"][kFewestExperts] = moe.fewest_experts_in_training;
}

}  // namespace

ModelConfig model_config_from_json(const nlohmann::json& json, const std::string& where) {
  const JsonFields fields(json, where);
  ModelConfig config;
  config.family = read_family(fields);
  const FamilyTraits& t = traits(config.family);
  check_unsupported(fields, t);

  config.vocab = size_field(fields, "vocab_size", t.vocab);
  config.width = size_field(fields, "hidden_size", t.width);
  config.layers = static_cast<int>(
      fields.integer("num_hidden_layers", 1, 1 << 14,
                     t.layers > 0 ? std::optional<std::int64_t>(t.layers) : std::nullopt));
  read_attention(fields, json, t, config);
  config.context = size_field(fields, "max_position_embeddings", t.context);
  config.norm_epsilon = static_cast<float>(fields.number("rms_norm_eps", 1e-30, 1, t.norm_epsilon));
  read_rope(fields, t, config);
  config.tied_embeddings = fields.boolean("tie_word_embeddings", false);
  if (!t.extra_layers_field.empty()) {
    config.extra_layers = static_cast<int>(fields.integer(t.extra_layers_field, 0, 1 << 10, 0));
  }
  config.eos = token_ids(fields, json, "eos_token_id", t.eos);
  const auto bos = token_ids(fields, json, "bos_token_id", t.bos);
  if (!bos.empty()) config.bos = bos.front();
  read_window(fields, json, t, config);

  if (config.family == Family::switchyard) {
    read_own_section(fields, config);
  } else {
    read_known_ffn(fields, json, t, config);
  }
  try {
    validate(config);
  } catch (const Error& error) {
    // The check knows the field, only we know the file.
    Error::Parts parts = error.parts();
    parts.where = where;
    throw Error(std::move(parts));
  }
  return config;
}

ModelConfig read_model_config(FileSystem& fs, const std::string& directory) {
  if (is_gguf(fs, directory)) return model_config_from_gguf(GgufReader(fs, directory));
  const std::string base = directory.ends_with('/') ? directory : directory + "/";
  const std::string path = base + "config.json";
  if (!fs.exists(path)) {
    throw Error({.what = "no model here",
                 .where = directory,
                 .expected = "a directory with config.json, or a GGUF file",
                 .fix = "give the directory of a Hugging Face model, or a file model.gguf"});
  }
  ModelConfig config =
      model_config_from_json(parse_json(read_file(fs, path, kMaxConfigBytes), path), path);
  // What ends a text stands here as well, often with more tokens (the end of a turn in a chat).
  const std::string generation = base + "generation_config.json";
  if (fs.exists(generation)) {
    const auto json = parse_json(read_file(fs, generation, kMaxConfigBytes), generation);
    const JsonFields fields(json, generation);
    if (fields.has("eos_token_id")) config.eos = token_ids(fields, json, "eos_token_id", -1);
  }
  return config;
}

nlohmann::json to_json(const ModelConfig& config, std::string_view torch_dtype) {
  validate(config);
  const FamilyTraits& t = traits(config.family);
  nlohmann::json json = {
      {"architectures", {t.architecture}},
      {"model_type", t.model_type},
      {"vocab_size", config.vocab},
      {"hidden_size", config.width},
      {"num_hidden_layers", config.layers},
      {"num_attention_heads", config.heads},
      {"num_key_value_heads", config.kv_heads},
      {"head_dim", config.head_dim},
      {"max_position_embeddings", config.context},
      {"rms_norm_eps", shortest(config.norm_epsilon)},
      {"tie_word_embeddings", config.tied_embeddings},
      {"attention_dropout", 0.0},
      {"use_cache", true},
  };
  write_rope(config, json);
  // Null where there is none: an absent field would mean the family's default.
  json["bos_token_id"] = config.bos ? nlohmann::json(*config.bos) : nlohmann::json(nullptr);
  json["eos_token_id"] = config.eos.empty()       ? nlohmann::json(nullptr)
                         : config.eos.size() == 1 ? nlohmann::json(config.eos.front())
                                                  : nlohmann::json(config.eos);
  if (!torch_dtype.empty()) json["torch_dtype"] = torch_dtype;
  if (config.family == Family::switchyard) {
    json["switchyard"] = own_section(config);
    return json;
  }
  write_window(config, t, json);
  if (config.mla) write_mla(*config.mla, json);
  if (t.attention_bias_field || t.output_bias) json["attention_bias"] = t.output_bias;
  if (t.clamped) json["swiglu_limit"] = FfnConfig::kClamp;
  if (!t.bias) json["qkv_bias"] = config.attention_bias;
  if (!t.extra_layers_field.empty()) json[t.extra_layers_field] = config.extra_layers;
  write_known_ffn(config, t, json);
  return json;
}

}  // namespace switchyard
