// Perplexity of a model on a sequence of tokens, and its distance from a reference on the way.
//
// The sequence is cut into windows; a window's first token has no prediction, and with a stride
// shorter than the window only the last `stride` tokens of a window count, so that each counted
// token sees at least window - stride tokens before it. This is the usual strided perplexity
// (Hugging Face documentation, "Perplexity of fixed-length models").
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>

#include "switchyard/runtime.h"

#include "cli/divergence.h"
#include "cli/token_statistics.h"

namespace switchyard::cli {

struct PerplexityOptions {
  int window = 0;  // tokens, 0: the session's length
  int stride = 0;  // 0: the window
  // Of the same vocabulary; is given the same windows. Null: none.
  runtime::Engine* reference = nullptr;
  std::function<void(std::size_t done, std::size_t total, double mean_nll)> progress = {};
  // Of the model, not of the reference.
  std::function<void(const runtime::RouteRecord&)> on_route = {};
  std::function<void(const runtime::InputRecord&)> on_input = {};
  std::stop_token stop = {};
};

struct Perplexity {
  Moments nll;                                // nats, of the counted tokens
  std::size_t windows = 0;                    // that were computed
  int window = 0;                             // tokens of each but the last
  std::optional<Divergence> divergence = {};  // from the reference

  double mean() const { return nll.mean(); }
  std::size_t predicted() const { return nll.count(); }
};

// Throws Error where there is nothing to predict, where the vocabularies differ, and where a logit
// is not finite.
Perplexity measure_perplexity(runtime::Engine& engine, std::span<const std::int32_t> tokens,
                              const PerplexityOptions& options);

}  // namespace switchyard::cli
