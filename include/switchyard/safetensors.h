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

#include "switchyard/dtype.h"
#include "switchyard/file_system.h"
#include "switchyard/weight_files.h"

namespace switchyard {

// Thread rule: const after construction; concurrent reads are fine.
class SafetensorsReader : public WeightFiles {
 public:
  // `path` is a .safetensors file, a model.safetensors.index.json, or a directory holding one of
  // the two.
  SafetensorsReader(FileSystem& fs, const std::string& path);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  void add_file(FileSystem& fs, const std::string& path);

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
