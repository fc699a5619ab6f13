// What the kernels reach of what the machine has, in one table: decode (one row of x, weights from
// memory) against the measured read bandwidth, prefill (many rows) against the measured
// multiply-add peak and OpenBLAS. Quantised weights, for 1 to 128 rows: against the read bandwidth
// or the peak of 8-bit products, whichever limits so many rows. Every kernel set this CPU runs is
// measured, and its answer is compared with the scalar set's, bit for bit, while the clock stands.
//
//   kernels_bench [threads [type [rows]]]
//
//   threads   0 or nothing: one per core
//   type      Q4_0, bf16, ...; all or nothing: every type
//   rows      of quantised products; nothing: 1 2 4 8 16 32 128
//
// Limit and kernel are measured in turns, so that a neighbour who slows one slows the other; the
// ratio is the median over the turns, and so are the two columns before it.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <sys/mman.h>
#include <vector>

#include "switchyard/thread_pool.h"

#include "base/aligned_buffer.h"
#include "kernels/kernels.h"
#include "kernels/machine_limits.h"

#ifdef SWITCHYARD_BENCH_OPENBLAS
#include <cblas.h>
#endif

namespace {

using namespace switchyard;
using kernels::KernelSet;
using kernels::Matrix;

constexpr int kTurns = 7;
constexpr std::size_t kOutputsPerPiece = 64;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Units of work per second, in 10^9: work is repeated until it took long enough for the clock and
// the scheduler.
double rate_of(double units, const std::function<void()>& work) {
  constexpr double kLongEnough = 0.02;
  double took = 0;
  int times = 0;
  for (; took < kLongEnough; ++times) took += seconds_of(work);
  return units * times / took / 1e9;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

struct Turns {
  std::vector<double> achieved, limit;

  void print(const std::string& what, const char* unit, const char* same) const {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < achieved.size(); ++i) ratios.push_back(achieved[i] / limit[i]);
    std::printf("| %-44s | %8.1f | %8.1f | %-8s | %5.2f | %-4s |\n", what.c_str(), median(achieved),
                median(limit), unit, median(ratios), same);
    std::fflush(stdout);
  }
};

void print_head() {
  std::printf("| %-44s | %8s | %8s | %-8s | %5s | %-4s |\n", "", "achieved", "limit", "unit",
              "ratio", "same");
  for (const std::size_t width : {46, 10, 10, 10, 7, 6})
    std::printf("|%s", std::string(width, '-').c_str());
  std::printf("|\n");
}

// Memory of huge pages, as the runtime's weights lie in: with pages of 4 KiB one core reads them a
// fifth slower.
template <class T>
struct HugePages {
  using value_type = T;
  HugePages() = default;
  template <class U>
  HugePages(const HugePages<U>&) {}  // NOLINT(google-explicit-constructor): as containers want it
  T* allocate(std::size_t n) {
    constexpr std::align_val_t kAlignment{AlignedBuffer::kHugePage};
    void* p = ::operator new(n * sizeof(T), kAlignment);
    static_cast<void>(::madvise(p, n * sizeof(T), MADV_HUGEPAGE));
    return static_cast<T*>(p);
  }
  void deallocate(T* p, std::size_t) {
    ::operator delete (p, std::align_val_t{AlignedBuffer::kHugePage});
  }
  bool operator==(const HugePages&) const { return true; }
};

struct Weights {
  std::vector<float, HugePages<float>> f32;
  std::vector<kernels::Bf16, HugePages<kernels::Bf16>> bf16;
  std::size_t rows, columns;

