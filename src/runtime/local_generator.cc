#include "switchyard/local_generator.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "switchyard/error.h"

#include "runtime/stop_text.h"

namespace switchyard::runtime {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

LocalGenerator::LocalGenerator(std::string name, std::shared_ptr<const Model> model,
                               Tokenizer tokenizer, Engine::Options options)
    : name_(std::move(name)),
      tokenizer_(std::move(tokenizer)),
      engine_(std::move(model), options) {}

api::Result LocalGenerator::generate(const api::Request& request,
                                     const std::function<void(std::string_view)>& on_text,
                                     std::stop_token stop) {
  Session session = engine_.new_session();
  return answer(session, request, on_text, stop);
}

api::Result LocalGenerator::continue_session(Session& session, const api::Request& request,
                                             const std::function<void(std::string_view)>& on_text,
                                             std::stop_token stop) {
  api::Result result = answer(session, request, on_text, stop);
  // The last token was drawn but not computed: nothing came after it.
  if (!result.tokens.empty() && session.length() < session.max_tokens() &&
      result.finish != api::FinishReason::cancelled) {
    const StepInput input{.session = &session, .tokens = std::span(result.tokens).last(1)};
    static_cast<void>(engine_.step(std::span(&input, 1), {.stop = stop}));
  }
  return result;
}

api::Result LocalGenerator::answer(Session& session, const api::Request& request,
                                   const std::function<void(std::string_view)>& on_text,
                                   std::stop_token stop) {
  const std::vector<std::int32_t>& ends = engine_.model().config().eos;
  std::vector<std::int32_t> seen = request.prompt_tokens;
  if (seen.empty()) {
    seen = tokenizer_.encode(request.prompt, {.add_special_tokens = session.length() == 0});
  }
  if (seen.empty()) {
    // A model needs something to continue: the beginning of a text.
    const auto& config = engine_.model().config();
    if (config.bos) {
      seen.push_back(*config.bos);
    } else if (!ends.empty()) {
      seen.push_back(ends.front());
    } else {
      throw Error({.what = "the prompt is empty",
                   .where = "prompt",
                   .expected = "at least one token",
                   .fix = {}});
    }
  }

  api::Result result;
  result.prompt_tokens = seen.size();
  Sampler sampler(request.sampling);
  StreamDecoder decoder(tokenizer_, {.skip_special_tokens = true});
  StopText stop_text(request.stop);
  const auto emit = [&](std::string_view text) {
    if (text.empty()) return;
    result.text += text;
    if (on_text) on_text(text);
  };

  const StepOptions step{.stop = stop, .on_route = {}};
  auto start = Clock::now();
  std::span<const std::int32_t> feed = seen;
  try {
    while (static_cast<int>(result.tokens.size()) < request.max_tokens) {
      const StepInput input{.session = &session, .tokens = feed};
      const std::vector<float> logits = std::move(engine_.step(std::span(&input, 1), step).front());
      if (result.tokens.empty()) {
        result.prompt_seconds = seconds_since(start);
        start = Clock::now();
      }
      const std::int32_t token = sampler.sample(logits, seen);
      seen.push_back(token);
      result.tokens.push_back(token);
      feed = std::span(seen).last(1);
      if (!request.ignore_eos && std::ranges::find(ends, token) != ends.end()) {
        result.finish = api::FinishReason::stop;
        break;
      }
      emit(stop_text.push(decoder.push(token)));
      if (stop_text.found()) {
        result.finish = api::FinishReason::stop;
        break;
      }
      if (session.length() == session.max_tokens()) break;
    }
  } catch (const Cancelled&) {
    result.finish = api::FinishReason::cancelled;
  }
  result.generate_seconds = result.tokens.empty() ? 0 : seconds_since(start);
  emit(stop_text.push(decoder.finish()));
  emit(stop_text.finish());
  return result;
}

}  // namespace switchyard::runtime
