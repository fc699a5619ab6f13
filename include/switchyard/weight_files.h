// The tensors of a model, wherever they are stored: one or several safetensors files, or a GGUF
// file read under the names of Hugging Face (gguf_model.h). Whoever needs weights takes this and
// does not ask which it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/dtype.h"
#include "switchyard/file_system.h"

namespace switchyard {

// Where a tensor lies.
struct TensorInfo {
  std::string name;
  DType dtype = DType::f32;
  std::vector<std::int64_t> shape;  // outermost dimension first: [out, in]
  std::size_t file = 0;             // index into WeightFiles::files()
  std::uint64_t offset = 0;         // from the start of that file
  std::uint64_t bytes = 0;
  // Above 0: rows are stored in another order than they are handed out. Within each of so many
  // equal groups of rows (heads) the stored order is 0, h, 1, h + 1, ... with h half the group:
  // rotary pairs side by side, as GGUF files of the Llama architecture have q and k.
  int paired_heads = 0;

  std::int64_t elements() const;
};

// Thread rule: const after construction; concurrent reads are fine.
class WeightFiles {
 public:
  // `tensors` lie within the files of `paths`, which are open as `files`.
  WeightFiles(std::vector<std::string> paths, std::vector<std::shared_ptr<ReadableFile>> files,
              std::map<std::string, TensorInfo, std::less<>> tensors);

  const std::map<std::string, TensorInfo, std::less<>>& tensors() const { return tensors_; }
  const std::vector<std::string>& files() const { return paths_; }

  bool has(std::string_view name) const { return tensors_.find(name) != tensors_.end(); }
  // Throws Error if the tensor is missing, or has another shape than `shape` (empty: any).
  const TensorInfo& find(std::string_view name, std::span<const std::int64_t> shape = {}) const;
  // The tensor's bytes, rows in the order of the model.
  void read(const TensorInfo& tensor, std::span<std::byte> out) const;
  // Any floating or quantised type converted to fp32.
  std::vector<float> read_f32(std::string_view name,
                              std::span<const std::int64_t> shape = {}) const;

 protected:
  WeightFiles() = default;

  std::vector<std::string> paths_;
  std::vector<std::shared_ptr<ReadableFile>> files_;
  std::map<std::string, TensorInfo, std::less<>> tensors_;
};

// Puts the rows of a tensor read as stored (`bytes` of them) into the order of the model; does
// nothing where paired_heads is 0.
void order_rows(const TensorInfo& tensor, std::span<std::byte> bytes);

}  // namespace switchyard
