#include "routing/selection.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "base/check.h"

namespace switchyard::routing {
namespace {

// Up to here a sorted array with insertion beats a heap: a key that enters moves at most this many
// neighbours.
constexpr std::size_t kInsertionLimit = 32;
// Keys compared with the threshold at once. One block is four SSE2 registers.
constexpr std::size_t kBlock = 16;

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
  // REQUIRES: K keys were offered.
  float threshold() const { return key_[k_ - 1]; }
  std::span<const std::int32_t> indices() const { return {index_.data(), k_}; }

 private:
  std::size_t k_;
  std::size_t size_ = 0;
  std::array<float, kInsertionLimit> key_;
  std::array<std::int32_t, kInsertionLimit> index_;
};

bool any_above(const float* keys, float threshold) {
  int any = 0;
  for (std::size_t i = 0; i < kBlock; ++i) any |= keys[i] > threshold ? 1 : 0;
  return any != 0;
}

void select_by_insertion(std::span<const float> keys, std::span<std::int32_t> out) {
  SortedBest best(out.size());
  std::size_t e = 0;
  for (; e < out.size(); ++e) best.offer(keys[e], static_cast<std::int32_t>(e));
  // Once the K best are warm, few blocks hold a key that enters.
  for (; e + kBlock <= keys.size(); e += kBlock) {
    if (!any_above(&keys[e], best.threshold())) continue;
    for (std::size_t i = e; i < e + kBlock; ++i) best.offer(keys[i], static_cast<std::int32_t>(i));
  }
  for (; e < keys.size(); ++e) best.offer(keys[e], static_cast<std::int32_t>(e));
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
