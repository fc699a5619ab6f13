// Loss over a token stream, every token but the first predicted once.
#pragma once

#include <cstdint>
#include <stop_token>

#include <torch/types.h>

#include "models/decoder.h"
#include "train/routing_totals.h"
#include "train/token_file.h"

namespace switchyard::train {

struct Evaluation {
  double nll = 0;            // sum of negative log likelihoods, natural log
  std::uint64_t tokens = 0;  // predicted tokens

  double loss() const { return nll / static_cast<double>(tokens); }
  double perplexity() const;
};

struct EvaluationOptions {
  int sequence = 128;         // T
  int batch = 16;             // B
  std::uint64_t windows = 0;  // take that many sequences, evenly spread; 0: all
  torch::Device device = torch::kCPU;
  std::stop_token stop = {};
  int experts_per_token = 0;         // K in place of the model's; 0: the model's
  RoutingTotals* routing = nullptr;  // told what the routers did
};

// Sequences do not overlap: a token sees at most `sequence` - 1 tokens before it. The same for
// every batch size up to rounding. Returns what was done so far once a stop is requested.
Evaluation evaluate(models::Decoder& model, const TokenFile& text,
                    const EvaluationOptions& options);

// What a loss means in units that other tokenizers can be compared in: the same negative log
// likelihood spread over words and bytes of the text.
struct TextScore {
  double token_perplexity = 0;
  double word_perplexity =
      0;  // exp(nll per token * tokens / words), end-of-line tokens counted as words
  double bits_per_byte = 0;
};
TextScore text_score(const Evaluation& evaluation, const TokenFile& text);

}  // namespace switchyard::train
