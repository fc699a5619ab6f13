#include "kernels/lanes_avx512.h"
#include "kernels/probe_body.h"
#include "kernels/set_body.h"
#include "kernels/sets.h"

namespace switchyard::kernels {

constinit const KernelSet avx512_set = make_set("avx512", cpu_has_avx512);
constinit const LimitProbes avx512_probes = kProbes;

}  // namespace switchyard::kernels
