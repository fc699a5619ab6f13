// Where expert bytes live: slabs on disk, slots in memory, and who may stay when the budget is full.
//
// A slab is the contiguous immutable bytes of one expert; this layer never learns what they mean (an FFN expert, a LoRA,
// a whole model). The budget is one number in bytes and is never exceeded. Caches, predictions and batching move bytes;
// they never change a token.
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
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard::experts {

struct SlabId {
  std::uint32_t layer = 0;
  std::uint32_t expert = 0;  // slot index after the expert map, not the router's index
  auto operator<=>(const SlabId&) const = default;
};

// ---- Store: slab id -> bytes on disk -------------------------------------------------------------------------------

// A run of bytes in one file.
struct Extent {
  std::uint32_t file = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

// One slab: its parts in the order in which the compute side wants them. A packed slab has one extent that holds all
// parts; an in-place slab of a safetensors file has one extent a tensor.
struct Slab {
  std::vector<Extent> extents;
  std::uint64_t checksum = 0;  // XXH3-64 over the extents' bytes in order; 0: none recorded
  std::uint64_t bytes() const;
};

// Thread rule: const after construction.
class Store {
 public:
  Store(std::vector<std::shared_ptr<ReadableFile>> files, std::vector<std::vector<Slab>> slabs);  // [layer][expert]

  std::size_t layers() const { return slabs_.size(); }
  std::size_t experts(std::uint32_t layer) const { return slabs_.at(layer).size(); }
  const Slab& slab(SlabId id) const;
  const ReadableFile& file(std::uint32_t index) const { return *files_.at(index); }
  std::uint64_t total_bytes() const { return total_bytes_; }
  std::uint64_t largest_slab() const { return largest_slab_; }

 private:
  std::vector<std::shared_ptr<ReadableFile>> files_;
  std::vector<std::vector<Slab>> slabs_;
  std::uint64_t total_bytes_ = 0;
  std::uint64_t largest_slab_ = 0;
};

// ---- Cache: slab id -> bytes in memory -----------------------------------------------------------------------------

// Eviction policies are pure objects: they are told what happens and asked for a victim; they never touch bytes.
class Policy {
 public:
  virtual ~Policy() = default;
  virtual std::string_view name() const = 0;
  virtual void on_insert(SlabId id) = 0;
  virtual void on_hit(SlabId id) = 0;
  virtual void on_evict(SlabId id) = 0;
  // One of `candidates` (resident, unpinned, ascending, never empty).
  virtual SlabId victim(std::span<const SlabId> candidates) = 0;
};

struct PolicyEntry {
  std::string_view name;
  std::string_view what;
  std::unique_ptr<Policy> (*make)();
};
std::span<const PolicyEntry> policies();                            // the visible table: lru, lfu-decay, ...
std::unique_ptr<Policy> make_policy(std::string_view name);         // throws Error listing the names

// Bytes of one acquired expert: the parts of its slab, valid while the pin lives. Move-only.
class Pin {
 public:
  Pin() = default;
  Pin(Pin&& other) noexcept;
  Pin& operator=(Pin&& other) noexcept;
  ~Pin();

  SlabId id() const;
  // Bytes of extent i of the slab.
  std::span<const std::byte> part(std::size_t i) const;
  explicit operator bool() const { return entry_ != nullptr; }

 private:
  friend class Cache;
  struct Release;
  std::shared_ptr<const void> entry_;
};

enum class IoBackend { automatic, io_uring, pread };

struct CacheOptions {
  std::uint64_t budget = 0;       // bytes for slots and I/O buffers together
  std::string policy = "lru";
  bool prefetch = true;           // whether prefetch() does anything
  IoBackend io = IoBackend::automatic;
  int queue_depth = 16;           // reads in flight
  std::uint64_t read_chunk = 1u << 20;  // a slab is read in parallel pieces of this many bytes
  bool verify_checksums = true;   // on every read of a slab that has one
};

struct CacheStats {
  std::uint64_t hits = 0;         // resident when asked for
  std::uint64_t late_hits = 0;    // being prefetched when asked for
  std::uint64_t misses = 0;       // read on demand
  std::uint64_t evictions = 0;
  std::uint64_t prefetches = 0;   // slabs read ahead
  std::uint64_t useless_prefetches = 0;  // evicted without having been asked for
  std::uint64_t bytes_read = 0;   // from disk, alignment included
  std::uint64_t peak_bytes = 0;   // slots and I/O buffers
  double wait_seconds = 0;        // time callers spent waiting for bytes
};

// Thread rule: every method may be called from any thread.
class Cache {
 public:
  // Throws Error if the budget is below floor_bytes(store, options).
  Cache(std::shared_ptr<const Store> store, const CacheOptions& options);
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;
  ~Cache();

  // The least budget that can make progress: one slab in a slot plus the I/O buffers.
  static std::uint64_t floor_bytes(const Store& store, const CacheOptions& options);

  // The budget at which every slab of the store stays resident once read.
  static std::uint64_t full_bytes(const Store& store, const CacheOptions& options);

  // How many of a layer's experts can surely be pinned at once under this budget (at least 1).
  std::size_t wave_size(std::uint32_t layer) const;

  // Pins the given experts of a layer (at most wave_size), reading what is not resident. Blocks; demand overtakes
  // prefetch. Throws the read's Error, or Cancelled.
  std::vector<Pin> acquire(std::uint32_t layer, std::span<const std::uint32_t> experts, std::stop_token stop = {});

  // Hands out experts in groups, each as soon as its bytes are there: first all that are resident (usually everything, in
  // one call), then the others as their reads complete, so that the caller computes some while the rest are being read.
  // `use` gets the positions in `experts` and their pins, which are released when it returns. Every expert is handed out
  // exactly once. Unlike acquire, takes any number of experts: more than wave_size go through in waves.
  void acquire_each(std::uint32_t layer, std::span<const std::uint32_t> experts,
                    const std::function<void(std::span<const std::size_t> positions, std::span<const Pin> pins)>& use,
                    std::stop_token stop = {});

  // A hint: may start reading these slabs if there is room that no pin or better candidate needs. Never blocks on disk.
  void prefetch(std::uint32_t layer, std::span<const std::uint32_t> experts);

  CacheStats stats() const;
  void reset_stats();
  const Store& store() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// ---- Predictors: who will be needed next ---------------------------------------------------------------------------

struct Proposal {
  std::uint32_t layer = 0;
  std::uint32_t expert = 0;
  float probability = 0;
};

// Told the truth layer by layer, proposes experts for layers to come. The first one, the stale gate, lives in the runtime
// because it needs the router's weights: it applies the next layer's router to this layer's input.
class Predictor {
 public:
  virtual ~Predictor() = default;
  virtual std::string_view name() const = 0;
  virtual void observe(std::uint32_t layer, std::span<const std::uint32_t> experts) = 0;
  virtual std::vector<Proposal> propose(std::uint32_t next_layer) = 0;
};

}  // namespace switchyard::experts
