// The table of one instruction set, made of what the bodies above it define. Included by
// set_<name>.cc after its lanes.
#pragma once

#include <string_view>

#include "kernels/attention_body.h"
#include "kernels/kernels.h"
#include "kernels/math_body.h"
#include "kernels/matmul_body.h"
#include "kernels/sets.h"
#include "kernels/to_q8_body.h"
#include "kernels/vector_body.h"

namespace switchyard::kernels {
namespace {

constexpr KernelSet make_set(std::string_view name, bool (*supported)(), MatmulQ8 matmul_q8) {
  return {.name = name,
          .supported = supported,
          .matmul = matmul,
          .matmul_q8 = matmul_q8,
          .to_q8 = to_q8,
          .dot = dot,
          .axpy = axpy,
          .rms_norm = rms_norm,
          .softmax = softmax,
          .silu = activation<silu>,
          .gelu = activation<gelu>,
          .gelu_tanh = activation<gelu_tanh>,
          .relu = activation<relu>,
          .cache_key = cache_key,
          .cache_value = cache_value,
          .attend = attend,
          .merge_attention = merge_attention,
          .finish_attention = finish_attention,
          .widen = widen,
          .rope = rope};
}

}  // namespace
}  // namespace switchyard::kernels
