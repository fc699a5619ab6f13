#include "kernels/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <vector>

#include "kernels/kernels.h"
#include "kernels/sets.h"

namespace switchyard::kernels {
namespace {

const LimitProbes& probes_of(const KernelSet& set) {
#ifdef SWITCHYARD_KERNELS_X86
  if (set.name == avx512_set.name || set.name == avx512_vnni_set.name) return avx512_probes;
  if (set.name == avx2_set.name) return avx2_probes;
#endif
  static_cast<void>(set);
  return scalar_probes;
}

template <typename Work>
double seconds(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Keeps results alive: a probe whose answer nobody uses may be left out by the compiler.
class Sink {
 public:
  void use(float value) {
    if (value == kNever) unlikely_.store(true, std::memory_order_relaxed);
  }

 private:
  static constexpr float kNever = -12345.678F;
  std::atomic<bool> unlikely_{false};
};

}  // namespace

double measure_dram_read_gbps(ThreadPool& pool, std::size_t bytes) {
  constexpr int kPasses = 8;
  constexpr std::size_t kChunk =
      std::size_t{1} << 18;  // 1 MiB: long enough for the prefetchers, short enough to share
  const LimitProbes& probes = probes_of(best());
  const std::size_t n = bytes / sizeof(float);
  const std::vector<float> buffer(n, 1.0F);  // written, so that its pages are its own
  Sink sink;
  double best_seconds = 0;
  for (int pass = 0; pass < kPasses; ++pass) {
    const double took = seconds([&] {
      pool.parallel_for(n, kChunk, [&](std::size_t begin, std::size_t end) {
        sink.use(probes.read_all(buffer.data() + begin, end - begin));
      });
    });
    if (pass == 0 || took < best_seconds) best_seconds = took;
  }
  return static_cast<double>(n * sizeof(float)) / best_seconds / 1e9;
}

double measure_fma_gflops(ThreadPool& pool) {
  constexpr int kBursts = 5;
  constexpr std::size_t kChunksPerThread = 8;
  const LimitProbes& probes = probes_of(best());
  Sink sink;
  // The number of rounds that takes about 5 ms on one thread.
  std::size_t rounds = 1000;
  while (rounds < (std::size_t{1} << 40)) {
    const double took = seconds([&] { sink.use(probes.fma_burst(rounds, 1.0F)); });
    if (took > 2.5e-3) break;
    rounds *= 2;
  }
  const std::size_t chunks = kChunksPerThread * static_cast<std::size_t>(pool.threads());
  double best_seconds = 0;
  for (int burst = 0; burst < kBursts; ++burst) {
    const double took = seconds([&] {
      pool.parallel_for(chunks, 1, [&](std::size_t begin, std::size_t end) {
        for (std::size_t c = begin; c < end; ++c) sink.use(probes.fma_burst(rounds, 1.0F));
      });
    });
    if (burst == 0 || took < best_seconds) best_seconds = took;
  }
  const double operations = static_cast<double>(chunks) * static_cast<double>(rounds) *
                            static_cast<double>(probes.flops_per_round);
  return operations / best_seconds / 1e9;
}

}  // namespace switchyard::kernels
