// Metadata -> ModelConfig.
#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "switchyard/error.h"

#include "formats/family.h"
#include "formats/gguf/architecture.h"
#include "formats/gguf/gguf_model.h"
#include "formats/gguf/model_parts.h"
#include "formats/gguf/neutral_keys.h"
#include "formats/gguf/rope_keys.h"
#include "formats/json.h"

namespace switchyard {
namespace {

constexpr std::int64_t kMaxSize = 1 << 28;  // of any dimension; validate() is stricter
constexpr const char* kUnsupported = "use a model without it";

// 0 and an absent key: softmax, as in files older than the key.
GgufGating gguf_gating(const GgufMetadata& metadata, std::string_view architecture) {
  const std::string name = std::string(architecture) + ".expert_gating_func";
  const auto number = metadata.integer(name, 0, std::numeric_limits<std::uint32_t>::max(), 0);
  if (number > 3) metadata.fail(name, "1, 2 or 3", kUnsupported);
  return number == 0 ? GgufGating::softmax : static_cast<GgufGating>(number);
}

class ConfigReader {
 public:
  ConfigReader(const GgufReader& gguf, const GgufArchitecture& architecture)
      : gguf_(gguf), metadata_(gguf.metadata()), architecture_(architecture) {}

  ModelConfig read() {
    config_.family = family();
    const FamilyTraits& t = traits(config_.family);
    read_sizes();
    read_vocabulary();
    config_.norm_epsilon =
        static_cast<float>(metadata_.number(key("attention.layer_norm_rms_epsilon"), 1e-30, 1));
    config_.qk_norm = t.qk_norm;
    config_.attention_bias = t.bias ? *t.bias : gguf_.find(gguf_query_bias_tensor(0)) != nullptr;
    config_.attention_output_bias = t.output_bias;
    config_.attention_sinks = t.sinks;
    config_.tied_embeddings = gguf_.find("output.weight") == nullptr;
    check_neutral_keys(metadata_, architecture_);
    require(key("rope.dimension_count"), config_.rope_dim(),
            "the length of a head: partly rotated heads are not supported");
    read_gguf_rope(gguf_, architecture_, config_);
    read_window(t);
    config_.extra_layers = static_cast<int>(metadata_.integer(kExtraLayersKey, 0, 1 << 10, 0));
    read_ffn(t);
    return std::move(config_);
  }

 private:
  std::string key(std::string_view rest) const { return architecture_.key(rest); }

  // A number for all layers, or an array with the same number for each.
  int for_all_layers(const std::string& name, std::int64_t low, std::int64_t high,
                     std::optional<std::int64_t> fallback = std::nullopt) const {
    const GgufValue* value = metadata_.find(name);
    if (value == nullptr || gguf_type(*value) != GgufType::array) {
      return static_cast<int>(metadata_.integer(name, low, high, fallback));
    }
    const auto values = metadata_.integers(name, low, high);
    const bool same = std::all_of(values.begin(), values.end(),
                                  [&](std::int64_t n) { return n == values.front(); });
    if (values.size() != static_cast<std::size_t>(config_.layers) || !same) {
      metadata_.fail(name,
                     "the same number for each of the " + std::to_string(config_.layers) +
                         " layers: layers that differ are not supported",
                     kUnsupported);
    }
    return static_cast<int>(values.front());
  }

  Family family() const {
    if (!metadata_.has(kFamilyKey)) return architecture_.family;
    const auto named = family_from_name(metadata_.text(kFamilyKey));
    for (const GgufArchitecture& row : gguf_architectures()) {
      if (row.name == architecture_.name && row.family == named &&
          row.has_experts() == architecture_.has_experts()) {
        return row.family;
      }
    }
    metadata_.fail(kFamilyKey, "a family of architecture " + std::string(architecture_.name));
  }

  void read_sizes() {
    config_.layers = static_cast<int>(metadata_.integer(key("block_count"), 1, 1 << 14));
    config_.width = static_cast<int>(metadata_.integer(key("embedding_length"), 1, kMaxSize));
    config_.context = static_cast<int>(metadata_.integer(key("context_length"), 1, kMaxSize));
    const std::string heads = key("attention.head_count");
    config_.heads = for_all_layers(heads, 1, kMaxSize);
    config_.kv_heads = for_all_layers(key("attention.head_count_kv"), 1, kMaxSize, config_.heads);
    const std::string length = key("attention.key_length");
    if (!metadata_.has(length) && config_.width % config_.heads != 0) {
      metadata_.fail(heads, "a divisor of the width " + std::to_string(config_.width));
    }
    config_.head_dim = static_cast<int>(
        metadata_.integer(length, 1, kMaxSize, std::max(1, config_.width / config_.heads)));
    if (traits(config_.family).mla != nullptr) {
      read_latent();
      return;
    }
    require(key("attention.value_length"), config_.head_dim,
            "the length of keys: values of another length are not supported");
  }

