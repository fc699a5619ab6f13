#include "cli/bench_measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

namespace switchyard::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

std::int32_t best_token(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
}

struct Round {
  double prompt_seconds = 0;
  double decode_seconds = 0;
  double expert_width = 0;  // hidden widths of the experts chosen while decoding, summed
  experts::CacheStats decode;
  std::uint64_t hash = 0;
};

Round run_round(runtime::Engine& engine, std::span<const std::int32_t> prompt, int generate,
                std::stop_token stop) {
  Round round;
  runtime::Session session = engine.new_session();
  const runtime::StepOptions options{
      .stop = stop, .on_route = [&](const runtime::RouteRecord& record) {
        for (const std::int32_t e : record.decision->expert) {
          round.expert_width += engine.model().config().moe->ffn(e).hidden;
        }
      }};
  const auto feed = [&](std::span<const std::int32_t> tokens) {
    const runtime::StepInput input{.session = &session, .tokens = tokens};
    return best_token(engine.step(std::span(&input, 1), options).front());
  };
  auto start = Clock::now();
  std::int32_t token = feed(prompt);
  round.prompt_seconds = seconds_since(start);
  round.hash = 0xcbf29ce484222325U;
  engine.model().reset_expert_stats();
  round.expert_width = 0;
  start = Clock::now();
  for (int i = 0; i < generate; ++i) {
    for (int byte = 0; byte < 4; ++byte) {
      round.hash = (round.hash ^ ((static_cast<std::uint32_t>(token) >> (8 * byte)) & 0xffU)) *
                   0x100000001b3U;
    }
    token = feed({&token, 1});
  }
  round.decode_seconds = seconds_since(start);
  round.decode = engine.model().expert_stats();
  return round;
}

}  // namespace

std::uint64_t weight_bytes_per_token(const runtime::Model& model, double expert_width) {
  const ModelConfig& c = model.config();
  double experts = 0;
  if (c.moe) {
    double all = 0;
    for (int e = 0; e < c.moe->router.experts; ++e) all += c.moe->ffn(e).hidden;
    all *= static_cast<double>(std::ranges::count(c.layer_is_moe, true));
    experts = static_cast<double>(model.expert_bytes()) * expert_width / all;
  }
  // An untied embedding table is looked up, one row a token.
  const std::uint64_t table = c.tied_embeddings ? 0 : model.embedding_bytes();
  return model.dense_bytes() - table + static_cast<std::uint64_t>(std::llround(experts));
}

BenchResult measure(runtime::Engine& engine, std::span<const std::int32_t> prompt, int generate,
                    int repetitions, std::stop_token stop) {
  static_cast<void>(run_round(engine, prompt, std::min(generate, 8), stop));
  std::vector<double> prompt_speed;
  std::vector<double> decode_speed;
  double hits = 0;
  double asked = 0;
  double read = 0;
  double expert_width = 0;
  BenchResult result;
  for (int r = 0; r < repetitions; ++r) {
    const Round round = run_round(engine, prompt, generate, stop);
    prompt_speed.push_back(static_cast<double>(prompt.size()) / round.prompt_seconds);
    decode_speed.push_back(generate / round.decode_seconds);
    hits += static_cast<double>(round.decode.hits);
    asked += static_cast<double>(round.decode.hits + round.decode.late_hits + round.decode.misses);
    read += static_cast<double>(round.decode.bytes_read);
    expert_width += round.expert_width;
    result.token_hash = round.hash;
  }
  const runtime::Model& model = engine.model();
  result.prompt_tokens_per_second = median(prompt_speed);
  result.decode_tokens_per_second = median(decode_speed);
  const double tokens = static_cast<double>(generate) * repetitions;
  result.weight_bytes_per_token = weight_bytes_per_token(model, expert_width / tokens);
  result.decode_gigabytes_per_second =
      static_cast<double>(result.weight_bytes_per_token) * result.decode_tokens_per_second / 1e9;
  result.hit_ratio = asked > 0 ? hits / asked : 1;
  result.read_bytes_per_token = read / tokens;
  result.expert_slots = model.expert_slot_bytes();
  result.booked = model.ledger().peak();
  return result;
}

nlohmann::json to_json(const BenchResult& r) {
  return {{"prompt_tokens_per_second", r.prompt_tokens_per_second},
          {"decode_tokens_per_second", r.decode_tokens_per_second},
          {"decode_gigabytes_per_second", r.decode_gigabytes_per_second},
          {"weight_bytes_per_token", r.weight_bytes_per_token},
          {"hit_ratio", r.hit_ratio},
          {"read_bytes_per_token", r.read_bytes_per_token},
          {"expert_slots", r.expert_slots},
          {"booked", r.booked},
          {"peak_memory", r.peak_memory},
          {"token_hash", r.token_hash}};
}

BenchResult bench_result_from_json(const nlohmann::json& json) {
  BenchResult r;
  json.at("prompt_tokens_per_second").get_to(r.prompt_tokens_per_second);
  json.at("decode_tokens_per_second").get_to(r.decode_tokens_per_second);
  json.at("decode_gigabytes_per_second").get_to(r.decode_gigabytes_per_second);
  json.at("weight_bytes_per_token").get_to(r.weight_bytes_per_token);
  json.at("hit_ratio").get_to(r.hit_ratio);
  json.at("read_bytes_per_token").get_to(r.read_bytes_per_token);
  json.at("expert_slots").get_to(r.expert_slots);
  json.at("booked").get_to(r.booked);
  json.at("peak_memory").get_to(r.peak_memory);
  json.at("token_hash").get_to(r.token_hash);
  return r;
}

}  // namespace switchyard::cli
