// Every instruction set of this build. kernels.cc lists them and decides whether this CPU runs
// them; set_<name>.cc holds the code, compiled with that set's flags. Nothing but a table may cross
// that border, and detection stays on this side of it: code in a file with -mavx512f may use
// AVX-512 anywhere.
#pragma once

#include <cstddef>

#include "kernels/kernels.h"

namespace switchyard::kernels {

// What machine_limits.h measures with.
struct LimitProbes {
  float (*read_all)(const float* data, std::size_t n);  // loads n floats, rounded down to 64
  float (*fma_burst)(std::size_t rounds, float seed);   // from registers
  std::size_t flops_per_round;
};

bool always_supported();
extern const KernelSet scalar_set;
extern const LimitProbes scalar_probes;
#ifdef SWITCHYARD_KERNELS_X86
bool cpu_has_avx2();
bool cpu_has_avx512();
extern const KernelSet avx2_set;
extern const LimitProbes avx2_probes;
extern const KernelSet avx512_set;
extern const LimitProbes avx512_probes;
#endif

}  // namespace switchyard::kernels
