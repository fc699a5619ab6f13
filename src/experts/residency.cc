#include "experts/residency.h"

#include <algorithm>
#include <fmt/core.h>
#include <functional>
#include <utility>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard::experts::detail {
namespace {

// Reads ahead may hold this share of the budget while in flight, when no demand can take it back...
constexpr std::uint64_t kLoadingShare = 4;
// ... and this share together with what is ready and still waits for its layer.
constexpr std::uint64_t kAheadShare = 2;
// A read ahead is given up if its layer does not come while every slab is asked for so many times
// on average: the callers do something else now.
constexpr std::uint64_t kPatience = 4;

// How many of the slots, taken largest first, fit the budget together; 1 for a layer without any.
std::size_t count_fitting(std::vector<std::uint64_t> footprints, std::uint64_t budget) {
  std::sort(footprints.begin(), footprints.end(), std::greater<>());
  std::size_t count = 0;
  for (const std::uint64_t bytes : footprints) {
    if (bytes > budget) break;
    budget -= bytes;
    ++count;
  }
  return std::max<std::size_t>(count, 1);
}

}  // namespace

std::uint64_t slot_footprint(const Store& store, const Slab& slab) {
  return slot_layout(store, slab).bytes;
}

Residency::Residency(const Store& store, std::uint64_t budget, std::unique_ptr<Policy> policy,
                     CacheCore* core)
    : memory_(budget - std::min(budget, store.largest_arrangement())), policy_(std::move(policy)) {
  std::size_t count = 0;
  for (std::uint32_t layer = 0; layer < store.layers(); ++layer) {
    layer_begin_.push_back(count);
    count += store.experts(layer);
  }
  layer_begin_.push_back(count);

  slots_ = std::vector<Slot>(count);
  const Slot* largest = nullptr;
  std::uint64_t total = 0;
  for (std::uint32_t layer = 0; layer < store.layers(); ++layer) {
    std::vector<std::uint64_t> footprints;
    for (std::uint32_t expert = 0; expert < store.experts(layer); ++expert) {
      Slot& one = slots_[layer_begin_[layer] + expert];
      one.id = {layer, expert};
      one.core = core;
      one.footprint = slot_footprint(store, store.slab(one.id));
      footprints.push_back(one.footprint);
      total += one.footprint;
      if (largest == nullptr || one.footprint > largest->footprint) largest = &one;
    }
    wave_sizes_.push_back(count_fitting(std::move(footprints), memory_.budget()));
  }
  all_fit_ = total <= memory_.budget();
  left_at_.resize(store.layers());
  if (largest != nullptr && largest->footprint > memory_.budget()) {
    throw Error({.what = fmt::format("a budget of {} bytes for experts is too small", budget),
                 .where = fmt::format("expert cache: layer {}, expert {} is the largest",
                                      largest->id.layer, largest->id.expert),
                 .expected = fmt::format("at least {} bytes",
                                         largest->footprint + store.largest_arrangement()),
                 .fix = "use a larger memory budget"});
  }
}

Slot& Residency::slot(SlabId id) {
  SWITCHYARD_CHECK(id.layer + 1 < layer_begin_.size());
  const std::size_t index = layer_begin_[id.layer] + id.expert;
  SWITCHYARD_CHECK(index < layer_begin_[id.layer + 1]);
  return slots_[index];
}

bool Residency::make_room(const Slot& slot) {
  while (!memory_.fits(slot.footprint)) {
    if (!evict_one(true) && !evict_one(false)) return false;
  }
  return true;
}

bool Residency::make_room_ahead(const Slot& slot, std::uint64_t loading_ahead) {
  if (!all_fit_) {
    const std::uint64_t loading = loading_ahead + slot.footprint;
    if (loading > memory_.budget() / kLoadingShare) return false;
    if (loading + unproven_bytes_ > memory_.budget() / kAheadShare) return false;
  }
  while (!memory_.fits(slot.footprint)) {
    if (!evict_one(true)) return false;
  }
  return true;
}

bool Residency::evict_one(bool spare_unproven) {
  while (!leftovers_.empty()) {
    Slot& slot = *leftovers_.back();
    leftovers_.pop_back();
    if (slot.ahead == Ahead::leftover) {  // so it is ready, and nobody has pinned it
      evict(slot);
      return true;
    }
  }
  const auto victim = policy_->victim([&](SlabId id) {
    const Slot& candidate = slot(id);
    return candidate.pins == 0 && !(spare_unproven && candidate.ahead == Ahead::unproven);
  });
  if (!victim) return false;
  evict(slot(*victim));
  return true;
}

void Residency::evict(Slot& slot) {
  SWITCHYARD_CHECK(slot.ready && slot.pins == 0);
  ++counters_.evictions;
  if (slot.ahead != Ahead::no) ++counters_.useless_prefetches;
  settle(slot, Ahead::no);
  policy_->on_evict(slot.id);
  slot.ready = false;
  slot.parts.clear();
  memory_.give_back(std::move(slot.buffer));
}

void Residency::begin(Slot& slot, const SlotLayout& layout) {
  SWITCHYARD_CHECK(!slot.ready && !slot.buffer && layout.bytes == slot.footprint);
  slot.buffer = memory_.take(layout.bytes);
  slot.parts = layout.parts;
  slot.begun_at = acquires_;
}

void Residency::fail(Slot& slot) {
  slot.parts.clear();
  memory_.give_back(std::move(slot.buffer));
}

void Residency::finish(Slot& slot, unsigned uses) {
  slot.ready = true;
  policy_->on_insert(slot.id, slot.footprint);
  for (unsigned i = 0; i < uses; ++i) policy_->on_use(slot.id);
  uses_ += uses;
  if (uses > 0) return;
  if (left_at_[slot.id.layer] > slot.begun_at) {  // came too late
    settle(slot, Ahead::leftover);
    leftovers_.push_back(&slot);
  } else {
    settle(slot, Ahead::unproven);
    unproven_.push_back({&slot, uses_});
  }
}

void Residency::use(Slot& slot) {
  policy_->on_use(slot.id);
  ++uses_;
  settle(slot, Ahead::no);
}

std::optional<std::uint32_t> Residency::enter_layer(std::uint32_t layer) {
  SWITCHYARD_CHECK(layer < left_at_.size());
  ++acquires_;
  const auto expired = [&](const Unproven& entry) {
    return uses_ - entry.since > kPatience * slots_.size();
  };
  std::optional<std::uint32_t> left;
  if (layer_ != layer) {
    left = std::exchange(layer_, layer);
    if (left) left_at_[*left] = acquires_;
  } else if (unproven_.empty() || !expired(unproven_.front())) {
    return std::nullopt;
  }

  std::erase_if(unproven_, [&](const Unproven& entry) {
    Slot& slot = *entry.slot;
    if (slot.ahead != Ahead::unproven) return true;
    if (slot.id.layer != left && !expired(entry)) return false;
    settle(slot, Ahead::leftover);
    leftovers_.push_back(&slot);
    return true;
  });
  return left;
}

void Residency::settle(Slot& slot, Ahead now) {
  if (slot.ahead == Ahead::unproven) unproven_bytes_ -= slot.footprint;
  if (now == Ahead::unproven) unproven_bytes_ += slot.footprint;
  slot.ahead = now;
}

void Residency::reset_counters() {
  counters_ = {};
  memory_.reset_peak();
}

}  // namespace switchyard::experts::detail
