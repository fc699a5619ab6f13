#include "switchyard/sampling.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard {
namespace {

struct Candidate {
  std::int32_t id = 0;
  float logit = 0;
  double probability = 0;
};

void require(bool holds, const char* flag, const std::string& value, const char* expected) {
  if (holds) return;
  throw Error({.what = "value " + value + " is not possible",
               .where = flag,
               .expected = expected,
               .fix = {}});
}

// SplitMix64: the same stream on every machine.
std::uint64_t next_random(std::uint64_t& state) {
  state += 0x9e3779b97f4a7c15U;
  std::uint64_t z = state;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

double uniform(std::uint64_t& state) {
  return static_cast<double>(next_random(state) >> 11) * 0x1.0p-53;
}

bool better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

// A positive logit is divided, a negative one multiplied, so that both fall (Keskar 2019).
void penalise_repeats(std::vector<Candidate>& candidates, std::span<const std::int32_t> recent,
                      float penalty) {
  std::vector<std::int32_t> once(recent.begin(), recent.end());
  std::ranges::sort(once);
  once.erase(std::unique(once.begin(), once.end()), once.end());
  for (const std::int32_t id : once) {
    if (id < 0 || static_cast<std::size_t>(id) >= candidates.size()) continue;
    float& logit = candidates[static_cast<std::size_t>(id)].logit;
    logit = logit > 0 ? logit / penalty : logit * penalty;
  }
}

void set_probabilities(std::vector<Candidate>& candidates, float temperature) {
  const double top = candidates.front().logit;
  double sum = 0;
  for (Candidate& c : candidates) {
    c.probability = std::exp((static_cast<double>(c.logit) - top) / temperature);
    sum += c.probability;
  }
  for (Candidate& c : candidates) c.probability /= sum;
}

void keep_top_p(std::vector<Candidate>& candidates, float top_p) {
  double sum = 0;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    sum += candidates[i].probability;
    if (sum >= top_p) {
      candidates.resize(i + 1);
      return;
    }
  }
}

void keep_min_p(std::vector<Candidate>& candidates, float min_p) {
  const double least = candidates.front().probability * min_p;
  std::size_t kept = 1;
  while (kept < candidates.size() && candidates[kept].probability >= least) ++kept;
  candidates.resize(kept);
}

}  // namespace

void validate(const SamplingOptions& o) {
  require(std::isfinite(o.temperature) && o.temperature >= 0, "--temp",
          std::to_string(o.temperature), "0 or more");
  require(o.top_k >= 0, "--top-k", std::to_string(o.top_k), "0 (all) or more");
  require(o.top_p > 0 && o.top_p <= 1, "--top-p", std::to_string(o.top_p),
          "more than 0, at most 1");
  require(o.min_p >= 0 && o.min_p < 1, "--min-p", std::to_string(o.min_p), "0 to less than 1");
  require(std::isfinite(o.repeat_penalty) && o.repeat_penalty > 0, "--repeat-penalty",
          std::to_string(o.repeat_penalty), "more than 0");
  require(o.repeat_window >= 0, "--repeat-last-n", std::to_string(o.repeat_window), "0 or more");
}

Sampler::Sampler(const SamplingOptions& options) : options_(options), state_(options.seed) {
  validate(options);
}

std::int32_t Sampler::sample(std::span<const float> logits, std::span<const std::int32_t> recent) {
  SWITCHYARD_CHECK(!logits.empty());
  std::vector<Candidate> candidates(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    // Not a number compares with nothing and would make the choice depend on the sort.
    SWITCHYARD_CHECK(!std::isnan(logits[i]));
    candidates[i] = {.id = static_cast<std::int32_t>(i), .logit = logits[i]};
  }
  if (options_.repeat_penalty != 1.0F) {
    const auto window =
        std::min<std::size_t>(recent.size(), static_cast<std::size_t>(options_.repeat_window));
    penalise_repeats(candidates, recent.last(window), options_.repeat_penalty);
  }
  if (options_.temperature == 0) return std::ranges::min_element(candidates, better)->id;

  const auto kept = options_.top_k == 0
                        ? candidates.size()
                        : std::min(candidates.size(), static_cast<std::size_t>(options_.top_k));
  std::ranges::partial_sort(candidates, candidates.begin() + static_cast<std::ptrdiff_t>(kept),
                            better);
  candidates.resize(kept);
  set_probabilities(candidates, 1.0F);
  if (options_.top_p < 1) keep_top_p(candidates, options_.top_p);
  if (options_.min_p > 0) keep_min_p(candidates, options_.min_p);
  set_probabilities(candidates, options_.temperature);

  double draw = uniform(state_);
  for (const Candidate& c : candidates) {
    draw -= c.probability;
    if (draw < 0) return c.id;
  }
  return candidates.back().id;
}

}  // namespace switchyard
