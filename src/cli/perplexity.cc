#include "cli/perplexity.h"

#include <algorithm>
#include <cmath>

#include "switchyard/error.h"

namespace switchyard::cli {
namespace {

// Logits of this many positions are held at once.
constexpr std::size_t kPositionsAtOnce = 64;

double negative_log_likelihood(std::span<const float> logits, std::int32_t target) {
  const double top = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float l : logits) sum += std::exp(static_cast<double>(l) - top);
  return top + std::log(sum) - logits[static_cast<std::size_t>(target)];
}

}  // namespace

Perplexity measure_perplexity(runtime::Engine& engine, std::span<const std::int32_t> tokens,
                              const PerplexityOptions& options) {
  runtime::Session session = engine.new_session();
  const auto longest = static_cast<std::size_t>(session.max_tokens());
  const std::size_t window =
      options.window > 0 ? std::min(longest, static_cast<std::size_t>(options.window)) : longest;
  const std::size_t stride =
      options.stride > 0 ? std::min(window, static_cast<std::size_t>(options.stride)) : window;
  if (tokens.size() < 2) {
    throw Error({.what = "the text has " + std::to_string(tokens.size()) + " tokens",
                 .where = "--data",
                 .expected = "at least two, one to predict the other from",
                 .fix = {}});
  }
  const auto vocab = static_cast<std::size_t>(engine.model().config().vocab);
  Perplexity result;
  std::size_t counted_to = 1;  // tokens before this one are counted, or have no prediction
  for (std::size_t begin = 0; counted_to < tokens.size(); begin += stride) {
    const std::size_t end = std::min(begin + window, tokens.size());
    session.truncate(0);
    for (std::size_t at = begin; at + 1 < end; at += kPositionsAtOnce) {
      const std::size_t count = std::min(kPositionsAtOnce, end - 1 - at);
      const runtime::StepInput input{
          .session = &session, .tokens = tokens.subspan(at, count), .all_logits = true};
      const auto logits =
          engine.step(std::span(&input, 1), {.stop = options.stop, .on_route = options.on_route})
              .front();
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t target = at + i + 1;
        if (target < counted_to) continue;
        result.nll +=
            negative_log_likelihood(std::span(logits).subspan(i * vocab, vocab), tokens[target]);
        ++result.predicted;
      }
    }
    // With a stride of a whole window, the first token of the next one has nothing before it.
    counted_to = stride == window ? end + 1 : end;
    if (options.progress && result.predicted > 0) {
      options.progress(std::min(end, tokens.size()), tokens.size(), result.mean());
    }
    if (end == tokens.size()) break;
  }
  return result;
}

}  // namespace switchyard::cli
