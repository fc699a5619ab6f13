#include "base/cpu_info.h"

#include <algorithm>
#include <sstream>
#include <thread>

#include "switchyard/error.h"

#include "base/byte_size.h"

namespace switchyard {
namespace {

struct NamedFeature {
  const char* name;
  bool CpuFeatures::*member;
};

constexpr NamedFeature kFeatures[] = {
    {"avx2", &CpuFeatures::avx2},         {"fma", &CpuFeatures::fma},
    {"avx512f", &CpuFeatures::avx512f},   {"avx512bw", &CpuFeatures::avx512bw},
    {"avx512vl", &CpuFeatures::avx512vl}, {"avx512_bf16", &CpuFeatures::avx512_bf16},
};

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

std::string model_name(const std::string& cpuinfo) {
  std::istringstream lines(cpuinfo);
  for (std::string line; std::getline(lines, line);) {
    if (line.compare(0, 10, "model name") != 0) continue;
    const auto colon = line.find(':');
    const auto start =
        line.find_first_not_of(" \t", colon == std::string::npos ? colon : colon + 1);
    if (start != std::string::npos) return line.substr(start);
  }
  return "unknown";
}

std::uint64_t cache_bytes(const std::string& text) {
  try {
    return parse_bytes(first_line(text), "cache size");  // "1024K"
  } catch (const Error&) {
    return 0;
  }
}

void read_caches(const cgroup::Reader& read, CpuInfo& info) {
  for (int index = 0; index < 16; ++index) {
    const std::string directory =
        "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    const auto level = read(directory + "/level");
    const auto type = read(directory + "/type");
    const auto size = read(directory + "/size");
    if (!level || !type || !size) return;
    if (first_line(*type) == "Instruction") continue;
    const std::uint64_t bytes = cache_bytes(*size);
    const std::string number = first_line(*level);
    if (number == "1") info.level1 = bytes;
    if (number == "2") info.level2 = bytes;
    if (number == "3") info.level3 = bytes;
  }
}

}  // namespace

CpuFeatures cpu_features() {
  CpuFeatures features;
#if defined(__x86_64__)
  __builtin_cpu_init();
  features.avx2 = __builtin_cpu_supports("avx2") != 0;
  features.fma = __builtin_cpu_supports("fma") != 0;
  features.avx512f = __builtin_cpu_supports("avx512f") != 0;
  features.avx512bw = __builtin_cpu_supports("avx512bw") != 0;
  features.avx512vl = __builtin_cpu_supports("avx512vl") != 0;
  features.avx512_bf16 = __builtin_cpu_supports("avx512bf16") != 0;
#endif
  return features;
}

CpuInfo cpu_info(const cgroup::Reader& read) {
  CpuInfo info;
  info.model = model_name(read("/proc/cpuinfo").value_or(""));
  info.cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  info.features = cpu_features();
  read_caches(read, info);
  return info;
}

std::string feature_names(const CpuFeatures& features) {
  std::string names;
  for (const NamedFeature& feature : kFeatures) {
    if (!(features.*feature.member)) continue;
    if (!names.empty()) names += ' ';
    names += feature.name;
  }
  return names.empty() ? "none" : names;
}

}  // namespace switchyard
