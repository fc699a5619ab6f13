// Blocking reads on a few threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "experts/async_reader.h"

namespace switchyard::experts {

class PreadReader : public AsyncReader {
 public:
  PreadReader(int threads, Done done);
  ~PreadReader() override;

  std::string_view name() const override { return "pread"; }
  int depth() const override { return static_cast<int>(threads_.size()); }
  void submit(std::span<const Read> reads) noexcept override;

 private:
  void work();

  Done done_;
  std::mutex mutex_;
  std::condition_variable work_or_stop_;
  std::deque<Read> queue_;  // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace switchyard::experts
