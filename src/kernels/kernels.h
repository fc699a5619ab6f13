// Arithmetic on memory someone else owns: no allocation, no threads, no files, no model names. The
// runtime splits the work; a kernel gets a range.
//
// Every instruction set is a KernelSet that can be listed, asked whether this CPU runs it, and
// forced. The scalar set is the reference. All sets give the same bits: a dot product of length n
// keeps 16 partial sums (element i goes to sum i % 16, fused multiply-add), which are added
// pairwise in one fixed tree; a tail is padded with zeros. So an output does not depend on the
// instruction set, on how many rows are computed at once, or on how work is split over threads.
//
// Shapes: matrices are row-major; W is [O, I] (out, in) as in the model file; x is [N, I]; y is [N,
// O].
//
// Nothing is read or written behind the last element. Any address aligned to its element works; x,
// y and their strides at multiples of 64 bytes are faster. Inputs and outputs may overlap only
// where it is said. NaN and infinity in the input reach the outputs that depend on them.
//
// Thread rule: the functions are pure; call them from any thread on ranges that write to different
// places.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "switchyard/dtype.h"

#include "kernels/attention.h"

namespace switchyard::kernels {

using Bf16 = std::uint16_t;  // the upper half of an fp32

// A weight matrix as it lies in memory. Rows are contiguous; the address is aligned to the element
// size at least (quantised: to 2). Quantised rows are whole blocks (kernels/blocks.h).
struct Matrix {
  DType type = DType::f32;
  const void* data = nullptr;
  std::size_t rows = 0;     // O
  std::size_t columns = 0;  // I
};

struct KernelSet {
  std::string_view name;  // "scalar", "avx2", "avx512", "avx512-vnni"
  bool (*supported)();    // whether this CPU runs it

  // y[n, o] = dot(x[n, :], W[o, :]) for n in [0, n_rows), o in [begin, end). y has row stride
  // y_stride, x has x_stride, both in elements. W comes from memory once,
  // whatever n_rows is; ranges of about 64 outputs or more keep the memory busy.
  void (*matmul)(const Matrix& weight, const float* x, std::size_t x_stride, std::size_t n_rows,
                 std::size_t begin, std::size_t end, float* y, std::size_t y_stride);
  // The same for a quantised weight, with rows of x rounded to 8 bits by to_q8: x_rows holds
  // n_rows of them, q8_row_bytes(weight.columns) apart.
  //
  // y[n, o] = sum over blocks of 32 columns of scale(x) * (scale(w) * sum of q(x) q(w) - ...),
  // where the inner sum is exact in integers and the outer one runs from the first block to the
  // last; quantised.h says how. The same bits in all sets and for any number of rows.
  void (*matmul_q8)(const Matrix& weight, const std::byte* x_rows, std::size_t n_rows,
                    std::size_t begin, std::size_t end, float* y, std::size_t y_stride);
  // Rounds one row of x to signed 8-bit values with an fp32 scale for each 32: scale = largest
  // magnitude / 127, value = round to nearest even of x * (127 / largest magnitude). n is a
  // multiple of 32; `row` has q8_row_bytes(n) bytes at a multiple of 64. NaN or infinity makes its
  // block NaN; a block below 2^-119 in magnitude becomes zero.
  void (*to_q8)(const float* x, std::size_t n, std::byte* row);
  float (*dot)(const float* a, const float* b, std::size_t n);
  // y[i] += a * x[i]
  void (*axpy)(float a, const float* x, float* y, std::size_t n);
  // y = x / sqrt(mean(x^2) + epsilon) * weight; x and y may be the same.
  void (*rms_norm)(const float* x, const float* weight, float epsilon, float* y, std::size_t n);
  // In place; subtracts the maximum first.
  void (*softmax)(float* x, std::size_t n);
  // out[i] = activation(gate[i]) * up[i]; out may be gate. Without up (nullptr): out[i] =
  // activation(gate[i]). -infinity gives NaN in silu and gelu_tanh, as their formulas do.
  void (*silu)(const float* gate, const float* up, float* out, std::size_t n);
  void (*gelu)(const float* gate, const float* up, float* out, std::size_t n);       // erf form
  void (*gelu_tanh)(const float* gate, const float* up, float* out, std::size_t n);  // tanh form
  void (*relu)(const float* gate, const float* up, float* out, std::size_t n);
  // Attention over a cache (attention.h). A token's key and value at their position: `width` floats
  // into the cache of one head.
  void (*cache_key)(DType type, const float* key, std::size_t width, std::size_t position,
                    std::byte* keys);
  void (*cache_value)(DType type, const float* value, std::size_t width, std::size_t position,
                      std::byte* values);
  // Adds to the state of each row what it sees of the positions [begin, end); begin is a multiple
  // of kAttentionBlock. `memory`: attention_memory_floats() floats at a multiple of 64 bytes.
  void (*attend)(const AttentionCache& cache, const AttentionRow* rows, std::size_t n_rows,
                 std::size_t begin, std::size_t end, float scale, float* memory);
  // total = total and part together; the order of parts decides on the last bits.
  void (*merge_attention)(const float* part, float* total, std::size_t value_width);
  // out[d] = the result of a row that saw something. A sink (or null) is one more score, without a
  // value.
  void (*finish_attention)(const float* state, const float* sink, std::size_t value_width,
                           float* out);
  void (*widen)(const Bf16* x, float* y, std::size_t n);
  // Rotary position embedding of one head, in place, in the half-split layout of Hugging Face
  // models: with h = head_dim / 2 and i in [0, h), (x[i], x[i + h]) is turned by angle i. cosine
  // and sine hold h values each (of this position); products are rounded before they are added.
  // head_dim is even.
  void (*rope)(float* x, const float* cosine, const float* sine, std::size_t head_dim);
};

// Whether matmul takes this type; and whether matmul_q8 does.
bool is_plain_weight(DType type);
bool is_quantised_weight(DType type);
// Bytes of a row of n activations rounded by to_q8; a multiple of 64. n is a multiple of 32.
std::size_t q8_row_bytes(std::size_t n);

// All sets in this build, slowest first. The first is the scalar reference.
std::span<const KernelSet> all();
// The fastest set this CPU runs.
const KernelSet& best();
// The set of that name; throws Error if it does not exist or this CPU cannot run it. "auto" is
// best().
const KernelSet& by_name(std::string_view name);
// The same choice among `sets`, which may list what this CPU lacks.
const KernelSet& choose(std::span<const KernelSet> sets, std::string_view name);

float to_float(Bf16 value);
Bf16 to_bf16(float value);  // round to nearest even

}  // namespace switchyard::kernels
