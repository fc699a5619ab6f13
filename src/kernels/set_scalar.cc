#include "kernels/lanes_scalar.h"
#include "kernels/probe_body.h"
#include "kernels/q8_scalar_body.h"
#include "kernels/set_body.h"
#include "kernels/sets.h"

namespace switchyard::kernels {

constinit const KernelSet scalar_set = make_set("scalar", always_supported, matmul_q8);
constinit const LimitProbes scalar_probes = kProbes;

}  // namespace switchyard::kernels
