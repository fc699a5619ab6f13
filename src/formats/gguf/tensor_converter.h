// Tensors from one element type into another, a piece at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "switchyard/file_system.h"
#include "switchyard/thread_pool.h"
#include "switchyard/weight_files.h"

namespace switchyard {

struct TensorConversion {
  DType to = DType::f32;
  // Above 0: the rows are written as TensorInfo::paired_heads describes.
  int paired_heads = 0;
  std::span<const float> importance{};  // of the columns; empty: all alike
};

class TensorConverter {
 public:
  // Both must outlive the converter; without a pool the calling thread does all.
  TensorConverter(const WeightFiles& weights, ThreadPool* pool) : weights_(weights), pool_(pool) {}

  // Appends the tensor to `file`. Throws Error naming the tensor for what `to` cannot hold.
  void append(AtomicFile& file, const TensorInfo& tensor, const TensorConversion& conversion);

 private:
  // The rows of `piece` as elements of `conversion.to`, in out_.
  void convert(const TensorInfo& piece, const TensorConversion& conversion);
  void for_rows(std::size_t rows, const std::function<void(std::size_t, std::size_t)>& body);

  const WeightFiles& weights_;
  ThreadPool* pool_;
  std::vector<std::byte> stored_;
  std::vector<float> values_;
  std::vector<std::byte> out_;
};

// Puts rows in the order of the model into the order TensorInfo::paired_heads describes: what
// order_rows() undoes.
void pair_rows(std::span<std::byte> bytes, std::size_t rows, int heads);

}  // namespace switchyard
