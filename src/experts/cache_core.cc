#include "experts/cache_core.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <fmt/core.h>
#include <utility>

#include "switchyard/error.h"

#include "base/check.h"
#include "experts/checksum.h"

namespace switchyard::experts::detail {

Claim::~Claim() { core.give_back(*this); }

CacheCore::CacheCore(std::shared_ptr<const Store> store, const CacheOptions& options,
                     std::unique_ptr<Policy> policy)
    : store_(std::move(store)),
      prefetch_(options.prefetch),
      verify_checksums_(options.verify_checksums),
      residency_(*store_, options.budget, std::move(policy), this),
      loads_(*store_, options.read_chunk) {
  if (store_->largest_arrangement() > 0) arranged_ = SlotBuffer(store_->largest_arrangement());
  reader_ = make_reader(options.io, *store_, options.queue_depth,
                        [this](void* tag, std::uint64_t bytes, const std::string& failure) {
                          on_read(*static_cast<Slot*>(tag), bytes, failure);
                        });
  io_backend_name_ = reader_->name();
  loads_.set_depth(reader_->depth());
}

void CacheCore::shut_down() {
  Lock lock(mutex_);
  SWITCHYARD_CHECK(queue_.empty());  // no call may be running
  stopping_ = true;
  changed_.wait(lock, [&] { return loads_.in_flight() == 0 && busy_ == 0; });
  lock.unlock();
  reader_.reset();
}

CacheStats CacheCore::stats() {
  const std::lock_guard lock(mutex_);
  CacheStats stats = stats_;
  stats.evictions = residency_.counters().evictions;
  stats.useless_prefetches = residency_.counters().useless_prefetches;
  stats.bytes_read = loads_.bytes_read();
  stats.resident_bytes = residency_.memory().used();
  stats.peak_bytes = residency_.memory().peak();
  return stats;
}

void CacheCore::reset_stats() {
  const std::lock_guard lock(mutex_);
  stats_ = {};
  residency_.reset_counters();
  loads_.reset_counters();
}

void CacheCore::enter_layer(std::uint32_t layer) {
  if (const auto left = residency_.enter_layer(layer)) drop_hints_of(*left);
}

// ---- Claims -------------------------------------------------------------------------------------

void CacheCore::pin(Slot& slot) {
  ++slot.pins;
  ++stats_.hits;
  residency_.use(slot);
}

void CacheCore::join(Claim& claim, const Want& want) {
  const std::shared_ptr<Load>& load = want.slot->load;
  ++load->waiters;
  ++load->uses;
  loads_.demand(load);
  claim.held.push_back({want.position, want.slot, load});
}

void CacheCore::take(Claim& claim, bool room) {
  // What is there first: it must be pinned before room is made, or it might be what goes.
  std::erase_if(claim.wants, [&](const Want& want) {
    if (want.slot->ready) {
      pin(*want.slot);
      claim.held.push_back({want.position, want.slot, nullptr});
      return true;
    }
    if (!want.slot->load) return false;
    ++stats_.late_hits;
    join(claim, want);
    return true;
  });
  if (!room) return;

  while (!claim.wants.empty()) {
    const Want want = claim.wants.front();
    if (!want.slot->load) {  // it has one if the list names it twice
      if (!residency_.make_room(*want.slot)) return;
      start_load(*want.slot, true);
    }
    ++stats_.misses;
    join(claim, want);
    claim.wants.erase(claim.wants.begin());
  }
}

void CacheCore::enqueue(Claim& claim) {
  claim.was_queued = true;
  claim.queued = true;
  queue_.push_back(&claim);
}

void CacheCore::give_back(Claim& claim) noexcept {
  if (!claim.was_queued && claim.held.empty()) return;
  Lock lock(mutex_);
  if (claim.queued) std::erase(queue_, &claim);
  for (const Held& held : claim.held) {
    if (held.pinned()) {
      --held.slot->pins;
    } else if (!held.load->done) {
      --held.load->waiters;
    }
  }
  claim.held.clear();
  go(lock);
}

void CacheCore::wait(Lock& lock, const std::stop_token& stop, const Claim& claim,
                     const std::function<bool()>& done) {
  go(lock);
  const auto over = [&] {
    return claim.failure || done() ||
           std::any_of(claim.held.begin(), claim.held.end(),
                       [](const Held& held) { return held.failed(); });
  };
  if (!over()) {
    const auto start = std::chrono::steady_clock::now();
    changed_.wait(lock, stop, over);
    const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
    stats_.wait_seconds += waited.count();
  }
  throw_failure(claim);
  if (!done()) throw Cancelled();
}

void CacheCore::throw_failure(const Claim& claim) {
  if (claim.failure) throw Error(*claim.failure);
  for (const Held& held : claim.held) {
    if (held.failed()) throw Error(*held.load->failure);
  }
}

void CacheCore::release(Slot& slot) noexcept {
  Lock lock(mutex_);
  --slot.pins;
  if (slot.pins == 0 && !(queue_.empty() && hints_.empty())) go(lock);
}

// ---- Prefetch -----------------------------------------------------------------------------------

void CacheCore::prefetch(std::uint32_t layer, std::span<const std::uint32_t> experts) {
  if (!prefetch_) return;
  Lock lock(mutex_);
  for (const std::uint32_t expert : experts) {
    Slot& hinted = slot({layer, expert});
    if (hinted.ready || hinted.load || hinted.hinted) continue;
    hinted.hinted = true;
    hints_.push_back(&hinted);
  }
  go(lock);
}

// Begins the load of the best hint; false if there is none, or no room for it now.
bool CacheCore::start_hint() {
  while (!hints_.empty()) {
    Slot& best = *hints_.front();
    const bool wanted = best.hinted && !best.ready && !best.load;
    if (wanted && !residency_.make_room_ahead(best, loads_.loading_ahead_bytes())) return false;
    hints_.pop_front();
    best.hinted = false;
    if (!wanted) continue;
    start_load(best, false);
    ++stats_.prefetches;
    return true;
  }
  return false;
}

void CacheCore::drop_hints_of(std::uint32_t layer) {
  std::erase_if(hints_, [&](Slot* hinted) {
    if (hinted->id.layer != layer) return false;
    if (hinted->hinted) ++stats_.dropped_prefetches;
    hinted->hinted = false;
    return true;
  });
}

// ---- Loads --------------------------------------------------------------------------------------

void CacheCore::start_load(Slot& slot, bool demanded) {
  auto load = std::make_shared<Load>();
  load->slot = &slot;
  load->layout = slot_layout(*store_, store_->slab(slot.id));
  load->demanded = demanded;
  residency_.begin(slot, load->layout);
  slot.hinted = false;
  slot.load = std::move(load);
  loads_.add(slot.load);
}

void CacheCore::pump() {
  if (stopping_) return;
  while (!queue_.empty()) {
    Claim& claim = *queue_.front();
    try {
      take(claim, true);
    } catch (const Error& error) {
      claim.failure = error.parts();
    }
    if (!claim.wants.empty() && !claim.failure) break;
    claim.queued = false;
    queue_.pop_front();
    changed_.notify_all();
  }
  loads_.start_demanded();
  try {
    while (queue_.empty() && loads_.may_start_ahead() && (loads_.start_ahead() || start_hint())) {
    }
  } catch (const Error&) {
    // No memory for a slot: a hint is not worth a message, a demand will say so.
  }
}

void CacheCore::flush(Lock& lock) {
  const std::vector<Read> batch = loads_.take_batch();
  if (batch.empty()) return;
  ++busy_;
  lock.unlock();
  reader_->submit(batch);
  lock.lock();
  --busy_;
  if (stopping_) changed_.notify_all();
}

void CacheCore::go(Lock& lock) {
  pump();
  flush(lock);
}

void CacheCore::on_read(Slot& slot, std::uint64_t bytes, const std::string& failure) {
  Lock lock(mutex_);
  ++busy_;
  Load& load = *slot.load;  // lives until its last piece, which is this one or to come
  if (loads_.landed(load, bytes, failure)) {
    go(lock);  // keep the disk busy meanwhile
    if (!load.failure) {
      lock.unlock();
      auto failure_of_bytes = finish_bytes(slot);
      lock.lock();
      load.failure = std::move(failure_of_bytes);
    }
    loads_.finish(load);
    if (load.failure) {
      residency_.fail(slot);
    } else {
      slot.pins += load.waiters;
      residency_.finish(slot, load.uses);
    }
    load.done = true;
    slot.load.reset();
    changed_.notify_all();
  }
  go(lock);
  --busy_;
  if (stopping_) changed_.notify_all();
}

std::optional<Error::Parts> CacheCore::finish_bytes(Slot& slot) {
  if (verify_checksums_) {
    if (auto mismatch = verify(slot)) return mismatch;
  }
  const auto& arrangement = store_->slab(slot.id).arrangement;
  if (!arrangement) return std::nullopt;
  try {
    arrange(slot, *arrangement);
  } catch (const Error& error) {
    return error.parts();
  }
  return std::nullopt;
}

// The bytes take the place of those they are made of.
void CacheCore::arrange(Slot& slot, const Arrangement& arrangement) {
  std::vector<std::span<const std::byte>> extents;
  for (const Placement& part : slot.parts) {
    extents.emplace_back(slot.buffer.data() + part.slot_offset,
                         static_cast<std::size_t>(part.bytes));
  }
  const auto bytes = static_cast<std::size_t>(arrangement.bytes);
  const std::lock_guard lock(arranging_);
  arrangement.make(extents, {arranged_.data(), bytes});
  std::memcpy(slot.buffer.data(), arranged_.data(), bytes);
  slot.parts.assign(1, {.slot_offset = 0, .bytes = arrangement.bytes});
}

std::optional<Error::Parts> CacheCore::verify(const Slot& slot) const {
  const Slab& slab = store_->slab(slot.id);
  if (slab.checksum == 0) return std::nullopt;
  Checksum sum;
  for (const Placement& part : slot.parts) {
    sum.add({slot.buffer.data() + part.slot_offset, static_cast<std::size_t>(part.bytes)});
  }
  const std::uint64_t actual = sum.value();
  if (actual == slab.checksum) return std::nullopt;
  return Error::Parts{.what = fmt::format("an expert's checksum is {:016x}", actual),
                      .where = fmt::format("{}: layer {}, expert {}",
                                           store_->file(slab.extents.front().file).path(),
                                           slot.id.layer, slot.id.expert),
                      .expected = fmt::format("{:016x}", slab.checksum),
                      .fix = "check the disk, then pack the model again"};
}

}  // namespace switchyard::experts::detail
