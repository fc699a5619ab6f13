// Time as a thing one can hand over, so that what waits or reports can be tested without waiting.
#pragma once

#include <chrono>

namespace switchyard {

// Seconds that only go forward; the origin means nothing. Thread rule: may be used from any thread.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual double seconds() const = 0;
};

class SteadyClock final : public Clock {
 public:
  double seconds() const override {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

// Stands still until told to move. For tests; one thread at a time.
class FakeClock final : public Clock {
 public:
  double seconds() const override { return now_; }
  void advance(double seconds) { now_ += seconds; }

 private:
  double now_ = 0;
};

}  // namespace switchyard
