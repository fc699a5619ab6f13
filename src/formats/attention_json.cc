#include "formats/attention_json.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "switchyard/model_config.h"

namespace switchyard {
namespace {

constexpr std::int64_t kMaxSize = 1 << 28;
constexpr const char* kUnsupported = "use a model without it";

struct RopeName {
  std::string_view name;
  RopeKind kind;
};

constexpr std::array kRopeKinds = {
    RopeName{"default", RopeKind::plain},   RopeName{"linear", RopeKind::linear},
    RopeName{"llama3", RopeKind::llama3},   RopeName{"yarn", RopeKind::yarn},
    RopeName{"dynamic", RopeKind::dynamic},
};

RopeKind rope_kind(const JsonFields& rope) {
  const std::string type = rope.text("rope_type", rope.text("type", "default"));
  for (const RopeName& known : kRopeKinds) {
    if (known.name == type) return known.kind;
  }
  rope.fail(rope.has("rope_type") ? "rope_type" : "type",
            "default, linear, llama3, yarn or dynamic", kUnsupported);
}

float number(const JsonFields& rope, std::string_view name, std::optional<double> fallback) {
  return static_cast<float>(rope.number(name, 0, 1e9, fallback));
}

RopeScaling read_scaling(const JsonFields& rope, int context) {
  RopeScaling out;
  out.kind = rope_kind(rope);
  if (out.kind == RopeKind::plain) return out;
  const bool known = rope.has("original_max_position_embeddings");
  if (out.kind == RopeKind::dynamic && rope.has("alpha")) {
    out.alpha = number(rope, "alpha", std::nullopt);
    return out;
  }
  if (out.kind != RopeKind::linear && (known || out.kind != RopeKind::llama3)) {
    out.original_context =
        static_cast<int>(rope.integer("original_max_position_embeddings", 1, kMaxSize, context));
  }
  // YaRN's factor may be left to the two lengths.
  const std::optional<double> ratio =
      out.kind == RopeKind::yarn && known
          ? std::optional(static_cast<double>(context) / out.original_context)
          : std::nullopt;
  out.factor = number(rope, "factor", ratio);
  if (out.kind == RopeKind::llama3) {
    out.original_context =
        static_cast<int>(rope.integer("original_max_position_embeddings", 1, kMaxSize));
    out.low_frequency_factor = number(rope, "low_freq_factor", std::nullopt);
    out.high_frequency_factor = number(rope, "high_freq_factor", std::nullopt);
  }
  if (out.kind == RopeKind::yarn) {
    out.beta_fast = number(rope, "beta_fast", out.beta_fast);
    out.beta_slow = number(rope, "beta_slow", out.beta_slow);
    out.truncate = rope.boolean("truncate", true);
    out.attention_factor = number(rope, "attention_factor", 0);
    out.mscale = number(rope, "mscale", 0);
    out.mscale_all_dim = number(rope, "mscale_all_dim", 0);
  }
  return out;
}

nlohmann::json scaling_json(const RopeScaling& scaling) {
  nlohmann::json json = {{"rope_type", "default"}};
  for (const RopeName& known : kRopeKinds) {
    if (known.kind == scaling.kind) json["rope_type"] = known.name;
  }
  if (scaling.kind == RopeKind::plain) return json;
  if (scaling.alpha > 0) {
    json["alpha"] = shortest(scaling.alpha);
    return json;
  }
  json["factor"] = shortest(scaling.factor);
  if (scaling.kind == RopeKind::linear) return json;
  json["original_max_position_embeddings"] = scaling.original_context;
  if (scaling.kind == RopeKind::dynamic) return json;
  if (scaling.kind == RopeKind::llama3) {
    json["low_freq_factor"] = shortest(scaling.low_frequency_factor);
    json["high_freq_factor"] = shortest(scaling.high_frequency_factor);
    return json;
  }
  json["beta_fast"] = shortest(scaling.beta_fast);
  json["beta_slow"] = shortest(scaling.beta_slow);
  if (!scaling.truncate) json["truncate"] = false;
  if (scaling.attention_factor > 0) json["attention_factor"] = shortest(scaling.attention_factor);
  if (scaling.mscale > 0) json["mscale"] = shortest(scaling.mscale);
  if (scaling.mscale_all_dim > 0) json["mscale_all_dim"] = shortest(scaling.mscale_all_dim);
  return json;
}

constexpr std::string_view kWindowed = "sliding_attention";
constexpr std::string_view kFull = "full_attention";

// Which layers layer_types says have a window; empty where the field is absent.
std::vector<bool> listed_layers(const JsonFields& fields, int layers) {
  const nlohmann::json* types = fields.get("layer_types");
  std::vector<bool> windowed;
  if (types == nullptr) return windowed;
  const std::string expected =
      "a list of full_attention and sliding_attention, one for each of the " +
      std::to_string(layers) + " layers";
  if (!types->is_array() || types->size() != static_cast<std::size_t>(layers)) {
    fields.fail("layer_types", expected);
  }
  for (const nlohmann::json& type : *types) {
    if (type != kWindowed && type != kFull) fields.fail("layer_types", expected, kUnsupported);
    windowed.push_back(type == kWindowed);
  }
  return windowed;
}

bool any(const std::vector<bool>& layers) {
  return std::find(layers.begin(), layers.end(), true) != layers.end();
}

std::vector<bool> windowed_layers(const JsonFields& fields, const FamilyTraits& t,
                                  const std::vector<bool>& listed, int layers) {
  const auto count = static_cast<std::size_t>(layers);
  if (t.window == WindowRule::every_layer || t.window == WindowRule::switched) {
    if (!listed.empty() && std::find(listed.begin(), listed.end(), false) != listed.end()) {
      fields.fail("layer_types", "sliding_attention in every layer, as there is a sliding_window");
    }
    return std::vector<bool>(count, true);
  }
  if (!listed.empty()) return listed;
  if (t.window == WindowRule::alternating) {
    std::vector<bool> even(count, false);
    for (std::size_t l = 0; l < count; l += 2) even[l] = true;
    return even;
  }
  if (t.window != WindowRule::upper_layers) {
    fields.fail("layer_types", "which layers have the window, as use_sliding_window is true",
                "add the list, or set use_sliding_window to false");
  }
  const auto first = fields.integer("max_window_layers", 0, kMaxSize, 28);
  std::vector<bool> upper(count, false);
  for (std::int64_t l = first; l < layers; ++l) upper[static_cast<std::size_t>(l)] = true;
  return upper;
}

}  // namespace

void read_rope(const JsonFields& fields, const FamilyTraits& t, ModelConfig& config) {
  double theta = fields.number("rope_theta", 1e-3, 1e18, t.rope_theta);
  if (t.rope_scaling != nullptr) config.rope_scaling = *t.rope_scaling;
  // Where both stand, transformers takes the older name.
  for (const std::string_view name : {"rope_parameters", "rope_scaling"}) {
    const nlohmann::json* value = fields.get(name);
    if (value == nullptr) continue;
    const JsonFields rope(*value, fields.where() + ": " + std::string(name));
    for (const auto& [key, inner] : value->items()) {
      if (inner.is_object()) rope.fail(key, "one RoPE for all layers", kUnsupported);
    }
    if (rope.number("partial_rotary_factor", 0, 1, 1.0) != 1.0) {
      rope.fail("partial_rotary_factor", "1: partly rotated heads are not supported", kUnsupported);
    }
    config.rope_scaling = read_scaling(rope, config.context);
    theta = rope.number("rope_theta", 1e-3, 1e18, theta);
  }
  config.rope_theta = static_cast<float>(theta);
}

void write_rope(const ModelConfig& config, nlohmann::json& json) {
  json["rope_theta"] = shortest(config.rope_theta);
  json["rope_parameters"] = scaling_json(config.rope_scaling);
  json["rope_parameters"]["rope_theta"] = shortest(config.rope_theta);
  if (config.rope_scaling.kind == RopeKind::plain) return;
  json["rope_scaling"] = scaling_json(config.rope_scaling);
  // The name of the field in the first programs, DeepSeek's own among them.
  json["rope_scaling"]["type"] = json["rope_scaling"]["rope_type"];
}

void read_window(const JsonFields& fields, const nlohmann::json& json, const FamilyTraits& t,
                 ModelConfig& config) {
  const std::vector<bool> listed = listed_layers(fields, config.layers);
  const bool on = t.window == WindowRule::every_layer || t.window == WindowRule::alternating ||
                  (t.window != WindowRule::none && fields.boolean("use_sliding_window", false));
  if (!on && any(listed)) {
    fields.fail("layer_types", "full_attention in every layer, as there is no window in use",
                kUnsupported);
  }
  const bool null = json.contains("sliding_window") && !fields.has("sliding_window");
  const auto window =
      null ? 0 : fields.integer("sliding_window", 0, kMaxSize, on ? t.sliding_window : 0);
  if (window == 0 || window >= config.context) return;
  if (!on) {
    if (t.window != WindowRule::none) return;
    fields.fail("sliding_window", "null: layers of this family have no window", kUnsupported);
  }
  const std::vector<bool> layers = windowed_layers(fields, t, listed, config.layers);
  if (!any(layers)) return;
  config.sliding_window = static_cast<int>(window);
  config.layer_is_windowed = layers;
}

void write_window(const ModelConfig& config, const FamilyTraits& t, nlohmann::json& json) {
  const bool on = config.sliding_window > 0;
  if (on) {
    json["sliding_window"] = config.sliding_window;
  } else if (t.sliding_window > 0) {
    json["sliding_window"] = nullptr;  // an absent field would mean the family's default
  }
  if (t.window == WindowRule::none || t.window == WindowRule::every_layer) return;
  if (t.window != WindowRule::alternating) json["use_sliding_window"] = on;
  if (!on || t.window == WindowRule::switched) return;
  std::vector<std::string_view> types;
  for (const bool windowed : config.layer_is_windowed) {
    types.push_back(windowed ? kWindowed : kFull);
  }
  json["layer_types"] = types;
  if (t.window == WindowRule::upper_layers) {
    const auto first =
        std::find(config.layer_is_windowed.begin(), config.layer_is_windowed.end(), true);
    json["max_window_layers"] = first - config.layer_is_windowed.begin();
  }
}

MlaConfig read_mla(const JsonFields& fields, const nlohmann::json& json,
                   const MlaConfig& defaults) {
  const auto size = [&](std::string_view name, int fallback) {
    return static_cast<int>(fields.integer(name, 1, kMaxSize, fallback));
  };
  // null means one matrix; an absent field the default.
  const bool one_matrix = json.contains("q_lora_rank") && !fields.has("q_lora_rank");
  return {.q_rank = one_matrix ? 0 : size("q_lora_rank", defaults.q_rank),
          .kv_rank = size("kv_lora_rank", defaults.kv_rank),
          .nope_dim = size("qk_nope_head_dim", defaults.nope_dim),
          .rope_dim = size("qk_rope_head_dim", defaults.rope_dim),
          .value_dim = size("v_head_dim", defaults.value_dim),
          .interleaved = fields.boolean("rope_interleave", defaults.interleaved)};
}

void write_mla(const MlaConfig& mla, nlohmann::json& json) {
  json["q_lora_rank"] = mla.q_rank > 0 ? nlohmann::json(mla.q_rank) : nlohmann::json(nullptr);
  json["kv_lora_rank"] = mla.kv_rank;
  json["qk_nope_head_dim"] = mla.nope_dim;
  json["qk_rope_head_dim"] = mla.rope_dim;
  json["v_head_dim"] = mla.value_dim;
  json["rope_interleave"] = mla.interleaved;
  json["head_dim"] = mla.rope_dim;  // as transformers calls it in these families
}

}  // namespace switchyard
