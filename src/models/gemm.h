// One matrix product on memory we own, for tasks that already run in parallel: inside
// at::parallel_for it uses the calling thread only, and its result does not depend on how many
// threads there are.
#pragma once

#include <cstdint>

namespace switchyard::models {

// Row-major C = op(A) op(B); op(A) is [m, k], op(B) is [k, n], C is [m, n]; ld*: elements from one
// row to the next.
struct GemmShape {
  bool transpose_a = false;
  bool transpose_b = false;
  std::int64_t m = 0, n = 0, k = 0;
};
void gemm(const GemmShape& shape, const float* a, std::int64_t lda, const float* b,
          std::int64_t ldb, float* c, std::int64_t ldc);
// A plain loop: double is for gradient checks.
void gemm(const GemmShape& shape, const double* a, std::int64_t lda, const double* b,
          std::int64_t ldb, double* c, std::int64_t ldc);

}  // namespace switchyard::models