  Weights(std::size_t o, std::size_t i) : f32(o * i), bf16(o * i), rows(o), columns(i) {
    std::minstd_rand random(7);
    for (std::size_t n = 0; n < f32.size(); ++n) {
      f32[n] = static_cast<float>(static_cast<int>(random() >> 8 & 0xff) - 128) / 1024.0F;
      bf16[n] = kernels::to_bf16(f32[n]);
    }
  }
  Matrix matrix(DType type) const {
    if (type == DType::f32) return {type, f32.data(), rows, columns};
    return {type, bf16.data(), rows, columns};
  }
  double bytes(DType type) const {
    return static_cast<double>(f32.size()) *
           (type == DType::f32 ? sizeof(float) : sizeof(kernels::Bf16));
  }
};

std::vector<float> some_rows(std::size_t n) {
  std::vector<float> x(n);
  std::minstd_rand random(11);
  for (float& v : x)
    v = static_cast<float>(static_cast<int>(random() >> 8 & 0xffff) - 32768) / 32768.0F;
  return x;
}

void multiply(const KernelSet& set, ThreadPool& pool, const Matrix& weight,
              const std::vector<float>& x, std::size_t n_rows, std::vector<float>& y) {
  pool.parallel_for(weight.rows, kOutputsPerPiece, [&](std::size_t begin, std::size_t end) {
    set.matmul(weight, x.data(), weight.columns, n_rows, begin, end, y.data(), weight.rows);
  });
}

// The scalar set on a few outputs: the whole product would take minutes.
bool same_as_scalar(const Matrix& weight, const std::vector<float>& x, std::size_t n_rows,
                    const std::vector<float>& y) {
  constexpr std::size_t kOutputs = 5;
  const KernelSet& scalar = kernels::by_name("scalar");
  std::vector<float> expected(y.size());
  for (const std::size_t begin : {std::size_t{0}, weight.rows / 2 + 1, weight.rows - kOutputs}) {
    scalar.matmul(weight, x.data(), weight.columns, n_rows, begin, begin + kOutputs,
                  expected.data(), weight.rows);
    for (std::size_t n = 0; n < n_rows; ++n) {
      const std::size_t at = n * weight.rows + begin;
      if (std::memcmp(&expected[at], &y[at], kOutputs * sizeof(float)) != 0) return false;
    }
  }
  return true;
}

std::string title(const char* phase, const Matrix& weight, std::size_t n_rows,
                  const KernelSet& set) {
  return std::string(phase) + " " + std::to_string(weight.rows) + "x" +
         std::to_string(weight.columns) + " N=" + std::to_string(n_rows) +
         (weight.type == DType::f32 ? " f32 " : " bf16 ") + std::string(set.name);
}

// One row against so many matrices that none is in a cache when its turn comes. Returns whether the
// answers are right.
bool decode(ThreadPool& pool, const KernelSet& set, const std::vector<Weights>& weights,
            DType type) {
  const Matrix first = weights.front().matrix(type);
  const std::vector<float> x = some_rows(first.columns);
  std::vector<float> y(first.rows);
  const double bytes = weights.front().bytes(type) * static_cast<double>(weights.size());
  Turns turns;
  for (int turn = 0; turn < kTurns; ++turn) {
    turns.limit.push_back(kernels::measure_dram_read_gbps(pool));
    turns.achieved.push_back(rate_of(bytes, [&] {
      for (const Weights& w : weights) multiply(set, pool, w.matrix(type), x, 1, y);
    }));
  }
  const bool same = same_as_scalar(weights.back().matrix(type), x, 1, y);
  turns.print(title("decode", first, 1, set), "GB/s", same ? "yes" : "NO");
  return same;
}

// Many rows against one matrix.
bool prefill(ThreadPool& pool, const KernelSet& set, const Weights& weights, DType type,
             std::size_t n_rows) {
  const Matrix weight = weights.matrix(type);
  const std::vector<float> x = some_rows(n_rows * weight.columns);
  std::vector<float> y(n_rows * weight.rows);
  const double operations =
      2.0 * static_cast<double>(weights.f32.size()) * static_cast<double>(n_rows);
  Turns of_peak, of_blas;
  for (int turn = 0; turn < kTurns; ++turn) {
    of_peak.limit.push_back(kernels::measure_fma_gflops(pool));
    of_peak.achieved.push_back(
        rate_of(operations, [&] { multiply(set, pool, weight, x, n_rows, y); }));
#ifdef SWITCHYARD_BENCH_OPENBLAS
    std::vector<float> z(y.size());
    const auto rows = static_cast<int>(weight.rows), columns = static_cast<int>(weight.columns);
    openblas_set_num_threads(pool.threads());
    of_blas.limit.push_back(rate_of(operations, [&] {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(n_rows), rows, columns,
                  1.0F, x.data(), columns, weights.f32.data(), columns, 0.0F, z.data(), rows);
    }));
#endif
  }
  const bool same = same_as_scalar(weight, x, n_rows, y);
  of_peak.print(title("prefill", weight, n_rows, set), "GFLOP/s", same ? "yes" : "NO");
  if (!of_blas.limit.empty()) {
    of_blas.achieved = of_peak.achieved;
    of_blas.print("  of OpenBLAS sgemm (f32)", "GFLOP/s", "");
  }
  return same;
}

