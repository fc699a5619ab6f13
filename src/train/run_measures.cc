#include "train/run_measures.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <optional>

#include "switchyard/error.h"
#include "switchyard/runtime.h"

#include "models/checkpoint_io.h"
#include "train/corpus.h"
#include "train/evaluate.h"
#include "train/run_directory.h"
#include "train/statistics.h"

namespace switchyard::train {
namespace {

constexpr std::size_t kPrompt = 16;  // tokens of a window that are fed at once, not measured
constexpr std::size_t kWindows = 16;
constexpr std::size_t kQuickWindows = 3;

const TokenFile& scored_text(const Corpus& corpus) {
  return corpus.test ? *corpus.test : corpus.valid;
}

void sweep(FileSystem& fs, const Recipe& recipe, const Corpus& corpus,
           const MeasureOptions& options, nlohmann::json& out, const std::function<void()>& save) {
  const char* part = corpus.test ? "test" : "valid";
  std::shared_ptr<models::Decoder> model;
  for (const std::int64_t k : options.sweep_experts_per_token) {
    const std::string loss = fmt::format("{}_loss_k{}", part, k);
    if (out.contains(loss)) continue;
    if (!model) {
      model = models::load_model(fs, RunDirectory{recipe.output.directory}.model());
      model->to(options.device);
    }
    options.say(fmt::format("evaluating with {} experts a token", k));
    const TokenFile& text = scored_text(corpus);
    const Evaluation evaluation = evaluate(*model, text,
                                           {.sequence = recipe.data.sequence,
                                            .batch = recipe.train.batch,
                                            .device = options.device,
                                            .stop = options.stop,
                                            .experts_per_token = static_cast<int>(k)});
    if (options.stop.stop_requested()) throw Cancelled();
    out[loss] = evaluation.loss();
    out[fmt::format("{}_bits_per_byte_k{}", part, k)] = text_score(evaluation, text).bits_per_byte;
    save();
  }
}

double bytes_of_one_weight(const runtime::Model& model) {
  const ModelConfig& config = model.config();
  double weights = 0;
  for (const bool routed : config.layer_is_moe) {
    if (!routed) continue;
    for (int e = 0; e < config.moe->router.experts; ++e)
      weights += static_cast<double>(ffn_parameters(config, config.moe->ffn(e)));
  }
  return weights > 0 ? static_cast<double>(model.expert_bytes()) / weights : 0;
}

// Feeds windows of the text to the runtime, token by token after a short prompt.
nlohmann::json measure_runtime(const std::shared_ptr<const runtime::Model>& model,
                               const Recipe& recipe, const TokenFile& text,
                               const MeasureOptions& options) {
  const auto length = static_cast<std::size_t>(recipe.data.sequence);
  const std::size_t prompt = std::min(kPrompt, length / 2);
  const std::size_t windows =
      std::min(text.size() / length, options.quick ? kQuickWindows : kWindows);
  const ModelConfig& config = model->config();
  const double weight_bytes = bytes_of_one_weight(*model);
  runtime::Engine engine(model, {.threads = recipe.train.threads});
  double chosen_weights = 0;
  const auto count = [&](const runtime::RouteRecord& route) {
    for (std::size_t e = 0; e < route.decision->counts.size(); ++e) {
      chosen_weights +=
          static_cast<double>(route.decision->counts[e]) *
          static_cast<double>(ffn_parameters(config, config.moe->ffn(static_cast<int>(e))));
    }
  };
  std::vector<double> speeds;
  double bytes_read = 0;
  std::size_t decoded = 0;
  for (std::size_t w = 0; w < windows; ++w) {
    std::vector<std::int64_t> wide(length);
    text.read(w * (text.size() / windows / length) * length, wide);
    const std::vector<std::int32_t> tokens(wide.begin(), wide.end());
    runtime::Session session = engine.new_session(static_cast<int>(length));
    const auto feed = [&](std::span<const std::int32_t> part, bool counted) {
      const runtime::StepInput input{.session = &session, .tokens = part};
      runtime::StepOptions step{.stop = options.stop};
      if (counted) step.on_route = count;
      engine.step(std::span(&input, 1), step);
    };
    feed(std::span(tokens).first(prompt), false);
    model->reset_expert_stats();
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t t = prompt; t < length; ++t) feed(std::span(tokens).subspan(t, 1), w > 0);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (w == 0) continue;  // warms up
    speeds.push_back(static_cast<double>(length - prompt) / seconds);
    bytes_read += static_cast<double>(model->expert_stats().bytes_read);
    decoded += length - prompt;
  }
  if (decoded == 0) return {{"runtime_reason", "the text is too short"}};
  return {{"runtime_tokens_per_second", median(speeds)},
          {"runtime_bytes_per_token", bytes_read / static_cast<double>(decoded)},
          {"runtime_weight_bytes_per_token",
           chosen_weights * weight_bytes / static_cast<double>(decoded)}};
}

nlohmann::json runtime_numbers(FileSystem& fs, const Recipe& recipe, const Corpus& corpus,
                               const MeasureOptions& options) {
  std::shared_ptr<const runtime::Model> model;
  try {
    model = runtime::Model::open(
        fs, RunDirectory{recipe.output.directory}.model(),
        {.expert_share = options.measure.runtime_budget, .session_tokens = recipe.data.sequence});
  } catch (const Error& error) {
    // A method that needs later tokens, or more experts at once than the share has room for.
    return {{"runtime_reason", error.parts().what}};
  }
  options.say("measuring the runtime");
  return measure_runtime(model, recipe, scored_text(corpus), options);
}

}  // namespace

nlohmann::json measure_run(FileSystem& fs, const Recipe& recipe, const MeasureOptions& options) {
  const RunDirectory directory = {recipe.output.directory};
  const std::string path = directory.root + "/measures.json";
  nlohmann::json out = nlohmann::json::object();
  if (fs.exists(path)) {
    out = nlohmann::json::parse(read_file(fs, path, 1 << 20), nullptr, false);
    if (!out.is_object()) {
      throw Error({.what = "not the measures of a run",
                   .where = path,
                   .expected = "a JSON object",
                   .fix = "remove the file, the run is then measured again"});
    }
  }
  const auto save = [&] { write_file_atomically(fs, path, out.dump(2) + "\n"); };
  const double budget = options.measure.runtime_budget;
  const bool measured = budget == 0 || out.value("runtime_budget", 0.0) == budget;
  if (options.sweep_experts_per_token.empty() && measured) return out;
  const Corpus corpus = load_corpus(fs, recipe.data, directory.cache(), options.say);
  sweep(fs, recipe, corpus, options, out, save);
  if (!measured) {
    out.update(runtime_numbers(fs, recipe, corpus, options));
    out["runtime_budget"] = budget;
    save();
  }
  return out;
}

}  // namespace switchyard::train
