// Tokenised text on disk, mapped into memory: text is tokenised once, and many runs read it.
//
// Layout, little-endian:
//   1. 64 bytes: "SWTOKENS", u32 version (1), u32 bytes of one id (2 or 4), u64 ids, u64 bytes of
//   text, u64 words,
//      u64 documents, u64 key, u64 XXH3-64 of part 2
//   2. the ids
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard::train {

// What a text amounts to besides its ids. `words` counts runs of non-blank bytes plus one
// end-of-line token a line, as word-level data sets (WikiText) count themselves.
struct TextCounts {
  std::uint64_t bytes = 0;
  std::uint64_t words = 0;
  std::uint64_t documents = 0;
};

// Adds the bytes and words of `text`.
void count_text(const std::string& text, TextCounts& counts);

void write_token_file(FileSystem& fs, const std::string& path, std::span<const std::int32_t> ids,
                      int vocab, const TextCounts& counts, std::uint64_t key);

// Thread rule: const after construction. Token ids are checked against `vocab` once, when the file
// is opened.
class TokenFile {
 public:
  // Throws Error if the file is cut, damaged, holds ids outside [0, vocab), or was made under
  // another key.
  TokenFile(FileSystem& fs, const std::string& path, int vocab, std::uint64_t key);
  TokenFile(TokenFile&&) noexcept = default;
  TokenFile& operator=(TokenFile&&) noexcept = default;

  std::size_t size() const { return size_; }
  const TextCounts& counts() const { return counts_; }
  std::uint64_t key() const { return key_; }
  // Copies ids [begin, begin + out.size()).
  void read(std::size_t begin, std::span<std::int64_t> out) const;

 private:
  std::int64_t at(std::size_t index) const;

  std::shared_ptr<const std::byte> data_;  // the file: mapped, or read where there is no descriptor
  std::size_t size_ = 0;
  std::size_t id_bytes_ = 2;
  TextCounts counts_;
  std::uint64_t key_ = 0;
};

}  // namespace switchyard::train