struct QuantisedKind {
  DType type;
  const char* name;
  std::size_t values, bytes;        // of a block
  std::vector<std::size_t> halves;  // where scales of half precision lie in it
};
const std::vector<QuantisedKind> kQuantised = {
    {DType::q4_0, "Q4_0", 32, 18, {0}},       {DType::q8_0, "Q8_0", 32, 34, {0}},
    {DType::q4_k, "Q4_K", 256, 144, {0, 2}},  {DType::q6_k, "Q6_K", 256, 210, {208}},
    {DType::q5_k, "Q5_K", 256, 176, {0, 2}},  {DType::iq4_nl, "IQ4_NL", 32, 18, {0}},
    {DType::iq4_xs, "IQ4_XS", 256, 136, {0}}, {DType::mxfp4, "MXFP4", 32, 17, {}},
    {DType::q2_k, "Q2_K", 256, 84, {80, 82}}, {DType::q3_k, "Q3_K", 256, 110, {108}},
    {DType::q4_1, "Q4_1", 32, 20, {0, 2}},    {DType::q5_0, "Q5_0", 32, 22, {0}},
    {DType::q5_1, "Q5_1", 32, 24, {0, 2}}};

// Random codes, scales of about 2^-5.
std::vector<std::uint8_t> quantised_weights(const QuantisedKind& kind, std::size_t values) {
  std::vector<std::uint8_t> bytes(values / kind.values * kind.bytes);
  std::minstd_rand random(5);
  for (auto& byte : bytes) byte = static_cast<std::uint8_t>(random() >> 8);
  for (std::size_t at = 0; at < bytes.size(); at += kind.bytes) {
    for (const std::size_t half : kind.halves) bytes[at + half + 1] = 0x28;
    if (kind.type == DType::mxfp4) bytes[at] = 120;
  }
  return bytes;
}

struct alignas(64) Line {
  std::byte bytes[64];
};

void multiply_q8(const KernelSet& set, ThreadPool& pool, const Matrix& weight,
                 const std::vector<Line>& rows, std::size_t n_rows, std::vector<float>& y) {
  constexpr std::size_t kPiece = 256;
  pool.parallel_for(weight.rows, kPiece, [&](std::size_t begin, std::size_t end) {
    set.matmul_q8(weight, rows.data()->bytes, n_rows, begin, end, y.data(), weight.rows);
  });
}

bool same_as_scalar_q8(const Matrix& weight, const std::vector<Line>& rows, std::size_t n_rows,
                       const std::vector<float>& y) {
  const std::size_t checked = std::min<std::size_t>(n_rows, 16);
  std::vector<float> expected(checked * weight.rows);
  kernels::by_name("scalar").matmul_q8(weight, rows.data()->bytes, checked, 0, weight.rows,
                                       expected.data(), weight.rows);
  return std::memcmp(expected.data(), y.data(), expected.size() * sizeof(float)) == 0;
}

// From so many rows on, a matrix stays in a cache while they pass by; below, weights come from
// memory, as those of an expert do that few tokens of a prompt chose.
constexpr std::size_t kManyRows = 64;

