#include "switchyard/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <pthread.h>
#include <signal.h>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard {
namespace {

constexpr int kMaxThreads = 1024;

// How long a thread looks for work (or for the end of a loop) before it sleeps. Waking a sleeper
// costs the kernel about as much; the loops of one forward pass follow each other more closely than
// that.
constexpr std::chrono::microseconds kSpinTime{50};

void pause_core() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Whether `done` became true within `limit`.
template <typename Done>
bool spin_until(std::chrono::nanoseconds limit, const Done& done) {
  if (done()) return true;
  if (limit.count() == 0) return false;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  do {
    for (int i = 0; i < 16; ++i) {
      pause_core();
      if (done()) return true;
    }
    // On a busy machine the thread waited for may be queued behind this one on the same core.
    std::this_thread::yield();
    if (done()) return true;
  } while (std::chrono::steady_clock::now() < deadline);
  return false;
}

// Threads started while this lives leave signals to the thread that started them.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

// The loop in progress. Workers enter and leave through one word, so the caller waits only for
// those that came: a worker that wakes late finds the door closed, and a short loop does not wait
// for it.
//
//   bits  0..15  workers inside
//   bit   16     open
//   bits 17..63  number of the loop
class Door {
 public:
  static constexpr std::uint64_t kInside = (std::uint64_t{1} << 16) - 1;
  static constexpr std::uint64_t kOpen = std::uint64_t{1} << 16;
  static constexpr std::uint64_t kLoop = std::uint64_t{1} << 17;

  std::uint64_t loop() const { return word_.load() / kLoop; }
  void open() { word_.store((loop() + 1) * kLoop + kOpen); }
  void close() { word_.fetch_and(~kOpen); }
  bool empty() const { return (word_.load() & kInside) == 0; }

  // Enters unless the door is closed. Either way `seen` becomes the number of the loop looked at.
  bool enter(std::uint64_t& seen) {
    std::uint64_t word = word_.load();
    do {
      seen = word / kLoop;
      if ((word & kOpen) == 0) return false;
    } while (!word_.compare_exchange_weak(word, word + 1));
    return true;
  }
  // Whether this was the last one out of a closed door.
  bool leave() { return ((word_.fetch_sub(1) - 1) & (kOpen | kInside)) == 0; }

 private:
  std::atomic<std::uint64_t> word_{0};
};

// The pool whose loop this thread is in: a loop inside a loop of the same pool would wait for
// itself.
thread_local const void* current_pool = nullptr;

class InLoopOf {
 public:
  explicit InLoopOf(const void* pool) : before_(std::exchange(current_pool, pool)) {}
  InLoopOf(const InLoopOf&) = delete;
  InLoopOf& operator=(const InLoopOf&) = delete;
  ~InLoopOf() { current_pool = before_; }

 private:
  const void* before_;
};

}  // namespace

struct ThreadPool::Impl {
  using Body = std::function<void(std::size_t, std::size_t)>;

  struct Loop {
    const Body* body = nullptr;
    std::size_t count = 0;
    std::size_t grain = 1;
    std::size_t chunks = 0;
    std::stop_token stop;
  };

  explicit Impl(int threads)
      : spin(threads <= available_cores() ? std::chrono::nanoseconds(kSpinTime)
                                          : std::chrono::nanoseconds(0)) {
    const SignalsBlocked blocked;
    workers.reserve(static_cast<std::size_t>(threads - 1));
    try {
      for (int i = 1; i < threads; ++i) workers.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      shut_down();
      throw Error({.what = "cannot start thread " + std::to_string(workers.size() + 2) + " of " +
                           std::to_string(threads),
                   .where = "thread pool",
                   .fix = "use fewer threads (-t) or raise the limit (ulimit -u)"});
    }
  }
  ~Impl() { shut_down(); }

  void shut_down() {
    {
      const std::lock_guard lock(mutex);
      quit = true;
    }
    wake.notify_all();
    for (std::thread& worker : workers) worker.join();
  }

  // One loop at a time; waiting for the turn obeys `stop`.
  void take_turn(const std::stop_token& stop) {
    std::unique_lock lock(turn_mutex);
    if (busy && !turn_free.wait(lock, stop, [this] { return !busy; })) throw Cancelled();
    busy = true;
  }
  void end_turn() {
    {
      const std::lock_guard lock(turn_mutex);
      busy = false;
    }
    turn_free.notify_one();
  }

