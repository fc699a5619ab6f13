#include "kernels/lanes_scalar.h"
#include "kernels/probe_body.h"
#include "kernels/q8_scalar_body.h"
#include "kernels/set_body.h"
#include "kernels/sets.h"

namespace switchyard::kernels {
namespace {

std::int32_t dot_burst(std::size_t rounds, std::int32_t seed) {
  std::int32_t sum = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto q = static_cast<std::int8_t>(seed ^ sum);
    sum += q * static_cast<std::int8_t>(seed);
    sum &= 0xffffff;
  }
  return sum;
}

}  // namespace

constinit const IntegerProbe scalar_integer_probe = {.dot_burst = dot_burst,
                                                     .operations_per_round = 2};
constinit const KernelSet scalar_set = make_set("scalar", always_supported, matmul_q8);
constinit const LimitProbes scalar_probes = kProbes;

}  // namespace switchyard::kernels