  void read_latent() {
    // Where these keys stand, key_length and value_length are those of what is cached, of one head.
    const std::string of_keys = key("attention.key_length_mla");
    const std::string of_values = key("attention.value_length_mla");
    const bool in_two = metadata_.integer(of_keys, 0, kMaxSize, 0) != 0;
    const std::string rotated = key("rope.dimension_count");
    MlaConfig mla;
    if (in_two) {
      config_.head_dim = static_cast<int>(metadata_.integer(of_keys, 1, kMaxSize));
      config_.kv_heads = config_.heads;
    }
    mla.q_rank = static_cast<int>(metadata_.integer(key("attention.q_lora_rank"), 0, kMaxSize, 0));
    mla.kv_rank = static_cast<int>(metadata_.integer(key("attention.kv_lora_rank"), 1, kMaxSize));
    mla.rope_dim = static_cast<int>(metadata_.integer(rotated, 1, config_.head_dim));
    mla.nope_dim = config_.head_dim - mla.rope_dim;
    mla.value_dim = static_cast<int>(
        metadata_.integer(in_two ? of_values : key("attention.value_length"), 1, kMaxSize,
                          in_two ? std::nullopt : std::optional<std::int64_t>(config_.head_dim)));
    config_.mla = mla;
    if (!in_two) return;
    require(key("attention.key_length"), mla.cached_width(),
            "the rank of keys and what is rotated");
    require(key("attention.value_length"), mla.kv_rank, "the rank of values");
  }

  void read_vocabulary() {
    const GgufTensor* embedding = gguf_.find("token_embd.weight");
    if (embedding == nullptr || embedding->dims.size() != 2 ||
        embedding->dims[1] > static_cast<std::uint64_t>(kMaxSize)) {
      throw Error({.what = embedding == nullptr ? "the tensor 'token_embd.weight' is missing"
                                                : "the embeddings are no matrix",
                   .where = metadata_.where(),
                   .expected = "the embedding of each token",
                   .fix = "get the file again or convert the model again"});
    }
    config_.vocab = static_cast<int>(embedding->dims[1]);
    require(key("vocab_size"), config_.vocab, "the rows of 'token_embd.weight'");
    // Files without such a token leave the key out, or write -1 as an unsigned number.
    constexpr std::int64_t kLast = std::numeric_limits<std::int32_t>::max();
    const auto token = [&](std::string_view name) -> std::optional<std::int32_t> {
      const auto id = metadata_.integer(name, -1, std::numeric_limits<std::uint32_t>::max(), -1);
      if (id < 0 || id > kLast) return std::nullopt;
      return static_cast<std::int32_t>(id);
    };
    config_.bos = token("tokenizer.ggml.bos_token_id");
    if (metadata_.has(kEosKey)) {
      for (const std::int64_t id : metadata_.integers(kEosKey, 0, kLast)) {
        config_.eos.push_back(static_cast<std::int32_t>(id));
      }
      return;
    }
    for (const std::string_view name :
         {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
          "tokenizer.ggml.eom_token_id"}) {
      const auto id = token(name);
      if (id && std::count(config_.eos.begin(), config_.eos.end(), *id) == 0) {
        config_.eos.push_back(*id);
      }
    }
  }

  // Where the key stands it must say this.
  void require(const std::string& name, std::int64_t value, const std::string& what) const {
    if (metadata_.integer(name, 0, INT64_MAX, value) != value) {
      metadata_.fail(name, std::to_string(value) + ", " + what, kUnsupported);
    }
  }

  // A window that no sequence outgrows changes nothing.
  void read_window(const FamilyTraits& t) {
    const std::string name = key("attention.sliding_window");
    const auto window = metadata_.integer(name, 0, std::numeric_limits<std::uint32_t>::max(), 0);
    if (window == 0 || window >= config_.context) return;
    if (t.window != WindowRule::alternating) {
      metadata_.fail(name,
                     "0 or at least the context " + std::to_string(config_.context) +
                         ": no window is known in architecture " + std::string(architecture_.name),
                     kUnsupported);
    }
    config_.sliding_window = static_cast<int>(window);
    config_.layer_is_windowed = gguf_alternating_window(config_.layers);
  }

  void read_ffn(const FamilyTraits& t) {
    const auto layers = static_cast<std::size_t>(config_.layers);
    const std::int64_t least = t.kind == FamilyKind::all_moe ? 1 : 0;
    const auto experts =
        t.kind == FamilyKind::dense ? 0 : metadata_.integer(key("expert_count"), least, 1 << 16, 0);
    config_.layer_is_moe.assign(layers, false);
    int first = -1;
    for (int l = 0; l < config_.layers && experts > 0; ++l) {
      const bool routed =
          t.kind == FamilyKind::all_moe || gguf_.find(gguf_router_tensor(l)) != nullptr;
      config_.layer_is_moe[static_cast<std::size_t>(l)] = routed;
      if (routed && first < 0) first = l;
    }
    if (t.kind != FamilyKind::all_moe) {
      config_.dense.hidden = for_all_layers(key("feed_forward_length"), 0, kMaxSize, 0);
    }
    if (first < 0) return;

    MoeConfig moe;
    moe.router.experts = static_cast<int>(experts);
    moe.router.experts_per_token =
        static_cast<int>(metadata_.integer(key("expert_used_count"), 1, experts));
    moe.expert.hidden = expert_width(first);
    moe.expert.clamped = t.clamped;
    moe.expert_bias = t.expert_bias;
    moe.router_bias = t.router_bias;
    if (t.shared_hidden > 0) {
      moe.shared_hidden = static_cast<int>(metadata_.integer(
          key("expert_shared_feed_forward_length"), 1, kMaxSize, config_.dense.hidden));
      moe.shared_gate = true;
    } else if (t.shared_experts > 0) {
      const auto count =
          metadata_.integer(key("expert_shared_count"), 0, kMaxSize / moe.expert.hidden, 0);
      moe.shared_hidden = static_cast<int>(count) * moe.expert.hidden;
    }
    read_router(moe.router);
    read_router_extras(moe);
    config_.moe = std::move(moe);
  }

