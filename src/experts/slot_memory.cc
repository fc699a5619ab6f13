#include "experts/slot_memory.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/core.h>
#include <sys/mman.h>

#include "switchyard/error.h"

#include "base/aligned_buffer.h"
#include "base/check.h"

namespace switchyard::experts {
namespace {

[[noreturn]] void out_of_memory(std::uint64_t bytes) {
  throw Error({.what = fmt::format("the system gives no memory for an expert slot of {} bytes: {}",
                                   bytes, std::strerror(errno)),
               .where = "expert cache",
               .fix = "use a smaller memory budget"});
}

}  // namespace

SlotBuffer::SlotBuffer(std::uint64_t bytes) {
  // A slot that holds a huge page starts at one and asks for them: products read its weights with
  // fewer misses of the TLB, and filling it takes fewer page faults. Address space around it is
  // taken and given back at once; no page of it was ever there.
  constexpr std::uint64_t kHuge = AlignedBuffer::kHugePage;
  const bool huge = bytes >= kHuge && bytes <= ~std::uint64_t{0} - kHuge;
  const std::uint64_t spare = huge ? kHuge : 0;
  void* mapped =
      ::mmap(nullptr, bytes + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) out_of_memory(bytes);
  data_ = static_cast<std::byte*>(mapped);
  bytes_ = bytes;
  if (!huge) return;
  const std::uint64_t before = -reinterpret_cast<std::uintptr_t>(mapped) & (kHuge - 1);
  data_ += before;
  if (before > 0) ::munmap(mapped, before);
  if (before < spare) ::munmap(data_ + bytes, spare - before);
  static_cast<void>(::madvise(data_, bytes, MADV_HUGEPAGE));  // a hint
}

SlotBuffer& SlotBuffer::operator=(SlotBuffer&& other) noexcept {
  SlotBuffer old(std::move(*this));
  swap(other);
  return *this;
}

SlotBuffer::~SlotBuffer() {
  if (data_ != nullptr) ::munmap(data_, bytes_);
}

void SlotBuffer::resize(std::uint64_t bytes) {
  void* mapped = ::mremap(data_, bytes_, bytes, MREMAP_MAYMOVE);
  if (mapped == MAP_FAILED) out_of_memory(bytes);
  data_ = static_cast<std::byte*>(mapped);
  bytes_ = bytes;
}

SlotBuffer SlotMemory::take(std::uint64_t bytes) {
  SWITCHYARD_CHECK(fits(bytes));
  SlotBuffer buffer;
  if (!free_.empty()) {
    // The smallest that is large enough, else the largest: the fewest pages change.
    auto best = free_.lower_bound(bytes);
    if (best == free_.end()) best = std::prev(best);
    buffer = std::move(best->second);
    free_.erase(best);
    kept_ -= buffer.bytes();
  }
  if (buffer && buffer.bytes() != bytes) {
    // Shrinking never needs room; growing needs the new pages' worth beside the old ones.
    if (buffer.bytes() < bytes) make_room(bytes);
    buffer.resize(bytes);
  } else if (!buffer) {
    make_room(bytes);
    buffer = SlotBuffer(bytes);
  }
  used_ += bytes;
  peak_ = std::max(peak_, held());
  SWITCHYARD_CHECK(held() <= budget_);
  return buffer;
}

void SlotMemory::give_back(SlotBuffer buffer) {
  SWITCHYARD_CHECK(buffer.bytes() <= used_);
  const std::uint64_t bytes = buffer.bytes();
  free_.emplace(bytes, std::move(buffer));
  used_ -= bytes;
  kept_ += bytes;
}

void SlotMemory::make_room(std::uint64_t bytes) {
  while (bytes > budget_ - held()) {
    SWITCHYARD_CHECK(!free_.empty());
    const auto largest = std::prev(free_.end());
    kept_ -= largest->first;
    free_.erase(largest);
  }
}

}  // namespace switchyard::experts
