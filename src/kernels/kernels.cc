#include "kernels/kernels.h"

#include <bit>
#include <string>

#include "switchyard/error.h"

#include "kernels/blocks.h"
#include "kernels/quantised.h"
#include "kernels/sets.h"

#ifdef SWITCHYARD_KERNELS_X86
#include <cpuid.h>
#endif

namespace switchyard::kernels {

bool always_supported() { return true; }

#ifdef SWITCHYARD_KERNELS_X86
// The built-in also asks whether the operating system saves the wide registers.
bool cpu_has_avx2() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  // Not every compiler knows f16c by name.
  const bool has_f16c = __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c;
}
bool cpu_has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && cpu_has_avx2();
}
bool cpu_has_avx512_vnni() { return __builtin_cpu_supports("avx512vnni") && cpu_has_avx512(); }
#endif

bool is_plain_weight(DType type) {
  return type == DType::f32 || type == DType::bf16 || type == DType::f16;
}
bool is_quantised_weight(DType type) {
  switch (type) {
    case DType::q4_0:
    case DType::q4_1:
    case DType::q5_0:
    case DType::q5_1:
    case DType::q8_0:
    case DType::q2_k:
    case DType::q3_k:
    case DType::q4_k:
    case DType::q5_k:
    case DType::q6_k:
    case DType::iq4_nl:
    case DType::iq4_xs:
    case DType::mxfp4:
      return true;
    default:
      return false;
  }
}
std::size_t q8_row_bytes(std::size_t n) { return n / kBlock * sizeof(Q8Block); }

std::span<const KernelSet> all() {
  static const KernelSet sets[] = {
      scalar_set,
#ifdef SWITCHYARD_KERNELS_X86
      avx2_set,
      avx512_set,
      avx512_vnni_set,
#endif
  };
  return sets;
}

const KernelSet& best() { return choose(all(), "auto"); }

const KernelSet& by_name(std::string_view name) { return choose(all(), name); }

const KernelSet& choose(std::span<const KernelSet> sets, std::string_view name) {
  const KernelSet* named = nullptr;
  const KernelSet* fastest = nullptr;
  std::string usable = "auto";
  for (const KernelSet& set : sets) {
    if (set.name == name) named = &set;
    if (!set.supported()) continue;
    fastest = &set;
    usable += ", " + std::string(set.name);
  }
  if (name == "auto" && fastest != nullptr) return *fastest;
  if (named != nullptr && named->supported()) return *named;
  throw Error(
      {.what = named != nullptr ? "this CPU does not run this kernel set" : "unknown kernel set",
       .where = "kernels '" + std::string(name) + "'",
       .expected = "one of " + usable,
       .fix = "leave it at auto for the fastest"});
}

float to_float(Bf16 value) { return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16); }

Bf16 to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const bool is_nan = (bits & 0x7fffffffU) > 0x7f800000U;
  // A NaN keeps its upper payload and is made quiet, so that cutting it cannot turn it into an
  // infinity.
  if (is_nan) return static_cast<Bf16>((bits >> 16) | 0x40U);
  const std::uint32_t half_minus_tie = 0x7fffU + ((bits >> 16) & 1U);
  return static_cast<Bf16>((bits + half_minus_tie) >> 16);
}

}  // namespace switchyard::kernels
