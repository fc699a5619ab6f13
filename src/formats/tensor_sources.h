// Tensors made of others: what WeightFiles does where a checkpoint keeps values in another order
// than the model has them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "switchyard/dtype.h"
#include "switchyard/weight_files.h"

namespace switchyard {

// Value (r, c) of the tensor is unit first + r * row_step + c * column_step of what is stored. A
// unit is a value of a plain type, or a block of MXFP4.
struct Strides {
  std::int64_t first = 0;
  std::int64_t row_step = 1;
  std::int64_t column_step = 1;
};

// Values of a plain type. A vector has one column.
std::shared_ptr<const TensorSources> strided(FileRange range, DType dtype, std::int64_t rows,
                                             std::int64_t columns, Strides strides);

// Blocks of MXFP4 as safetensors files have them: 16 bytes a block in one tensor, where the lower
// half of byte i is value 2 i and the upper one value 2 i + 1, and a scale a block in another.
// `columns` are blocks; `where` names the tensor in the Error for a scale that is not a number
// (255). Nothing is rounded: the same scales and codes come out in GGUF's order.
std::shared_ptr<const TensorSources> strided_mxfp4(FileRange blocks, FileRange scales,
                                                   std::int64_t rows, std::int64_t columns,
                                                   Strides strides, std::string where);

// A tensor with its type.
struct TypedRange {
  FileRange range;
  DType dtype = DType::f32;
};

// kv_b of latent attention, [H (nope + value), rank], from keys that are transposed in each head,
// [H rank, nope], and values, [H value, rank]. The type is that of both where they are of one plain
// type, else F32.
struct LatentDims {
  std::int64_t heads = 0, nope = 0, value = 0, rank = 0;
};
DType joined_latent_type(DType keys, DType values);
std::shared_ptr<const TensorSources> joined_latent(TypedRange keys, TypedRange values,
                                                   LatentDims dims);

}  // namespace switchyard
