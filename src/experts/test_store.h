// For tests: stores over a file in memory whose reads can be watched, held back and broken.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/error.h"
#include "switchyard/experts.h"

#include "base/check.h"
#include "experts/checksum.h"
#include "experts/slot_layout.h"

namespace switchyard::experts::testing_support {

// The byte at `offset` of every file made here: differs between neighbours and between slabs.
inline std::byte pattern(std::uint64_t offset) {
  return static_cast<std::byte>((offset * 0x9E3779B97F4A7C15ULL) >> 56);
}

class WatchedFile final : public ReadableFile {
 public:
  explicit WatchedFile(std::uint64_t bytes) : bytes_(bytes) {}

  std::uint64_t size() const override { return bytes_; }
  const std::string& path() const override { return path_; }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    std::unique_lock lock(mutex_);
    ++reads_[offset];
    ++blocked_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return !held(offset); });
    --blocked_;
    if (failing_.contains(offset)) {
      throw Error({.what = "the disk is on fire", .where = path_});
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = pattern(offset + i);
      if (offset + i == corrupt_) out[i] ^= std::byte{1};
    }
  }

  // Reads that start in [begin, end) wait until release().
  void hold(std::uint64_t begin, std::uint64_t end) {
    const std::lock_guard lock(mutex_);
    held_[begin] = end;
  }
  void hold_all() { hold(0, bytes_); }
  void release() {
    const std::lock_guard lock(mutex_);
    held_.clear();
    changed_.notify_all();
  }
  // Returns once `count` reads are inside read().
  void wait_for_blocked(int count) const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return blocked_ >= count; });
  }

  void fail(std::uint64_t offset) {
    const std::lock_guard lock(mutex_);
    failing_.insert(offset);
  }
  void corrupt(std::uint64_t offset) {
    const std::lock_guard lock(mutex_);
    corrupt_ = offset;
  }
  void heal() {
    const std::lock_guard lock(mutex_);
    failing_.clear();
    corrupt_ = ~std::uint64_t{0};
  }

  // How often a read started at this offset.
  int reads(std::uint64_t offset) const {
    const std::lock_guard lock(mutex_);
    const auto found = reads_.find(offset);
    return found == reads_.end() ? 0 : found->second;
  }
  int reads() const {
    const std::lock_guard lock(mutex_);
    int sum = 0;
    for (const auto& [offset, count] : reads_) sum += count;
    return sum;
  }

 private:
  bool held(std::uint64_t offset) const {
    for (const auto& [begin, end] : held_) {
      if (offset >= begin && offset < end) return true;
    }
    return false;
  }

  std::string path_ = "watched.bin";
  std::uint64_t bytes_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::map<std::uint64_t, int> reads_;
  mutable int blocked_ = 0;
  std::map<std::uint64_t, std::uint64_t> held_;
  std::set<std::uint64_t> failing_;
  std::uint64_t corrupt_ = ~std::uint64_t{0};
};

// A watched file with slabs of the given sizes one after the other, layer by layer.
struct TestStore {
  TestStore(const TestStore&) = delete;
  explicit TestStore(const std::vector<std::vector<std::uint64_t>>& sizes) {
    std::uint64_t total = 0;
    for (const auto& layer : sizes) {
      for (const std::uint64_t bytes : layer) total += bytes;
    }
    file = std::make_shared<WatchedFile>(total);
    std::vector<std::vector<Slab>> slabs;
    std::uint64_t offset = 0;
    for (const auto& layer : sizes) {
      slabs.emplace_back();
      for (const std::uint64_t bytes : layer) {
        Checksum sum;
        for (std::uint64_t i = 0; i < bytes; ++i) {
          const std::byte one = pattern(offset + i);
          sum.add({&one, 1});
        }
        slabs.back().push_back(
            {.extents = {{.file = 0, .offset = offset, .bytes = bytes}}, .checksum = sum.value()});
        offset += bytes;
      }
    }
    store =
        std::make_shared<Store>(std::vector<std::shared_ptr<ReadableFile>>{file}, std::move(slabs));
  }
  TestStore(std::size_t layers, std::size_t experts, std::uint64_t bytes = kSlab)
      : TestStore(std::vector(layers, std::vector(experts, bytes))) {}

  // One page, so that a budget of n slabs holds n slabs.
  static constexpr std::uint64_t kSlab = 4096;

  std::uint64_t offset(std::uint32_t layer, std::uint32_t expert) const {
    return store->slab({layer, expert}).extents.front().offset;
  }
  void hold(std::uint32_t layer, std::uint32_t expert) {
    const Extent& extent = store->slab({layer, expert}).extents.front();
    file->hold(extent.offset, extent.offset + extent.bytes);
  }
  int reads(std::uint32_t layer, std::uint32_t expert) const {
    return file->reads(offset(layer, expert));
  }

  std::shared_ptr<WatchedFile> file;
  std::shared_ptr<const Store> store;
};

// A policy of the table that tells when slabs have become ready, read ahead or not.
class WatchedPolicy final : public Policy {
 public:
  explicit WatchedPolicy(std::string_view name) : policy_(make_policy(name)) {}

  // Returns once `count` slabs have become ready since the cache was made.
  void wait_for_ready(int count) const {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ready_ >= count; });
  }

  std::string_view name() const override { return "watched"; }
  void on_insert(SlabId id, std::uint64_t bytes) override {
    policy_->on_insert(id, bytes);
    const std::lock_guard lock(mutex_);
    ++ready_;
    changed_.notify_all();
  }
  void on_use(SlabId id) override { policy_->on_use(id); }
  void on_evict(SlabId id) override { policy_->on_evict(id); }
  std::optional<SlabId> victim(const Evictable& evictable) override {
    return policy_->victim(evictable);
  }

 private:
  std::unique_ptr<Policy> policy_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  int ready_ = 0;
};

// A cache and the policy inside it.
struct WatchedCache {
  WatchedCache(const TestStore& files, const CacheOptions& options)
      : WatchedCache(files, options, std::make_unique<WatchedPolicy>(options.policy)) {}

  const WatchedPolicy& policy;
  Cache cache;

 private:
  WatchedCache(const TestStore& files, const CacheOptions& options,
               std::unique_ptr<WatchedPolicy> watched)
      : policy(*watched), cache(files.store, options, std::move(watched)) {}
};

// Whether a pin holds the bytes its slab has on disk, extent by extent.
inline bool bytes_are_right(const Store& store, const Pin& pin) {
  const Slab& slab = store.slab(pin.id());
  for (std::size_t i = 0; i < slab.extents.size(); ++i) {
    const auto part = pin.part(i);
    if (part.size() != slab.extents[i].bytes) return false;
    for (std::size_t k = 0; k < part.size(); ++k) {
      if (part[k] != pattern(slab.extents[i].offset + k)) return false;
    }
  }
  return true;
}

// A list of experts as a call argument: cache.acquire(0, ids(1, 2)).
template <typename... Ids>
std::vector<std::uint32_t> ids(Ids... experts) {
  return {static_cast<std::uint32_t>(experts)...};
}

}  // namespace switchyard::experts::testing_support
