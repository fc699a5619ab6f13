#include "experts/pread_reader.h"

#include <cerrno>
#include <cstring>
#include <exception>
#include <unistd.h>
#include <utility>

#include "experts/read_progress.h"

namespace switchyard::experts {
namespace {

// The descriptor's bytes, as io_uring would get them: alignment and all.
void read_descriptor(ReadProgress& progress) {
  while (!progress.finished()) {
    const ssize_t got = ::pread(progress.descriptor(), progress.address(), progress.bytes(),
                                static_cast<off_t>(progress.offset()));
    if (got < 0 && errno == EINTR) continue;
    progress.advance(got < 0 ? -errno : static_cast<int>(got));
  }
}

}  // namespace

PreadReader::PreadReader(int threads, Done done) : done_(std::move(done)) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

PreadReader::~PreadReader() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_or_stop_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void PreadReader::submit(std::span<const Read> reads) noexcept {
  {
    const std::lock_guard lock(mutex_);
    queue_.insert(queue_.end(), reads.begin(), reads.end());
  }
  if (reads.size() == 1) {
    work_or_stop_.notify_one();
  } else {
    work_or_stop_.notify_all();
  }
}

void PreadReader::work() {
  for (;;) {
    Read read;
    {
      std::unique_lock lock(mutex_);
      work_or_stop_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      read = queue_.front();
      queue_.pop_front();
    }
    if (read.file->descriptor() >= 0) {
      ReadProgress progress(read);
      read_descriptor(progress);
      done_(read.tag, progress.got(), progress.failure());
      continue;
    }
    std::string failure;
    try {
      read.file->read(read.offset, {read.into, static_cast<std::size_t>(read.needed)});
    } catch (const std::exception& error) {
      failure = error.what();
    }
    done_(read.tag, failure.empty() ? read.needed : 0, failure);
  }
}

}  // namespace switchyard::experts
