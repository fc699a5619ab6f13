#include <algorithm>
#include <functional>

#include "formats/tokenizer/bpe.h"

namespace switchyard::tokenizer {
namespace {

// Where the queue starts to win over scanning, measured on words of merged text.
constexpr std::size_t kLongestScan = 64;

constexpr std::uint32_t kNone = 0xFFFFFFFF;

// The queue holds rank and position in one number: the smallest is the lowest rank, then the
// leftmost.
std::uint64_t entry(std::uint32_t rank, std::uint32_t position) {
  return static_cast<std::uint64_t>(rank) << 32 | position;
}

}  // namespace

void merge_symbols(const MergeTable& merges, BpeScratch& scratch) {
  if (scratch.ids.size() <= kLongestScan) {
    merge_by_scanning(merges, scratch);
  } else {
    merge_by_queue(merges, scratch);
  }
}

void merge_by_scanning(const MergeTable& merges, BpeScratch& scratch) {
  std::vector<TokenId>& ids = scratch.ids;
  std::vector<Merge>& pairs = scratch.merges;  // pairs[i]: the merge of ids[i] and ids[i + 1]
  pairs.clear();
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) pairs.push_back(merges.find(ids[i], ids[i + 1]));
  while (!pairs.empty()) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < pairs.size(); ++i) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == kNoRank) return;
    ids[best] = pairs[best].result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    pairs.erase(pairs.begin() + static_cast<std::ptrdiff_t>(best));
    if (best > 0) pairs[best - 1] = merges.find(ids[best - 1], ids[best]);
    if (best < pairs.size()) pairs[best] = merges.find(ids[best], ids[best + 1]);
  }
}

void merge_by_queue(const MergeTable& merges, BpeScratch& scratch) {
  auto& symbols = scratch.symbols;
  auto& queue = scratch.queue;
  const auto count = static_cast<std::uint32_t>(scratch.ids.size());
  symbols.clear();
  queue.clear();
  for (std::uint32_t i = 0; i < count; ++i) {
    const bool last = i + 1 == count;
    const Merge merge = last ? Merge{} : merges.find(scratch.ids[i], scratch.ids[i + 1]);
    symbols.push_back({scratch.ids[i], i == 0 ? kNone : i - 1, last ? kNone : i + 1, merge});
    if (merge.rank != kNoRank) queue.push_back(entry(merge.rank, i));
  }
  std::make_heap(queue.begin(), queue.end(), std::greater<>());

  const auto look_again = [&](std::uint32_t i) {
    const std::uint32_t next = symbols[i].next;
    symbols[i].merge = next == kNone ? Merge{} : merges.find(symbols[i].id, symbols[next].id);
    if (symbols[i].merge.rank == kNoRank) return;
    queue.push_back(entry(symbols[i].merge.rank, i));
    std::push_heap(queue.begin(), queue.end(), std::greater<>());
  };

  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const auto rank = static_cast<std::uint32_t>(queue.back() >> 32);
    const auto position = static_cast<std::uint32_t>(queue.back() & kNone);
    queue.pop_back();
    BpeScratch::Symbol& left = symbols[position];
    // An entry whose pair has changed since, or whose symbol was swallowed, is stale.
    if (left.merge.rank != rank) continue;
    BpeScratch::Symbol& right = symbols[left.next];
    left.id = left.merge.result;
    left.next = right.next;
    if (left.next != kNone) symbols[left.next].previous = position;
    right.merge = Merge{};
    look_again(position);
    if (left.previous != kNone) look_again(left.previous);
  }

  scratch.ids.clear();
  for (std::uint32_t i = count == 0 ? kNone : 0; i != kNone; i = symbols[i].next) {
    scratch.ids.push_back(symbols[i].id);
  }
}

}  // namespace switchyard::tokenizer
