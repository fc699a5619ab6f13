#include "kernels/lanes_scalar.h"
#include "kernels/set_body.h"
#include "kernels/sets.h"

namespace switchyard::kernels {

constinit const KernelSet scalar_set = make_set("scalar", always_supported);

}  // namespace switchyard::kernels
