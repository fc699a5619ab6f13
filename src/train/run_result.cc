#include "train/run_result.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

namespace switchyard::train {
namespace {

// Names and places of all numbers; `f` writes or reads one.
template <typename Result, typename F>
void visit_run(Result& r, F&& f) {
  f("finished", r.finished);
  f("step", r.step);
  f("train_loss", r.train_loss);
  f("valid_loss", r.valid_loss);
  f("valid_perplexity", r.valid_perplexity);
  f("valid_bits_per_byte", r.valid_bits_per_byte);
  f("best_step", r.best_step);
  f("stopped_early", r.stopped_early);
  f("parameters", r.parameters);
  f("active_parameters", r.active_parameters);
  f("seconds", r.seconds);
  f("tokens_per_second", r.tokens_per_second);
  f("step_milliseconds", r.step_milliseconds);
  f("training_flops", r.training_flops);
  f("weights_hash", r.weights_hash);
  f("finished_at", r.finished_at);
  f("machine", r.machine);
  f("test_loss", r.test_loss);
  f("test_perplexity", r.test_perplexity);
  f("test_word_perplexity", r.test_word_perplexity);
  f("test_bits_per_byte", r.test_bits_per_byte);
  f("training_experts_per_token", r.training_experts_per_token);
}

template <typename Summary, typename F>
void visit_routing(Summary& s, F&& f) {
  f("experts_per_token", s.experts_per_token);
  f("experts_per_token_by_layer", s.experts_per_token_by_layer);
  f("null_share", s.null_share);
  f("skip_share", s.skip_share);
  f("router_entropy", s.router_entropy);
  f("router_entropy_share", s.router_entropy_share);
  f("top_ratio", s.top_ratio);
  f("selected_mass", s.selected_mass);
  f("layer_information", s.layer_information);
  f("load_max_over_mean", s.load_max);
  f("load_cv", s.load_cv);
  f("load_entropy", s.load_entropy);
  f("dead_experts", s.dead);
  f("dropped", s.dropped);
}

struct Writer {
  nlohmann::json& json;
  template <typename T>
  void operator()(const char* key, const T& value) {
    json[key] = value;
  }
  template <typename T>
  void operator()(const char* key, const std::optional<T>& value) {
    if (value) json[key] = *value;
  }
};

struct Reader {
  const nlohmann::json& json;
  template <typename T>
  void operator()(const char* key, T& value) {
    json.at(key).get_to(value);
  }
  template <typename T>
  void operator()(const char* key, std::optional<T>& value) {
    if (json.contains(key)) value = json.at(key).get<T>();
  }
};

}  // namespace

nlohmann::json to_json(const RunResult& result) {
  nlohmann::json json;
  visit_run(result, Writer{json});
  if (result.routing) visit_routing(*result.routing, Writer{json});
  return json;
}

RunResult run_result_from_json(const nlohmann::json& json, const std::string& where) {
  try {
    RunResult out;
    visit_run(out, Reader{json});
    if (json.contains("experts_per_token")) visit_routing(out.routing.emplace(), Reader{json});
    return out;
  } catch (const nlohmann::json::exception& error) {
    throw Error(
        {.what = fmt::format("not the result of a run: {}", error.what()),
         .where = where,
         .expected = "the fields of result.json",
         .fix = "remove the file, the run is then finished again from its last checkpoint"});
  }
}

}  // namespace switchyard::train
