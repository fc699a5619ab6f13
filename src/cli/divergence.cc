#include "cli/divergence.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace switchyard::cli {
namespace {

// ln sum exp(logits), and where the largest is. Not a number if a logit is none or infinite: max
// would hide it.
struct Normaliser {
  explicit Normaliser(std::span<const float> logits) {
    for (std::size_t i = 1; i < logits.size(); ++i) {
      if (logits[i] > logits[top]) top = i;
    }
    const double largest = logits[top];
    double sum = 0;
    for (const float l : logits) sum += std::exp(l - largest);
    log_sum = largest + std::log(sum);
  }
  std::size_t top = 0;
  double log_sum = 0;
};

}  // namespace

double negative_log_likelihood(std::span<const float> logits, std::int32_t target) {
  return Normaliser(logits).log_sum - logits[static_cast<std::size_t>(target)];
}

TokenDivergence compare_logits(std::span<const float> reference, std::span<const float> model,
                               std::int32_t target) {
  SWITCHYARD_CHECK(reference.size() == model.size() && !model.empty());
  const Normaliser p(reference);
  const Normaliser q(model);
  double kl = 0;
  for (std::size_t i = 0; i < model.size(); ++i) {
    const double log_p = reference[i] - p.log_sum;
    const double log_q = model[i] - q.log_sum;
    kl += std::exp(log_p) * (log_p - log_q);
  }
  const auto t = static_cast<std::size_t>(target);
  return {// The exact value is not negative; what rounding leaves below zero is zero. NaN stays.
          .kl = kl < 0 ? 0 : kl,
          .nll = q.log_sum - model[t],
          .reference_nll = p.log_sum - reference[t],
          .same_top = p.top == q.top};
}

void Divergence::add(const TokenDivergence& token) {
  kl_.add(token.kl);
  nll_.add(token.nll);
  reference_nll_.add(token.reference_nll);
  difference_.add(token.nll - token.reference_nll);
  probability_.add(std::exp(-token.nll) - std::exp(-token.reference_nll));
  if (token.same_top) ++same_top_;
  kls_.push_back(static_cast<float>(token.kl));
}

Estimate Divergence::kl_quantile(double q) const {
  std::vector<float> sorted = kls_;
  std::ranges::sort(sorted);
  return quantile(sorted, q);
}

double Divergence::largest_kl() const {
  return kls_.empty() ? 0 : static_cast<double>(*std::ranges::max_element(kls_));
}

Estimate Divergence::perplexity_difference() const {
  const double model = std::exp(nll_.mean());
  const double reference = std::exp(reference_nll_.mean());
  // Var(m - r) gives the covariance: 2 Cov(m, r) = Var(m) + Var(r) - Var(m - r).
  const double covariance =
      (nll_.variance() + reference_nll_.variance() - difference_.variance()) / 2;
  const double variance = model * model * nll_.variance() +
                          reference * reference * reference_nll_.variance() -
                          2 * model * reference * covariance;
  return {model - reference, std::sqrt(std::max(0.0, variance) /
                                       static_cast<double>(std::max<std::size_t>(1, count())))};
}

double Divergence::probability_rms() const {
  if (count() == 0) return 0;
  const auto n = static_cast<double>(count());
  return std::sqrt(probability_.mean() * probability_.mean() +
                   probability_.variance() * (n - 1) / n);
}

}  // namespace switchyard::cli
