// Ctrl-C as a stop request, for programs; libraries take the token.
#pragma once

#include <memory>
#include <stop_token>

namespace switchyard {

// While it lives, the first SIGINT or SIGTERM requests a stop; a second one of the same kind ends
// the process at once. The destructor restores what was there before. At most one in a process at a
// time.
class StopSignal {
 public:
  StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  ~StopSignal();

  std::stop_token token() const;
  // The signal that came, 0 if none did. A program that stopped because of it exits with 128 +
  // signal.
  int signal() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace switchyard
