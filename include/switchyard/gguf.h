// GGUF files, versions 2 and 3, single or split: read, check, write.
//
// Layout of a file, all numbers little-endian:
//   1. "GGUF", version (u32), number of tensors (u64), number of metadata keys (u64)
//   2. the metadata: key, type, value
//   3. the tensors: name, number of dimensions, dimensions innermost first, type, offset
//   4. from the next multiple of general.alignment (32 where the key is absent) the tensors' bytes;
//      offsets count from here and are multiples of the alignment
//
// Files are hostile: lengths are checked with checked arithmetic before a byte is handed out or
// allocated. Every Error names the file and the key, the tensor or the byte. What is read and
// refused: docs/formats/gguf.md. A model's weights and config come from gguf_model.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "switchyard/dtype.h"
#include "switchyard/file_system.h"

namespace switchyard {

// ---- Metadata -----------------------------------------------------------------------------------

// The alternatives of values stand in the order of the format's type numbers.
enum class GgufType : std::uint32_t {
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  f32,
  boolean,
  string,
  array,
  u64,
  i64,
  f64,
};
// "u32", "string", ...
std::string_view gguf_type_name(GgufType type);

// All elements are of one type; arrays nest.
struct GgufArray {
  std::variant<std::vector<std::uint8_t>, std::vector<std::int8_t>, std::vector<std::uint16_t>,
               std::vector<std::int16_t>, std::vector<std::uint32_t>, std::vector<std::int32_t>,
               std::vector<float>, std::vector<bool>, std::vector<std::string>,
               std::vector<GgufArray>, std::vector<std::uint64_t>, std::vector<std::int64_t>,
               std::vector<double>>
      values;

  GgufType element_type() const { return static_cast<GgufType>(values.index()); }
  std::size_t size() const;

  bool operator==(const GgufArray&) const = default;
};

using GgufValue = std::variant<std::uint8_t, std::int8_t, std::uint16_t, std::int16_t,
                               std::uint32_t, std::int32_t, float, bool, std::string, GgufArray,
                               std::uint64_t, std::int64_t, double>;

inline GgufType gguf_type(const GgufValue& value) { return static_cast<GgufType>(value.index()); }

// The keys of a file. Each getter throws Error naming the file, the key, the value and what it may
// be; without a fallback an absent key is an Error too. Integers of any width are taken for one
// another, as files differ in it, and so are numbers for f32 and f64.
//
// Thread rule: const after construction; concurrent reads are fine.
class GgufMetadata {
 public:
  GgufMetadata() = default;
  // `where` names the file for messages.
  explicit GgufMetadata(std::string where) : where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  const std::map<std::string, GgufValue, std::less<>>& values() const { return values_; }
  bool has(std::string_view key) const { return find(key) != nullptr; }
  // nullptr if absent.
  const GgufValue* find(std::string_view key) const;
  // Replaces the value of a key that is there already.
  void set(std::string key, GgufValue value);

  std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high,
                       std::optional<std::int64_t> fallback = std::nullopt) const;
  // Finite, from low to high.
  double number(std::string_view key, double low, double high,
                std::optional<double> fallback = std::nullopt) const;
  bool boolean(std::string_view key, std::optional<bool> fallback = std::nullopt) const;
  std::string text(std::string_view key, std::optional<std::string> fallback = std::nullopt) const;

  // Arrays. An absent key is an Error: ask has() first where it may be.
  const GgufArray& array(std::string_view key) const;
  const std::vector<std::string>& texts(std::string_view key) const;
  std::vector<std::int64_t> integers(std::string_view key, std::int64_t low,
                                     std::int64_t high) const;
  std::vector<float> floats(std::string_view key) const;

  // For the caller's own checks: an Error about `key` as it stands in the file.
  [[noreturn]] void fail(std::string_view key, const std::string& expected,
                         const std::string& fix = {}) const;

 private:
  std::string where_;
  std::map<std::string, GgufValue, std::less<>> values_;
};

// ---- Tensors ------------------------------------------------------------------------------------

// A type of tensors as ggml numbers it, computed here or not.
struct GgufTensorType {
  std::uint32_t id;
  std::string_view name;       // "Q4_K"
  std::uint32_t elements;      // of a block
  std::uint32_t bytes;         // of a block
  std::uint32_t row_bytes;     // that each row has besides its blocks
  std::optional<DType> dtype;  // the same in our own terms: nullopt for a type that is not computed
};

// Every type that has a number, by rising id.
std::span<const GgufTensorType> gguf_tensor_types();
const GgufTensorType* find_gguf_tensor_type(std::uint32_t id);  // nullptr: no such type
// The number of a type; nullopt for those GGUF does not have (u8, bool).
std::optional<std::uint32_t> gguf_tensor_type_id(DType dtype);

struct GgufTensor {
  std::string name;
  std::uint32_t type = 0;
  std::vector<std::uint64_t> dims;  // 1 to 4, innermost first
  std::size_t file = 0;             // index into GgufReader::files()
  std::uint64_t offset = 0;         // from the start of that file
  std::uint64_t bytes = 0;

  std::uint64_t elements() const;
};

// A file, or all files of a split one.
//
// Thread rule: const after construction; concurrent reads are fine.
class GgufReader {
 public:
  // `path`: one file, or the first of a split one ("...-00001-of-0000N.gguf"), whose others stand
  // beside it.
  GgufReader(FileSystem& fs, const std::string& path);

  // Of the first file, which holds what the model is.
  const GgufMetadata& metadata() const { return metadata_; }
  const std::map<std::string, GgufTensor, std::less<>>& tensors() const { return tensors_; }
  const std::vector<std::string>& files() const { return paths_; }
  const std::vector<std::shared_ptr<ReadableFile>>& handles() const { return files_; }

  const GgufTensor* find(std::string_view name) const;  // nullptr if absent
  // "model.gguf: tensor 'blk.0.attn_q.weight'", for messages.
  std::string place(const GgufTensor& tensor) const;
  void read(const GgufTensor& tensor, std::span<std::byte> out) const;

 private:
  GgufMetadata metadata_;
  std::vector<std::string> paths_;
  std::vector<std::shared_ptr<ReadableFile>> files_;
  std::map<std::string, GgufTensor, std::less<>> tensors_;
};

// ---- Writing ------------------------------------------------------------------------------------

// Writes one file of version 3 atomically. Keys and tensors stand in the order given, so the same
// calls make the same bytes. The tensors' bytes are asked for one tensor at a time, so a model
// larger than memory can be written.
class GgufWriter {
 public:
  struct Item {
    std::string name;
    std::uint32_t type = 0;           // gguf_tensor_type_id()
    std::vector<std::uint64_t> dims;  // innermost first
    // Appends exactly the tensor's bytes to `file`.
    std::function<void(AtomicFile& file)> write;
  };

  // Throws Error for an alignment that is not a power of two from 8 to 2^30.
  explicit GgufWriter(std::uint32_t alignment = 32);

  // A key set again keeps its place. general.alignment is the writer's own.
  void set(std::string key, GgufValue value);
  void add(Item item);
  void add(std::string name, DType dtype, std::vector<std::uint64_t> dims,
           std::vector<std::byte> bytes);
  void commit(FileSystem& fs, const std::string& path);

 private:
  std::uint32_t alignment_;
  std::vector<std::pair<std::string, GgufValue>> values_;
  std::vector<Item> items_;
};

}  // namespace switchyard