  void run_chunks() {
    while (!failed.load(std::memory_order_relaxed)) {
      const std::size_t chunk = next.fetch_add(1, std::memory_order_relaxed);
      if (chunk >= loop.chunks) return;
      if (loop.stop.stop_requested()) {
        cancelled = true;
        return;
      }
      const std::size_t begin = chunk * loop.grain;
      try {
        (*loop.body)(begin, begin + std::min(loop.grain, loop.count - begin));
      } catch (...) {
        record_failure(chunk, std::current_exception());
      }
    }
  }

  // Chunks are taken in order and a chunk taken is run, so the failure of the lowest chunk that
  // fails at all is always among those recorded: the same error every time.
  void record_failure(std::size_t chunk, std::exception_ptr error) {
    const std::lock_guard lock(mutex);
    if (!failure || chunk < failed_chunk) {
      failure = std::move(error);
      failed_chunk = chunk;
    }
    failed = true;
  }

  void work() {
    const InLoopOf in_loop(this);
    std::uint64_t seen = 0;
    while (true) {
      const auto new_loop = [&] { return door.loop() != seen; };
      if (!spin_until(spin, new_loop)) {
        std::unique_lock lock(mutex);
        // sleepers before the test of the door, the door before the test of sleepers in start():
        // one of the two sees the other (both are sequentially consistent).
        ++sleepers;
        wake.wait(lock, [&] { return quit || new_loop(); });
        --sleepers;
        if (quit) return;
      }
      if (!door.enter(seen)) continue;
      run_chunks();
      if (door.leave() && caller_sleeps) {
        const std::lock_guard lock(mutex);
        empty.notify_one();
      }
    }
  }

  void run(Loop job) {
    take_turn(job.stop);
    start(std::move(job));
    run_chunks();
    finish();
    std::exception_ptr error = std::exchange(failure, nullptr);
    const bool gave_up = cancelled;
    end_turn();
    if (error) std::rethrow_exception(error);
    if (gave_up) throw Cancelled();
  }

  void start(Loop job) {
    loop = std::move(job);
    next = 0;
    failed = false;
    cancelled = false;
    failure = nullptr;
    if (loop.chunks < 2 || workers.empty()) return;  // nothing to share
    door.open();
    if (sleepers.load() > 0) {
      {
        const std::lock_guard lock(mutex);
      }  // a worker between its test and its sleep is asleep after this
      wake.notify_all();
    }
  }

  void finish() {
    door.close();
    if (spin_until(spin, [this] { return door.empty(); })) return;
    std::unique_lock lock(mutex);
    caller_sleeps = true;
    empty.wait(lock, [this] { return door.empty(); });
    caller_sleeps = false;
  }

  const std::chrono::nanoseconds spin;
  std::vector<std::thread> workers;

  std::mutex turn_mutex;
  std::condition_variable_any turn_free;
  bool busy = false;

  // Written by the caller before the door opens, read by workers inside.
  Loop loop;
  alignas(64) Door door;
  alignas(64) std::atomic<std::size_t> next{0};
  alignas(64) std::atomic<bool> failed{false};  // no further chunk is to be taken
  std::atomic<bool> cancelled{false};           // a chunk was taken and not run

  std::mutex mutex;
  std::condition_variable wake;   // workers: a new loop, or quit
  std::condition_variable empty;  // the caller: the last worker left
  std::atomic<int> sleepers{0};
  std::atomic<bool> caller_sleeps{false};
  bool quit = false;
  std::exception_ptr failure;
  std::size_t failed_chunk = 0;
};

ThreadPool::ThreadPool(int threads) {
  if (threads < 0 || threads > kMaxThreads) {
    throw Error({.what = std::to_string(threads) + " threads",
                 .where = "number of threads",
                 .expected = "1 to " + std::to_string(kMaxThreads) + ", or 0 for one per core"});
  }
  impl_ = std::make_unique<Impl>(threads == 0 ? available_cores() : threads);
}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return static_cast<int>(impl_->workers.size()) + 1; }

void ThreadPool::parallel_for(std::size_t count, std::size_t grain, const Impl::Body& body) {
  parallel_for(count, grain, std::stop_token(), body);
}

void ThreadPool::parallel_for(std::size_t count, std::size_t grain, std::stop_token stop,
                              const Impl::Body& body) {
  if (count == 0) return;
  SWITCHYARD_CHECK(current_pool != impl_.get());
  const InLoopOf in_loop(impl_.get());
  grain = std::max<std::size_t>(grain, 1);
  const std::size_t chunks = count / grain + (count % grain != 0 ? 1 : 0);
  impl_->run({&body, count, grain, chunks, std::move(stop)});
}

}  // namespace switchyard
