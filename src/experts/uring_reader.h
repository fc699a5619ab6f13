// Reads through io_uring: one system call starts a batch, and one thread takes what is finished.
//
// Any thread submits (the kernel reads from its call, so a demanded read starts without waking
// another thread first); the reaper thread waits for completions, continues short reads and calls
// `done`. If a submitting thread exits, the kernel may cancel what it had queued: the reaper then
// submits it again.
#pragma once

#include <liburing.h>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "experts/async_reader.h"
#include "experts/read_progress.h"

namespace switchyard::experts {

class UringReader : public AsyncReader {
 public:
  // Throws Error if the system does not allow io_uring.
  UringReader(int depth, Done done);
  ~UringReader() override;

  std::string_view name() const override { return "io_uring"; }
  int depth() const override { return static_cast<int>(places_.size()); }
  void submit(std::span<const Read> reads) noexcept override;

 private:
  // The kernel's two rings, and a signal that ends the wait for completions.
  class Ring {
   public:
    explicit Ring(unsigned entries);
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring();

    io_uring* get() { return &ring_; }
    // Blocks for the next completion; false once stop() was called.
    bool next(std::uint64_t& user_data, int& result);
    void stop();

   private:
    void probe();

    io_uring ring_{};
    int stop_signal_ = -1;  // eventfd
  };

  // What the kernel is told about a place, copied while the place was guarded.
  struct Start {
    std::size_t place = 0;
    int descriptor = -1;
    std::byte* into = nullptr;
    unsigned bytes = 0;
    std::uint64_t offset = 0;
  };

  Start start_of(std::size_t place) const;  // places_mutex_ held
  void start(std::span<const Start> starts) noexcept;
  void reap();
  void finish(std::size_t place, const std::string& failure);

  Ring ring_;
  Done done_;

  // A place holds one read in flight; its index is the completion's user data.
  std::mutex places_mutex_;
  std::vector<ReadProgress> places_;  // guarded by places_mutex_
  std::vector<std::size_t> free_;     // guarded by places_mutex_

  std::mutex submit_mutex_;  // guards the submission ring
  std::string broken_;       // guarded by submit_mutex_; why the ring takes nothing any more
  std::thread reaper_;
};

}  // namespace switchyard::experts
