// What attention over a KV cache reaches of what the machine has, by context and by type of the
// cache: one token (decoding, the cache from memory) against the measured read bandwidth, the last
// 512 tokens of a prompt against the measured multiply-add peak.
//
//   attention_bench [threads [kernels]]    threads: 0 or nothing: one per core; kernels: "avx2",
//   ...
//
// 16 query heads of 128, with 16 or 4 heads of keys and values. Limit and kernel are measured in
// turns, so that a neighbour who slows one slows the other; figures are medians over the turns.
// Every type's results are held against those of the scalar set, bit for bit, before the clock
// runs.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "switchyard/thread_pool.h"

#include "base/aligned_buffer.h"
#include "kernels/kernels.h"
#include "kernels/machine_limits.h"

namespace {

using namespace switchyard;
using kernels::AttentionCache;
using kernels::AttentionRow;
using kernels::KernelSet;

constexpr int kTurns = 5;
constexpr std::size_t kHeads = 16;
constexpr std::size_t kWidth = 128;
constexpr std::size_t kPromptTokens = 512;
constexpr std::size_t kUnitRows = 64;                        // as the runtime takes them
constexpr std::size_t kSegment = 256;                        // of positions
constexpr std::size_t kCacheBytes = std::size_t{192} << 20;  // several times the last-level cache

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Seconds of one go: repeated until it took long enough for the clock.
double time_of(const std::function<void()>& work) {
  constexpr double kLongEnough = 0.05;
  double took = 0;
  int times = 0;
  for (; took < kLongEnough; ++times) took += seconds_of(work);
  return took / times;
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Caches of so many heads that together they do not fit the CPU's own.
struct Caches {
  Caches(const KernelSet& set, DType type, std::size_t positions, std::size_t fewest_heads)
      : head_bytes(kernels::cached_keys_bytes(type, kWidth, positions)),
        heads(std::max(fewest_heads, (kCacheBytes / (2 * head_bytes) + fewest_heads) /
                                         fewest_heads * fewest_heads)),
        memory(2 * heads * head_bytes) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> rows(64 * kWidth);
    for (float& x : rows) x = normal(random);
    for (std::size_t h = 0; h < heads; ++h) {
      AttentionCache cache = head(type, h);
      auto* const keys = const_cast<std::byte*>(cache.keys);
      auto* const values = const_cast<std::byte*>(cache.values);
      for (std::size_t p = 0; p < positions; ++p) {
        set.cache_key(type, rows.data() + p * 7 % 64 * kWidth, kWidth, p, keys);
        set.cache_value(type, rows.data() + p * 11 % 64 * kWidth, kWidth, p, values);
      }
    }
  }
  AttentionCache head(DType type, std::size_t h) const {
    return {.key_type = type,
            .value_type = type,
            .keys = memory.data() + 2 * h * head_bytes,
            .values = memory.data() + (2 * h + 1) * head_bytes,
            .key_width = kWidth,
            .value_width = kWidth};
  }
  std::size_t head_bytes, heads;
  AlignedBuffer memory;
};

// One worker's rows and memory.
class Worker {
 public:
  Worker()
      : floats_(kernels::attention_state_floats(kWidth)),
        memory_(sizeof(float) * (2 * kUnitRows * floats_ + kUnitRows * kWidth +
                                 kernels::attention_memory_floats(kWidth, kWidth))),
        all_(memory_.as<float>(0, memory_.size() / sizeof(float))) {
    std::mt19937 random(2);
    std::normal_distribution<float> normal;
    for (float& x : all_.first(kUnitRows * kWidth)) x = normal(random);
  }

  // Rows that end at `end` or, by `group`, at later positions, over all segments.
  void attend(const KernelSet& set, const AttentionCache& cache, std::size_t n_rows,
              std::size_t group, std::size_t end, float* out) {
    float* const parts = all_.data() + kUnitRows * kWidth;
    float* const totals = parts + kUnitRows * floats_;
    float* const block = totals + kUnitRows * floats_;
    AttentionRow rows[kUnitRows];
    for (std::size_t r = 0; r < n_rows; ++r) {
      rows[r] = {all_.data() + r * kWidth, 0, end + r / group, parts + r * floats_};
      kernels::attention_clear(totals + r * floats_, kWidth);
    }
    const std::size_t last = rows[n_rows - 1].end;
    for (std::size_t at = 0; at < last; at += kSegment) {
      for (std::size_t r = 0; r < n_rows; ++r) kernels::attention_clear(rows[r].state, kWidth);
      set.attend(cache, rows, n_rows, at, std::min(at + kSegment, last), 0.088F, block);
      for (std::size_t r = 0; r < n_rows; ++r) {
        set.merge_attention(rows[r].state, totals + r * floats_, kWidth);
      }
    }
    for (std::size_t r = 0; r < n_rows; ++r) {
      set.finish_attention(totals + r * floats_, nullptr, kWidth, out + r * kWidth);
    }
  }

