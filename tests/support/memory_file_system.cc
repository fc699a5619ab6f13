#include "support/memory_file_system.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <utility>

#include "switchyard/error.h"

#include "base/posix_error.h"

namespace switchyard::testing_support {
namespace {

using Bytes = std::vector<std::byte>;

// The directory a relative path starts from has the name "".
std::string normalise(const std::string& path) {
  std::string normal = std::filesystem::path(path).lexically_normal().string();
  while (normal.size() > 1 && normal.back() == '/') normal.pop_back();
  return normal == "." ? "" : normal;
}

std::string parent_of(const std::string& normal) {
  return std::filesystem::path(normal).parent_path().string();
}

bool is_below(const std::string& path, const std::string& directory) {
  if (directory.empty()) return !path.empty() && path.front() != '/';
  const std::string prefix = directory == "/" ? directory : directory + "/";
  return path.size() > prefix.size() && path.compare(0, prefix.size(), prefix) == 0;
}

}  // namespace

struct MemoryFileSystem::File {
  Bytes content;
  Bytes durable_content;
};

struct MemoryFileSystem::Shared {
  std::mutex mutex;
  int crashes = 0;
};

class MemoryFileSystem::Reader final : public ReadableFile {
 public:
  Reader(std::string path, std::shared_ptr<Shared> shared, std::shared_ptr<File> file)
      : path_(std::move(path)), shared_(std::move(shared)), file_(std::move(file)) {}

  std::uint64_t size() const override {
    const std::lock_guard lock(shared_->mutex);
    return file_->content.size();
  }
  const std::string& path() const override { return path_; }
  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    const std::lock_guard lock(shared_->mutex);
    const Bytes& content = file_->content;
    if (offset > content.size() || out.size() > content.size() - offset) {
      throw Error({.what = "read past the end of the file",
                   .where = path_,
                   .expected = std::to_string(out.size()) + " bytes from offset " +
                               std::to_string(offset)});
    }
    std::copy_n(content.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
  }

 private:
  std::string path_;
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<File> file_;
};

class MemoryFileSystem::Writer final : public WritableFile {
 public:
  Writer(std::string path, std::shared_ptr<Shared> shared, std::shared_ptr<File> file)
      : path_(std::move(path)),
        shared_(std::move(shared)),
        file_(std::move(file)),
        crashes_(shared_->crashes) {}

  void append(std::span<const std::byte> data) override {
    const std::lock_guard lock(shared_->mutex);
    require_usable("write");
    file_->content.insert(file_->content.end(), data.begin(), data.end());
  }
  void sync() override {
    const std::lock_guard lock(shared_->mutex);
    require_usable("sync");
    file_->durable_content = file_->content;
  }
  void close() override { closed_ = true; }

 private:
  void require_usable(std::string_view doing) const {
    if (closed_) throw posix_error(EBADF, doing, path_);
    if (crashes_ != shared_->crashes) throw posix_error(EIO, doing, path_);
  }

