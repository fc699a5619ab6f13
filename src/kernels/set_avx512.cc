#include "kernels/lanes_avx512.h"
#include "kernels/probe_body.h"
#include "kernels/set_body.h"
#include "kernels/sets.h"

namespace switchyard::kernels {

// Without VNNI, 8-bit products are AVX2's: what they need is there in 256 bits.
constinit const KernelSet avx512_set = make_set("avx512", cpu_has_avx512, matmul_q8_avx2);
constinit const KernelSet avx512_vnni_set =
    make_set("avx512-vnni", cpu_has_avx512_vnni, matmul_q8_avx512_vnni);
constinit const LimitProbes avx512_probes = kProbes;

}  // namespace switchyard::kernels
