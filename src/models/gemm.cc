#include "models/gemm.h"

#if SWITCHYARD_DNNL
#include <dnnl.h>
#else
#include <torch/types.h>
#include <torch/utils.h>
#endif

#include "base/check.h"

namespace switchyard::models {

// oneDNN and not the BLAS behind libtorch: Debian's OpenBLAS has its own threads, which a caller
// that runs one product a thread cannot turn off without a process-wide switch; oneDNN sees that it
// is inside a parallel region. On the reference machine (2 cores, all products of an MoE layer's
// forward and backward, GFLOP/s), OpenBLAS with 2 threads and experts one after another against
// oneDNN with experts in parallel: 166/187, 101/186 and 99/155 at (T,D,E,K,F) = (2048,256,8,2,512),
// (4096,512,16,2,1024), (512,256,64,8,128).
void gemm(const GemmShape& shape, const float* a, std::int64_t lda, const float* b,
          std::int64_t ldb, float* c, std::int64_t ldc) {
  if (shape.m == 0 || shape.n == 0) return;
#if SWITCHYARD_DNNL
  const auto status = dnnl_sgemm(shape.transpose_a ? 'T' : 'N', shape.transpose_b ? 'T' : 'N',
                                 shape.m, shape.n, shape.k, 1.0F, a, lda, b, ldb, 0.0F, c, ldc);
  SWITCHYARD_CHECK(status == dnnl_success);
#else
  const auto view = [](const float* data, bool transpose, std::int64_t rows, std::int64_t columns,
                       std::int64_t ld) {
    auto* address =
        const_cast<float*>(data);  // from_blob knows no const; the operands are only read
    return transpose ? torch::from_blob(address, {rows, columns}, {1, ld}, torch::kFloat32)
                     : torch::from_blob(address, {rows, columns}, {ld, 1}, torch::kFloat32);
  };
  const torch::NoGradGuard no_grad;
  auto out = view(c, false, shape.m, shape.n, ldc);
  at::mm_out(out, view(a, shape.transpose_a, shape.m, shape.k, lda),
             view(b, shape.transpose_b, shape.k, shape.n, ldb));
#endif
}

void gemm(const GemmShape& shape, const double* a, std::int64_t lda, const double* b,
          std::int64_t ldb, double* c, std::int64_t ldc) {
  for (std::int64_t i = 0; i < shape.m; ++i) {
    for (std::int64_t j = 0; j < shape.n; ++j) {
      double sum = 0;
      for (std::int64_t p = 0; p < shape.k; ++p) {
        sum += (shape.transpose_a ? a[p * lda + i] : a[i * lda + p]) *
               (shape.transpose_b ? b[j * ldb + p] : b[p * ldb + j]);
      }
      c[i * ldc + j] = sum;
    }
  }
}

}  // namespace switchyard::models
