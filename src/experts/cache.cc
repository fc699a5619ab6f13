// Cache and Pin: the public calls, in terms of the steps of CacheCore.
#include <algorithm>
#include <fmt/core.h>
#include <utility>

#include "switchyard/error.h"
#include "switchyard/experts.h"

#include "base/check.h"
#include "experts/cache_core.h"

namespace switchyard::experts {
namespace {

using detail::Claim;
using detail::Held;
using detail::Slot;
using detail::Want;

CacheOptions checked(const CacheOptions& options) {
  const auto in_range = [](const char* knob, std::uint64_t value, std::uint64_t low,
                           std::uint64_t high) {
    if (value >= low && value <= high) return;
    throw Error({.what = fmt::format("{} is {}", knob, value),
                 .where = "expert cache",
                 .expected = fmt::format("{} to {}", low, high)});
  };
  in_range("queue_depth", static_cast<std::uint64_t>(std::max(options.queue_depth, 0)), 1, 1024);
  in_range("read_chunk", options.read_chunk, 4096, std::uint64_t{1} << 30);
  return options;
}

}  // namespace

// ---- Pin ----------------------------------------------------------------------------------------

Pin& Pin::operator=(Pin&& other) noexcept {
  const Pin old(std::move(*this));
  slot_ = std::move(other.slot_);
  return *this;
}

Pin::~Pin() {
  if (slot_) slot_->core->release(*slot_);
}

SlabId Pin::id() const { return slot_->id; }

std::span<const std::byte> Pin::part(std::size_t i) const {
  SWITCHYARD_CHECK(slot_ && i < slot_->parts.size());
  const Placement& part = slot_->parts[i];
  return {slot_->buffer.data() + part.slot_offset, static_cast<std::size_t>(part.bytes)};
}

// ---- Cache --------------------------------------------------------------------------------------

struct Cache::Impl : detail::CacheCore {
  using CacheCore::CacheCore;

  // A pin keeps the core alive, so that it may outlive the cache.
  static Pin pin_of(const std::shared_ptr<Impl>& impl, Slot& slot) {
    return Pin(std::shared_ptr<Slot>(impl, &slot));
  }

  bool all_ready(std::uint32_t layer, std::span<const std::uint32_t> experts) {
    return std::all_of(experts.begin(), experts.end(), [&](std::uint32_t expert) {
      return slot({layer, expert}).ready;
    });
  }

  std::vector<Want> wants(std::uint32_t layer, std::span<const std::uint32_t> experts) {
    std::vector<Want> list;
    list.reserve(experts.size());
    for (std::size_t i = 0; i < experts.size(); ++i) {
      list.push_back({i, &slot({layer, experts[i]})});
    }
    return list;
  }

  static bool needs_room(std::span<const Want> wants) {
    return std::any_of(wants.begin(), wants.end(),
                       [](const Want& want) { return !want.slot->ready && !want.slot->load; });
  }

