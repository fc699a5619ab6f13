#include "routing/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/check.h"
#include "routing/gate_weights.h"

namespace switchyard::routing {
namespace {

std::span<const std::int32_t> experts_of(const Decision& decision, std::size_t item) {
  return std::span(decision.expert)
      .subspan(decision.offsets[item], decision.offsets[item + 1] - decision.offsets[item]);
}

void add_into(std::vector<std::uint64_t>& to, std::span<const std::uint64_t> from) {
  SWITCHYARD_CHECK(to.size() == from.size());
  for (std::size_t i = 0; i < to.size(); ++i) to[i] += from[i];
}

// -sum p ln p of shares that sum to 1; 0 ln 0 is 0.
double entropy_of(std::span<const double> shares) {
  double entropy = 0.0;
  for (const double p : shares) {
    if (p > 0.0) entropy -= p * std::log(p);
  }
  return entropy;
}

// One expert is always perfectly even.
double normalize(double entropy, std::size_t experts) {
  return experts == 1 ? 1.0 : entropy / std::log(static_cast<double>(experts));
}

double ratio(double numerator, double denominator) {
  return denominator == 0.0 ? 0.0 : numerator / denominator;
}

}  // namespace

// ---- ExpertLoad ---------------------------------------------------------------------------------

ExpertLoad::ExpertLoad(int experts) : counts_(static_cast<std::size_t>(experts), 0) {
  SWITCHYARD_CHECK(experts >= 1);
}

void ExpertLoad::add(const Decision& decision) {
  SWITCHYARD_CHECK(static_cast<std::size_t>(decision.experts) == counts_.size());
  for (const std::int32_t e : decision.expert) ++counts_[static_cast<std::size_t>(e)];
  for (std::size_t n = 0; n < decision.items(); ++n) {
    if (experts_of(decision, n).empty()) ++idle_items_;
  }
  items_ += decision.items();
  assignments_ += decision.assignments();
  dropped_ += decision.dropped;
  null_count_ += decision.null_count;
}

void ExpertLoad::merge(const ExpertLoad& other) {
  add_into(counts_, other.counts_);
  items_ += other.items_;
  assignments_ += other.assignments_;
  dropped_ += other.dropped_;
  null_count_ += other.null_count_;
  idle_items_ += other.idle_items_;
}

double ExpertLoad::experts_per_item() const {
  return ratio(static_cast<double>(assignments_), static_cast<double>(items_));
}

double ExpertLoad::idle_share() const {
  return ratio(static_cast<double>(idle_items_), static_cast<double>(items_));
}

double ExpertLoad::null_share() const {
  return ratio(static_cast<double>(null_count_), static_cast<double>(null_count_ + assignments_));
}

double ExpertLoad::imbalance() const {
  const auto largest = static_cast<double>(*std::ranges::max_element(counts_));
  return ratio(largest * static_cast<double>(counts_.size()), static_cast<double>(assignments_));
}

double ExpertLoad::coefficient_of_variation() const {
  const double mean = static_cast<double>(assignments_) / static_cast<double>(counts_.size());
  double variance = 0.0;
  for (const std::uint64_t count : counts_) {
    variance += (static_cast<double>(count) - mean) * (static_cast<double>(count) - mean);
  }
  return ratio(std::sqrt(variance / static_cast<double>(counts_.size())), mean);
}

double ExpertLoad::entropy() const {
  if (assignments_ == 0) return 0.0;
  std::vector<double> shares;
  for (const std::uint64_t count : counts_) {
    shares.push_back(static_cast<double>(count) / static_cast<double>(assignments_));
  }
  return entropy_of(shares);
}

double ExpertLoad::normalized_entropy() const {
  return assignments_ == 0 ? 0.0 : normalize(entropy(), counts_.size());
}

std::vector<std::int32_t> ExpertLoad::dead_experts(double share) const {
  const double mean = static_cast<double>(assignments_) / static_cast<double>(counts_.size());
  std::vector<std::int32_t> dead;
  for (std::size_t e = 0; e < counts_.size(); ++e) {
    if (counts_[e] == 0 || static_cast<double>(counts_[e]) < share * mean) {
      dead.push_back(static_cast<std::int32_t>(e));
    }
  }
  return dead;
}

// ---- RouterConfidence ---------------------------------------------------------------------------

void RouterConfidence::add(Score score, std::span<const float> logits, std::size_t items) {
  if (items == 0) return;
  SWITCHYARD_CHECK(logits.size() % items == 0 && !logits.empty());
  const std::size_t experts = logits.size() / items;
  std::vector<float> probs(experts);
  std::vector<double> shares(experts);
  for (std::size_t n = 0; n < items; ++n) {
    expert_probs(score, logits.subspan(n * experts, experts), probs);
    std::ranges::copy(probs, shares.begin());
    const double entropy = entropy_of(shares);
    entropy_sum_ += entropy;
    normalized_sum_ += normalize(entropy, experts);
    top_sum_ += *std::ranges::max_element(shares);
  }
  items_ += items;
}

void RouterConfidence::merge(const RouterConfidence& other) {
  entropy_sum_ += other.entropy_sum_;
  normalized_sum_ += other.normalized_sum_;
  top_sum_ += other.top_sum_;
  items_ += other.items_;
}

double RouterConfidence::entropy() const {
  return ratio(entropy_sum_, static_cast<double>(items_));
}
double RouterConfidence::normalized_entropy() const {
  return ratio(normalized_sum_, static_cast<double>(items_));
}
double RouterConfidence::top_probability() const {
  return ratio(top_sum_, static_cast<double>(items_));
}

// ---- CoActivation -------------------------------------------------------------------------------

CoActivation::CoActivation(int experts) : experts_(experts) {
  SWITCHYARD_CHECK(experts >= 1);
  counts_.assign(static_cast<std::size_t>(experts) * static_cast<std::size_t>(experts), 0);
}

std::size_t CoActivation::at(int a, int b) const {
  SWITCHYARD_CHECK(a >= 0 && a < experts_ && b >= 0 && b < experts_);
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(experts_) +
         static_cast<std::size_t>(b);
}

void CoActivation::add(const Decision& decision) {
  SWITCHYARD_CHECK(decision.experts == experts_);
  for (std::size_t n = 0; n < decision.items(); ++n) {
    const auto chosen = experts_of(decision, n);
    for (const std::int32_t a : chosen) {
      for (const std::int32_t b : chosen) ++counts_[at(a, b)];
    }
  }
}

void CoActivation::merge(const CoActivation& other) { add_into(counts_, other.counts_); }

std::uint64_t CoActivation::count(int a, int b) const { return counts_[at(a, b)]; }

double CoActivation::conditional(int a, int b) const {
  return ratio(static_cast<double>(count(a, b)), static_cast<double>(count(a, a)));
}

// ---- Churn --------------------------------------------------------------------------------------

double churn(const Decision& before, const Decision& after) {
  SWITCHYARD_CHECK(before.items() == after.items());
  std::size_t changed = 0;
  std::vector<std::int32_t> a;
  std::vector<std::int32_t> b;
  for (std::size_t n = 0; n < before.items(); ++n) {
    const auto old_set = experts_of(before, n);
    const auto new_set = experts_of(after, n);
    a.assign(old_set.begin(), old_set.end());
    b.assign(new_set.begin(), new_set.end());
    std::ranges::sort(a);
    std::ranges::sort(b);
    if (a != b) ++changed;
  }
  return ratio(static_cast<double>(changed), static_cast<double>(before.items()));
}

}  // namespace switchyard::routing
