// Reads a file from front to back in pieces, within its size and a limit: a length that the file
// claims is checked before memory is taken for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard {

class GgufCursor {
 public:
  GgufCursor(const ReadableFile& file, std::string path, std::uint64_t limit);

  std::uint64_t position() const { return position_; }
  // How many bytes may still be read.
  std::uint64_t remaining() const { return end_ - position_; }

  // What is being read, for messages: "key 'general.name'". Empty: only the byte is named.
  void set_subject(std::string subject) { subject_ = std::move(subject); }
  const std::string& subject() const { return subject_; }

  template <typename T>
  T take() {
    T value;
    take_bytes(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  void take_bytes(std::span<std::byte> out);
  // A length (u64) and so many bytes, at most `limit`.
  std::string take_text(std::uint64_t limit);
  // A count of things that take at least `least_bytes` each: throws unless they can be there.
  std::size_t take_count(std::uint64_t least_bytes, const std::string& what);

  // Throws Error at the current byte.
  [[noreturn]] void fail(const std::string& what, const std::string& expected,
                         const std::string& fix = {}) const;

 private:
  void require(std::uint64_t bytes, const std::string& what) const;
  void fill();

  const ReadableFile& file_;
  std::string path_;
  std::uint64_t size_;  // of the file
  std::uint64_t end_;   // where reading must stop: the end of the file or the limit
  std::uint64_t position_ = 0;
  std::string subject_;
  std::vector<std::byte> buffer_;  // the file from buffered_ on
  std::uint64_t buffered_ = 0;
};

}  // namespace switchyard