  // More than the budget at once would wait for ever.
  void check_fits(std::span<const Want> wants) {
    std::vector<const Slot*> slots;
    for (const Want& want : wants) slots.push_back(want.slot);
    std::sort(slots.begin(), slots.end());
    slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
    std::uint64_t bytes = 0;
    for (const Slot* one : slots) bytes += one->footprint;
    SWITCHYARD_CHECK(bytes <= budget());  // acquire takes at most wave_size experts
  }
};

Cache::Cache(std::shared_ptr<const Store> store, const CacheOptions& options)
    : Cache(std::move(store), options, make_policy(options.policy)) {}

Cache::Cache(std::shared_ptr<const Store> store, const CacheOptions& options,
             std::unique_ptr<Policy> policy)
    : impl_(std::make_shared<Impl>(std::move(store), checked(options), std::move(policy))) {}

Cache::~Cache() { impl_->shut_down(); }

std::uint64_t Cache::floor_bytes(const Store& store, const CacheOptions& /*options*/) {
  std::uint64_t largest = 0;
  for (std::uint32_t layer = 0; layer < store.layers(); ++layer) {
    for (std::uint32_t expert = 0; expert < store.experts(layer); ++expert) {
      largest = std::max(largest, detail::slot_footprint(store, store.slab({layer, expert})));
    }
  }
  return largest + store.largest_arrangement();
}

std::uint64_t Cache::full_bytes(const Store& store, const CacheOptions& /*options*/) {
  std::uint64_t total = 0;
  for (std::uint32_t layer = 0; layer < store.layers(); ++layer) {
    for (std::uint32_t expert = 0; expert < store.experts(layer); ++expert) {
      total += detail::slot_footprint(store, store.slab({layer, expert}));
    }
  }
  return total + store.largest_arrangement();
}

std::size_t Cache::wave_size(std::uint32_t layer) const { return impl_->wave_size(layer); }
CacheStats Cache::stats() const { return impl_->stats(); }
void Cache::reset_stats() { impl_->reset_stats(); }
const Store& Cache::store() const { return impl_->store(); }
std::string_view Cache::io_backend_name() const { return impl_->io_backend_name(); }
std::string_view Cache::policy_name() const { return impl_->policy_name(); }

void Cache::prefetch(std::uint32_t layer, std::span<const std::uint32_t> experts) {
  impl_->prefetch(layer, experts);
}

std::vector<Pin> Cache::acquire(std::uint32_t layer, std::span<const std::uint32_t> experts,
                                std::stop_token stop) {
  std::vector<Pin> pins(experts.size());
  Claim claim(*impl_);
  auto lock = impl_->lock();
  impl_->enter_layer(layer);
  if (impl_->all_ready(layer, experts)) {
    for (std::size_t i = 0; i < experts.size(); ++i) {
      Slot& slot = impl_->slot({layer, experts[i]});
      impl_->pin(slot);
      pins[i] = Impl::pin_of(impl_, slot);
    }
    return pins;
  }

  claim.wants = impl_->wants(layer, experts);
  if (Impl::needs_room(claim.wants)) {
    impl_->check_fits(claim.wants);
    impl_->enqueue(claim);
  } else {
    impl_->take(claim, false);
  }
  impl_->wait(lock, stop, claim, [&] {
    return claim.wants.empty() && std::all_of(claim.held.begin(), claim.held.end(),
                                              [](const Held& held) { return held.pinned(); });
  });
  for (const Held& held : claim.held) pins[held.position] = Impl::pin_of(impl_, *held.slot);
  claim.held.clear();
  return pins;
}

void Cache::acquire_each(std::uint32_t layer, std::span<const std::uint32_t> experts,
                         const std::function<void(std::span<const std::size_t> positions,
                                                  std::span<const Pin> pins)>& use,
                         std::stop_token stop) {
  std::vector<std::size_t> positions;
  std::vector<Pin> pins;
  Claim claim(*impl_);  // everything not handed out yet
  Claim next(*impl_);   // the one it queues for when it holds nothing
  auto lock = impl_->lock();
  impl_->enter_layer(layer);
  claim.wants = impl_->wants(layer, experts);
  for (;;) {
    impl_->take(claim, !impl_->anyone_queued());
    impl_->go(lock);  // reads run while the caller computes
    Impl::throw_failure(claim);
    std::erase_if(claim.held, [&](const Held& held) {
      if (!held.pinned()) return false;
      positions.push_back(held.position);
      pins.push_back(Impl::pin_of(impl_, *held.slot));
      return true;
    });
    if (!pins.empty()) {
      lock.unlock();
      use(positions, pins);
      positions.clear();
      pins.clear();
      lock.lock();
    } else if (!claim.held.empty()) {
      impl_->wait(lock, stop, claim, [&] {
        return std::any_of(claim.held.begin(), claim.held.end(),
                           [](const Held& held) { return held.pinned(); });
      });
    } else if (!claim.wants.empty()) {
      next.wants.assign(1, claim.wants.front());
      impl_->enqueue(next);
      impl_->wait(lock, stop, next, [&] { return next.wants.empty(); });
      claim.wants.erase(claim.wants.begin());
      claim.held.swap(next.held);
    } else {
      return;
    }
  }
}

}  // namespace switchyard::experts
