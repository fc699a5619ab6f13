// All access to files goes through FileSystem, so that a test can run in memory, drop data that was
// never synced, fill the disk, or fail the n-th call. real_file_system() is the operating system.
//
// Errors: every function throws Error naming the path. Thread rule: a FileSystem and a ReadableFile
// may be used from several threads at once; a WritableFile from one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace switchyard {

// A file opened for reading at any offset.
class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  virtual std::uint64_t size() const = 0;
  // Fills `out` from `offset`, or throws: a short file is an error here. Any offset, length and
  // address will do; on a direct file those that are not aligned cost a copy.
  virtual void read(std::uint64_t offset, std::span<std::byte> out) const = 0;
  virtual const std::string& path() const = 0;
  // The descriptor for asynchronous or direct reads, -1 if there is none (a file in memory).
  virtual int descriptor() const { return -1; }
  // Whether the descriptor bypasses the page cache: for reads on it, offset, length and address
  // must be multiples of alignment().
  virtual bool direct() const { return false; }
  virtual std::size_t alignment() const { return 1; }
};

// A file being written from its start (or, with open_append, its end). Nothing is buffered in the
// process, and nothing is promised to be on disk before sync() returns.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual void append(std::span<const std::byte> data) = 0;
  virtual void sync() = 0;
  // Closes; errors the system kept back until now are thrown. The destructor closes silently.
  virtual void close() = 0;
};

enum class ReadMode {
  buffered,  // through the page cache
  direct,    // past the page cache (O_DIRECT); falls back to buffered where the file system cannot
};

class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual std::shared_ptr<ReadableFile> open(const std::string& path,
                                             ReadMode mode = ReadMode::buffered) = 0;
  virtual std::unique_ptr<WritableFile> create(const std::string& path) = 0;
  virtual std::unique_ptr<WritableFile> open_append(const std::string& path) = 0;
  virtual bool exists(const std::string& path) = 0;
  virtual bool is_directory(const std::string& path) = 0;
  virtual std::vector<std::string> list(const std::string& directory) = 0;  // names, sorted
  virtual void create_directories(const std::string& path) = 0;
  // Replaces a file at `to`. Survives a crash only after sync_directory() of the directory.
  virtual void rename(const std::string& from, const std::string& to) = 0;
  virtual void remove(const std::string& path) = 0;  // a file; no error if it is not there
  virtual void remove_all(
      const std::string& directory) = 0;  // with its content; no error if it is not there
  virtual void sync_directory(const std::string& directory) = 0;
};

FileSystem& real_file_system();

// The whole file as a string. Throws Error if it is larger than `limit` bytes.
std::string read_file(FileSystem& fs, const std::string& path,
                      std::uint64_t limit = std::uint64_t{1} << 32);

// Replaces `path` as a whole: writes a temporary sibling (`path` + ".tmp-" + 16 hex digits), syncs
// it, renames it over `path` and syncs the directory. On any error before the rename the temporary
// is removed and `path` is as it was; a crash leaves the old or the new content, never a mixture. A
// file that is not committed is discarded.
//
//   AtomicFile out(fs, "model.safetensors");
//   out.append(bytes);
//   out.commit();
class AtomicFile {
 public:
  AtomicFile(FileSystem& fs, std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  void append(std::span<const std::byte> data);
  void append(const std::string& text);
  // Bytes appended so far.
  std::uint64_t size() const { return size_; }
  void commit();

 private:
  void flush();
  void discard() noexcept;

  FileSystem& fs_;
  std::string path_;
  std::string temporary_;
  std::unique_ptr<WritableFile> file_;  // null once committed or discarded
  std::vector<std::byte> buffer_;       // appended, not yet written
  std::uint64_t size_ = 0;              // bytes appended
};

void write_file_atomically(FileSystem& fs, const std::string& path, const std::string& content);

// Removes the temporaries that killed writers left in `directory`. Only for the one who owns the
// directory: it would also take the temporary of a writer that is still at work.
void remove_stale_temporaries(FileSystem& fs, const std::string& directory);

}  // namespace switchyard
