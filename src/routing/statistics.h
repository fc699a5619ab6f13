// What a router does over many items: counted as decisions stream by, read at any time.
//
// E experts, N items. Null experts are counted apart (Decision::null_count): they would make every
// balance look wrong. Thread rule: values; one thread each, merge() joins them. Sums are integers
// or run in call order, so the same decisions give the same numbers.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "switchyard/routing.h"

namespace switchyard::routing {

// How evenly assignments fall on the experts of one layer.
class ExpertLoad {
 public:
  explicit ExpertLoad(int experts);

  // The decision's E must be this one's.
  void add(const Decision& decision);
  void merge(const ExpertLoad& other);

  std::span<const std::uint64_t> counts() const { return counts_; }  // [E] assignments
  std::uint64_t items() const { return items_; }
  std::uint64_t assignments() const { return assignments_; }
  std::uint64_t dropped() const { return dropped_; }
  std::uint64_t null_count() const { return null_count_; }
  std::uint64_t idle_items() const { return idle_items_; }  // items without any assignment

  // With no items: 0.
  double idle_share() const;  // items without any assignment over items
  double null_share() const;  // choices of null experts over all choices

  // With no assignments: 0, except dead_experts.
  double experts_per_item() const;
  double imbalance() const;  // largest load over mean load: 1 is even, E is all on one
  double coefficient_of_variation() const;  // standard deviation over mean of the loads: 0 is even
  double entropy() const;             // of the load shares, nats: ln E is even, 0 is all on one
  double normalized_entropy() const;  // entropy / ln E, 0 to 1; 1 for E = 1
  // Experts below `share` of the mean load; with share 0, experts never used.
  std::vector<std::int32_t> dead_experts(double share = 0.0) const;

 private:
  std::vector<std::uint64_t> counts_;
  std::uint64_t items_ = 0;
  std::uint64_t assignments_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t null_count_ = 0;
  std::uint64_t idle_items_ = 0;
};

// How sure the router is, item by item: entropy of its probabilities over its R outputs and the
// probability of its first choice, averaged.
class RouterConfidence {
 public:
  // logits [N, R].
  void add(Score score, std::span<const float> logits, std::size_t items);
  void merge(const RouterConfidence& other);

  std::uint64_t items() const { return items_; }
  // Without items: 0.
  double entropy() const;             // mean over items, nats
  double normalized_entropy() const;  // the same over ln R; 1 for R = 1
  double top_probability() const;     // mean over items of the largest probability

 private:
  double entropy_sum_ = 0.0;
  double normalized_sum_ = 0.0;
  double top_sum_ = 0.0;
  std::uint64_t items_ = 0;
};

// How often two experts work on the same item. Symmetric; the diagonal is each expert's load.
class CoActivation {
 public:
  explicit CoActivation(int experts);

  void add(const Decision& decision);
  void merge(const CoActivation& other);

  std::uint64_t count(int a, int b) const;
  // P(b chosen | a chosen); 0 if a never was.
  double conditional(int a, int b) const;

 private:
  std::size_t at(int a, int b) const;

  int experts_;
  std::vector<std::uint64_t> counts_;  // [E, E]
};

// Share of items whose set of experts differs between two decisions over the same items (order and
// weights do not count), e.g. before and after a training step on a fixed probe batch. Without
// items: 0.
double churn(const Decision& before, const Decision& after);

}  // namespace switchyard::routing
