// GGUF files put together number by number, for tests: right ones, and wrong ones that our writer
// would not write.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace switchyard::testing_gguf {

class RawFile {
 public:
  template <typename T>
  RawFile& put(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  RawFile& u32(std::uint32_t value) { return put(value); }
  RawFile& u64(std::uint64_t value) { return put(value); }
  RawFile& text(std::string_view text) {
    u64(text.size());
    return plain(text);
  }
  RawFile& plain(std::string_view bytes) {
    bytes_.append(bytes);
    return *this;
  }
  RawFile& header(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
    return plain("GGUF").u32(version).u64(tensors).u64(keys);
  }
  RawFile& key_u32(std::string_view key, std::uint32_t value) {
    return text(key).u32(4).u32(value);
  }
  RawFile& key_text(std::string_view key, std::string_view value) {
    return text(key).u32(8).text(value);
  }
  RawFile& tensor(std::string_view name, const std::vector<std::uint64_t>& dims, std::uint32_t type,
                  std::uint64_t offset) {
    text(name).u32(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t n : dims) u64(n);
    return u32(type).u64(offset);
  }
  RawFile& pad(std::size_t alignment = 32) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment, '\0');
    return *this;
  }
  RawFile& zeros(std::size_t count) {
    bytes_.append(count, '\0');
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace switchyard::testing_gguf
