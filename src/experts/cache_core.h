// The inside of Cache: callers' claims, and the pump that moves everything on.
//
// Room is the scarce thing, and a caller may need room for several slabs at once. Two callers that
// each held half of what they need would wait for each other for ever. So a claim that needs room
// queues; only the front of the queue is given any, and those behind it hold nothing. A claim whose
// slabs are all ready or being read needs no room and never queues.
//
// pump() runs after every change, under the mutex: it gives room to the claims in the queue, starts
// demanded reads, then reads ahead. The reads are handed to the reader after the mutex is released
// (flush), because starting them costs system calls.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/experts.h"

#include "experts/async_reader.h"
#include "experts/load_queue.h"
#include "experts/residency.h"
#include "experts/slot.h"

namespace switchyard::experts::detail {

// A slab a caller wants; `position` is its place in the caller's list.
struct Want {
  std::size_t position = 0;
  Slot* slot = nullptr;
};

// A slab a caller has a right to.
struct Held {
  std::size_t position = 0;
  Slot* slot = nullptr;
  std::shared_ptr<Load> load;  // null: it was ready. Else a waiter until the load is done

  bool failed() const { return load && load->done && load->failure; }
  bool pinned() const { return !load || (load->done && !load->failure); }
};

// What one call wants and holds. RAII: what is still held is given back.
struct Claim {
  explicit Claim(CacheCore& owner) : core(owner) {}
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim();

  CacheCore& core;
  std::vector<Want> wants;
  std::vector<Held> held;
  bool was_queued = false;  // from then on other threads work on it, under the mutex
  bool queued = false;
  std::optional<Error::Parts> failure;  // the system has no memory for a slot
};

class CacheCore {
 public:
  CacheCore(std::shared_ptr<const Store> store, const CacheOptions& options,
            std::unique_ptr<Policy> policy);

  // Drops what is queued and waits for what is in flight. Ready slots stay for pins that outlive
  // the cache.
  void shut_down();

  const Store& store() const { return *store_; }
  std::string_view io_backend_name() const { return io_backend_name_; }
  std::string_view policy_name() const { return residency_.policy().name(); }
  std::size_t wave_size(std::uint32_t layer) const { return residency_.wave_size(layer); }
  std::uint64_t budget() const { return residency_.memory().budget(); }
  CacheStats stats();
  void reset_stats();

  void prefetch(std::uint32_t layer, std::span<const std::uint32_t> experts);
  void release(Slot& slot) noexcept;

  // The steps of acquire and acquire_each. The mutex is held in all of them.
  using Lock = std::unique_lock<std::mutex>;
  Lock lock() { return Lock(mutex_); }
  Slot& slot(SlabId id) { return residency_.slot(id); }
  void enter_layer(std::uint32_t layer);
  // Asked for while ready: counts a hit and adds a pin.
  void pin(Slot& slot);
  // Moves to `held` what is ready or being read, then, with `room`, whatever room can be made for.
  void take(Claim& claim, bool room);
  bool anyone_queued() const { return !queue_.empty(); }
  void enqueue(Claim& claim);
  // Sets everything going and waits until `done()`. Throws Cancelled on stop, and the Error of
  // whatever failed in the claim.
  void wait(Lock& lock, const std::stop_token& stop, const Claim& claim,
            const std::function<bool()>& done);
  // Starts whatever can be started; lets go of the mutex for a moment.
  void go(Lock& lock);
  void give_back(Claim& claim) noexcept;
  static void throw_failure(const Claim& claim);

 private:
  void pump();
  void flush(Lock& lock);
  void start_load(Slot& slot, bool demanded);
  void join(Claim& claim, const Want& want);
  bool start_hint();
  void drop_hints_of(std::uint32_t layer);
  void on_read(Slot& slot, std::uint64_t bytes, const std::string& failure);
  // What is done with a slab's bytes once they are there, without the mutex: its checksum is
  // compared, and it is arranged. The failure, if there is one.
  std::optional<Error::Parts> finish_bytes(Slot& slot);
  std::optional<Error::Parts> verify(const Slot& slot) const;
  void arrange(Slot& slot, const Arrangement& arrangement);

  const std::shared_ptr<const Store> store_;
  const bool prefetch_;
  const bool verify_checksums_;

  std::mutex mutex_;                     // guards all below
  std::condition_variable_any changed_;  // a load is done, a claim was served, a read came back
  Residency residency_;
  LoadQueue loads_;
  std::deque<Claim*> queue_;  // claims that need room, first come first served
  std::deque<Slot*> hints_;   // best first; entries whose slot is no longer `hinted` are stale
  CacheStats stats_;          // the counters that no part keeps
  int busy_ = 0;              // threads inside the reader or back from it, with or without mutex
  bool stopping_ = false;

  std::mutex arranging_;  // one slab at a time: guards the room to do so
  SlotBuffer arranged_;   // empty where no slab is arranged

  std::unique_ptr<AsyncReader> reader_;  // set once, not guarded; its callbacks use all above
  std::string io_backend_name_;
};

}  // namespace switchyard::experts::detail
