#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "switchyard/error.h"
#include "switchyard/model_config.h"

#include "formats/family.h"
#include "formats/json.h"

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
  for (const FamilyTraits& t : families())
    known.append(known.empty() ? "" : ", ").append(t.model_type);
  fields.fail("model_type", "one of " + known, "use a model of a known family");
}

// An integer that the family has a default for; ours has none.
int size_field(const JsonFields& fields, std::string_view name, int fallback) {
  const auto value = fields.integer(
      name, 1, kMaxSize, fallback > 0 ? std::optional<std::int64_t>(fallback) : std::nullopt);
  return static_cast<int>(value);
}

Activation activation_field(const JsonFields& fields, std::string_view name) {
  const auto activation = activation_from_name(fields.text(name, "silu"));
  if (!activation) fields.fail(name, "silu, gelu, gelu_pytorch_tanh or relu", kUnsupported);
  return *activation;
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

// Accepts RoPE without scaling, in the old fields (rope_theta, rope_scaling) and in the new one
// (rope_parameters).
float rope_theta(const JsonFields& fields, double fallback) {
  double theta = fields.number("rope_theta", 1e-3, 1e18, fallback);
  for (const std::string_view name : {"rope_scaling", "rope_parameters"}) {
    const nlohmann::json* value = fields.get(name);
    if (value == nullptr) continue;
    const JsonFields rope(*value, fields.where() + ": " + std::string(name));
    const std::string type = rope.text("rope_type", rope.text("type", "default"));
    if (type != "default") {
      rope.fail(rope.has("rope_type") ? "rope_type" : "type",
                "default: scaled RoPE is not supported", kUnsupported);
    }
    for (const auto& [key, inner] : value->items()) {
      if (inner.is_object()) rope.fail(key, "one RoPE for all layers", kUnsupported);
    }
    if (rope.number("partial_rotary_factor", 0, 1, 1.0) != 1.0) {
      rope.fail("partial_rotary_factor", "1: partly rotated heads are not supported", kUnsupported);
    }
    theta = rope.number("rope_theta", 1e-3, 1e18, theta);
  }
  return static_cast<float>(theta);
}

// A window that no sequence outgrows changes nothing; a smaller one would change the output.
void check_sliding_window(const JsonFields& fields, const nlohmann::json& json,
                          const FamilyTraits& t, const ModelConfig& config) {
  const bool qwen =
      t.family == Family::qwen2 || t.family == Family::qwen2_moe || t.family == Family::qwen3_moe;
  if (qwen) {
    if (!fields.boolean("use_sliding_window", false)) return;
    if (t.family == Family::qwen2 &&
        fields.integer("max_window_layers", 0, kMaxSize, 28) >= config.layers)
      return;
  }
  if (json.contains("sliding_window") && !fields.has("sliding_window")) return;  // null: no window
  const auto window = fields.integer("sliding_window", 0, kMaxSize, t.sliding_window);
  if (window == 0 || window >= config.context) return;
  throw Error({.what = "field 'sliding_window' is " + std::to_string(window) +
                       " with a context of " + std::to_string(config.context),
               .where = fields.where(),
               .expected = "null or at least the context: windowed attention is not supported",
               .fix = "set max_position_embeddings to " + std::to_string(window) +
                      " to use the model up to that length"});
}

void refuse(const JsonFields& fields, std::string_view name, const std::string& expected) {
  if (fields.has(name)) fields.fail(name, expected, kUnsupported);
}

// Fields that change the computation in a way that is not supported.
void check_unsupported(const JsonFields& fields, const FamilyTraits& t) {
  refuse(fields, "quantization_config", "no quantised weights");
  if (const nlohmann::json* types = fields.get("layer_types")) {
    for (const nlohmann::json& type : *types) {
      if (type != "full_attention") {
        fields.fail("layer_types", "full_attention in every layer", kUnsupported);
      }
    }
  }
  refuse(fields, "clip_qkv", "null: clipping of q, k and v is not supported");
  if (fields.boolean("mlp_bias", false)) fields.fail("mlp_bias", "false", kUnsupported);
  if (fields.number("partial_rotary_factor", 0, 1, 1.0) != 1.0)
    fields.fail("partial_rotary_factor", "1", kUnsupported);
  // In these families the field also puts a bias on the output projection.
  const bool has_field =
      t.family == Family::llama || t.family == Family::olmoe || t.family == Family::qwen3_moe;
  if (has_field && fields.boolean("attention_bias", false))
    fields.fail("attention_bias", "false", kUnsupported);
}

std::vector<bool> moe_layers(const JsonFields& fields, int layers, int experts) {
  std::vector<bool> routed(static_cast<std::size_t>(layers));
  const auto step = fields.integer("decoder_sparse_step", 1, kMaxSize, 1);
  for (int l = 0; l < layers; ++l)
    routed[static_cast<std::size_t>(l)] = experts > 0 && (l + 1) % step == 0;
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

// The "switchyard" section beside a known family's own fields: {"router": {...}}.
constexpr const char* kFewest = "fewest_experts_in_training";

void read_router_section(const JsonFields& fields, MoeConfig& moe) {
  const nlohmann::json* section = fields.get("switchyard");
  if (section == nullptr) return;
  const std::string where = fields.where() + ": switchyard";
  const JsonFields inner(*section, where);
  for (const auto& [key, value] : section->items()) {
    if (key != "router" && key != kFewest) {
      inner.fail(key, "only router and fewest_experts_in_training in this family",
                 "remove the field or use family switchyard");
    }
  }
  moe.fewest_experts_in_training = static_cast<int>(inner.integer(kFewest, 0, kMaxSize, 0));
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

void read_known_ffn(const JsonFields& fields, const FamilyTraits& t, ModelConfig& config) {
  const Activation activation = activation_field(fields, "hidden_act");
  config.dense.activation = activation;
  if (t.kind != FamilyKind::all_moe)
    config.dense.hidden = size_field(fields, "intermediate_size", t.hidden);
  config.layer_is_moe.assign(static_cast<std::size_t>(config.layers),
                             t.kind == FamilyKind::all_moe);
  if (t.kind == FamilyKind::dense) return;

  MoeConfig moe;
  moe.expert = {.hidden = size_field(fields, t.expert_hidden_field, t.expert_hidden),
                .activation = activation};
  // Transformers takes either name of the number of experts for the other.
  const std::string_view other =
      t.experts_field == "num_experts" ? "num_local_experts" : "num_experts";
  const std::string_view experts =
      !fields.has(t.experts_field) && fields.has(other) ? other : t.experts_field;
  moe.router.experts = static_cast<int>(
      fields.integer(experts, t.kind == FamilyKind::some_moe ? 0 : 1, 1 << 16, t.experts));
  if (t.kind == FamilyKind::some_moe)
    config.layer_is_moe = moe_layers(fields, config.layers, moe.router.experts);
  if (std::count(config.layer_is_moe.begin(), config.layer_is_moe.end(), true) == 0) return;

  moe.router.experts_per_token = static_cast<int>(
      fields.integer("num_experts_per_tok", 1, moe.router.experts, t.experts_per_token));
  moe.router.renormalize = t.norm_topk_field ? fields.boolean("norm_topk_prob", false) : true;
  if (t.shared_hidden > 0) {
    moe.shared_hidden = size_field(fields, "shared_expert_intermediate_size", t.shared_hidden);
    moe.shared_gate = true;
  }
  read_router_section(fields, moe);
  config.moe = moe;
}

FfnConfig read_ffn(const JsonFields& fields, std::string_view name) {
  const nlohmann::json* json = fields.get(name);
  if (json == nullptr) fields.fail(name, "an object: hidden, activation, gated");
  const JsonFields ffn(*json, fields.where() + "." + std::string(name));
  for (const auto& [key, value] : json->items()) {
    if (key != "hidden" && key != "activation" && key != "gated")
      ffn.fail(key, "one of hidden, activation, gated");
  }
  return {.hidden = static_cast<int>(ffn.integer("hidden", 0, kMaxSize)),
          .activation = activation_field(ffn, "activation"),
          .gated = ffn.boolean("gated", true)};
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

void read_own_section(const JsonFields& fields, ModelConfig& config) {
  static const std::set<std::string, std::less<>> kKnown = {
      "attention_bias", "qk_norm",       "dense",       "moe_layers", "expert",
      "expert_hidden",  "shared_hidden", "shared_gate", "router",     kFewest};
  const nlohmann::json* section = fields.get("switchyard");
  if (section == nullptr) fields.fail("switchyard", "the section that describes the layers");
  const JsonFields own(*section, fields.where() + ": switchyard");
  for (const auto& [key, value] : section->items()) {
    if (kKnown.find(key) == kKnown.end()) {
      own.fail(key,
               "one of attention_bias, qk_norm, dense, moe_layers, expert, expert_hidden, "
               "shared_hidden, shared_gate, router, fewest_experts_in_training");
    }
  }
  config.attention_bias = own.boolean("attention_bias", false);
  const std::string norm = own.text("qk_norm", "none");
  if (norm != "none" && norm != "full" && norm != "per_head")
    own.fail("qk_norm", "none, full or per_head");
  config.qk_norm = norm == "full"       ? QkNorm::full
                   : norm == "per_head" ? QkNorm::per_head
                                        : QkNorm::none;
  if (own.has("dense")) config.dense = read_ffn(own, "dense");

  config.layer_is_moe.assign(static_cast<std::size_t>(config.layers), false);
  const nlohmann::json* routed = own.get("moe_layers");
  if (routed == nullptr || (routed->is_array() && routed->empty())) return;
  if (!routed->is_array()) own.fail("moe_layers", "a list of layer numbers");
  for (const nlohmann::json& l : *routed) {
    if (!l.is_number_integer() || l < 0 || l >= config.layers) {
      own.fail("moe_layers", "layer numbers from 0 to " + std::to_string(config.layers - 1));
    }
    config.layer_is_moe[l.get<std::size_t>()] = true;
  }
  MoeConfig moe;
  moe.expert = read_ffn(own, "expert");
  read_expert_widths(own, moe);
  moe.shared_hidden = static_cast<int>(own.integer("shared_hidden", 0, kMaxSize, 0));
  moe.shared_gate = own.boolean("shared_gate", false);
  const nlohmann::json* router = own.get("router");
  if (router == nullptr) own.fail("router", "the routing method and its knobs");
  moe.router = routing::config_from_json(*router, own.where() + ".router");
  moe.fewest_experts_in_training = static_cast<int>(own.integer(kFewest, 0, kMaxSize, 0));
  config.moe = moe;
}

// ---- writing ------------------------------------------------------------------------------------

// The decimal number a person would write for this fp32: 1e-05, not 9.999999747378752e-06.
double shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double number = 0;
  std::from_chars(text, end, number);
  return number;
}

nlohmann::json ffn_json(const FfnConfig& ffn) {
  return {{"hidden", ffn.hidden},
          {"activation", activation_name(ffn.activation)},
          {"gated", ffn.gated}};
}

std::vector<int> layers_where(const ModelConfig& config, bool routed) {
  std::vector<int> layers;
  for (int l = 0; l < config.layers; ++l) {
    if (config.layer_is_moe[static_cast<std::size_t>(l)] == routed) layers.push_back(l);
  }
  return layers;
}

void write_known_ffn(const ModelConfig& config, const FamilyTraits& t, nlohmann::json& json) {
  json["hidden_act"] =
      activation_name(config.moe ? config.moe->expert.activation : config.dense.activation);
  if (t.kind != FamilyKind::all_moe) json["intermediate_size"] = config.dense.hidden;
  if (t.kind == FamilyKind::some_moe) {
    json["decoder_sparse_step"] = 1;
    json["mlp_only_layers"] = layers_where(config, false);
  }
  if (!config.moe) return;
  const MoeConfig& moe = *config.moe;
  json[t.expert_hidden_field] = moe.expert.hidden;
  json[t.experts_field] = moe.router.experts;
  json["num_experts_per_tok"] = moe.router.experts_per_token;
  routing::Config plain;
  plain.experts = moe.router.experts;
  plain.experts_per_token = moe.router.experts_per_token;
  if (t.norm_topk_field) {
    plain.renormalize = moe.router.renormalize || moe.router.softmax_after_selection;
    json["norm_topk_prob"] = plain.renormalize;
  }
  if (t.shared_hidden > 0) json["shared_expert_intermediate_size"] = moe.shared_hidden;
  if (moe.router != plain) json["switchyard"]["router"] = routing::to_json(moe.router);
  if (moe.fewest_experts_in_training > 0)
    json["switchyard"][kFewest] = moe.fewest_experts_in_training;
}

nlohmann::json own_section(const ModelConfig& config) {
  nlohmann::json own = {{"attention_bias", config.attention_bias},
                        {"qk_norm", config.qk_norm == QkNorm::full       ? "full"
                                    : config.qk_norm == QkNorm::per_head ? "per_head"
                                                                         : "none"},
                        {"dense", ffn_json(config.dense)},
                        {"moe_layers", layers_where(config, true)}};
  if (config.moe) {
    own["expert"] = ffn_json(config.moe->expert);
    if (!config.moe->expert_hidden.empty()) own["expert_hidden"] = config.moe->expert_hidden;
    own["shared_hidden"] = config.moe->shared_hidden;
    own["shared_gate"] = config.moe->shared_gate;
    own["router"] = routing::to_json(config.moe->router);
    if (config.moe->fewest_experts_in_training > 0)
      own[kFewest] = config.moe->fewest_experts_in_training;
  }
  return own;
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
  config.heads = size_field(fields, "num_attention_heads", t.heads);
  const bool as_many_as_heads = t.kv_heads == 0 || json.contains("num_key_value_heads");
  config.kv_heads =
      size_field(fields, "num_key_value_heads", as_many_as_heads ? config.heads : t.kv_heads);
  if (!fields.has("head_dim") && config.width % config.heads != 0) {
    fields.fail("num_attention_heads", "a divisor of hidden_size " + std::to_string(config.width),
                "correct it or add head_dim");
  }
  config.head_dim = size_field(fields, "head_dim", std::max(1, config.width / config.heads));
  config.context = size_field(fields, "max_position_embeddings", t.context);
  config.norm_epsilon = static_cast<float>(fields.number("rms_norm_eps", 1e-30, 1, t.norm_epsilon));
  config.rope_theta = rope_theta(fields, t.rope_theta);
  config.tied_embeddings = fields.boolean("tie_word_embeddings", false);
  config.qk_norm = t.qk_norm;
  config.attention_bias = t.bias ? *t.bias : fields.boolean("qkv_bias", t.bias_default);
  config.eos = token_ids(fields, json, "eos_token_id", t.eos);
  const auto bos = token_ids(fields, json, "bos_token_id", t.bos);
  if (!bos.empty()) config.bos = bos.front();
  check_sliding_window(fields, json, t, config);

  if (config.family == Family::switchyard) {
    read_own_section(fields, config);
  } else {
    read_known_ffn(fields, t, config);
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
  const std::string base = directory.ends_with('/') ? directory : directory + "/";
  const std::string path = base + "config.json";
  if (!fs.exists(path)) {
    throw Error({.what = "no model here",
                 .where = directory,
                 .expected = "a directory with config.json",
                 .fix = "give the directory of a Hugging Face model"});
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
      // Older transformers read the first, newer ones the second.
      {"rope_theta", shortest(config.rope_theta)},
      {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", shortest(config.rope_theta)}}},
      {"attention_dropout", 0.0},
      {"use_cache", true},
  };
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
  if (t.sliding_window > 0) json["sliding_window"] = nullptr;
  if (t.family == Family::qwen2 || t.family == Family::qwen2_moe || t.family == Family::qwen3_moe) {
    json["use_sliding_window"] = false;
  } else if (t.family != Family::mistral && t.family != Family::mixtral) {
    json["attention_bias"] = false;
  }
  if (t.family == Family::qwen2_moe) json["qkv_bias"] = config.attention_bias;
  write_known_ffn(config, t, json);
  return json;
}

}  // namespace switchyard
