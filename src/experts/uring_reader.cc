#include "experts/uring_reader.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard::experts {
namespace {

Error unavailable(const char* call, int error) {
  return Error(
      {.what = fmt::format("io_uring is not available: {} failed: {}", call, std::strerror(error)),
       .where = "expert reads",
       .fix = "use the pread or automatic I/O backend"});
}

// Asks the kernel to take all entries of the submission ring. Returns 0 or an errno.
int enter(io_uring* ring) {
  while (io_uring_sq_ready(ring) > 0) {
    const int submitted = io_uring_submit(ring);
    if (submitted >= 0 || submitted == -EINTR) continue;
    if (submitted != -EAGAIN && submitted != -EBUSY) return -submitted;
    // The kernel is short of memory for the moment; nothing signals when it no longer is.
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return 0;
}

}  // namespace

UringReader::Ring::Ring(unsigned entries) {
  const int result = io_uring_queue_init(entries, &ring_, 0);
  if (result < 0) throw unavailable("io_uring_setup", -result);
  try {
    stop_signal_ = ::eventfd(0, EFD_CLOEXEC);
    if (stop_signal_ < 0) throw unavailable("eventfd", errno);
    probe();
  } catch (const Error&) {
    if (stop_signal_ >= 0) ::close(stop_signal_);
    io_uring_queue_exit(&ring_);
    throw;
  }
}

UringReader::Ring::~Ring() {
  ::close(stop_signal_);
  io_uring_queue_exit(&ring_);
}

// A sandbox may allow the set-up and forbid the use: try an empty operation.
void UringReader::Ring::probe() {
  io_uring_prep_nop(io_uring_get_sqe(&ring_));
  const int error = enter(&ring_);
  if (error != 0) throw unavailable("io_uring_enter", error);
  std::uint64_t user_data = 0;
  int answer = 0;
  next(user_data, answer);
}

bool UringReader::Ring::next(std::uint64_t& user_data, int& result) {
  io_uring_cqe* completion = nullptr;
  while (io_uring_peek_cqe(&ring_, &completion) != 0) {
    pollfd waits[] = {{.fd = ring_.ring_fd, .events = POLLIN, .revents = 0},
                      {.fd = stop_signal_, .events = POLLIN, .revents = 0}};
    const int ready = ::poll(waits, 2, -1);
    SWITCHYARD_CHECK(ready >= 0 || errno == EINTR);
    if (ready > 0 && waits[1].revents != 0) return false;
  }
  user_data = completion->user_data;
  result = completion->res;
  io_uring_cqe_seen(&ring_, completion);
  return true;
}

void UringReader::Ring::stop() {
  const std::uint64_t one = 1;
  SWITCHYARD_CHECK(::write(stop_signal_, &one, sizeof one) == sizeof one);
}

UringReader::UringReader(int depth, Done done)
    : ring_(static_cast<unsigned>(depth)),
      done_(std::move(done)),
      places_(static_cast<std::size_t>(depth)) {
  for (std::size_t place = places_.size(); place-- > 0;) free_.push_back(place);
  reaper_ = std::thread([this] { reap(); });
}

UringReader::~UringReader() {
  ring_.stop();
  reaper_.join();
}

void UringReader::submit(std::span<const Read> reads) noexcept {
  std::vector<Start> starts;
  starts.reserve(reads.size());
  {
    const std::lock_guard lock(places_mutex_);
    for (const Read& read : reads) {
      SWITCHYARD_CHECK(!free_.empty());
      const std::size_t place = free_.back();
      free_.pop_back();
      places_[place] = ReadProgress(read);
      starts.push_back(start_of(place));
    }
  }
  start(starts);
}

UringReader::Start UringReader::start_of(std::size_t place) const {
  const ReadProgress& progress = places_[place];
  return {.place = place,
          .descriptor = progress.descriptor(),
          .into = progress.address(),
          .bytes = static_cast<unsigned>(progress.bytes()),
          .offset = progress.offset()};
}

void UringReader::start(std::span<const Start> starts) noexcept {
  std::string failure;
  std::size_t taken = 0;
  {
    const std::lock_guard lock(submit_mutex_);
    if (broken_.empty()) {
      for (const Start& one : starts) {
        io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
        SWITCHYARD_CHECK(entry != nullptr);  // the ring has an entry for every place
        io_uring_prep_read(entry, one.descriptor, one.into, one.bytes, one.offset);
        entry->user_data = one.place;
      }
      const int error = enter(ring_.get());
      taken = starts.size();
      if (error != 0) {
        // What the kernel did not take stays in the ring, so the ring must not be entered again.
        taken -= io_uring_sq_ready(ring_.get());
        broken_ = fmt::format("io_uring takes no more reads: {}", std::strerror(error));
      }
    }
    failure = broken_;
  }
  for (const Start& one : starts.subspan(taken)) finish(one.place, failure);
}

void UringReader::reap() {
  std::uint64_t user_data = 0;
  int result = 0;
  while (ring_.next(user_data, result)) {
    const auto place = static_cast<std::size_t>(user_data);
    Start rest;
    std::string failure;
    bool finished = false;
    {
      const std::lock_guard lock(places_mutex_);
      ReadProgress& progress = places_[place];
      const bool cancelled = result == -EINTR || result == -EAGAIN || result == -ECANCELED;
      if (!cancelled) progress.advance(result);
      finished = progress.finished();
      if (finished) {
        failure = progress.failure();
      } else {
        rest = start_of(place);
      }
    }
    if (finished) {
      finish(place, failure);
    } else {
      start({&rest, 1});
    }
  }
}

void UringReader::finish(std::size_t place, const std::string& failure) {
  void* tag = nullptr;
  std::uint64_t got = 0;
  {
    const std::lock_guard lock(places_mutex_);
    tag = places_[place].read().tag;
    got = places_[place].got();
    free_.push_back(place);
  }
  done_(tag, got, failure);
}

}  // namespace switchyard::experts
