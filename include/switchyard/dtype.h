// Element types of stored tensors.
//
// Plain types have a size of their own. Quantised types come in blocks of values that share scales,
// as GGUF defines them; docs/formats/quantised-types.md says what each block holds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace switchyard {

enum class DType : std::uint8_t {
  f32,
  f16,
  bf16,
  f64,
  i8,
  u8,
  i16,
  i32,
  i64,
  boolean,
  // Quantised.
  q4_0,
  q4_1,
  q5_0,
  q5_1,
  q8_0,
  q2_k,
  q3_k,
  q4_k,
  q5_k,
  q6_k,
  iq4_nl,
  iq4_xs,
  mxfp4,
};

// What is stored together: one value of a plain type, a block of a quantised one.
struct DTypeBlock {
  std::size_t elements;
  std::size_t bytes;
};
DTypeBlock dtype_block(DType dtype);
bool is_quantised(DType dtype);
std::size_t dtype_size(DType dtype);  // bytes of one element; not for quantised types
// Bytes of so many elements: nullopt where they do not fill whole blocks or the product overflows.
std::optional<std::uint64_t> dtype_bytes(DType dtype, std::uint64_t elements);

// "F32", "BF16", "Q4_K", ...: as safetensors and GGUF tools write them.
std::string_view dtype_name(DType dtype);
std::optional<DType> dtype_from_name(std::string_view name);

}  // namespace switchyard
