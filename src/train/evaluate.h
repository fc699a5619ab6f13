// Loss over a token stream, every token but the first predicted once.
#pragma once

#include <cstdint>
#include <stop_token>

#include <torch/types.h>

#include "models/decoder.h"
#include "train/token_file.h"

namespace switchyard::train {

struct Evaluation {
  double nll = 0;            // sum of negative log likelihoods, natural log
  std::uint64_t tokens = 0;  // predicted tokens

  double loss() const { return nll / static_cast<double>(tokens); }
  double perplexity() const;
};

// Sequences do not overlap: a token sees at most `sequence` - 1 tokens before it. `windows` > 0
// takes that many, evenly spread. The same for every batch size up to rounding. Returns what was
// done so far once a stop is requested.
Evaluation evaluate(models::Decoder& model, const TokenFile& text, int sequence, int batch,
                    std::uint64_t windows, torch::Device device, const std::stop_token& stop = {});

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
