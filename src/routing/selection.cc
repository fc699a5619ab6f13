#include "routing/selection.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>

#include "base/check.h"

namespace switchyard::routing {
namespace {

// Up to here a sorted array with insertion beats a heap: a key that enters moves at most this many
// neighbours.
constexpr std::size_t kInsertionLimit = 32;
// Keys looked at together: four SSE2 registers.
constexpr std::size_t kBlock = 16;
// A row shorter than this is scanned once; a first pass for a bound would not pay.
constexpr std::size_t kBoundedFrom = 4 * kBlock;

// The K best so far, sorted. An equal key that comes later stays behind the earlier one, which is
// the tie rule.
class SortedBest {
 public:
  explicit SortedBest(std::size_t k) : k_(k) {}

  void offer(float key, std::int32_t index) {
    if (size_ == k_ && !(key > key_[size_ - 1])) return;
    std::size_t at = size_ < k_ ? size_++ : k_ - 1;
    for (; at > 0 && key_[at - 1] < key; --at) {
      key_[at] = key_[at - 1];
      index_[at] = index_[at - 1];
    }
    key_[at] = key;
    index_[at] = index;
  }
  std::span<const std::int32_t> indices() const { return {index_.data(), k_}; }
  // The K-th best key. REQUIRES: K keys were offered.
  float last_key() const { return key_[k_ - 1]; }

 private:
  std::size_t k_;
  std::size_t size_ = 0;
  std::array<float, kInsertionLimit> key_;
  std::array<std::int32_t, kInsertionLimit> index_;
};

void offer_all(std::span<const float> keys, std::size_t begin, SortedBest& best) {
  for (std::size_t i = begin; i < keys.size(); ++i) {
    best.offer(keys[i], static_cast<std::int32_t>(i));
  }
}

// A key that at least k keys reach: the k-th largest of the maxima of 16 interleaved columns. One
// pass without branches. REQUIRES: k <= kBlock; keys.size() >= kBlock.
float bound_reached_by(std::size_t k, std::span<const float> keys) {
  std::array<float, kBlock> column;
  std::copy_n(keys.begin(), kBlock, column.begin());
  for (std::size_t i = kBlock; i + kBlock <= keys.size(); i += kBlock) {
#pragma GCC unroll 1  // a loop that GCC has unrolled completely no longer vectorises
    for (std::size_t j = 0; j < kBlock; ++j) {
      column[j] = keys[i + j] > column[j] ? keys[i + j] : column[j];
    }
  }
  SortedBest best(k);
  offer_all(column, 0, best);
  return best.last_key();
}

// Only keys that reach the bound can be among the k best, and in a random row those are hardly more
// than k: the sorted array sees few keys, and the processor few branches that it cannot predict.
void offer_bounded(std::span<const float> keys, float bound, SortedBest& best) {
  std::size_t i = 0;
  for (; i + kBlock <= keys.size(); i += kBlock) {
    int any = 0;
#pragma GCC unroll 1
    for (std::size_t j = 0; j < kBlock; ++j) any |= keys[i + j] >= bound ? 1 : 0;
    if (any == 0) continue;
    std::uint32_t reached = 0;
    for (std::size_t j = 0; j < kBlock; ++j) {
      reached |= (keys[i + j] >= bound ? 1U : 0U) << j;
    }
    for (; reached != 0; reached &= reached - 1) {
      const std::size_t at = i + static_cast<std::size_t>(std::countr_zero(reached));
      best.offer(keys[at], static_cast<std::int32_t>(at));
    }
  }
  offer_all(keys, i, best);
}

void select_by_insertion(std::span<const float> keys, std::span<std::int32_t> out) {
  SortedBest best(out.size());
  if (keys.size() >= kBoundedFrom && out.size() <= kBlock) {
    offer_bounded(keys, bound_reached_by(out.size(), keys), best);
  } else {
    offer_all(keys, 0, best);
  }
  std::ranges::copy(best.indices(), out.begin());
}

// A heap in `out` whose top is the worst of the K best so far.
void select_by_heap(std::span<const float> keys, std::span<std::int32_t> out) {
  const auto better = [keys](std::int32_t a, std::int32_t b) {
    const float key_a = keys[static_cast<std::size_t>(a)];
    const float key_b = keys[static_cast<std::size_t>(b)];
    return key_a > key_b || (key_a == key_b && a < b);
  };
  std::size_t e = 0;
  for (; e < out.size(); ++e) out[e] = static_cast<std::int32_t>(e);
  std::ranges::make_heap(out, better);
  for (; e < keys.size(); ++e) {
    // A later index loses a tie, so only a larger key can enter.
    if (!(keys[e] > keys[static_cast<std::size_t>(out.front())])) continue;
    std::ranges::pop_heap(out, better);
    out.back() = static_cast<std::int32_t>(e);
    std::ranges::push_heap(out, better);
  }
  std::ranges::sort_heap(out, better);
}

}  // namespace

void select_top_k(std::span<const float> keys, std::span<std::int32_t> out) {
  SWITCHYARD_CHECK(out.size() <= keys.size());
  if (out.empty()) return;
  if (out.size() <= kInsertionLimit) {
    select_by_insertion(keys, out);
  } else {
    select_by_heap(keys, out);
  }
}

}  // namespace switchyard::routing
