// What the kernels reach of what the machine has, in one table: decode (one row of x, weights from
// memory) against the measured read bandwidth, prefill (many rows) against the measured
// multiply-add peak and OpenBLAS. Every kernel set this CPU runs is measured; its answer is
// compared with the scalar set's while the clock is stopped, bit for bit.
//
//   kernels_bench [threads]      0 or nothing: one per core
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "switchyard/thread_pool.h"

#include "kernels/kernels.h"
#include "kernels/machine_limits.h"

#ifdef SWITCHYARD_BENCH_OPENBLAS
#include <cblas.h>
#endif

namespace {

using namespace switchyard;
using kernels::KernelSet;
using kernels::Matrix;
using kernels::WeightType;

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<long>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

struct Weights {
  std::vector<float> f32;
  std::vector<kernels::Bf16> bf16;
  std::size_t rows, columns;

  Weights(std::size_t rows_, std::size_t columns_)
      : f32(rows_ * columns_), bf16(f32.size()), rows(rows_), columns(columns_) {
    std::minstd_rand random(7);
    for (std::size_t i = 0; i < f32.size(); ++i) {
      // Values that bf16 holds exactly, so that both types have one answer.
      f32[i] = static_cast<float>(static_cast<int>(random() >> 8 & 0xff) - 128) / 1024.0F;
      bf16[i] = kernels::to_bf16(f32[i]);
    }
  }
  Matrix matrix(WeightType type) const {
    if (type == WeightType::f32) return {type, f32.data(), rows, columns};
    return {type, bf16.data(), rows, columns};
  }
  static double bytes(const Matrix& m) {
    return static_cast<double>(m.rows) * static_cast<double>(m.columns) *
           (m.type == WeightType::f32 ? 4.0 : 2.0);
  }
};

std::vector<float> some_rows(std::size_t n) {
  std::vector<float> x(n);
  std::minstd_rand random(11);
  for (float& v : x)
    v = static_cast<float>(static_cast<int>(random() >> 8 & 0xffff) - 32768) / 32768.0F;
  return x;
}

void run(const KernelSet& set, ThreadPool& pool, const Matrix& weight, const std::vector<float>& x,
         std::size_t n_rows, std::size_t grain, std::vector<float>& y) {
  pool.parallel_for(weight.rows, grain, [&](std::size_t begin, std::size_t end) {
    set.matmul(weight, x.data(), weight.columns, n_rows, begin, end, y.data(), weight.rows);
  });
}

// The scalar set on a few outputs: the whole product would take minutes.
bool same_as_scalar(const Matrix& weight, const std::vector<float>& x, std::size_t n_rows,
                    const std::vector<float>& y) {
  const KernelSet& scalar = kernels::by_name("scalar");
  std::vector<float> expected(y.size());
  for (const std::size_t begin : {std::size_t{0}, weight.rows / 2 + 1, weight.rows - 5}) {
    scalar.matmul(weight, x.data(), weight.columns, n_rows, begin, begin + 5, expected.data(),
                  weight.rows);
    for (std::size_t n = 0; n < n_rows; ++n) {
      const std::size_t at = n * weight.rows + begin;
      if (std::memcmp(&expected[at], &y[at], 5 * sizeof(float)) != 0) return false;
    }
  }
  return true;
}

const char* type_name(WeightType type) { return type == WeightType::f32 ? "f32" : "bf16"; }

struct Row {
  std::string what;
  double achieved;
  double limit;
  const char* unit;
  const char* same;
};
void print(const Row& row) {
  std::printf("| %-44s | %8.1f | %8.1f | %-8s | %5.2f | %-4s |\n", row.what.c_str(), row.achieved,
              row.limit, row.unit, row.achieved / row.limit, row.same);
}

// Bandwidth and kernel in turns, so that a neighbour who slows one slows the other.
void decode(ThreadPool& pool, bool& all_same) {
  constexpr std::size_t kSize = 4096, kMatrices = 3;
  constexpr int kTurns = 5;
  std::vector<Weights> weights;
  for (std::size_t m = 0; m < kMatrices; ++m) weights.emplace_back(kSize, kSize);
  const std::vector<float> x = some_rows(kSize);
  std::vector<float> y(kSize);
  for (const WeightType type : {WeightType::f32, WeightType::bf16}) {
    for (const KernelSet& set : kernels::all()) {
      if (!set.supported()) continue;
      std::vector<double> achieved, limit, ratio;
      for (int turn = 0; turn < kTurns; ++turn) {
        limit.push_back(kernels::measure_dram_read_gbps(pool));
        const double took = seconds_of([&] {
          for (const Weights& w : weights) run(set, pool, w.matrix(type), x, 1, 64, y);
        });
        achieved.push_back(Weights::bytes(weights[0].matrix(type)) * kMatrices / took / 1e9);
      }
      const bool same = same_as_scalar(weights.back().matrix(type), x, 1, y);
      all_same = all_same && same;
      print({"decode 4096x4096 " + std::string(type_name(type)) + " " + std::string(set.name),
             median(achieved), median(limit), "GB/s", same ? "yes" : "NO"});
    }
  }
}

void prefill(ThreadPool& pool, std::size_t rows, std::size_t columns, std::size_t n_rows,
             bool& all_same) {
  constexpr int kTurns = 5;
  const Weights weights(rows, columns);
  const std::vector<float> x = some_rows(n_rows * columns);
  std::vector<float> y(n_rows * rows);
  const double operations =
      2.0 * static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(n_rows);
  const std::string shape =
      std::to_string(rows) + "x" + std::to_string(columns) + " N=" + std::to_string(n_rows);
  for (const WeightType type : {WeightType::f32, WeightType::bf16}) {
    for (const KernelSet& set : kernels::all()) {
      if (!set.supported() || set.name == "scalar") continue;
      std::vector<double> achieved, limit, blas;
      for (int turn = 0; turn < kTurns; ++turn) {
        limit.push_back(kernels::measure_fma_gflops(pool));
        achieved.push_back(operations / 1e9 / seconds_of([&] {
                             run(set, pool, weights.matrix(type), x, n_rows, 64, y);
                           }));
#ifdef SWITCHYARD_BENCH_OPENBLAS
        std::vector<float> z(y.size());
        openblas_set_num_threads(pool.threads());
        blas.push_back(operations / 1e9 / seconds_of([&] {
                         cblas_sgemm(
                             CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(n_rows),
                             static_cast<int>(rows), static_cast<int>(columns), 1.0F, x.data(),
                             static_cast<int>(columns), weights.f32.data(),
                             static_cast<int>(columns), 0.0F, z.data(), static_cast<int>(rows));
                       }));
#endif
      }
      const bool same = same_as_scalar(weights.matrix(type), x, n_rows, y);
      all_same = all_same && same;
      const std::string what =
          "prefill " + shape + " " + type_name(type) + " " + std::string(set.name);
      print({what, median(achieved), median(limit), "GFLOP/s", same ? "yes" : "NO"});
      if (!blas.empty())
        print({"  of OpenBLAS sgemm", median(achieved), median(blas), "GFLOP/s", ""});
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : 0);
  std::printf("%d threads; limits measured in turns with the kernel; medians\n\n", pool.threads());
  std::printf("| %-44s | %8s | %8s | %-8s | %5s | %-4s |\n", "", "achieved", "limit", "unit",
              "ratio", "same");
  std::printf("|%s|%s|%s|%s|%s|%s|\n", std::string(46, '-').c_str(), std::string(10, '-').c_str(),
              std::string(10, '-').c_str(), std::string(10, '-').c_str(),
              std::string(7, '-').c_str(), std::string(6, '-').c_str());
  bool all_same = true;
  decode(pool, all_same);
  prefill(pool, 2048, 2048, 512, all_same);
  prefill(pool, 1024, 512, 128, all_same);
  prefill(pool, 512, 256, 16, all_same);
  return all_same ? 0 : 1;
}
