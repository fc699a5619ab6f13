// Perplexity of a model on a sequence of tokens.
//
// The sequence is cut into windows; a window's first token has no prediction, and with a stride
// shorter than the window only the last `stride` tokens of a window count, so that each counted
// token sees at least window - stride tokens before it. This is the usual strided perplexity
// (Hugging Face documentation, "Perplexity of fixed-length models").
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>

#include "switchyard/runtime.h"

namespace switchyard::cli {

struct PerplexityOptions {
  int window = 0;  // tokens, 0: the session's length
  int stride = 0;  // 0: the window
  std::function<void(std::size_t done, std::size_t total, double mean_nll)> progress;
  std::function<void(const runtime::RouteRecord&)> on_route;
  std::stop_token stop;
};

struct Perplexity {
  double nll = 0;             // sum over the counted tokens, nats
  std::size_t predicted = 0;  // how many were counted
  double mean() const { return nll / static_cast<double>(predicted); }
};

Perplexity measure_perplexity(runtime::Engine& engine, std::span<const std::int32_t> tokens,
                              const PerplexityOptions& options);

}  // namespace switchyard::cli
