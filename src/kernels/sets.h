// Every instruction set of this build. kernels.cc lists them and decides whether this CPU runs
// them; set_<name>.cc holds the code, compiled with that set's flags. Nothing but a table may cross
// that border, and detection stays on this side of it: code in a file with -mavx512f may use
// AVX-512 anywhere.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"

namespace switchyard::kernels {

// What machine_limits.h measures with.
struct LimitProbes {
  float (*read_all)(const float* data, std::size_t n);  // loads n floats, rounded down to 64
  float (*fma_burst)(std::size_t rounds, float seed);   // from registers
  std::size_t flops_per_round;
};
// The same for products of 8-bit numbers: two operations for each.
struct IntegerProbe {
  std::int32_t (*dot_burst)(std::size_t rounds, std::int32_t seed);
  std::size_t operations_per_round;
};

using MatmulQ8 = decltype(KernelSet::matmul_q8);

bool always_supported();
extern const KernelSet scalar_set;
extern const LimitProbes scalar_probes;
extern const IntegerProbe scalar_integer_probe;
#ifdef SWITCHYARD_KERNELS_X86
bool cpu_has_avx2();
bool cpu_has_avx512();
bool cpu_has_avx512_vnni();
extern const KernelSet avx2_set;
extern const LimitProbes avx2_probes;
extern const KernelSet avx512_set;
extern const LimitProbes avx512_probes;
// The set avx512 with 8-bit products by VNNI.
extern const KernelSet avx512_vnni_set;
extern const IntegerProbe avx2_integer_probe;
extern const IntegerProbe avx512_vnni_integer_probe;
// The k ones take what has blocks of 256 columns.
void matmul_q8_avx2(const Matrix& weight, const std::byte* x_rows, std::size_t n_rows,
                    std::size_t begin, std::size_t end, float* y, std::size_t y_stride);
void matmul_q8_k_avx2(const Matrix& weight, const std::byte* x_rows, std::size_t n_rows,
                      std::size_t begin, std::size_t end, float* y, std::size_t y_stride);
void matmul_q8_avx512_vnni(const Matrix& weight, const std::byte* x_rows, std::size_t n_rows,
                           std::size_t begin, std::size_t end, float* y, std::size_t y_stride);
void matmul_q8_k_avx512_vnni(const Matrix& weight, const std::byte* x_rows, std::size_t n_rows,
                             std::size_t begin, std::size_t end, float* y, std::size_t y_stride);
#endif

}  // namespace switchyard::kernels
