#include "base/posix_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "switchyard/error.h"

#include "base/aligned_buffer.h"
#include "base/posix_error.h"

namespace switchyard {
namespace {

// What every common disk and file system accepts for O_DIRECT: no block is larger, and every
// smaller one divides it.
constexpr std::size_t kDirectAlignment = 4096;
static_assert(kDirectAlignment <= AlignedBuffer::kPage);
// Unaligned reads of a direct file go through a buffer of this size.
constexpr std::size_t kBounceBytes = std::size_t{1} << 20;
// Linux moves at most 2 GiB - 4 KiB a call; a power of two below that keeps direct reads aligned.
constexpr std::size_t kMaxTransfer = std::size_t{1} << 30;

Error too_short(const std::string& path, std::uint64_t offset, std::size_t bytes,
                std::uint64_t size) {
  return Error(
      {.what = "read past the end of the file",
       .where = path,
       .expected = "at least " + std::to_string(bytes) + " bytes from offset " +
                   std::to_string(offset) + ", the file has " + std::to_string(size),
       .fix = "the file may be cut short or still being written; make or download it again"});
}

// Reads until `out` is full or the file ends; returns the bytes read.
std::size_t read_until_end(int descriptor, std::uint64_t offset, std::span<std::byte> out,
                           const std::string& path) {
  std::size_t done = 0;
  while (done < out.size()) {
    const std::size_t want = std::min(out.size() - done, kMaxTransfer);
    const ssize_t got =
        ::pread(descriptor, out.data() + done, want, static_cast<off_t>(offset + done));
    if (got < 0) {
      if (errno == EINTR) continue;
      throw posix_error(errno, "read", path);
    }
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
    // A direct read that ends off the alignment has met the end of the file; asking again would be
    // refused.
    if (static_cast<std::size_t>(got) < want && done % kDirectAlignment != 0 &&
        (::fcntl(descriptor, F_GETFL) & O_DIRECT) != 0) {
      break;
    }
  }
  return done;
}

class PosixReadableFile final : public ReadableFile {
 public:
  PosixReadableFile(std::string path, Descriptor descriptor, std::uint64_t size, bool direct)
      : path_(std::move(path)), descriptor_(std::move(descriptor)), size_(size), direct_(direct) {}

  std::uint64_t size() const override { return size_; }
  const std::string& path() const override { return path_; }
  int descriptor() const override { return descriptor_.get(); }
  bool direct() const override { return direct_; }
  std::size_t alignment() const override { return direct_ ? kDirectAlignment : 1; }

  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    if (offset > size_ || out.size() > size_ - offset) {
      throw too_short(path_, offset, out.size(), size_);
    }
    if (out.empty()) return;
    if (!direct_ || is_aligned(offset, out)) {
      const std::size_t got = read_until_end(descriptor_.get(), offset, out, path_);
      // The file was cut after it was opened.
      if (got < out.size()) throw too_short(path_, offset, out.size(), offset + got);
      return;
    }
    read_through_bounce_buffer(offset, out);
  }

 private:
  static bool is_aligned(std::uint64_t offset, std::span<std::byte> out) {
    return offset % kDirectAlignment == 0 && out.size() % kDirectAlignment == 0 &&
           reinterpret_cast<std::uintptr_t>(out.data()) % kDirectAlignment == 0;
  }

  void read_through_bounce_buffer(std::uint64_t offset, std::span<std::byte> out) const {
    const std::uint64_t lead = offset % kDirectAlignment;
    const std::uint64_t padded =
        (lead + out.size() + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
    const std::size_t window =
        static_cast<std::size_t>(std::min<std::uint64_t>(padded, kBounceBytes));
    AlignedBuffer buffer(window);
    std::size_t done = 0;
    while (done < out.size()) {
      const std::uint64_t position = offset + done;
      const std::uint64_t block = position / kDirectAlignment * kDirectAlignment;
      const auto skip = static_cast<std::size_t>(position - block);
      const std::size_t got =
          read_until_end(descriptor_.get(), block, {buffer.data(), window}, path_);
      if (got <= skip) throw too_short(path_, offset, out.size(), block + got);
      const std::size_t take = std::min(got - skip, out.size() - done);
      std::memcpy(out.data() + done, buffer.data() + skip, take);
      done += take;
    }
  }

  std::string path_;
  Descriptor descriptor_;
  std::uint64_t size_;
  bool direct_;
};

class PosixWritableFile final : public WritableFile {
 public:
  PosixWritableFile(std::string path, Descriptor descriptor)
      : path_(std::move(path)), descriptor_(std::move(descriptor)) {}

