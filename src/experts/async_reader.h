// Reads that run while the caller does something else.
//
// Two implementations behind one interface: io_uring (the kernel works the queue), and blocking
// reads on a few threads, which works everywhere, also for files without a descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "switchyard/experts.h"
#include "switchyard/file_system.h"

namespace switchyard::experts {

// For a direct file, offset, bytes and address are multiples of its alignment; the last of them may
// then reach past the end of the file.
struct Read {
  const ReadableFile* file = nullptr;
  std::uint64_t offset = 0;
  std::byte* into = nullptr;
  std::uint64_t bytes = 0;   // at most 1 GiB
  std::uint64_t needed = 0;  // the read has failed if fewer bytes come
  void* tag = nullptr;       // handed back
};

// Thread rule: submit may be called from any thread, also from inside `done`.
class AsyncReader {
 public:
  // How a read ended: the bytes that came, and why it failed (empty: it did not). Called on a
  // thread of the reader, several at a time where it has several.
  using Done = std::function<void(void* tag, std::uint64_t bytes, const std::string& failure)>;

  // No read may be in flight.
  virtual ~AsyncReader() = default;
  virtual std::string_view name() const = 0;
  // How many reads may be in flight; submitting more is the caller's bug.
  virtual int depth() const = 0;
  // Starts the reads in order and returns without waiting for the disk. Never throws: a read that
  // cannot be started ends with a failure.
  virtual void submit(std::span<const Read> reads) noexcept = 0;
};

// Throws Error if `backend` is io_uring and this system or one of the store's files cannot do it.
std::unique_ptr<AsyncReader> make_reader(IoBackend backend, const Store& store, int queue_depth,
                                         AsyncReader::Done done);

}  // namespace switchyard::experts