  // Files older than the key have it in the shape of the tensors alone.
  int expert_width(int layer) const {
    const std::string name = key(architecture_.expert_width);
    const GgufTensor* down = gguf_.find(gguf_down_experts_tensor(layer));
    std::optional<std::int64_t> stored;
    if (down != nullptr && down->dims.front() <= static_cast<std::uint64_t>(kMaxSize)) {
      stored = static_cast<std::int64_t>(down->dims.front());
    }
    return for_all_layers(name, 1, kMaxSize, stored);
  }

  void read_router(routing::Config& router) const {
    router.renormalize = metadata_.boolean(key("expert_weights_norm"), architecture_.renormalize);
    const auto gating = gguf_gating(metadata_, architecture_.name);
    // Softmax over the chosen ones is softmax over all, renormalised.
    if (gating == GgufGating::softmax_of_chosen) router.renormalize = true;
    if ((gating == GgufGating::sigmoid) != (architecture_.gating == GgufGating::sigmoid)) {
      metadata_.fail(key("expert_gating_func"),
                     "1, softmax, in architecture " + std::string(architecture_.name),
                     kUnsupported);
    }
    if (!architecture_.router_keys) return;
    const bool sigmoid = gating == GgufGating::sigmoid;
    router.score = sigmoid ? routing::Score::sigmoid : routing::Score::softmax;
    router.selection_bias = sigmoid;
    router.group_score = sigmoid ? routing::GroupScore::top2_sum : routing::GroupScore::max;
    const auto scale = static_cast<float>(metadata_.number(key("expert_weights_scale"), 0, 1e6, 1));
    router.scaling_factor = scale == 0 ? 1.0F : scale;
    // 0 is what programs write that know no groups.
    router.groups = static_cast<int>(std::max<std::int64_t>(
        1, metadata_.integer(key("expert_group_count"), 0, router.experts, 1)));
    router.groups_per_token = static_cast<int>(std::max<std::int64_t>(
        1, metadata_.integer(key("expert_group_used_count"), 0, router.groups, 1)));
  }

  void read_router_extras(MoeConfig& moe) const {
    moe.fewest_experts_in_training =
        static_cast<int>(metadata_.integer(kFewestKey, 0, moe.router.experts, 0));
    if (!metadata_.has(kRouterKey)) return;
    const std::string where = metadata_.where() + ": " + kRouterKey;
    const auto router =
        routing::config_from_json(parse_json(metadata_.text(kRouterKey), where), where);
    if (router.experts != moe.router.experts ||
        router.experts_per_token != moe.router.experts_per_token) {
      metadata_.fail(kRouterKey,
                     std::to_string(moe.router.experts) + " experts, " +
                         std::to_string(moe.router.experts_per_token) +
                         " per token as in the keys of the architecture",
                     "make the two agree");
    }
    moe.router = router;
  }

  const GgufReader& gguf_;
  const GgufMetadata& metadata_;
  const GgufArchitecture& architecture_;
  ModelConfig config_;
};

const GgufArchitecture& architecture_of(const GgufMetadata& metadata, const std::string& name) {
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
  const bool experts = metadata.integer(name + ".expert_count", 0, kMost, 0) > 0;
  const GgufArchitecture* row = find_gguf_architecture(name, experts, gguf_gating(metadata, name));
  if (row != nullptr) return *row;
  std::string known(kOwnArchitecture);
  std::string_view last;
  for (const GgufArchitecture& other : gguf_architectures()) {
    if (other.name != last) known.append(", ").append(other.name);
    last = other.name;
  }
  metadata.fail("general.architecture", "one of " + known, "use a model of a known architecture");
}

}  // namespace

ModelConfig model_config_from_gguf(const GgufReader& gguf) {
  const GgufMetadata& metadata = gguf.metadata();
  const std::string name = metadata.text("general.architecture");
  if (name == kOwnArchitecture) {
    const std::string where = metadata.where() + ": " + kConfigKey;
    return model_config_from_json(parse_json(metadata.text(kConfigKey), where), where);
  }
  ModelConfig config = ConfigReader(gguf, architecture_of(metadata, name)).read();
  try {
    validate(config);
  } catch (const Error& error) {
    // The check knows the field, only we know the file.
    Error::Parts parts = error.parts();
    parts.where = metadata.where();
    throw Error(std::move(parts));
  }
  return config;
}

}  // namespace switchyard
