// One read of a descriptor on its way: what is left after a short count, and whether it has failed.
#pragma once

#include <cstdint>
#include <string>

#include "experts/async_reader.h"

namespace switchyard::experts {

class ReadProgress {
 public:
  ReadProgress() = default;
  explicit ReadProgress(const Read& read) : read_(read) {}

  // What to ask the system for next.
  int descriptor() const { return read_.file->descriptor(); }
  std::uint64_t offset() const { return read_.offset + got_; }
  std::byte* address() const { return read_.into + got_; }
  std::uint64_t bytes() const { return read_.bytes - got_; }

  // Takes the system's answer: bytes that came, or -errno (not EINTR).
  void advance(int result);
  bool finished() const { return got_ >= read_.needed || !failure_.empty(); }

  const Read& read() const { return read_; }
  std::uint64_t got() const { return got_; }
  const std::string& failure() const { return failure_; }

 private:
  Read read_;
  std::uint64_t got_ = 0;
  std::string failure_;
};

}  // namespace switchyard::experts
