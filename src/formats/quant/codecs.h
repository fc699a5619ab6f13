// What the table in quant.cc lists.
#pragma once

#include <cstddef>

namespace switchyard::quant {

using Decode = void(const std::byte* blocks, std::size_t n_blocks, float* out);
using Encode = void(const float* x, const float* importance, std::size_t n_blocks, std::byte* out);

// small_blocks.cc
Decode decode_q4_0, decode_q4_1, decode_q5_0, decode_q5_1, decode_q8_0;
Encode encode_q4_0, encode_q4_1, encode_q5_0, encode_q5_1, encode_q8_0;
// k_affine.cc
Decode decode_q2_k, decode_q4_k, decode_q5_k;
Encode encode_q2_k, encode_q4_k, encode_q5_k;
// k_symmetric.cc
Decode decode_q3_k, decode_q6_k;
Encode encode_q3_k, encode_q6_k;
// non_linear.cc
Decode decode_iq4_nl, decode_iq4_xs, decode_mxfp4;
Encode encode_iq4_nl, encode_iq4_xs, encode_mxfp4;

}  // namespace switchyard::quant
