#include "support/faulty_file_system.h"

#include <algorithm>
#include <utility>

#include "switchyard/error.h"

#include "base/posix_error.h"

namespace switchyard::testing_support {
namespace {

constexpr std::array<std::string_view, kOperations> kDoing = {"open",
                                                              "read",
                                                              "create",
                                                              "write",
                                                              "sync",
                                                              "close",
                                                              "list the directory",
                                                              "create the directory",
                                                              "rename",
                                                              "remove",
                                                              "sync the directory"};

std::size_t index_of(Operation operation) { return static_cast<std::size_t>(operation); }

struct PlannedFailure {
  Operation operation;
  int at;  // the number of the call, counted from the beginning
  int error_number;
};

struct PlaceInFile {
  std::string path_end;
  std::uint64_t offset;
};

}  // namespace

class FaultyFileSystem::Faults {
 public:
  // Counts the call and throws if it is to fail.
  void call(Operation operation, const std::string& path) {
    const std::lock_guard lock(mutex);
    const int number = ++counts[index_of(operation)];
    ++all_calls;
    if (halt_at && all_calls > *halt_at) throw posix_error(EIO, kDoing[index_of(operation)], path);
    for (const PlannedFailure& failure : failures) {
      if (failure.operation == operation && failure.at == number) {
        throw posix_error(failure.error_number, kDoing[index_of(operation)], path);
      }
    }
  }

  // How many of these bytes still fit on the disk.
  std::size_t take_space(std::size_t bytes) {
    const std::lock_guard lock(mutex);
    if (!space) return bytes;
    const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(*space, bytes));
    *space -= taken;
    return taken;
  }

  std::mutex mutex;
  std::vector<PlannedFailure> failures;
  std::optional<int> halt_at;
  std::optional<std::uint64_t> space;
  std::vector<PlaceInFile> flips;
  std::vector<PlaceInFile> cuts;
  std::array<int, kOperations> counts{};
  int all_calls = 0;
};

class FaultyFileSystem::Reader final : public ReadableFile {
 public:
  Reader(std::shared_ptr<ReadableFile> base, std::shared_ptr<Faults> faults)
      : base_(std::move(base)), faults_(std::move(faults)) {}

  std::uint64_t size() const override { return base_->size(); }
  const std::string& path() const override { return base_->path(); }
  void read(std::uint64_t offset, std::span<std::byte> out) const override {
    faults_->call(Operation::read, path());
    base_->read(offset, out);
    const std::lock_guard lock(faults_->mutex);
    for (const PlaceInFile& cut : faults_->cuts) {
      if (path().ends_with(cut.path_end) && offset + out.size() > cut.offset) {
        throw Error({.what = "read past the end of the file", .where = path()});
      }
    }
    for (const PlaceInFile& flip : faults_->flips) {
      if (path().ends_with(flip.path_end) && flip.offset >= offset &&
          flip.offset - offset < out.size()) {
        out[static_cast<std::size_t>(flip.offset - offset)] ^= std::byte{1};
      }
    }
  }

 private:
  std::shared_ptr<ReadableFile> base_;
  std::shared_ptr<Faults> faults_;
};

class FaultyFileSystem::Writer final : public WritableFile {
 public:
  Writer(std::string path, std::unique_ptr<WritableFile> base, std::shared_ptr<Faults> faults)
      : path_(std::move(path)), base_(std::move(base)), faults_(std::move(faults)) {}

  void append(std::span<const std::byte> data) override {
    faults_->call(Operation::append, path_);
    const std::size_t fits = faults_->take_space(data.size());
    base_->append(data.first(fits));
    if (fits < data.size()) throw posix_error(ENOSPC, "write", path_);
  }
  void sync() override {
    faults_->call(Operation::sync, path_);
    base_->sync();
  }
  void close() override {
    faults_->call(Operation::close, path_);
    base_->close();
  }

 private:
  std::string path_;
  std::unique_ptr<WritableFile> base_;
  std::shared_ptr<Faults> faults_;
};

FaultyFileSystem::FaultyFileSystem(FileSystem& base)
    : base_(base), faults_(std::make_shared<Faults>()) {}

void FaultyFileSystem::fail(Operation operation, int nth, int error_number) {
  const std::lock_guard lock(faults_->mutex);
  faults_->failures.push_back(
      {operation, faults_->counts[index_of(operation)] + nth, error_number});
}

void FaultyFileSystem::halt_after(int n) {
  const std::lock_guard lock(faults_->mutex);
  faults_->halt_at = faults_->all_calls + n;
}

void FaultyFileSystem::limit_space(std::uint64_t bytes) {
  const std::lock_guard lock(faults_->mutex);
  faults_->space = bytes;
}

void FaultyFileSystem::flip_bit(std::string path, std::uint64_t offset) {
  const std::lock_guard lock(faults_->mutex);
  faults_->flips.push_back({std::move(path), offset});
}

void FaultyFileSystem::cut(std::string path, std::uint64_t bytes) {
  const std::lock_guard lock(faults_->mutex);
  faults_->cuts.push_back({std::move(path), bytes});
}

void FaultyFileSystem::heal() {
  const std::lock_guard lock(faults_->mutex);
  faults_->failures.clear();
  faults_->halt_at.reset();
  faults_->space.reset();
  faults_->flips.clear();
  faults_->cuts.clear();
}

int FaultyFileSystem::calls() const {
  const std::lock_guard lock(faults_->mutex);
  return faults_->all_calls;
}

int FaultyFileSystem::calls(Operation operation) const {
  const std::lock_guard lock(faults_->mutex);
  return faults_->counts[index_of(operation)];
}

std::shared_ptr<ReadableFile> FaultyFileSystem::open(const std::string& path, ReadMode mode) {
  faults_->call(Operation::open, path);
  return std::make_shared<Reader>(base_.open(path, mode), faults_);
}

std::unique_ptr<WritableFile> FaultyFileSystem::create(const std::string& path) {
  faults_->call(Operation::create, path);
  return std::make_unique<Writer>(path, base_.create(path), faults_);
}

std::unique_ptr<WritableFile> FaultyFileSystem::open_append(const std::string& path) {
  faults_->call(Operation::create, path);
  return std::make_unique<Writer>(path, base_.open_append(path), faults_);
}

bool FaultyFileSystem::exists(const std::string& path) { return base_.exists(path); }

bool FaultyFileSystem::is_directory(const std::string& path) { return base_.is_directory(path); }

std::vector<std::string> FaultyFileSystem::list(const std::string& directory) {
  faults_->call(Operation::list, directory);
  return base_.list(directory);
}

void FaultyFileSystem::create_directories(const std::string& path) {
  faults_->call(Operation::create_directories, path);
  base_.create_directories(path);
}

void FaultyFileSystem::rename(const std::string& from, const std::string& to) {
  faults_->call(Operation::rename, from + " to " + to);
  base_.rename(from, to);
}

void FaultyFileSystem::remove(const std::string& path) {
  faults_->call(Operation::remove, path);
  base_.remove(path);
}

void FaultyFileSystem::remove_all(const std::string& directory) {
  faults_->call(Operation::remove, directory);
  base_.remove_all(directory);
}

void FaultyFileSystem::sync_directory(const std::string& directory) {
  faults_->call(Operation::sync_directory, directory);
  base_.sync_directory(directory);
}

}  // namespace switchyard::testing_support
