// Where expert bytes live: slabs on disk, slots in memory, and who may stay when the budget is
// full.
//
//   auto store = experts::open_packed(fs, directory, config).store;
//   experts::Cache cache(store, {.budget = 512 << 20, .policy = "lfu-decay"});
//   cache.prefetch(layer + 1, guessed);
//   for (const experts::Pin& pin : cache.acquire(layer, chosen)) compute(pin.id(), pin.part(0));
//
// A slab is the immutable bytes of one expert; this layer never learns what they mean (an FFN
// expert, a LoRA, a whole model). The budget is one number in bytes and is never exceeded. Caches,
// predictions and batching move bytes; they never change a token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard::experts {

struct SlabId {
  std::uint32_t layer = 0;
  std::uint32_t expert = 0;  // slot index after the expert map, not the router's index
  // NOLINTNEXTLINE(modernize-use-nullptr): its comparison with 0 is the compiler's own.
  auto operator<=>(const SlabId&) const = default;
};

// ---- Store: slab id -> bytes on disk ------------------------------------------------------------

// A run of bytes in one file.
struct Extent {
  std::uint32_t file = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

// What the compute side needs where it is not what the file has: experts whose matrices lie in
// tensors of all experts. Done once after each read.
struct Arrangement {
  std::uint64_t bytes = 0;
  // Writes them, given the bytes of the extents. Pure, and called from any thread; throws Error for
  // bytes that stand for no number.
  std::function<void(std::span<const std::span<const std::byte>> extents, std::span<std::byte> out)>
      make;
};

// One slab: its extents in the order in which the compute side wants them. A packed slab has one
// extent that holds all parts; an in-place slab of a safetensors file has one extent a tensor.
struct Slab {
  std::vector<Extent> extents{};
  std::uint64_t checksum = 0;  // XXH3-64 over the extents' bytes in order; 0: none recorded
  // Not null: a pin has one part, what this makes of the extents.
  std::shared_ptr<const Arrangement> arrangement{};
  std::uint64_t bytes() const;  // on disk
};

// Slabs may be of different sizes; a layer without experts has none.
// Thread rule: const after construction.
class Store {
 public:
  // `slabs` is [layer][expert]. Throws Error if an extent reaches past its file or a slab is empty.
  Store(std::vector<std::shared_ptr<ReadableFile>> files, std::vector<std::vector<Slab>> slabs);

  std::size_t layers() const { return slabs_.size(); }
  std::size_t experts(std::uint32_t layer) const { return slabs_.at(layer).size(); }
  const Slab& slab(SlabId id) const;
  std::size_t files() const { return files_.size(); }
  const ReadableFile& file(std::uint32_t index) const { return *files_.at(index); }
  std::uint64_t total_bytes() const { return total_bytes_; }
  std::uint64_t largest_slab() const { return largest_slab_; }
  std::uint64_t largest_arrangement() const {
    return largest_arrangement_;  // in whole pages; 0: there is none
  }

 private:
  std::vector<std::shared_ptr<ReadableFile>> files_;
  std::vector<std::vector<Slab>> slabs_;
  std::uint64_t total_bytes_ = 0;
  std::uint64_t largest_slab_ = 0;
  std::uint64_t largest_arrangement_ = 0;
};

// ---- Policy: who leaves when the budget is full -------------------------------------------------

// Eviction policies are pure objects: they are told what happens and asked for a victim; they never
// touch bytes, clocks or threads, so a recorded trace can be replayed through them.
//
// The life of a slab: on_insert when it gets a slot (read on demand or ahead), on_use every time it
// is asked for (right after on_insert if it was read on demand), on_evict when it loses its slot. A
// slab inserted and never used was read ahead for nothing. A policy may remember slabs that are
// gone.
//
// Thread rule: one call at a time (the cache calls it under its lock), so a victim should cost
// O(log n), not a scan.
class Policy {
 public:
  // Whether a slab may go now: resident, not pinned.
  using Evictable = std::function<bool(SlabId)>;

  virtual ~Policy() = default;
  virtual std::string_view name() const = 0;
  virtual void on_insert(SlabId id, std::uint64_t bytes) = 0;
  virtual void on_use(SlabId id) = 0;
  virtual void on_evict(SlabId id) = 0;
  // The resident slab of least worth among those that may go; none if none may.
  virtual std::optional<SlabId> victim(const Evictable& evictable) = 0;
};

struct PolicyEntry {
  std::string_view name;
  std::string_view what;
  std::unique_ptr<Policy> (*make)();
};
std::span<const PolicyEntry> policies();                     // the visible table: lru, lfu-decay
std::unique_ptr<Policy> make_policy(std::string_view name);  // throws Error listing the names

// ---- Cache: slab id -> bytes in memory ----------------------------------------------------------

namespace detail {
struct Slot;
}

// Bytes of one acquired expert, valid while the pin lives. Move-only. A pin may outlive its cache.
class Pin {
 public:
  Pin() = default;
  Pin(Pin&& other) noexcept = default;
  Pin& operator=(Pin&& other) noexcept;
  ~Pin();

  SlabId id() const;
  // Bytes of extent i of the slab. Their address modulo 64 is the extent's file offset modulo 64,
  // so what is aligned in the file is aligned in memory.
  std::span<const std::byte> part(std::size_t i) const;
  explicit operator bool() const { return slot_ != nullptr; }

  // For the cache: takes over one pin that the slot already counts.
  explicit Pin(std::shared_ptr<detail::Slot> slot) : slot_(std::move(slot)) {}

