#include "kernels/lanes_scalar.h"
#include "kernels/probe_body.h"
#include "kernels/set_body.h"
#include "kernels/sets.h"

namespace switchyard::kernels {

constinit const KernelSet scalar_set = make_set("scalar", always_supported);
constinit const LimitProbes scalar_probes = kProbes;

}  // namespace switchyard::kernels
