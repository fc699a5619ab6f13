#include "train/recipe.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "switchyard/error.h"

#include "routing/knobs.h"
#include "train/toml_reader.h"

namespace switchyard::train {
namespace {

constexpr std::int64_t kMany = std::int64_t{1} << 40;
constexpr double kHuge = 1e30;

// Words of the recipe, in the order of the enums they stand for.
const std::vector<std::string> kFamilies = {"llama", "mixtral", "olmoe", "switchyard"};
constexpr Family kFamilyValues[] = {Family::llama, Family::mixtral, Family::olmoe,
                                    Family::switchyard};
const std::vector<std::string> kActivations = {"silu", "gelu", "gelu_tanh", "relu"};
const std::vector<std::string> kQkNorms = {"none", "full", "per_head"};
const std::vector<std::string> kOptimizers = {"adamw", "adam", "sgd"};
const std::vector<std::string> kValueSchedules = {"linear", "cosine", "exponential", "multi_step",
                                                  "points"};
const std::vector<std::string> kNullInits = {"copy", "normal"};
const std::vector<std::string> kSchedules = {"cosine", "linear", "constant"};

template <typename Enum>
void choose(TomlReader& in, const std::string& key, const std::vector<std::string>& words,
            Enum& out) {
  int index = static_cast<int>(out);
  in.get_choice(key, words, index);
  out = static_cast<Enum>(index);
}

int family_index(Family family) {
  for (int i = 0; i < static_cast<int>(kFamilies.size()); ++i) {
    if (kFamilyValues[i] == family) return i;
  }
  throw Error({.what = "this family cannot be trained",
               .where = "[model] family",
               .expected = fmt::format("one of {}", fmt::join(kFamilies, ", ")),
               .fix = ""});
}

QkNorm qk_norm_of(Family family) { return family == Family::olmoe ? QkNorm::full : QkNorm::none; }

ModelRecipe read_model(const TomlDocument& document) {
  TomlReader in(document, "model");
  ModelRecipe out;
  int family = family_index(out.family);
  in.get_choice("family", kFamilies, family);
  out.family = kFamilyValues[family];
  in.get("width", out.width, 1, 1 << 16);
  in.get("layers", out.layers, 1, 1024);
  in.get("heads", out.heads, 1, 1024);
  in.get("kv_heads", out.kv_heads, 0, 1024);
  in.get("head_dim", out.head_dim, 0, 1024);
  in.get("hidden", out.hidden, 1, 1 << 20);
  in.get("expert_hidden", out.expert_hidden, 1, 1 << 20);
  choose(in, "activation", kActivations, out.activation);
  in.get("gated", out.gated);
  in.get("tied_embeddings", out.tied_embeddings);
  out.qk_norm = qk_norm_of(out.family);
  choose(in, "qk_norm", kQkNorms, out.qk_norm);
  if (out.family != Family::switchyard && out.qk_norm != qk_norm_of(out.family)) {
    throw Error({.what = fmt::format("family {} has other query-key norms",
                                     kFamilies[static_cast<std::size_t>(family)]),
                 .where = in.where("qk_norm"),
                 .expected = kQkNorms[static_cast<std::size_t>(qk_norm_of(out.family))],
                 .fix = "use family switchyard"});
  }
  in.get("norm_epsilon", out.norm_epsilon, 0.0, 1.0);
  in.get("rope_theta", out.rope_theta, 1.0, 1e12);
  in.get("context", out.context, 0, 1 << 24);
  in.get("dropout", out.dropout, 0.0, 0.95);
  in.finish();
  if (out.kv_heads == 0) out.kv_heads = out.heads;
  if (out.head_dim == 0) {
    if (out.width % out.heads != 0) {
      throw Error(
          {.what = fmt::format("width {} is not a multiple of heads {}", out.width, out.heads),
           .where = in.where("width"),
           .expected = "a multiple, or head_dim given",
           .fix = ""});
    }
    out.head_dim = out.width / out.heads;
  }
  if (out.heads % out.kv_heads != 0) {
    throw Error(
        {.what = fmt::format("heads {} is not a multiple of kv_heads {}", out.heads, out.kv_heads),
         .where = in.where("kv_heads"),
         .expected = "a divisor of heads",
         .fix = ""});
  }
  return out;
}

DataRecipe read_data(const TomlDocument& document) {
  TomlReader in(document, "data");
  DataRecipe out;
  in.get("train", out.train);
  in.get("valid", out.valid);
  in.get("test", out.test);
  in.get("valid_share", out.valid_share, 0.0, 0.9);
  in.get("separator", out.separator);
  in.get("text_field", out.text_field);
  in.get("tokenizer", out.tokenizer);
  const bool bytes = out.tokenizer == kByteTokenizer;
  if (bytes) out.vocab = kByteVocab;
  in.get("vocab", out.vocab, kByteVocab, bytes ? kByteVocab : 1 << 20);
  in.get("sequence", out.sequence, 2, 1 << 20);
  in.get("cache", out.cache);
  in.get("limit_bytes", out.limit_bytes, 0, kMany);
  in.get("limit_test_bytes", out.limit_test_bytes, 0, kMany);
  in.finish();
  if (out.train.empty()) {
    throw Error({.what = "no training text is named",
                 .where = in.where("train"),
                 .expected = "a path or a list of paths",
                 .fix = "add train = \"FILE\" under [data], or give --set data.train=FILE"});
  }
  return out;
}

OptimizerRecipe read_optimizer(TomlReader& in) {
  OptimizerRecipe out;
  choose(in, "optimizer", kOptimizers, out.kind);
  in.get("lr", out.lr, 0.0, 1e3);
  in.get("beta1", out.beta1, 0.0, 0.999999);
  in.get("beta2", out.beta2, 0.0, 0.9999999);
  in.get("epsilon", out.epsilon, 1e-20, 1.0);
  in.get("weight_decay", out.weight_decay, 0.0, 100.0);
  in.get("momentum", out.momentum, 0.0, 0.999999);
  return out;
}

// [schedule.NAME] for one number of the router.
std::optional<ValueSchedule> read_schedule(const TomlDocument& document, const std::string& name,
                                           double low, double high) {
  TomlReader in(document, "schedule." + name);
  if (!in.present()) return std::nullopt;
  ValueSchedule out;
  choose(in, "kind", kValueSchedules, out.kind);
  if (out.kind == ValueSchedule::Kind::points) {
    in.get_pairs("points", out.points, low, high);
    const bool rising =
        std::is_sorted(out.points.begin(), out.points.end(),
                       [](const auto& a, const auto& b) { return a.first < b.first; });
    if (out.points.empty() || out.points.front().first != 0.0 || !rising) {
      throw Error(
          {.what = "the points do not cover the run",
           .where = in.where("points"),
           .expected = "[[0.0, value], [share, value], ...] with rising shares of the steps",
           .fix = ""});
    }
  } else {
    in.get("from", out.from, low, high);
    in.get("to", out.to, low, high);
    if (!in.has("from") || !in.has("to")) {
      throw Error({.what = "the ends of the schedule are missing",
                   .where = in.where(in.has("from") ? "to" : "from"),
                   .expected = "from and to",
                   .fix = ""});
    }
  }
  in.finish();
  return out;
}

RouterSchedules read_schedules(const TomlDocument& document) {
  TomlReader section(document, "schedule");
  for (const char* name : {"experts_per_token", "balance_coefficient", "inverse_temperature"}) {
    section.allow(name);
  }
  section.finish();
  return {.experts_per_token = read_schedule(document, "experts_per_token", 1, 1 << 16),
          .balance_coefficient = read_schedule(document, "balance_coefficient", 0, kHuge),
          .inverse_temperature = read_schedule(document, "inverse_temperature", 1e-6, 1e6)};
}

// K may not leave the router's range, nor be set where the router does not take its best K experts.
void check_schedules(const RouterSchedules& schedules, const routing::Config& router,
                     const std::string& place) {
  if (schedules.inverse_temperature && router.kind != routing::Kind::top_k) {
    throw Error({.what = "routing '" + std::string(routing::method(router.kind).name) +
                         "' has no temperature",
                 .where = place,
                 .expected = "a router of kind top_k",
                 .fix = "remove schedule.inverse_temperature"});
  }
  if (!schedules.experts_per_token) return;
  if (router.kind != routing::Kind::top_k && router.kind != routing::Kind::recurrent) {
    throw Error({.what = "routing '" + std::string(routing::method(router.kind).name) +
                         "' does not take its K best experts",
                 .where = place,
                 .expected = "a router of kind top_k or recurrent",
                 .fix = "remove the schedule"});
  }
  const ValueSchedule& schedule = *schedules.experts_per_token;
  std::vector<double> values = {schedule.from, schedule.to};
  if (schedule.kind == ValueSchedule::Kind::points) {
    values.clear();
    for (const auto& [share, value] : schedule.points) values.push_back(value);
  }
  for (const double value : values) {
    routing::Config at = router;
    at.experts_per_token = static_cast<int>(std::nearbyint(value));
    routing::validate_at(at, place);
  }
}

TrainRecipe read_train(const TomlDocument& document) {
  TomlReader in(document, "train");
  TrainRecipe out;
  in.get("steps", out.steps, 0, kMany);
  in.get("tokens", out.tokens, 0, kMany);
  in.get("flops", out.flops, 0.0, kHuge);
  in.get("batch", out.batch, 1, 1 << 20);
  in.get("accumulation", out.accumulation, 1, 1 << 20);
  in.get("seed", out.seed);
  out.optimizer = read_optimizer(in);
  choose(in, "schedule", kSchedules, out.schedule.kind);
  in.get("warmup", out.schedule.warmup, 0, kMany);
  in.get("min_lr_share", out.schedule.min_lr_share, 0.0, 1.0);
  in.get("clip", out.clip, 0.0, kHuge);
  in.get("bf16", out.bf16);
  in.get("bias_update", out.bias_update, 0.0, 1.0);
  in.get("eval_every", out.eval_every, 0, std::numeric_limits<int>::max());
  in.get("eval_windows", out.eval_windows, 0, std::numeric_limits<int>::max());
  in.get("patience", out.patience, 0, std::numeric_limits<int>::max());
  in.get("checkpoint_every", out.checkpoint_every, 0, std::numeric_limits<int>::max());
  in.get("keep_checkpoints", out.keep_checkpoints, 1, 1000);
  in.get("log_every", out.log_every, 1, std::numeric_limits<int>::max());
  in.get("threads", out.threads, 0, 4096);
  in.get("from", out.from);
  choose(in, "null_init", kNullInits, out.null_init);
  in.get("only_router", out.only_router);
  in.finish();
  if (const int lengths = (out.steps > 0) + (out.tokens > 0) + (out.flops > 0); lengths != 1) {
    throw Error({.what = lengths > 1 ? "the length of the training is given twice"
                                     : "the length of the training is missing",
                 .where = in.where(lengths > 1 && out.tokens > 0 ? "tokens" : "steps"),
                 .expected = "exactly one of steps, tokens, flops, above 0",
                 .fix = ""});
  }
  if (out.patience > 0 && out.eval_every == 0) {
    throw Error({.what = "patience needs evaluations during training",
                 .where = in.where("patience"),
                 .expected = "eval_every above 0",
                 .fix = ""});
  }
  return out;
}

std::string stem(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  return name.substr(0, name.find_last_of('.'));
}

Recipe read_recipe(const TomlDocument& document) {
  TomlReader root(document, "");
  Recipe out;
  out.name = stem(document.file);
  root.get("name", out.name);
  for (const char* section : {"model", "router", "schedule", "data", "train", "output"})
    root.allow(section);
  root.finish();
  if (out.name.empty() || out.name.find('/') != std::string::npos) {
    throw Error({.what = fmt::format("'{}' cannot be the name of a run", out.name),
                 .where = root.where("name"),
                 .expected = "a word that can name a directory",
                 .fix = ""});
  }

  out.model = read_model(document);
  TomlReader router(document, "router");
  if (router.present()) out.router = routing::config_from_json(router.as_json(), router.where(""));
  out.data = read_data(document);
  out.schedules = read_schedules(document);
  if (out.schedules != RouterSchedules{} && !out.router) {
    throw Error({.what = "a schedule needs a router",
                 .where = TomlReader(document, "schedule").where(""),
                 .expected = "a [router] section",
                 .fix = "add [router] or remove [schedule]"});
  }
  if (out.router) {
    check_schedules(out.schedules, *out.router,
                    TomlReader(document, "schedule.experts_per_token").where(""));
  }
  out.train = read_train(document);
  TomlReader output(document, "output");
  output.get("directory", out.output.directory);
  output.get("bf16", out.output.bf16);
  output.get("best", out.output.best);
  output.finish();

  if (out.model.context == 0) out.model.context = out.data.sequence;
  if (out.output.directory.empty()) out.output.directory = "runs/" + out.name;
  // Family switchyard can be either.
  const bool dense_family = out.model.family == Family::llama;
  if (out.router.has_value() == dense_family && out.model.family != Family::switchyard) {
    throw Error({.what = dense_family
                             ? "family llama has no experts, but there is a [router] section"
                             : "an MoE family needs a [router] section",
                 .where = TomlReader(document, "model").where("family"),
                 .expected = dense_family ? "mixtral, olmoe or switchyard"
                                          : "[router] with experts and experts_per_token",
                 .fix = dense_family ? "change the family or remove [router]"
                                     : "add [router] or use family llama or switchyard"});
  }
  model_config(out, out.data.vocab,
               std::nullopt);  // the shape must hold together before anything is read or trained
  return out;
}

// One "key = value" line; strings and lists of strings are quoted by JSON, whose escapes TOML
// shares.
class TomlWriter {
 public:
  void section(const char* name) { out_ << "\n[" << name << "]\n"; }
  void put(const char* key, const std::string& value) {
    out_ << key << " = " << nlohmann::json(value).dump() << "\n";
  }
  void put(const char* key, const std::vector<std::string>& value) {
    out_ << key << " = " << nlohmann::json(value).dump() << "\n";
  }
  void put(const char* key, bool value) {
    out_ << key << " = " << (value ? "true" : "false") << "\n";
  }
  template <typename Number>
  requires std::is_integral_v<Number>
  void put(const char* key, Number value) { out_ << key << " = " << value << "\n"; }
  void put(const char* key, double value) {
    out_ << key << " = " << fmt::format("{}", value) << "\n";
  }
  // A JSON value of a router knob; an object becomes an inline table.
  void put_json(const std::string& key, const nlohmann::json& value) {
    out_ << key << " = " << inline_toml(value) << "\n";
  }
  std::string text() const { return out_.str(); }

