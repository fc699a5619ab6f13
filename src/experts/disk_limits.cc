#include "experts/disk_limits.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <fmt/core.h>
#include <mutex>
#include <unistd.h>
#include <utility>
#include <vector>

#include "switchyard/error.h"

#include "base/check.h"
#include "experts/async_reader.h"
#include "experts/slot_layout.h"
#include "experts/slot_memory.h"

namespace switchyard::experts {
namespace {

struct Pattern {
  std::uint64_t block;
  int depth;
};
// More in flight or larger blocks did not read faster on any disk tried.
constexpr Pattern kPatterns[] = {{1 << 20, 8}, {1 << 20, 16}, {4 << 20, 4}, {4 << 20, 8}};

// Blocks that are free to be read into, handed from the reader's thread to the caller's.
class FreeBlocks {
 public:
  explicit FreeBlocks(int count) {
    for (int i = 0; i < count; ++i) free_.push_back(i);
  }
  void put(int block, const std::string& failure) {
    const std::lock_guard lock(mutex_);
    free_.push_back(block);
    if (!failure.empty()) failure_ = failure;
    changed_.notify_one();
  }
  // Waits for at least `count` and takes them all.
  std::vector<int> take(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return free_.size() >= count; });
    return std::exchange(free_, {});
  }
  const std::string& failure() const { return failure_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<int> free_;
  std::string failure_;
};

struct Block {
  FreeBlocks* free = nullptr;
  int index = 0;
};

double one_pass(const ReadableFile& file, AsyncReader& reader, const Pattern& pattern,
                std::uint64_t bytes) {
  const int depth = std::min(pattern.depth, reader.depth());
  SlotBuffer buffer(pattern.block * static_cast<std::uint64_t>(depth));
  // The pages are there before the clock starts.
  for (std::uint64_t i = 0; i < buffer.bytes(); i += 4096) buffer.data()[i] = std::byte{1};
  FreeBlocks free(depth);
  std::vector<Block> blocks;
  blocks.reserve(static_cast<std::size_t>(depth));
  for (int i = 0; i < depth; ++i) blocks.push_back({&free, i});

  const auto start = std::chrono::steady_clock::now();
  std::uint64_t offset = 0;
  std::vector<Read> batch;
  while (offset < bytes) {
    batch.clear();
    std::vector<int> ready = free.take(1);
    while (!ready.empty() && offset < bytes) {
      const int index = ready.back();
      ready.pop_back();
      const std::uint64_t length = std::min(pattern.block, bytes - offset);
      batch.push_back({.file = &file,
                       .offset = offset,
                       .into = buffer.data() + static_cast<std::uint64_t>(index) * pattern.block,
                       .bytes = length,
                       .needed = length,
                       .tag = &blocks[static_cast<std::size_t>(index)]});
      offset += length;
    }
    for (const int index : ready) free.put(index, {});
    reader.submit(batch);
  }
  free.take(static_cast<std::size_t>(depth));
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (!free.failure().empty()) {
    throw Error({.what = "the disk's speed could not be measured: " + free.failure(),
                 .where = file.path(),
                 .expected = {},
                 .fix = "check the disk and the file"});
  }
  return static_cast<double>(bytes) / seconds.count() / 1e9;
}

}  // namespace

DiskLimit measure_sequential_reads(const std::shared_ptr<ReadableFile>& file, std::uint64_t bytes,
                                   IoBackend backend) {
  // Whole blocks of any alignment; a rest at the end is not worth a special case.
  bytes = std::min(bytes, file->size()) / kPartAlignment * kPartAlignment;
  if (file->direct()) bytes = bytes / file->alignment() * file->alignment();
  if (bytes == 0) {
    throw Error({.what = "the file is too small to measure the disk with",
                 .where = file->path(),
                 .expected = "at least 4096 bytes",
                 .fix = {}});
  }
  std::vector<std::vector<Slab>> whole(1);
  whole[0].push_back({.extents = {{.file = 0, .offset = 0, .bytes = bytes}}});
  const Store store({file}, std::move(whole));
  const auto reader =
      make_reader(backend, store, 16, [](void* tag, std::uint64_t, const std::string& failure) {
        const Block& block = *static_cast<Block*>(tag);
        block.free->put(block.index, failure);
      });
  DiskLimit limit{.direct = file->direct(), .io_backend = std::string(reader->name())};
  for (const Pattern& pattern : kPatterns) {
    limit.gbps = std::max(limit.gbps, one_pass(*file, *reader, pattern, bytes));
  }
  return limit;
}

double measure_direct_read_gbps(const std::string& path, std::uint64_t bytes) {
  FileSystem& fs = real_file_system();
  if (!fs.is_directory(path)) {
    return measure_sequential_reads(fs.open(path, ReadMode::direct), bytes).gbps;
  }
  const TemporaryFile file(path, bytes);
  return measure_sequential_reads(fs.open(file.path(), ReadMode::direct), bytes).gbps;
}

TemporaryFile::TemporaryFile(const std::string& directory, std::uint64_t bytes)
    : path_(fmt::format("{}/switchyard-disk-{}.tmp", directory, ::getpid())) {
  FileSystem& fs = real_file_system();
  constexpr std::uint64_t kBlock = 1 << 20;
  std::vector<std::uint64_t> block(kBlock / sizeof(std::uint64_t));
  std::uint64_t state = 0x9E3779B97F4A7C15ULL;
  try {
    const auto out = fs.create(path_);
    for (std::uint64_t done = 0; done < bytes; done += kBlock) {
      for (std::uint64_t& word : block) {  // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word = state;
      }
      const auto all = std::as_bytes(std::span(block));
      out->append(all.first(static_cast<std::size_t>(std::min(kBlock, bytes - done))));
    }
    out->sync();
    out->close();
  } catch (const Error&) {
    fs.remove(path_);
    throw;
  }
}

TemporaryFile::~TemporaryFile() {
  try {
    real_file_system().remove(path_);
  } catch (const Error&) {
    // Nothing a destructor could do about it.
  }
}

}  // namespace switchyard::experts
