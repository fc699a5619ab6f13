#include "cli/perplexity.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "switchyard/error.h"

namespace switchyard::cli {
namespace {

// Logits of this many positions are held at once.
constexpr std::size_t kPositionsAtOnce = 64;

// A model that reads a sequence window by window.
class Reader {
 public:
  // Of windows no longer than `window` (0: as long as the model allows), so that no more keys and
  // values are kept.
  Reader(runtime::Engine& engine, int window)
      : engine_(engine), session_(engine.new_session(length(engine.model(), window))) {}

  std::size_t longest() const { return static_cast<std::size_t>(session_.max_tokens()); }
  void forget() { session_.truncate(0); }
  // [T, V]
  std::vector<float> read(std::span<const std::int32_t> tokens,
                          const runtime::StepOptions& options) {
    const runtime::StepInput input{.session = &session_, .tokens = tokens, .all_logits = true};
    return std::move(engine_.step(std::span(&input, 1), options).front());
  }

 private:
  static int length(const runtime::Model& model, int window) {
    const int own = model.options().session_tokens;
    return std::min(window, own > 0 ? own : model.config().context);
  }

  runtime::Engine& engine_;
  runtime::Session session_;
};

class Measurement {
 public:
  Measurement(runtime::Engine& engine, std::span<const std::int32_t> tokens,
              const PerplexityOptions& options)
      : engine_(engine),
        model_(engine, options.window),
        tokens_(tokens),
        options_(options),
        vocab_(static_cast<std::size_t>(engine.model().config().vocab)) {
    std::size_t longest = model_.longest();
    if (options.reference != nullptr) {
      check_vocabulary(options.reference->model().config().vocab);
      reference_.emplace(*options.reference, options.window);
      longest = std::min(longest, reference_->longest());
      result_.divergence.emplace();
    }
    const auto at_most = [](int wanted, std::size_t most) {
      return wanted > 0 ? std::min(most, static_cast<std::size_t>(wanted)) : most;
    };
    window_ = at_most(options.window, longest);
    if (window_ < 2) {
      throw Error({.what = "a window of 1 token predicts nothing",
                   .where = "--window",
                   .expected = "2 tokens or more",
                   .fix = {}});
    }
    stride_ = at_most(options.stride, window_);
    result_.window = static_cast<int>(window_);
  }

  Perplexity run() {
    std::size_t counted_to = 1;  // tokens before this one are counted, or have no prediction
    for (std::size_t begin = 0; counted_to < tokens_.size(); begin += stride_) {
      const std::size_t end = std::min(begin + window_, tokens_.size());
      measure_window(begin, end, counted_to);
      // With a stride of a whole window, the first token of the next one has nothing before it.
      counted_to = stride_ == window_ ? end + 1 : end;
      if (options_.progress && result_.predicted() > 0) {
        options_.progress(end, tokens_.size(), result_.mean());
      }
      if (end == tokens_.size()) break;
    }
    return std::move(result_);
  }

 private:
  void check_vocabulary(int reference) const {
    if (static_cast<std::size_t>(reference) == vocab_) return;
    throw Error({.what = "the reference has " + std::to_string(reference) + " tokens",
                 .where = "--reference",
                 .expected = std::to_string(vocab_) + ", the vocabulary of the model",
                 .fix = "compare models with the same tokenizer"});
  }

  // Tokens [begin, end), of which those from `count_from` on count.
  void measure_window(std::size_t begin, std::size_t end, std::size_t count_from) {
    ++result_.windows;
    model_.forget();
    if (reference_) reference_->forget();
    for (std::size_t at = begin; at + 1 < end; at += kPositionsAtOnce) {
      const std::size_t count = std::min(kPositionsAtOnce, end - 1 - at);
      const auto fed = tokens_.subspan(at, count);
      const std::vector<float> logits = model_.read(
          fed,
          {.stop = options_.stop, .on_route = options_.on_route, .on_input = options_.on_input});
      const std::vector<float> expected =
          reference_ ? reference_->read(fed, {.stop = options_.stop}) : std::vector<float>();
      score(at, count, count_from, logits, expected);
    }
  }

  // Position i predicts token at + i + 1.
  void score(std::size_t at, std::size_t count, std::size_t count_from,
             std::span<const float> logits, std::span<const float> expected) {
    scores_.resize(count);
    engine_.threads().parallel_for(count, 1, [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) {
        const auto own = logits.subspan(i * vocab_, vocab_);
        const std::int32_t target = tokens_[at + i + 1];
        if (reference_) {
          scores_[i] = compare_logits(expected.subspan(i * vocab_, vocab_), own, target);
        } else {
          scores_[i].nll = negative_log_likelihood(own, target);
        }
      }
    });
    for (std::size_t i = 0; i < count; ++i) {
      if (at + i + 1 < count_from) continue;
      check_finite(scores_[i], at + i);
      result_.nll.add(scores_[i].nll);
      if (result_.divergence) result_.divergence->add(scores_[i]);
    }
  }

  static void check_finite(const TokenDivergence& score, std::size_t position) {
    if (std::isfinite(score.nll) && std::isfinite(score.reference_nll) && std::isfinite(score.kl)) {
      return;
    }
    throw Error({.what = "a logit is not finite, or too large",
                 .where = std::isfinite(score.nll) && !std::isfinite(score.reference_nll)
                              ? "the reference, at token " + std::to_string(position)
                              : "the model, at token " + std::to_string(position),
                 .expected = "finite numbers",
                 .fix = "the weights are damaged or too coarse; get or convert the model again"});
  }

  runtime::Engine& engine_;
  Reader model_;
  std::optional<Reader> reference_;
  std::span<const std::int32_t> tokens_;
  const PerplexityOptions& options_;
  std::size_t vocab_;
  std::size_t window_ = 0;
  std::size_t stride_ = 0;
  std::vector<TokenDivergence> scores_;
  Perplexity result_;
};

}  // namespace

Perplexity measure_perplexity(runtime::Engine& engine, std::span<const std::int32_t> tokens,
                              const PerplexityOptions& options) {
  if (tokens.size() < 2) {
    throw Error({.what = "the text has " + std::to_string(tokens.size()) + " tokens",
                 .where = "--data",
                 .expected = "at least two, one to predict the other from",
                 .fix = {}});
  }
  return Measurement(engine, tokens, options).run();
}

}  // namespace switchyard::cli
