#include "models/allocator_tuning.h"

#include <cstdlib>
#include <gtest/gtest.h>
#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SWITCHYARD_OTHER_MALLOC 1  // the sanitizers bring their own
#endif

namespace switchyard::models {
namespace {

// Page faults of asking for 64 MiB, touching them and giving them back.
long faults_of_a_buffer() {
  constexpr std::size_t kBytes = std::size_t{64} << 20U;
  rusage before{}, after{};
  getrusage(RUSAGE_SELF, &before);
  auto* buffer = static_cast<volatile char*>(std::malloc(kBytes));
  for (std::size_t i = 0; i < kBytes; i += 4096) buffer[i] = 1;
  std::free(const_cast<char*>(buffer));
  getrusage(RUSAGE_SELF, &after);
  return after.ru_minflt - before.ru_minflt;
}

TEST(AllocatorTuning, AFreedBufferIsUsedAgainWithoutPageFaults) {
#if !defined(__GLIBC__) || defined(SWITCHYARD_OTHER_MALLOC)
  GTEST_SKIP() << "not glibc's malloc";
#else
  ASSERT_TRUE(keep_freed_memory());
  faults_of_a_buffer();
  EXPECT_LT(faults_of_a_buffer(), 100);  // 16384 pages, or 32 huge ones
#endif
}

}  // namespace
}  // namespace switchyard::models