  std::string path_;
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<File> file_;
  int crashes_;
  bool closed_ = false;
};

MemoryFileSystem::MemoryFileSystem()
    : shared_(std::make_shared<Shared>()), directories_({"", "/"}) {}

void MemoryFileSystem::require_parent(const std::string& path, std::string_view doing) const {
  const std::string parent = parent_of(path);
  if (known_directory(parent)) return;
  throw posix_error(names_.contains(parent) ? ENOTDIR : ENOENT, doing, path);
}

std::shared_ptr<ReadableFile> MemoryFileSystem::open(const std::string& path, ReadMode) {
  const std::lock_guard lock(shared_->mutex);
  const std::string name = normalise(path);
  if (known_directory(name)) throw posix_error(EISDIR, "open", path);
  const auto found = names_.find(name);
  if (found == names_.end()) throw posix_error(ENOENT, "open", path);
  return std::make_shared<Reader>(path, shared_, found->second);
}

std::shared_ptr<MemoryFileSystem::File> MemoryFileSystem::open_for_writing(
    const std::string& path) {
  const std::string name = normalise(path);
  if (known_directory(name)) throw posix_error(EISDIR, "create", path);
  require_parent(name, "create");
  std::shared_ptr<File>& file = names_[name];
  if (!file) file = std::make_shared<File>();
  return file;
}

std::unique_ptr<WritableFile> MemoryFileSystem::create(const std::string& path) {
  const std::lock_guard lock(shared_->mutex);
  auto file = open_for_writing(path);
  *file = File();
  return std::make_unique<Writer>(path, shared_, std::move(file));
}

std::unique_ptr<WritableFile> MemoryFileSystem::open_append(const std::string& path) {
  const std::lock_guard lock(shared_->mutex);
  return std::make_unique<Writer>(path, shared_, open_for_writing(path));
}

bool MemoryFileSystem::exists(const std::string& path) {
  const std::lock_guard lock(shared_->mutex);
  const std::string name = normalise(path);
  return names_.contains(name) || known_directory(name);
}

bool MemoryFileSystem::is_directory(const std::string& path) {
  const std::lock_guard lock(shared_->mutex);
  return known_directory(normalise(path));
}

std::vector<std::string> MemoryFileSystem::list(const std::string& directory) {
  const std::lock_guard lock(shared_->mutex);
  const std::string parent = normalise(directory);
  if (!known_directory(parent)) throw posix_error(ENOENT, "list the directory", directory);
  std::vector<std::string> names;
  const auto add = [&](const std::string& path) {
    if (path != parent && !path.empty() && parent_of(path) == parent) {
      names.push_back(std::filesystem::path(path).filename().string());
    }
  };
  for (const auto& [path, file] : names_) add(path);
  for (const std::string& path : directories_) add(path);
  std::sort(names.begin(), names.end());
  return names;
}

void MemoryFileSystem::create_directories(const std::string& path) {
  const std::lock_guard lock(shared_->mutex);
  for (std::string name = normalise(path); !known_directory(name); name = parent_of(name)) {
    if (names_.contains(name)) throw posix_error(EEXIST, "create the directory", path);
    directories_.insert(name);
  }
}

void MemoryFileSystem::rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(shared_->mutex);
  const auto found = names_.find(normalise(from));
  const std::string target = normalise(to);
  const std::string where = from + " to " + to;
  if (found == names_.end()) throw posix_error(ENOENT, "rename", where);
  if (known_directory(target)) throw posix_error(EISDIR, "rename", where);
  require_parent(target, "rename");
  if (found->first == target) return;
  names_[target] = found->second;
  names_.erase(normalise(from));
}

void MemoryFileSystem::remove(const std::string& path) {
  const std::lock_guard lock(shared_->mutex);
  const std::string name = normalise(path);
  if (known_directory(name)) throw posix_error(EISDIR, "remove", path);
  names_.erase(name);
}

void MemoryFileSystem::remove_all(const std::string& directory) {
  const std::lock_guard lock(shared_->mutex);
  const std::string top = normalise(directory);
  std::erase_if(
      names_, [&](const auto& entry) { return entry.first == top || is_below(entry.first, top); });
  std::erase_if(directories_, [&](const std::string& path) {
    return !path.empty() && path != "/" && (path == top || is_below(path, top));
  });
}

void MemoryFileSystem::sync_directory(const std::string& directory) {
  const std::lock_guard lock(shared_->mutex);
  const std::string parent = normalise(directory);
  if (!known_directory(parent)) throw posix_error(ENOENT, "open the directory", directory);
  std::erase_if(durable_names_,
                [&](const auto& entry) { return parent_of(entry.first) == parent; });
  for (const auto& [path, file] : names_) {
    if (parent_of(path) == parent) durable_names_[path] = file;
  }
}

std::uint64_t MemoryFileSystem::free_bytes(const std::string& directory) const {
  const std::lock_guard lock(shared_->mutex);
  if (!known_directory(normalise(directory))) {
    throw posix_error(ENOENT, "ask for free space in", directory);
  }
  return free_bytes_;
}

void MemoryFileSystem::put(const std::string& path, std::string_view content) {
  create_directories(parent_of(normalise(path)));
  const auto file = create(path);
  file->append(std::as_bytes(std::span(content)));
  file->sync();
  sync_directory(parent_of(normalise(path)));
}

void MemoryFileSystem::drop_unsynced() {
  const std::lock_guard lock(shared_->mutex);
  ++shared_->crashes;
  names_ = durable_names_;
  for (auto& [path, file] : names_) {
    file->content = file->durable_content;
    directories_.insert(parent_of(path));  // a removal of the directory that was not synced
  }
}

}  // namespace switchyard::testing_support
