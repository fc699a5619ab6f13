#include "experts/async_reader.h"

#include <algorithm>
#include <utility>

#include "switchyard/error.h"

#include "experts/pread_reader.h"
#include "experts/uring_reader.h"

namespace switchyard::experts {
namespace {

// The first file that only its own read() can read; null if there is none.
const ReadableFile* file_without_descriptor(const Store& store) {
  for (std::uint32_t i = 0; i < store.files(); ++i) {
    if (store.file(i).descriptor() < 0) return &store.file(i);
  }
  return nullptr;
}

// More threads than this do not read faster: each has a piece of a megabyte in flight.
constexpr int kMaxReaderThreads = 8;

}  // namespace

std::unique_ptr<AsyncReader> make_reader(IoBackend backend, const Store& store, int queue_depth,
                                         AsyncReader::Done done) {
  const ReadableFile* memory_file = file_without_descriptor(store);
  if (backend == IoBackend::io_uring && memory_file != nullptr) {
    throw Error({.what = "io_uring cannot read a file without a descriptor",
                 .where = memory_file->path(),
                 .fix = "use the pread or automatic I/O backend"});
  }
  if (backend == IoBackend::io_uring) {
    return std::make_unique<UringReader>(queue_depth, std::move(done));
  }
  if (backend == IoBackend::automatic && memory_file == nullptr) {
    try {
      return std::make_unique<UringReader>(queue_depth, done);
    } catch (const Error&) {
      // Old kernels, containers and hardened systems forbid io_uring; reads work all the same.
    }
  }
  return std::make_unique<PreadReader>(std::min(queue_depth, kMaxReaderThreads), std::move(done));
}

}  // namespace switchyard::experts
