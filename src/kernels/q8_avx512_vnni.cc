#include "kernels/sets.h"
#include "kernels/words_avx512.h"
// The types are written over the words.
#include "kernels/integer_probe_body.h"
#include "kernels/q8_product_body.h"

namespace switchyard::kernels {

constinit const IntegerProbe avx512_vnni_integer_probe = kIntegerProbe;

void matmul_q8_avx512_vnni(const Matrix& weight, const std::byte* x_rows, std::size_t n_rows,
                           std::size_t begin, std::size_t end, float* y, std::size_t y_stride) {
  matmul_q8(weight, x_rows, n_rows, begin, end, y, y_stride);
}

}  // namespace switchyard::kernels
