// Files of the operating system behind the interfaces of switchyard/file_system.h.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "switchyard/file_system.h"

namespace switchyard {

// Owns a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { reset(); }

  int get() const { return number_; }
  bool valid() const { return number_ >= 0; }
  // Gives the number away; the caller closes it.
  int release();

 private:
  void reset();
  int number_;
};

// open(2) that is repeated after a signal; an invalid descriptor leaves the reason in errno.
Descriptor open_descriptor(const std::string& path, int flags);

std::shared_ptr<ReadableFile> open_posix_file(const std::string& path, ReadMode mode);

enum class WriteStart { truncate, append };
std::unique_ptr<WritableFile> create_posix_file(const std::string& path, WriteStart start);

}  // namespace switchyard