 private:
  std::shared_ptr<detail::Slot> slot_;
};

enum class IoBackend {
  automatic,  // io_uring where the system allows it, else pread
  io_uring,   // throws Error where it is not available
  pread,      // blocking reads on a few threads
};

// Options that change speed and memory only; none changes the bytes handed out.
struct CacheOptions {
  // Bytes for slots. Reads go straight into slots, so there are no other I/O buffers; a slot is its
  // slab rounded out to the file's alignment and to whole pages. Where slabs are arranged, the room
  // to do so for one of them is taken from this.
  std::uint64_t budget = 0;
  std::string policy = "lru";
  bool prefetch = true;  // whether prefetch() does anything
  IoBackend io = IoBackend::automatic;
  int queue_depth = 16;                 // reads in flight, 1..1024
  std::uint64_t read_chunk = 1u << 20;  // a slab is read in parallel pieces of this many bytes
  bool verify_checksums = true;         // on every read of a slab that has one
};

// Every expert of every acquire counts once as hit, late hit or miss, judged when the acquire gets
// its turn.
struct CacheStats {
  std::uint64_t hits = 0;       // resident when asked for
  std::uint64_t late_hits = 0;  // being read (for a prefetch or another caller) when asked for
  std::uint64_t misses = 0;     // read on demand
  std::uint64_t evictions = 0;
  std::uint64_t prefetches = 0;          // slabs whose read ahead was started
  std::uint64_t useless_prefetches = 0;  // of these: evicted without having been asked for
  std::uint64_t dropped_prefetches = 0;  // hints not followed: no room, or too late
  std::uint64_t bytes_read = 0;          // from disk, alignment included
  std::uint64_t resident_bytes = 0;      // slots now; not reset by reset_stats
  std::uint64_t peak_bytes = 0;          // most bytes held, never above the budget
  double wait_seconds = 0;               // time callers spent waiting for bytes or room
};

// States of a slab: absent -> loading -> ready -> absent. Only a ready slab without pins can be
// evicted, which writes nothing back. Any number of callers that want a loading slab share one
// read.
//
// Demand goes before prefetch: prefetch starts reads only while no demanded read waits for a place
// in the I/O queue, and keeps to a quarter of that queue and a quarter of the budget while in
// flight. Once the callers have gone on to another layer, what was read ahead for the last one and
// never asked for is evicted first, and what was still queued is dropped.
//
// Thread rule: every method may be called from any thread. A thread must not acquire while it holds
// pins which, with the new ones, exceed the budget: it would wait for itself (a stop still ends
// it). Destroy the cache when no call is running; reads in flight are waited for.
class Cache {
 public:
  // Throws Error if the budget is below floor_bytes(store, options).
  Cache(std::shared_ptr<const Store> store, const CacheOptions& options);
  // With a policy that is not in the table; options.policy is ignored.
  Cache(std::shared_ptr<const Store> store, const CacheOptions& options,
        std::unique_ptr<Policy> policy);
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;
  ~Cache();

  // The least budget that can make progress: the largest slab in a slot, and room to arrange it.
  static std::uint64_t floor_bytes(const Store& store, const CacheOptions& options);

  // The budget at which every slab of the store stays resident once read.
  static std::uint64_t full_bytes(const Store& store, const CacheOptions& options);

  // How many of a layer's experts can surely be pinned at once under this budget (at least 1).
  std::size_t wave_size(std::uint32_t layer) const;

  // Pins the given experts of a layer (at most wave_size different ones), reading what is not
  // resident: all reads are started before the first is waited for. Pins come in the order of
  // `experts`. Throws the read's Error, or Cancelled; then nothing stays pinned, and a later call
  // tries again.
  std::vector<Pin> acquire(std::uint32_t layer, std::span<const std::uint32_t> experts,
                           std::stop_token stop = {});

  // Hands out experts in groups, each as soon as its bytes are there: first all that are resident
  // (usually everything, in one call), then the others as their reads complete, so that the caller
  // computes some while the rest are being read. `use` gets the positions in `experts` and their
  // pins, which are released when it returns. Every position is handed out exactly once. Unlike
  // acquire, takes any number of experts: more than wave_size go through in waves. Throws what
  // `use` throws, the read's Error, or Cancelled.
  void acquire_each(std::uint32_t layer, std::span<const std::uint32_t> experts,
                    const std::function<void(std::span<const std::size_t> positions,
                                             std::span<const Pin> pins)>& use,
                    std::stop_token stop = {});

  // A hint, best first: may start reading these slabs if there is room that no pin or demand needs.
  // Never blocks on disk, never throws for a failing read: whoever waits for that slab gets the
  // error, and otherwise the next acquire reads it again.
  void prefetch(std::uint32_t layer, std::span<const std::uint32_t> experts);

  CacheStats stats() const;
  void reset_stats();
  const Store& store() const;
  std::string_view io_backend_name() const;  // "io_uring" or "pread": what automatic came to
  std::string_view policy_name() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// ---- Predictors: who will be needed next --------------------------------------------------------

struct Proposal {
  std::uint32_t layer = 0;
  std::uint32_t expert = 0;
  float probability = 0;
};

// Told the truth layer by layer, proposes experts for layers to come. The first one, the stale
// gate, lives in the runtime because it needs the router's weights: it applies the next layer's
// router to this layer's input.
class Predictor {
 public:
  virtual ~Predictor() = default;
  virtual std::string_view name() const = 0;
  virtual void observe(std::uint32_t layer, std::span<const std::uint32_t> experts) = 0;
  virtual std::vector<Proposal> propose(std::uint32_t next_layer) = 0;
};

}  // namespace switchyard::experts
