#include "train/token_file.h"

#include <cstring>
#include <fmt/format.h>
#include <sys/mman.h>
#include <xxhash.h>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard::train {
namespace {

constexpr char kMagic[8] = {'S', 'W', 'T', 'O', 'K', 'E', 'N', 'S'};
constexpr std::uint32_t kVersion = 1;

struct Header {
  char magic[8];
  std::uint32_t version;
  std::uint32_t id_bytes;
  std::uint64_t ids;
  std::uint64_t text_bytes;
  std::uint64_t words;
  std::uint64_t documents;
  std::uint64_t key;
  std::uint64_t checksum;
};
static_assert(sizeof(Header) == 64);

Error damaged(const std::string& path, const std::string& what) {
  return Error({.what = what,
                .where = path,
                .expected = "a file of tokenised text",
                .fix = "remove it, it is made again from the text"});
}

std::shared_ptr<const std::byte> map_or_read(const std::shared_ptr<ReadableFile>& file) {
  const std::size_t size = file->size();
  if (file->descriptor() >= 0) {
    void* mapped = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file->descriptor(), 0);
    if (mapped != MAP_FAILED) {
      // The file object is kept with the mapping, which lives as long as the last owner of the
      // pointer.
      return {static_cast<const std::byte*>(mapped),
              [size, file](const std::byte* p) { munmap(const_cast<std::byte*>(p), size); }};
    }
  }
  auto bytes = std::make_shared<std::vector<std::byte>>(size);
  file->read(0, *bytes);
  return {bytes, bytes->data()};
}

}  // namespace

void count_text(const std::string& text, TextCounts& counts) {
  counts.bytes += text.size();
  bool inside = false;
  for (const char c : text) {
    const bool blank = c == ' ' || c == '\t' || c == '\n' || c == '\r';
    counts.words += (!blank && !inside ? 1U : 0U) + (c == '\n' ? 1U : 0U);
    inside = !blank;
  }
}

void write_token_file(FileSystem& fs, const std::string& path, std::span<const std::int32_t> ids,
                      int vocab, const TextCounts& counts, std::uint64_t key) {
  const std::size_t id_bytes = vocab <= (1 << 16) ? 2 : 4;
  std::vector<std::byte> data(ids.size() * id_bytes);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    SWITCHYARD_CHECK(ids[i] >= 0 && ids[i] < vocab);
    if (id_bytes == 2) {
      const auto id = static_cast<std::uint16_t>(ids[i]);
      std::memcpy(data.data() + i * 2, &id, 2);
    } else {
      std::memcpy(data.data() + i * 4, &ids[i], 4);
    }
  }
  Header header = {};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.version = kVersion;
  header.id_bytes = static_cast<std::uint32_t>(id_bytes);
  header.ids = ids.size();
  header.text_bytes = counts.bytes;
  header.words = counts.words;
  header.documents = counts.documents;
  header.key = key;
  header.checksum = XXH3_64bits(data.data(), data.size());
  AtomicFile out(fs, path);
  out.append(std::as_bytes(std::span(&header, 1)));
  out.append(data);
  out.commit();
}

TokenFile::TokenFile(FileSystem& fs, const std::string& path, int vocab, std::uint64_t key)
    : key_(key) {
  const std::shared_ptr<ReadableFile> file = fs.open(path);
  if (file->size() < sizeof(Header)) throw damaged(path, "the file is cut");
  data_ = map_or_read(file);
  Header header;
  std::memcpy(&header, data_.get(), sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.version != kVersion) {
    throw damaged(path, "not a token file of this version");
  }
  const std::uint64_t payload = file->size() - sizeof(Header);
  if ((header.id_bytes != 2 && header.id_bytes != 4) || header.ids != payload / header.id_bytes ||
      payload % header.id_bytes != 0) {
    throw damaged(path, "the header contradicts the file's length");
  }
  if (header.key != key) throw damaged(path, "the file was made from another text or tokenizer");
  if (XXH3_64bits(data_.get() + sizeof(Header), payload) != header.checksum) {
    throw damaged(path, "the checksum of the ids is wrong");
  }
  size_ = header.ids;
  id_bytes_ = header.id_bytes;
  counts_ = {.bytes = header.text_bytes, .words = header.words, .documents = header.documents};
  for (std::size_t i = 0; i < size_; ++i) {
    if (at(i) >= vocab)
      throw damaged(path, fmt::format("id {} at position {} is outside the vocabulary", at(i), i));
  }
}

std::int64_t TokenFile::at(std::size_t index) const {
  const std::byte* place = data_.get() + sizeof(Header) + index * id_bytes_;
  if (id_bytes_ == 2) {
    std::uint16_t id = 0;
    std::memcpy(&id, place, 2);
    return id;
  }
  std::uint32_t id = 0;
  std::memcpy(&id, place, 4);
  return id;
}

void TokenFile::read(std::size_t begin, std::span<std::int64_t> out) const {
  SWITCHYARD_CHECK(begin <= size_ && out.size() <= size_ - begin);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = at(begin + i);
}

}  // namespace switchyard::train
