#include "kernels/lanes_avx512.h"
#include "kernels/set_body.h"
#include "kernels/sets.h"

namespace switchyard::kernels {

constinit const KernelSet avx512_set = make_set("avx512", cpu_has_avx512);

}  // namespace switchyard::kernels
