// Every instruction set of this build. kernels.cc lists them and decides whether this CPU runs
// them; set_<name>.cc holds the code, compiled with that set's flags. Nothing but a table may cross
// that border, and detection stays on this side of it: code in a file with -mavx512f may use
// AVX-512 anywhere.
#pragma once

#include "kernels/kernels.h"

namespace switchyard::kernels {

bool always_supported();
extern const KernelSet scalar_set;
#ifdef SWITCHYARD_KERNELS_X86
bool cpu_has_avx2();
bool cpu_has_avx512();
extern const KernelSet avx2_set;
extern const KernelSet avx512_set;
#endif

}  // namespace switchyard::kernels
