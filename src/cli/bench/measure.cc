#include "cli/bench/measure.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "switchyard/dtype.h"

#include "cli/bench/size_class.h"
#include "runtime/memory_plan.h"
#include "runtime/model_impl.h"

namespace switchyard::cli::bench {
namespace {

std::int32_t best_token(std::span<const float> logits) {
  return static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin());
}

// The test, again and again in one session, which is cut back to its depth in between.
class Repeater {
 public:
  Repeater(runtime::Engine& engine, const Test& test, std::span<const std::int32_t> tokens,
           std::stop_token stop)
      : engine_(engine),
        test_(test),
        tokens_(tokens),
        stop_(stop),
        session_(engine.new_session(test.context())),
        work_(engine.model()) {
    first_ =
        test.depth > 0 ? feed(tokens.first(static_cast<std::size_t>(test.depth))) : tokens.front();
  }

  struct Repetition {
    double seconds = 0;
    std::uint64_t hash = 0xcbf29ce484222325U;
  };

  Repetition run(int generate) {
    session_.truncate(test_.depth);
    work_.reset();
    Repetition r;
    const auto start = std::chrono::steady_clock::now();
    std::int32_t token = first_;
    if (test_.prompt > 0) {
      token = feed(tokens_.subspan(static_cast<std::size_t>(test_.depth),
                                   static_cast<std::size_t>(test_.prompt)));
      add_to_hash(r.hash, token);
    }
    for (int i = 0; i < generate; ++i) {
      token = feed({&token, 1});
      add_to_hash(r.hash, token);
    }
    r.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return r;
  }

  const runtime::Work& work() const { return work_.total(); }

 private:
  std::int32_t feed(std::span<const std::int32_t> tokens) {
    const runtime::StepInput input{.session = &session_, .tokens = tokens};
    work_.add_step(session_.length(), static_cast<int>(tokens.size()));
    return best_token(
        engine_
            .step(
                std::span(&input, 1),
                {.stop = stop_,
                 .on_route = [&](const runtime::RouteRecord& record) { work_.add_routes(record); }})
            .front());
  }

  static void add_to_hash(std::uint64_t& hash, std::int32_t token) {
    for (int byte = 0; byte < 4; ++byte) {
      hash = (hash ^ ((static_cast<std::uint32_t>(token) >> (8 * byte)) & 0xffU)) * 0x100000001b3U;
    }
  }

  runtime::Engine& engine_;
  Test test_;
  std::span<const std::int32_t> tokens_;
  std::stop_token stop_;
  runtime::Session session_;
  runtime::WorkCounter work_;
  std::int32_t first_ = 0;  // what generation without a prompt begins with
};

}  // namespace

std::string Test::name() const {
  std::string name;
  if (prompt > 0) name = fmt::format("pp{}", prompt);
  if (generate > 0) name += fmt::format("{}tg{}", name.empty() ? "" : "+", generate);
  if (depth > 0) name += fmt::format(" @ d{}", depth);
  return name;
}

void Result::add(const Result& other) {
  seconds.insert(seconds.end(), other.seconds.begin(), other.seconds.end());
  expert_hits += other.expert_hits;
  expert_requests += other.expert_requests;
  bytes_read += other.bytes_read;
  booked = std::max(booked, other.booked);
  repeats = repeats && other.repeats && token_hash == other.token_hash;
}

Result measure(runtime::Engine& engine, const Test& test, std::span<const std::int32_t> tokens,
               const MeasureOptions& options) {
  const runtime::Model& model = engine.model();
  Result result{.model_type = size_class(model.config()),
                .file_type = std::string(dtype_name(runtime::main_weight_type(model))),
                .model_bytes = model.dense_bytes() + model.expert_bytes(),
                .parameters = model.config().parameters(),
                .active_parameters = model.config().active_parameters(),
                .kernels = std::string(model.kernel_name()),
                .threads = engine.threads().threads(),
                .batch_tokens = model.impl().plan.batch_tokens,
                .expert_slots = model.expert_slot_bytes()};
  Repeater repeater(engine, test, tokens, options.stop);
  // The whole test: experts come when they are first chosen, and late tokens choose others.
  if (options.warm_up) static_cast<void>(repeater.run(test.generate));
  model.reset_expert_stats();
  for (int i = 0; i < options.repetitions; ++i) {
    const auto repetition = repeater.run(test.generate);
    result.seconds.push_back(repetition.seconds);
    if (i == 0) result.token_hash = repetition.hash;
    result.repeats = result.repeats && repetition.hash == result.token_hash;
  }
  const experts::CacheStats stats = model.expert_stats();
  result.expert_hits = static_cast<double>(stats.hits);
  result.expert_requests = static_cast<double>(stats.hits + stats.late_hits + stats.misses);
  result.bytes_read = static_cast<double>(stats.bytes_read);
  result.work = repeater.work();
  result.booked = model.ledger().peak();
  return result;
}

nlohmann::json to_json(const Result& r) {
  return {{"model_type", r.model_type},
          {"file_type", r.file_type},
          {"model_bytes", r.model_bytes},
          {"parameters", r.parameters},
          {"active_parameters", r.active_parameters},
          {"kernels", r.kernels},
          {"threads", r.threads},
          {"batch_tokens", r.batch_tokens},
          {"expert_slots", r.expert_slots},
          {"booked", r.booked},
          {"seconds", r.seconds},
          {"expert_hits", r.expert_hits},
          {"expert_requests", r.expert_requests},
          {"bytes_read", r.bytes_read},
          {"weight_bytes", r.work.weight_bytes},
          {"cache_bytes", r.work.cache_bytes},
          {"float_operations", r.work.float_operations},
          {"integer_operations", r.work.integer_operations},
          {"token_hash", r.token_hash},
          {"repeats", r.repeats}};
}

Result result_from_json(const nlohmann::json& json) {
  Result r;
  json.at("model_type").get_to(r.model_type);
  json.at("file_type").get_to(r.file_type);
  json.at("model_bytes").get_to(r.model_bytes);
  json.at("parameters").get_to(r.parameters);
  json.at("active_parameters").get_to(r.active_parameters);
  json.at("kernels").get_to(r.kernels);
  json.at("threads").get_to(r.threads);
  json.at("batch_tokens").get_to(r.batch_tokens);
  json.at("expert_slots").get_to(r.expert_slots);
  json.at("booked").get_to(r.booked);
  json.at("seconds").get_to(r.seconds);
  json.at("expert_hits").get_to(r.expert_hits);
  json.at("expert_requests").get_to(r.expert_requests);
  json.at("bytes_read").get_to(r.bytes_read);
  json.at("weight_bytes").get_to(r.work.weight_bytes);
  json.at("cache_bytes").get_to(r.work.cache_bytes);
  json.at("float_operations").get_to(r.work.float_operations);
  json.at("integer_operations").get_to(r.work.integer_operations);
  json.at("token_hash").get_to(r.token_hash);
  json.at("repeats").get_to(r.repeats);
  return r;
}

}  // namespace switchyard::cli::bench
