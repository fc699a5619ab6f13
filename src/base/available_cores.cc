#include <algorithm>
#include <cerrno>
#include <cmath>
#include <memory>
#include <sched.h>
#include <thread>

#include "switchyard/thread_pool.h"

#include "base/cgroup.h"

namespace switchyard {
namespace {

struct SetDeleter {
  void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};

int cores_in_affinity() {
  // The kernel refuses a mask smaller than its own, so the size grows until it is accepted.
  for (int cpus = 1024; cpus <= (1 << 20); cpus *= 2) {
    const std::unique_ptr<cpu_set_t, SetDeleter> set(CPU_ALLOC(static_cast<std::size_t>(cpus)));
    if (!set) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(static_cast<std::size_t>(cpus));
    if (::sched_getaffinity(0, bytes, set.get()) == 0) return CPU_COUNT_S(bytes, set.get());
    if (errno != EINVAL) break;
  }
  return static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

int available_cores() {
  int cores = cores_in_affinity();
  // A quota of 1.5 cores is used up fully only by two threads.
  if (const auto quota = cgroup::cpu_quota()) {
    cores = std::min(cores, static_cast<int>(std::ceil(std::min(*quota, 1e6))));
  }
  return std::max(cores, 1);
}

}  // namespace switchyard
