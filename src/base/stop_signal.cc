#include "base/stop_signal.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <signal.h>
#include <thread>
#include <unistd.h>

#include "base/check.h"
#include "base/posix_error.h"
#include "base/posix_file.h"

namespace switchyard {
namespace {

constexpr std::array<int, 2> kSignals = {SIGINT, SIGTERM};

// A signal handler can reach nothing but globals: the end of the pipe it writes to, -1 while no
// StopSignal lives.
std::atomic<int> pipe_to_watcher{-1};

void on_signal(int number) {
  // request_stop() runs callbacks and takes locks, which a handler must not do: a thread does it.
  const int saved_errno = errno;
  const auto byte = static_cast<unsigned char>(number);
  // A full pipe means that the watcher has enough to read.
  [[maybe_unused]] const ssize_t written = ::write(pipe_to_watcher.load(), &byte, 1);
  errno = saved_errno;
}

}  // namespace

struct StopSignal::Impl {
  Impl() {
    SWITCHYARD_CHECK(pipe_to_watcher.load() == -1);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw posix_error(errno, "make a pipe", "signal handling");
    reading = Descriptor(ends[0]);
    writing = Descriptor(ends[1]);
    watcher = std::thread([this] { watch(); });
    pipe_to_watcher = writing.get();
    struct sigaction action {};
    action.sa_handler = on_signal;
    ::sigemptyset(&action.sa_mask);
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
      ::sigaction(kSignals[i], &action, &before[i]);
    }
  }

  ~Impl() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
      ::sigaction(kSignals[i], &before[i], nullptr);
    }
    pipe_to_watcher = -1;
    writing = Descriptor();  // the watcher reads the end and leaves
    watcher.join();
  }

  void watch() {
    while (true) {
      unsigned char number = 0;
      const ssize_t got = ::read(reading.get(), &number, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return;
      received = number;
      source.request_stop();
    }
  }

  std::stop_source source;
  std::atomic<int> received{0};
  Descriptor reading;
  Descriptor writing;
  std::array<struct sigaction, kSignals.size()> before{};
  std::thread watcher;
};

StopSignal::StopSignal() : impl_(std::make_unique<Impl>()) {}
StopSignal::~StopSignal() = default;

std::stop_token StopSignal::token() const { return impl_->source.get_token(); }
int StopSignal::signal() const { return impl_->received; }

}  // namespace switchyard
