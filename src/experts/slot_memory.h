// Memory for slots under a hard budget.
//
// Slots come straight from the system and go back to it, so the bytes counted here are the bytes
// the process has; a general-purpose heap would keep freed ones. A slot given back is kept for the
// next one of about its size: a fresh mapping costs a page fault every 4 KiB, a quarter of the time
// of the read that fills it. Kept memory counts against the budget and is the first to go.
//
// Thread rule: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>

namespace switchyard::experts {

// A page-aligned anonymous mapping; from 2 MiB on aligned to a huge page. Move-only.
class SlotBuffer {
 public:
  SlotBuffer() = default;
  explicit SlotBuffer(std::uint64_t bytes);  // throws Error if the system has no memory
  SlotBuffer(SlotBuffer&& other) noexcept { swap(other); }
  SlotBuffer& operator=(SlotBuffer&& other) noexcept;
  ~SlotBuffer();

  std::byte* data() const { return data_; }
  std::uint64_t bytes() const { return bytes_; }
  explicit operator bool() const { return data_ != nullptr; }

  // The content is undefined afterwards. Pages that both sizes have stay mapped.
  void resize(std::uint64_t bytes);

 private:
  void swap(SlotBuffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

  std::byte* data_ = nullptr;
  std::uint64_t bytes_ = 0;
};

class SlotMemory {
 public:
  explicit SlotMemory(std::uint64_t budget) : budget_(budget) {}

  // Whether a slot of this size can be had without taking one from a slab.
  bool fits(std::uint64_t bytes) const { return bytes <= budget_ - used_; }
  // `bytes` must fit and be whole pages.
  SlotBuffer take(std::uint64_t bytes);
  void give_back(SlotBuffer buffer);

  std::uint64_t budget() const { return budget_; }
  std::uint64_t used() const { return used_; }          // in slots handed out
  std::uint64_t held() const { return used_ + kept_; }  // from the system, never above the budget
  std::uint64_t peak() const { return peak_; }
  void reset_peak() { peak_ = held(); }

 private:
  // Gives kept memory back until `bytes` more can be held.
  void make_room(std::uint64_t bytes);

  std::uint64_t budget_;
  std::uint64_t used_ = 0;
  std::uint64_t kept_ = 0;
  std::uint64_t peak_ = 0;
  std::multimap<std::uint64_t, SlotBuffer> free_;  // by size
};

}  // namespace switchyard::experts