 private:
  static std::string inline_toml(const nlohmann::json& value) {
    if (!value.is_object()) return value.dump();
    std::vector<std::string> parts;
    for (const auto& [key, inner] : value.items())
      parts.push_back(key + " = " + inline_toml(inner));
    return fmt::format("{{ {} }}", fmt::join(parts, ", "));
  }
  std::ostringstream out_;
};

void put_schedule(TomlWriter& out, const char* section, const std::optional<ValueSchedule>& value) {
  if (!value) return;
  out.section(section);
  out.put("kind", kValueSchedules[static_cast<std::size_t>(value->kind)]);
  if (value->kind == ValueSchedule::Kind::points) {
    out.put_json("points", value->points);
  } else {
    out.put("from", value->from);
    out.put("to", value->to);
  }
}

}  // namespace

std::int64_t Recipe::tokens_per_step() const {
  return std::int64_t{train.batch} * train.accumulation * data.sequence;
}

std::int64_t Recipe::total_steps() const {
  if (train.steps > 0) return train.steps;
  return (train.tokens + tokens_per_step() - 1) / tokens_per_step();
}

Recipe parse_recipe(const std::string& text, const std::string& file,
                    const std::vector<std::string>& overrides,
                    const std::vector<std::string>& removed) {
  TomlDocument document = parse_toml(text, file);
  for (const std::string& path : removed) remove_key(document, path);
  for (const std::string& assignment : overrides) apply_override(document, assignment);
  return read_recipe(document);
}

Recipe load_recipe(FileSystem& fs, const std::string& path,
                   const std::vector<std::string>& overrides,
                   const std::vector<std::string>& removed) {
  return parse_recipe(read_file(fs, path, 1 << 20), path, overrides, removed);
}

std::string to_toml(const Recipe& recipe) {
  TomlWriter out;
  out.put("name", recipe.name);

  const ModelRecipe& model = recipe.model;
  out.section("model");
  out.put("family", kFamilies[family_index(model.family)]);
  out.put("width", model.width);
  out.put("layers", model.layers);
  out.put("heads", model.heads);
  out.put("kv_heads", model.kv_heads);
  out.put("head_dim", model.head_dim);
  out.put("hidden", model.hidden);
  if (!model.expert_hidden.empty()) out.put_json("expert_hidden", model.expert_hidden);
  out.put("activation", kActivations[static_cast<int>(model.activation)]);
  out.put("gated", model.gated);
  out.put("tied_embeddings", model.tied_embeddings);
  if (model.qk_norm != qk_norm_of(model.family)) {
    out.put("qk_norm", kQkNorms[static_cast<std::size_t>(model.qk_norm)]);
  }
  out.put("norm_epsilon", model.norm_epsilon);
  out.put("rope_theta", model.rope_theta);
  out.put("context", model.context);
  out.put("dropout", model.dropout);

  if (recipe.router) {
    out.section("router");
    const nlohmann::json router = routing::to_json(*recipe.router);
    for (const auto& [key, value] : router.items()) out.put_json(key, value);
  }

  put_schedule(out, "schedule.experts_per_token", recipe.schedules.experts_per_token);
  put_schedule(out, "schedule.balance_coefficient", recipe.schedules.balance_coefficient);
  put_schedule(out, "schedule.inverse_temperature", recipe.schedules.inverse_temperature);

  const DataRecipe& data = recipe.data;
  out.section("data");
  out.put("train", data.train);
  out.put("valid", data.valid);
  out.put("test", data.test);
  out.put("valid_share", data.valid_share);
  out.put("separator", data.separator);
  out.put("text_field", data.text_field);
  out.put("tokenizer", data.tokenizer);
  out.put("vocab", data.vocab);
  out.put("sequence", data.sequence);
  out.put("cache", data.cache);
  out.put("limit_bytes", data.limit_bytes);
  out.put("limit_test_bytes", data.limit_test_bytes);

  const TrainRecipe& train = recipe.train;
  out.section("train");
  if (train.steps > 0) {
    out.put("steps", train.steps);
  } else if (train.tokens > 0) {
    out.put("tokens", train.tokens);
  } else {
    out.put("flops", train.flops);
  }
  out.put("batch", train.batch);
  out.put("accumulation", train.accumulation);
  out.put("seed", train.seed);
  out.put("optimizer", kOptimizers[static_cast<int>(train.optimizer.kind)]);
  out.put("lr", train.optimizer.lr);
  out.put("beta1", train.optimizer.beta1);
  out.put("beta2", train.optimizer.beta2);
  out.put("epsilon", train.optimizer.epsilon);
  out.put("weight_decay", train.optimizer.weight_decay);
  out.put("momentum", train.optimizer.momentum);
  out.put("schedule", kSchedules[static_cast<int>(train.schedule.kind)]);
  out.put("warmup", train.schedule.warmup);
  out.put("min_lr_share", train.schedule.min_lr_share);
  out.put("clip", train.clip);
  out.put("bf16", train.bf16);
  out.put("bias_update", train.bias_update);
  out.put("eval_every", train.eval_every);
  out.put("eval_windows", train.eval_windows);
  out.put("patience", train.patience);
  out.put("checkpoint_every", train.checkpoint_every);
  out.put("keep_checkpoints", train.keep_checkpoints);
  out.put("log_every", train.log_every);
  out.put("threads", train.threads);
  out.put("from", train.from);
  out.put("null_init", kNullInits[static_cast<std::size_t>(train.null_init)]);
  out.put("only_router", train.only_router);

  out.section("output");
  out.put("directory", recipe.output.directory);
  out.put("bf16", recipe.output.bf16);
  out.put("best", recipe.output.best);
  return out.text();
}

ModelConfig model_config(const Recipe& recipe, int vocab, std::optional<std::int32_t> end_of_text) {
  const ModelRecipe& in = recipe.model;
  ModelConfig out;
  out.family = in.family;
  out.vocab = vocab;
  out.width = in.width;
  out.layers = in.layers;
  out.heads = in.heads;
  out.kv_heads = in.kv_heads;
  out.head_dim = in.head_dim;
  out.context = in.context;
  out.norm_epsilon = static_cast<float>(in.norm_epsilon);
  out.rope_theta = static_cast<float>(in.rope_theta);
  out.tied_embeddings = in.tied_embeddings;
  out.qk_norm = in.qk_norm;
  const FfnConfig ffn = {.hidden = in.hidden, .activation = in.activation, .gated = in.gated};
  if (recipe.router) {
    out.moe = MoeConfig{
        .expert = ffn,
        .expert_hidden = std::vector<int>(in.expert_hidden.begin(), in.expert_hidden.end()),
        .router = *recipe.router,
        .shared_hidden = 0,
        .shared_gate = false};
    if (const auto& k = recipe.schedules.experts_per_token)
      out.moe->fewest_experts_in_training = least_whole_value(*k);
    out.layer_is_moe.assign(static_cast<std::size_t>(in.layers), true);
  } else {
    out.dense = ffn;
    out.layer_is_moe.assign(static_cast<std::size_t>(in.layers), false);
  }
  if (end_of_text) out.eos = {*end_of_text};
  validate(out);
  return out;
}

}  // namespace switchyard::train
