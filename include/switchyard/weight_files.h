// The tensors of a model, wherever they are stored: one or several safetensors files, or a GGUF
// file read under the names of Hugging Face (gguf_model.h). Whoever needs weights takes this and
// does not ask which it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "switchyard/dtype.h"
#include "switchyard/file_system.h"

namespace switchyard {

// A run of bytes of one file.
struct FileRange {
  std::size_t file = 0;  // index into WeightFiles::files()
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
};

// What a tensor is made of where no file holds its bytes as they are handed out: one expert's gate
// among the gates and ups of all experts, say.
struct TensorSources {
  std::vector<FileRange> ranges;
  // Writes the tensor, given the bytes of the ranges. Pure; throws Error naming the tensor for
  // bytes that stand for no number.
  std::function<void(std::span<const std::span<const std::byte>> read, std::span<std::byte> out)>
      make;
};

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
  // Not null: the tensor is made of these, in files of their own; file says where to look, offset
  // nothing, and bytes what WeightFiles::read() hands out.
  std::shared_ptr<const TensorSources> sources = nullptr;

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
  const std::vector<std::shared_ptr<ReadableFile>>& handles() const { return files_; }

  // For messages: what says how the model is, "config.json" or "the metadata", and what its file
  // calls a tensor, there or not.
  const std::string& description() const { return description_; }
  std::string stored_name(std::string_view name) const;
  // Weights are described by config.json, and stored under the names handed out, unless this says
  // otherwise. `stored_names`: name -> name in the file.
  void set_origin(std::string description,
                  std::map<std::string, std::string, std::less<>> stored_names);

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
  std::string description_ = "config.json";
  std::map<std::string, std::string, std::less<>> stored_names_;
};

// Puts the rows of a tensor read as stored (`bytes` of them) into the order of the model; does
// nothing where paired_heads is 0.
void order_rows(const TensorInfo& tensor, std::span<std::byte> bytes);

}  // namespace switchyard
