// How far a model's predictions are from those of a reference, token by token: Kullback-Leibler
// divergence and what else llama-perplexity --kl-divergence reports, in the same terms.
//
// With P the reference's distribution of the next token and Q the model's, KL = sum P ln(P / Q), in
// nats. Logits are fp32, everything after them double. No distribution is kept: memory grows by a
// few bytes a token, not by the vocabulary.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cli/token_statistics.h"

namespace switchyard::cli {

// -ln softmax(logits)[target]; not a number if a logit is.
double negative_log_likelihood(std::span<const float> logits, std::int32_t target);

struct TokenDivergence {
  double kl = 0;             // nats, not negative
  double nll = 0;            // of the token that came, under the model
  double reference_nll = 0;  // and under the reference
  bool same_top = false;     // both find the same token likeliest; the first of equals counts
};

// [V] each. What is not finite in the logits is not finite in the result.
TokenDivergence compare_logits(std::span<const float> reference, std::span<const float> model,
                               std::int32_t target);

// All tokens of a text.
class Divergence {
 public:
  void add(const TokenDivergence& token);

  std::size_t count() const { return kl_.count(); }
  Estimate kl() const { return kl_.estimate(); }
  Estimate kl_quantile(double q) const;
  double largest_kl() const;
  Estimate same_top() const { return share(same_top_, count()); }
  Estimate reference_perplexity() const { return exponential(reference_nll_.estimate()); }
  // ln(perplexity of the model / that of the reference): the mean of differences token by token,
  // which is known far better than either perplexity.
  Estimate log_ratio() const { return difference_.estimate(); }
  // Perplexity of the model minus that of the reference, its error from the paired tokens.
  Estimate perplexity_difference() const;
  // Probability of the token that came, model minus reference, and the root of the mean square.
  Estimate probability_difference() const { return probability_.estimate(); }
  double probability_rms() const;
  // In the order of the tokens.
  std::span<const float> kls() const { return kls_; }

 private:
  Moments kl_;
  Moments nll_;
  Moments reference_nll_;
  Moments difference_;  // nll - reference_nll
  Moments probability_;
  std::size_t same_top_ = 0;
  std::vector<float> kls_;
};

}  // namespace switchyard::cli
