// What a block of a quantised type means, one value at a time, written from the definition of the
// format and not from the decoder; and blocks of random bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "switchyard/dtype.h"

namespace switchyard::quant {

// Value i of the block.
float oracle_value(DType dtype, const std::uint8_t* block, int i);

// Where the f16 fields of a block are: bytes from its start.
std::vector<std::size_t> f16_fields(DType dtype);
void set_f16_fields(DType dtype, std::uint8_t* block, std::uint16_t bits);

// Random bytes, the same on every machine: 64-bit little-endian words mix_bits(n * golden), n = 1,
// 2, ... (base/random.h). In f16 fields that would be infinite or NaN the top bit of the exponent
// is cleared.
std::vector<std::uint8_t> random_blocks(DType dtype, std::size_t n_blocks);

}  // namespace switchyard::quant