// n_rows against 256 MiB of matrices, or against one. Achieved is GB/s where memory limits and
// GOP/s where computing does; the limit is that of the set.
bool quantised(ThreadPool& pool, const KernelSet& set, const QuantisedKind& kind,
               std::size_t outputs, std::size_t columns, std::size_t n_rows) {
  const auto one = quantised_weights(kind, outputs * columns);
  const std::size_t copies = n_rows < kManyRows ? (std::size_t{256} << 20) / one.size() + 1 : 1;
  std::vector<std::uint8_t, HugePages<std::uint8_t>> bytes;
  bytes.reserve(copies * one.size());
  for (std::size_t i = 0; i < copies; ++i) bytes.insert(bytes.end(), one.begin(), one.end());
  const std::vector<float> x = some_rows(n_rows * columns);
  const std::size_t row_bytes = kernels::q8_row_bytes(columns);
  std::vector<Line> rows(n_rows * row_bytes / sizeof(Line));
  for (std::size_t n = 0; n < n_rows; ++n)
    set.to_q8(x.data() + n * columns, columns, rows.data()->bytes + n * row_bytes);
  std::vector<float> y(n_rows * outputs);
  const auto matrix = [&](std::size_t i) {
    return Matrix{kind.type, bytes.data() + i * one.size(), outputs, columns};
  };
  const double operations_per_byte =
      2.0 * static_cast<double>(outputs * columns * n_rows) / static_cast<double>(one.size());
  bool memory_limits = false;
  Turns turns;
  for (int turn = 0; turn < kTurns; ++turn) {
    const double gops = kernels::measure_integer_gops(pool, set);
    const double gbps = n_rows < kManyRows ? kernels::measure_dram_read_gbps(pool) : gops;
    // Once for all turns: their medians are of one unit.
    if (turn == 0) memory_limits = gbps * operations_per_byte < gops;
    turns.limit.push_back(memory_limits ? gbps : gops);
    const double units =
        static_cast<double>(bytes.size()) * (memory_limits ? 1.0 : operations_per_byte);
    turns.achieved.push_back(rate_of(units, [&] {
      for (std::size_t i = 0; i < copies; ++i) multiply_q8(set, pool, matrix(i), rows, n_rows, y);
    }));
  }
  const bool same = same_as_scalar_q8(matrix(0), rows, n_rows, y);
  turns.print(std::string(kind.name) + " " + std::to_string(outputs) + "x" +
                  std::to_string(columns) + " N=" + std::to_string(n_rows) + " " +
                  std::string(set.name),
              memory_limits ? "GB/s" : "GOP/s", same ? "yes" : "NO");
  return same;
}

}  // namespace

int main(int argc, char** argv) {
  ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : 0);
  std::printf("%d threads\n\n", pool.threads());
  print_head();
  const std::string only = argc > 2 && std::strcmp(argv[2], "all") != 0 ? argv[2] : "";
  std::vector<std::size_t> row_counts = {1, 2, 4, 8, 16, 32, 128};
  if (argc > 3) row_counts = {static_cast<std::size_t>(std::atoi(argv[3]))};
  const auto wanted = [&](const std::string& type) { return only.empty() || only == type; };

  bool all_same = true;
  const auto for_every_set = [&](const auto& measure) {
    for (const DType type : {DType::f32, DType::bf16}) {
      if (!wanted(type == DType::f32 ? "f32" : "bf16")) continue;
      for (const KernelSet& set : kernels::all()) {
        // The scalar set is the reference, not a contender: it would take most of the time. The set
        // avx512-vnni has the products of avx512.
        if (set.supported() && set.name != "scalar" && set.name != "avx512-vnni")
          all_same = measure(set, type) && all_same;
      }
    }
  };
  const bool plain = wanted("f32") || wanted("bf16");
  for (const std::size_t size : {std::size_t{4096}, std::size_t{1024}, std::size_t{512}}) {
    if (!plain) break;
    const std::size_t matrices = (std::size_t{48} << 20) / (size * size);
    const std::vector<Weights> weights(matrices, Weights(size, size));
    for_every_set(
        [&](const KernelSet& set, DType type) { return decode(pool, set, weights, type); });
  }
  struct Shape {
    std::size_t outputs, columns, rows;
  };
  for (const Shape& shape : {Shape{2048, 2048, 512}, Shape{1024, 512, 128}, Shape{512, 1024, 16}}) {
    if (!plain) break;
    const Weights weights(shape.outputs, shape.columns);
    for_every_set([&](const KernelSet& set, DType type) {
      return prefill(pool, set, weights, type, shape.rows);
    });
  }
  for (const QuantisedKind& kind : kQuantised) {
    for (const std::size_t n_rows : row_counts) {
      if (!wanted(kind.name)) continue;
      for (const KernelSet& set : kernels::all()) {
        // The set avx512 has the 8-bit products of avx2.
        if (!set.supported() || set.name == "scalar" || set.name == "avx512") continue;
        all_same = quantised(pool, set, kind, 1024, 2048, n_rows) && all_same;
      }
    }
  }
  return all_same ? 0 : 1;
}
