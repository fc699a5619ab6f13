// safetensors files, single or sharded: read, check, write.
//
// Layout of a file:
//   1. 8 bytes: header length h, little-endian
//   2. h bytes: JSON object, name -> {"dtype", "shape", "data_offsets": [begin, end)}, and
//   "__metadata__"
//   3. the tensors' bytes; offsets count from here, in order, without holes or overlap
//
// Files are hostile: lengths are checked with checked arithmetic before a byte is handed out. Every
// Error names the file and the tensor.
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
#include <vector>

#include "switchyard/file_system.h"

namespace switchyard {

enum class DType { f32, f16, bf16, f64, i8, u8, i16, i32, i64, boolean };

std::size_t dtype_size(DType dtype);       // bytes of one element
std::string_view dtype_name(DType dtype);  // "F32", "BF16", ...
std::optional<DType> dtype_from_name(std::string_view name);

// Where a tensor lies.
struct TensorInfo {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;
  std::size_t file = 0;      // index into SafetensorsReader::files()
  std::uint64_t offset = 0;  // from the start of that file
  std::uint64_t bytes = 0;

  std::int64_t elements() const;
};

// Thread rule: const after construction; concurrent reads are fine.
class SafetensorsReader {
 public:
  // `path` is a .safetensors file, a model.safetensors.index.json, or a directory holding one of
  // the two.
  SafetensorsReader(FileSystem& fs, const std::string& path);

  const std::map<std::string, TensorInfo, std::less<>>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::vector<std::string>& files() const { return paths_; }

  bool has(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  // Throws Error if the tensor is missing, or has another shape than `shape` (empty: any).
  const TensorInfo& find(std::string_view name, std::span<const std::int64_t> shape = {}) const;
  void read(const TensorInfo& tensor, std::span<std::byte> out) const;
  // Any floating type converted to fp32.
  std::vector<float> read_f32(std::string_view name,
                              std::span<const std::int64_t> shape = {}) const;

 private:
  void add_file(FileSystem& fs, const std::string& path);

  std::vector<std::string> paths_;
  std::vector<std::shared_ptr<ReadableFile>> files_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Writes one file atomically: tensors sorted by falling alignment and then name, header padded so
// that data starts at a multiple of 64. The bytes are asked for one tensor at a time, so a model
// larger than memory can be written.
class SafetensorsWriter {
 public:
  struct Item {
    std::string name;
    DType dtype = DType::f32;
    std::vector<std::int64_t> shape;
    // Appends exactly the tensor's bytes to `file`.
    std::function<void(AtomicFile& file)> write;
  };

  void add(Item item);
  void add(std::string name, DType dtype, std::vector<std::int64_t> shape,
           std::vector<std::byte> bytes);
  void set_metadata(std::string key, std::string value);
  void commit(FileSystem& fs, const std::string& path);

 private:
  std::vector<Item> items_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace switchyard
