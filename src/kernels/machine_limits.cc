#include "kernels/machine_limits.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <span>

#include "base/aligned_buffer.h"
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

const IntegerProbe& integer_probe_of(const KernelSet& set) {
#ifdef SWITCHYARD_KERNELS_X86
  if (set.name == avx512_vnni_set.name) return avx512_vnni_integer_probe;
  if (set.name == avx512_set.name || set.name == avx2_set.name) return avx2_integer_probe;
#endif
  static_cast<void>(set);
  return scalar_integer_probe;
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

// Operations per second, in 10^9, of burst(rounds) on all threads; the best of several times.
template <typename Burst>
double burst_rate(ThreadPool& pool, std::size_t operations_per_round, const Burst& burst) {
  constexpr int kBursts = 5;
  constexpr std::size_t kChunksPerThread = 8;
  // The number of rounds that takes about 5 ms on one thread.
  std::size_t rounds = 1000;
  while (rounds < (std::size_t{1} << 40)) {
    const double took = seconds([&] { burst(rounds); });
    if (took > 2.5e-3) break;
    rounds *= 2;
  }
  const std::size_t chunks = kChunksPerThread * static_cast<std::size_t>(pool.threads());
  double best_seconds = 0;
  for (int i = 0; i < kBursts; ++i) {
    const double took = seconds([&] {
      pool.parallel_for(chunks, 1, [&](std::size_t begin, std::size_t end) {
        for (std::size_t c = begin; c < end; ++c) burst(rounds);
      });
    });
    if (i == 0 || took < best_seconds) best_seconds = took;
  }
  const double operations = static_cast<double>(chunks) * static_cast<double>(rounds) *
                            static_cast<double>(operations_per_round);
  return operations / best_seconds / 1e9;
}

}  // namespace

double measure_dram_read_gbps(ThreadPool& pool, std::size_t bytes) {
  constexpr int kPasses = 8;
  constexpr std::size_t kChunk =
      std::size_t{1} << 18;  // 1 MiB: long enough for the prefetchers, short enough to share
  const LimitProbes& probes = probes_of(best());
  const std::size_t n = bytes / sizeof(float);
  AlignedBuffer memory(n * sizeof(float));  // of huge pages, as weights are
  const std::span<float> buffer = memory.as<float>(0, n);
  std::ranges::fill(buffer, 1.0F);  // written, so that its pages are its own
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
  const LimitProbes& probes = probes_of(best());
  Sink sink;
  return burst_rate(pool, probes.flops_per_round,
                    [&](std::size_t rounds) { sink.use(probes.fma_burst(rounds, 1.0F)); });
}

double measure_integer_gops(ThreadPool& pool) { return measure_integer_gops(pool, best()); }

double measure_integer_gops(ThreadPool& pool, const KernelSet& set) {
  const IntegerProbe& probe = integer_probe_of(set);
  Sink sink;
  return burst_rate(pool, probe.operations_per_round, [&](std::size_t rounds) {
    sink.use(static_cast<float>(probe.dot_burst(rounds, 0x01020304)));
  });
}

}  // namespace switchyard::kernels
