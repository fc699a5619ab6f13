#include "switchyard/file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <system_error>
#include <unistd.h>

#include "switchyard/error.h"

#include "base/free_space.h"
#include "base/posix_error.h"
#include "base/posix_file.h"

namespace switchyard {
namespace {

class PosixFileSystem final : public FileSystem, public FreeSpace {
 public:
  std::shared_ptr<ReadableFile> open(const std::string& path, ReadMode mode) override {
    return open_posix_file(path, mode);
  }
  std::unique_ptr<WritableFile> create(const std::string& path) override {
    return create_posix_file(path, WriteStart::truncate);
  }
  std::unique_ptr<WritableFile> open_append(const std::string& path) override {
    return create_posix_file(path, WriteStart::append);
  }

  bool exists(const std::string& path) override {
    std::error_code error;
    const bool found = std::filesystem::exists(path, error);
    // "No permission to look" must not read as "not there": the caller might then write a new file.
    if (error) throw posix_error(error.value(), "inspect", path);
    return found;
  }

  bool is_directory(const std::string& path) override {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (error && std::filesystem::status_known(status) == false) {
      throw posix_error(error.value(), "inspect", path);
    }
    return std::filesystem::is_directory(status);
  }

  std::vector<std::string> list(const std::string& directory) override {
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator entry(directory, error);
    while (!error && entry != std::filesystem::directory_iterator()) {
      names.push_back(entry->path().filename().string());
      entry.increment(error);
    }
    if (error) throw posix_error(error.value(), "list the directory", directory);
    std::sort(names.begin(), names.end());
    return names;
  }

  void create_directories(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    if (error) throw posix_error(error.value(), "create the directory", path);
    if (!std::filesystem::is_directory(path, error)) {
      throw posix_error(EEXIST, "create the directory", path);
    }
  }

  void rename(const std::string& from, const std::string& to) override {
    if (std::rename(from.c_str(), to.c_str()) != 0) {
      throw posix_error(errno, "rename", from + " to " + to);
    }
  }

  void remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) throw posix_error(errno, "remove", path);
  }

  void remove_all(const std::string& directory) override {
    std::error_code error;
    std::filesystem::remove_all(directory, error);
    if (error) throw posix_error(error.value(), "remove the directory", directory);
  }

  void sync_directory(const std::string& directory) override {
    const Descriptor descriptor = open_descriptor(directory, O_RDONLY | O_DIRECTORY);
    if (!descriptor.valid()) throw posix_error(errno, "open the directory", directory);
    while (::fsync(descriptor.get()) != 0) {
      if (errno == EINTR) continue;
      // Some network and user-space file systems have no sync of a directory; there is nothing more
      // to do there.
      if (errno == EINVAL || errno == ENOTSUP || errno == ENOSYS) return;
      throw posix_error(errno, "sync the directory", directory);
    }
  }

  std::uint64_t free_bytes(const std::string& directory) const override {
    std::error_code error;
    const auto space = std::filesystem::space(directory, error);
    if (error) throw posix_error(error.value(), "ask for free space in", directory);
    // Some file systems in user space do not say how large they are.
    return space.capacity == 0 ? UINT64_MAX : space.available;
  }
};

}  // namespace

FileSystem& real_file_system() {
  static PosixFileSystem file_system;
  return file_system;
}

std::string read_file(FileSystem& fs, const std::string& path, std::uint64_t limit) {
  const auto file = fs.open(path);
  if (file->size() > limit) {
    throw Error({.what = "the file has " + std::to_string(file->size()) + " bytes",
                 .where = path,
                 .expected = "at most " + std::to_string(limit) + " bytes",
                 .fix = "check that this is the right file"});
  }
  std::string content(static_cast<std::size_t>(file->size()), '\0');
  file->read(0, std::as_writable_bytes(std::span(content)));
  return content;
}

}  // namespace switchyard
