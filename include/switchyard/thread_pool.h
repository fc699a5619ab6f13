// A fixed set of threads for data-parallel loops, passed as an argument: two engines in one process
// can each have their own, and nothing in Switchyard makes threads behind the caller's back.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <stop_token>

namespace switchyard {

// Thread rule: one parallel_for at a time per pool (a second caller waits its turn); a loop body
// must not start another loop on the same pool.
class ThreadPool {
 public:
  // `threads` counts the calling thread: 1 makes no thread at all. 0 means one per available core.
  explicit ThreadPool(int threads);
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;
  ~ThreadPool();

  int threads() const;

  // Calls body(begin, end) over disjoint chunks that together cover [0, count), on the pool's
  // threads and the caller; returns when all are done. Chunks hold `grain` items (the last may be
  // shorter; 0 counts as 1) and start in order. When a body throws, no further chunk starts, those
  // running end, and the exception of the lowest chunk that threw is rethrown here. Which thread
  // runs which chunk is not defined: a body must write only to places its range owns, so that the
  // result does not depend on it.
  void parallel_for(std::size_t count, std::size_t grain,
                    const std::function<void(std::size_t begin, std::size_t end)>& body);

  // As above, but gives up between chunks (or while waiting its turn) once `stop` is requested, and
  // then throws Cancelled unless all chunks were run.
  void parallel_for(std::size_t count, std::size_t grain, std::stop_token stop,
                    const std::function<void(std::size_t begin, std::size_t end)>& body);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Cores this process may run on (respects affinity and cgroup CPU quota), at least 1.
int available_cores();

}  // namespace switchyard