 private:
  std::size_t floats_;
  AlignedBuffer memory_;
  std::span<float> all_;
};

struct Bench {
  ThreadPool& pool;
  const KernelSet& set;
  std::vector<Worker> workers;

  void check(const Caches& caches, DType type, std::size_t context, std::size_t group) {
    std::vector<float> a(kUnitRows * kWidth), b(kUnitRows * kWidth);
    for (const std::size_t rows : {group, kUnitRows}) {
      const std::size_t end = context + 1 - rows / group;
      workers[0].attend(set, caches.head(type, 0), rows, group, end, a.data());
      workers[0].attend(kernels::all().front(), caches.head(type, 0), rows, group, end, b.data());
      if (a == b) continue;
      std::fprintf(stderr, "attention_bench: %s differs from scalar\n", set.name.data());
      std::exit(1);
    }
  }

  // One token of as many layers as the caches make.
  void decode(const Caches& caches, DType type, std::size_t context, std::size_t group) {
    for_all(caches.heads, [&](std::size_t h, Worker& own) {
      float out[kUnitRows * kWidth];
      own.attend(set, caches.head(type, h), group, group, context, out);
    });
  }

  // The last tokens of a prompt in one layer.
  void prompt(const Caches& caches, DType type, std::size_t context, std::size_t group) {
    const std::size_t tokens = kUnitRows / group;
    const std::size_t units = kPromptTokens / tokens, heads = kHeads / group;
    for_all(units * heads, [&](std::size_t i, Worker& own) {
      float out[kUnitRows * kWidth];
      own.attend(set, caches.head(type, i % heads), kUnitRows, group,
                 context - kPromptTokens + i / heads * tokens + 1, out);
    });
  }

  template <class Body>
  void for_all(std::size_t count, const Body& body) {
    std::atomic<std::size_t> next{0};
    pool.parallel_for(workers.size(), 1, [&](std::size_t begin, std::size_t end) {
      for (std::size_t w = begin; w < end; ++w) {
        for (std::size_t i = next++; i < count; i = next++) body(i, workers[w]);
      }
    });
  }
};

void print_row(Bench& bench, DType type, std::size_t context, std::size_t group) {
  const std::size_t heads = kHeads / group;
  const Caches caches(bench.set, type, context, heads);
  bench.check(caches, type, context, group);
  const double bytes = 2.0 * static_cast<double>(caches.heads * caches.head_bytes);
  const double layers = static_cast<double>(caches.heads) / static_cast<double>(heads);
  const auto t = static_cast<double>(kPromptTokens), c = static_cast<double>(context);
  const double flops = 4.0 * kWidth * kHeads * t * (c - (t - 1) / 2);
  std::vector<double> token, rate, of_dram, prompt, of_peak;
  for (int turn = 0; turn < kTurns; ++turn) {
    const double dram = kernels::measure_dram_read_gbps(bench.pool, kCacheBytes);
    const double decode = time_of([&] { bench.decode(caches, type, context, group); });
    token.push_back(decode / layers * 1e6);
    rate.push_back(bytes / decode * 1e-9);
    of_dram.push_back(rate.back() / dram);
    const double peak = kernels::measure_fma_gflops(bench.pool);
    const double took = time_of([&] { bench.prompt(caches, type, context, group); });
    prompt.push_back(flops / took * 1e-9);
    of_peak.push_back(prompt.back() / peak);
  }
  std::string name(dtype_name(type));
  std::printf("| %5zu | %2zu | %-4s | %9.1f | %5.1f | %.2f | %6.1f | %.2f |\n", context, heads,
              name.c_str(), median(token), median(rate), median(of_dram), median(prompt),
              median(of_peak));
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : 0);
  Bench bench{.pool = pool, .set = kernels::by_name(argc > 2 ? argv[2] : "auto"), .workers = {}};
  for (int i = 0; i < pool.threads(); ++i) bench.workers.emplace_back();
  std::printf("kernels %s, %d threads, %zu query heads of %zu\n\n", bench.set.name.data(),
              pool.threads(), kHeads, kWidth);
  std::printf(
      "| context | KV heads | type | decode: us a layer | GB/s | of DRAM | prompt of 512: GFLOP/s "
      "| of the peak |\n|---|---|---|---|---|---|---|---|\n");
  std::vector<std::size_t> contexts = {512, 2048, 8192, 16384};
  if (argc > 3) contexts = {std::max(kPromptTokens, std::strtoul(argv[3], nullptr, 10))};
  for (const std::size_t context : contexts) {
    for (const std::size_t group : {1, 4}) {
      for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::q8_0}) {
        print_row(bench, type, context, group);
      }
    }
  }
  return 0;
}
