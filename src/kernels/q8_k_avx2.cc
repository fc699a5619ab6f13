// The types with blocks of 256 columns, in a file of their own: half of the time to compile.
#include "kernels/sets.h"
#include "kernels/words_avx2.h"
// The types are written over the words.
#include "kernels/q8_k_types.h"
#include "kernels/q8_product_body.h"

namespace switchyard::kernels {

void matmul_q8_k_avx2(const Matrix& weight, const std::byte* x_rows, std::size_t n_rows,
                      std::size_t begin, std::size_t end, float* y, std::size_t y_stride) {
  const auto with = [&](auto typed) { typed(weight, x_rows, n_rows, begin, end, y, y_stride); };
  switch (weight.type) {
    case DType::q2_k:
      return with(product<TypeQ2_K>);
    case DType::q3_k:
      return with(product<TypeQ3_K>);
    case DType::q4_k:
      return with(product<TypeQ4_K>);
    case DType::q5_k:
      return with(product<TypeQ5_K>);
    case DType::q6_k:
      return with(product<TypeQ6_K>);
    case DType::iq4_xs:
      return with(product<TypeIQ4_XS>);
    default:
      return;  // is_quantised_weight says no
  }
}

}  // namespace switchyard::kernels
