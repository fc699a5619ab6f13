#include "kernels/lanes_avx2.h"
#include "kernels/probe_body.h"
#include "kernels/set_body.h"
#include "kernels/sets.h"

namespace switchyard::kernels {

constinit const KernelSet avx2_set = make_set("avx2", cpu_has_avx2, matmul_q8_avx2);
constinit const LimitProbes avx2_probes = kProbes;

}  // namespace switchyard::kernels
