#include "kernels/sets.h"
#include "kernels/words_avx2.h"
// The types are written over the words.
#include "kernels/integer_probe_body.h"
#include "kernels/q8_product_body.h"
#include "kernels/q8_types.h"

namespace switchyard::kernels {

constinit const IntegerProbe avx2_integer_probe = kIntegerProbe;

void matmul_q8_avx2(const Matrix& weight, const std::byte* x_rows, std::size_t n_rows,
                    std::size_t begin, std::size_t end, float* y, std::size_t y_stride) {
  const auto with = [&](auto typed) { typed(weight, x_rows, n_rows, begin, end, y, y_stride); };
  switch (weight.type) {
    case DType::q4_0:
      return with(product<TypeQ4_0>);
    case DType::q4_1:
      return with(product<TypeQ4_1>);
    case DType::q5_0:
      return with(product<TypeQ5_0>);
    case DType::q5_1:
      return with(product<TypeQ5_1>);
    case DType::q8_0:
      return with(product<TypeQ8_0>);
    case DType::iq4_nl:
      return with(product<TypeIQ4_NL>);
    case DType::mxfp4:
      return with(product<TypeMXFP4>);
    default:
      return matmul_q8_k_avx2(weight, x_rows, n_rows, begin, end, y, y_stride);
  }
}

}  // namespace switchyard::kernels
