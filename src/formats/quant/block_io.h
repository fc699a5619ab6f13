// Walks over blocks that lie at any address.
#pragma once

#include <cstddef>
#include <cstring>

namespace switchyard::quant {

// decode(block, values)
template <typename Block, int N, typename DecodeOne>
void decode_each(const std::byte* blocks, std::size_t n_blocks, float* out, DecodeOne decode) {
  for (std::size_t i = 0; i < n_blocks; ++i) {
    Block block;
    std::memcpy(&block, blocks + i * sizeof(Block), sizeof(Block));
    decode(block, out + i * N);
  }
}

// encode(values, their importance or null, block)
template <typename Block, int N, typename EncodeOne>
void encode_each(const float* x, const float* importance, std::size_t n_blocks, std::byte* out,
                 EncodeOne encode) {
  for (std::size_t i = 0; i < n_blocks; ++i) {
    Block block{};
    encode(x + i * N, importance == nullptr ? nullptr : importance + i * N, block);
    std::memcpy(out + i * sizeof(Block), &block, sizeof(Block));
  }
}

}  // namespace switchyard::quant
