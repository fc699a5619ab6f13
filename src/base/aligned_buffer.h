// Uninitialised memory for weights, scratch and direct I/O: aligned to a cache line, from 4 KiB on
// to a page, from 8 MiB on to a huge page, which is asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <sys/mman.h>

namespace switchyard {

struct AlignedDelete {
  std::size_t alignment = 1;
  void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{alignment}); }
};

class AlignedBuffer {
 public:
  static constexpr std::size_t kAlignment = 64;
  static constexpr std::size_t kPage = 4096;
  static constexpr std::size_t kHugePage = std::size_t{2} << 20;

  AlignedBuffer() = default;

  // Throws std::bad_alloc.
  explicit AlignedBuffer(std::size_t bytes) : bytes_(bytes) {
    if (bytes == 0) return;
    const bool huge = bytes >= 4 * kHugePage;
    const std::size_t alignment = huge ? kHugePage : bytes >= kPage ? kPage : kAlignment;
    data_.reset(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{alignment})));
    data_.get_deleter().alignment = alignment;
    // Whole huge pages only, so that no more memory is touched than was asked for. A hint; failure
    // changes nothing.
    if (huge) static_cast<void>(madvise(data_.get(), bytes / kHugePage * kHugePage, MADV_HUGEPAGE));
  }

  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::size_t size() const { return bytes_; }

  // The buffer seen as `count` values from byte `offset`.
  template <class T>
  std::span<T> as(std::size_t offset, std::size_t count) {
    return {reinterpret_cast<T*>(data_.get() + offset), count};
  }

 private:
  std::unique_ptr<std::byte, AlignedDelete> data_;
  std::size_t bytes_ = 0;
};

// Hands out consecutive aligned pieces of a size fixed beforehand: first count(), then take() the
// same pieces.
class Arena {
 public:
  static constexpr std::size_t rounded(std::size_t bytes) {
    return (bytes + AlignedBuffer::kAlignment - 1) & ~(AlignedBuffer::kAlignment - 1);
  }

  Arena() = default;
  explicit Arena(std::size_t bytes) : buffer_(bytes) {}

  template <class T>
  std::span<T> take(std::size_t count) {
    const std::size_t bytes = rounded(count * sizeof(T));
    if (used_ + bytes > buffer_.size()) throw std::bad_alloc();
    auto piece = buffer_.as<T>(used_, count);
    used_ += bytes;
    return piece;
  }
  std::size_t size() const { return buffer_.size(); }

 private:
  AlignedBuffer buffer_;
  std::size_t used_ = 0;
};

}  // namespace switchyard
