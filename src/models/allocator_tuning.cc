#include "models/allocator_tuning.h"

#include <cstdlib>  // defines __GLIBC__ where it is one

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace switchyard::models {

bool keep_freed_memory() {
#if defined(__GLIBC__)
  // No allocation through mmap below 1 GiB, and the heap's top is not trimmed below 16 GiB of free
  // space. Both thresholds are ints inside mallopt, hence the largest values that fit.
  constexpr int kMmapThreshold = 1 << 30;
  constexpr int kTrimThreshold = 0x7fffffff;
  return mallopt(M_MMAP_THRESHOLD, kMmapThreshold) == 1 &&
         mallopt(M_TRIM_THRESHOLD, kTrimThreshold) == 1;
#else
  return false;
#endif
}

}  // namespace switchyard::models
