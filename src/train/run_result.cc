#include "train/run_result.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "switchyard/error.h"

namespace switchyard::train {
namespace {

template <typename T>
void put(nlohmann::json& json, const char* key, const std::optional<T>& value) {
  if (value) json[key] = *value;
}

template <typename T>
void take(const nlohmann::json& json, const char* key, std::optional<T>& value) {
  if (json.contains(key)) value = json.at(key).get<T>();
}

}  // namespace

nlohmann::json to_json(const RunResult& result) {
  nlohmann::json json = {{"finished", result.finished},
                         {"step", result.step},
                         {"train_loss", result.train_loss},
                         {"valid_loss", result.valid_loss},
                         {"valid_perplexity", result.valid_perplexity},
                         {"valid_bits_per_byte", result.valid_bits_per_byte},
                         {"best_step", result.best_step},
                         {"stopped_early", result.stopped_early},
                         {"parameters", result.parameters},
                         {"active_parameters", result.active_parameters},
                         {"seconds", result.seconds},
                         {"tokens_per_second", result.tokens_per_second},
                         {"weights_hash", result.weights_hash}};
  put(json, "test_loss", result.test_loss);
  put(json, "test_perplexity", result.test_perplexity);
  put(json, "test_word_perplexity", result.test_word_perplexity);
  put(json, "test_bits_per_byte", result.test_bits_per_byte);
  return json;
}

RunResult run_result_from_json(const nlohmann::json& json, const std::string& where) {
  try {
    RunResult out;
    json.at("finished").get_to(out.finished);
    json.at("step").get_to(out.step);
    json.at("train_loss").get_to(out.train_loss);
    json.at("valid_loss").get_to(out.valid_loss);
    json.at("valid_perplexity").get_to(out.valid_perplexity);
    json.at("valid_bits_per_byte").get_to(out.valid_bits_per_byte);
    json.at("best_step").get_to(out.best_step);
    json.at("stopped_early").get_to(out.stopped_early);
    json.at("parameters").get_to(out.parameters);
    json.at("active_parameters").get_to(out.active_parameters);
    json.at("seconds").get_to(out.seconds);
    json.at("tokens_per_second").get_to(out.tokens_per_second);
    json.at("weights_hash").get_to(out.weights_hash);
    take(json, "test_loss", out.test_loss);
    take(json, "test_perplexity", out.test_perplexity);
    take(json, "test_word_perplexity", out.test_word_perplexity);
    take(json, "test_bits_per_byte", out.test_bits_per_byte);
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
