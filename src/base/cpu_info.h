// What the processor is and can do. This file must be compiled without instruction set flags: it
// runs before anyone knows which instructions are safe.
#pragma once

#include <cstdint>
#include <string>

#include "base/cgroup.h"

namespace switchyard {

// Instruction sets that both the processor and the operating system support (the system must save
// the wide registers).
struct CpuFeatures {
  bool avx2 = false;
  bool fma = false;
  bool avx512f = false;
  bool avx512bw = false;
  bool avx512vl = false;
  bool avx512_bf16 = false;
};
CpuFeatures cpu_features();

struct CpuInfo {
  std::string model;  // "unknown" where the system does not tell
  int cores =
      1;  // logical cores of the machine; available_cores() says how many this process may use
  CpuFeatures features;
  // Bytes, 0 if unknown. Level 1 is the data cache of one core.
  std::uint64_t level1 = 0;
  std::uint64_t level2 = 0;
  std::uint64_t level3 = 0;
};
CpuInfo cpu_info(const cgroup::Reader& read = cgroup::read_system_file);

// "avx2 fma avx512f", "none"
std::string feature_names(const CpuFeatures& features);

}  // namespace switchyard