  void append(std::span<const std::byte> data) override {
    require_open("write");
    while (!data.empty()) {
      const ssize_t put =
          ::write(descriptor_.get(), data.data(), std::min(data.size(), kMaxTransfer));
      if (put < 0) {
        if (errno == EINTR) continue;
        throw posix_error(errno, "write", path_);
      }
      data = data.subspan(static_cast<std::size_t>(put));
    }
  }

  void sync() override {
    require_open("sync");
    while (::fsync(descriptor_.get()) != 0) {
      if (errno != EINTR) throw posix_error(errno, "sync", path_);
    }
  }

  void close() override {
    if (!descriptor_.valid()) return;
    // Linux closes the descriptor even when close(2) is interrupted; calling it again could close
    // another file's.
    if (::close(descriptor_.release()) != 0 && errno != EINTR) {
      throw posix_error(errno, "close", path_);
    }
  }

 private:
  void require_open(std::string_view doing) const {
    if (!descriptor_.valid()) throw posix_error(EBADF, doing, path_);
  }

  std::string path_;
  Descriptor descriptor_;
};

// Some file systems accept O_DIRECT and refuse the reads, so one block is read to find out.
bool direct_reads_work(int descriptor) {
  AlignedBuffer block(kDirectAlignment);
  ssize_t got = 0;
  do {
    got = ::pread(descriptor, block.data(), kDirectAlignment, 0);
  } while (got < 0 && errno == EINTR);
  return got >= 0;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  if (this != &other) {
    reset();
    number_ = other.release();
  }
  return *this;
}

int Descriptor::release() { return std::exchange(number_, -1); }

void Descriptor::reset() {
  if (number_ >= 0) ::close(number_);
  number_ = -1;
}

Descriptor open_descriptor(const std::string& path, int flags) {
  int number = -1;
  do {
    number = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  } while (number < 0 && errno == EINTR);
  return Descriptor(number);
}

std::shared_ptr<ReadableFile> open_posix_file(const std::string& path, ReadMode mode) {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  Descriptor descriptor = open_descriptor(path, O_RDONLY | O_NONBLOCK);
  if (!descriptor.valid()) throw posix_error(errno, "open", path);
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0) throw posix_error(errno, "inspect", path);
  if (S_ISDIR(status.st_mode)) throw posix_error(EISDIR, "open", path);
  if (!S_ISREG(status.st_mode)) {
    throw Error({.what = "cannot open: it is a pipe or a device",
                 .where = path,
                 .expected = "a regular file",
                 .fix = "copy its content to a file first"});
  }
  // Reads of regular files ignore the flag, but io_uring may answer EAGAIN because of it.
  if (::fcntl(descriptor.get(), F_SETFL, 0) != 0) throw posix_error(errno, "open", path);
  bool direct = false;
  if (mode == ReadMode::direct) {
    Descriptor bypass = open_descriptor(path, O_RDONLY | O_DIRECT);
    struct stat again {};
    // The path may have been replaced in between: both descriptors must be the same file.
    if (bypass.valid() && ::fstat(bypass.get(), &again) == 0 && again.st_ino == status.st_ino &&
        again.st_dev == status.st_dev && direct_reads_work(bypass.get())) {
      descriptor = std::move(bypass);
      direct = true;
    }
  }
  return std::make_shared<PosixReadableFile>(path, std::move(descriptor),
                                             static_cast<std::uint64_t>(status.st_size), direct);
}

std::unique_ptr<WritableFile> create_posix_file(const std::string& path, WriteStart start) {
  const int how = start == WriteStart::truncate ? O_TRUNC : O_APPEND;
  Descriptor descriptor = open_descriptor(path, O_WRONLY | O_CREAT | how);
  if (!descriptor.valid()) throw posix_error(errno, "create", path);
  return std::make_unique<PosixWritableFile>(path, std::move(descriptor));
}

}  // namespace switchyard
