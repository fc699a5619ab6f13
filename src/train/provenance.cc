#include "train/provenance.h"

#include <fmt/format.h>

#include "base/byte_size.h"
#include "base/cpu_info.h"
#include "base/memory_info.h"

namespace switchyard::train {

std::string machine_description(const std::string& device, int threads) {
  const CpuInfo cpu = cpu_info();
  return fmt::format("{}, {} core{}, {}; {}, {} thread{}", cpu.model, cpu.cores,
                     cpu.cores == 1 ? "" : "s", format_bytes(system_memory().total), device,
                     threads, threads == 1 ? "" : "s");
}

}  // namespace switchyard::train
