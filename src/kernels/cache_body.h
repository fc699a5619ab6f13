// Keys and values on their way into a cache and out of it as floats, over the Lanes of one
// instruction set. attention.h says how a cache lies in memory.
#pragma once

#include <cstddef>

#include "kernels/attention.h"
#include "kernels/blocks.h"
#include "kernels/kernels.h"
#include "kernels/to_q8_body.h"

namespace switchyard::kernels {
namespace {

static_assert(kKeyGroup == kLanes && 2 * kLanes == kBlock);

// One group's scales and bytes for 32 elements.
struct KeyBlockQ8 {
  Half scale[kKeyGroup];
  std::int8_t q[kBlock][kKeyGroup];
};
static_assert(sizeof(KeyBlockQ8) == kKeyGroup * sizeof(BlockQ8_0));

// To the block that holds it: scale = largest magnitude / 127 rounded to half precision, q = round
// to nearest even of x * (127 / largest magnitude). A NaN or an infinity makes the block NaN.
inline void round_to_block(const float* x, BlockQ8_0& block) {
  const Lanes halves[2] = {load(x), load(x + kLanes)};
  const std::uint32_t bits = largest_magnitude_bits(halves[0], halves[1]);
  const bool finite = bits < kInfinityBits;
  const float largest = __builtin_bit_cast(float, bits);
  const bool some = finite && bits >= kLeastBits;
  const Lanes shift = broadcast(12582912.0F);  // 1.5 * 2^23: rounds to an integer in the low bits
  const Lanes factor = broadcast(some ? 127.0F / largest : 0.0F);
  for (std::size_t h = 0; h < 2; ++h) {
    const Lanes scaled = finite ? multiply(halves[h], factor) : zero();
    store_low_bytes(block.qs + h * kLanes, add(scaled, shift));
  }
  Half scale[kLanes];
  store(scale, broadcast(!finite ? __builtin_nanf("") : some ? largest / 127.0F : 0.0F));
  block.d = static_cast<F16>(scale[0]);
}

// n <= 16 values to the elements of a plain type.
template <typename Element>
inline void narrow(const float* x, std::size_t n, Element* out) {
  store(out, n == kLanes ? load(x) : load_first(x, n));
}

template <typename Element>
inline void place_values(const float* x, std::size_t n, Element* row) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) narrow(x + i, kLanes, row + i);
  if (i == n) return;
  Element rest[kLanes];
  narrow(x + i, n - i, rest);
  for (std::size_t k = i; k < n; ++k) row[k] = rest[k - i];
}

template <typename Element>
inline void place_key(const float* x, std::size_t n, Element* group, std::size_t slot) {
  for (std::size_t i = 0; i < n; i += kLanes) {
    const std::size_t count = n - i < kLanes ? n - i : kLanes;
    Element part[kLanes];
    narrow(x + i, count, part);
    for (std::size_t k = 0; k < count; ++k) group[(i + k) * kKeyGroup + slot] = part[k];
  }
}

void cache_value(DType type, const float* value, std::size_t width, std::size_t position,
                 std::byte* values) {
  const std::size_t at = position * width;
  if (type == DType::f32) {
    place_values(value, width, reinterpret_cast<float*>(values) + at);
  } else if (type == DType::f16) {
    place_values(value, width, reinterpret_cast<Half*>(values) + at);
  } else if (type == DType::bf16) {
    place_values(value, width, reinterpret_cast<Bf16*>(values) + at);
  } else {
    auto* block = reinterpret_cast<BlockQ8_0*>(values) + at / kBlock;
    for (std::size_t i = 0; i < width; i += kBlock, ++block) round_to_block(value + i, *block);
  }
}

void cache_key(DType type, const float* key, std::size_t width, std::size_t position,
               std::byte* keys) {
  const std::size_t slot = position % kKeyGroup;
  const std::size_t at = position / kKeyGroup * kKeyGroup * width;
  if (type == DType::f32) {
    place_key(key, width, reinterpret_cast<float*>(keys) + at, slot);
  } else if (type == DType::f16) {
    place_key(key, width, reinterpret_cast<Half*>(keys) + at, slot);
  } else if (type == DType::bf16) {
    place_key(key, width, reinterpret_cast<Bf16*>(keys) + at, slot);
  } else {
    auto* to = reinterpret_cast<KeyBlockQ8*>(keys) + at / (kBlock * kKeyGroup);
    for (std::size_t i = 0; i < width; i += kBlock, ++to) {
      BlockQ8_0 block;
      round_to_block(key + i, block);
      to->scale[slot] = static_cast<Half>(block.d);
      for (std::size_t k = 0; k < kBlock; ++k) to->q[k][slot] = block.qs[k];
    }
  }
}

// What attention reads keys through: chunk(group, first) is up to 32 elements of sixteen keys,
// chunk[d] element first + d of all sixteen.
template <typename Element>
struct PlainKeys {
  const Element* data;  // of the block's first group
  std::size_t width;

  struct Chunk {
    const Element* at;
    Lanes operator[](std::size_t d) const { return load(at + d * kKeyGroup); }
  };
  Chunk chunk(std::size_t group, std::size_t first) const {
    return {data + (group * width + first) * kKeyGroup};
  }
};

struct Q8Keys {
  const KeyBlockQ8* data;
  std::size_t width;

  struct Chunk {
    const std::int8_t* at;
    Lanes scale;
    Lanes operator[](std::size_t d) const { return multiply(scale, load(at + d * kKeyGroup)); }
  };
  Chunk chunk(std::size_t group, std::size_t first) const {
    const KeyBlockQ8& block = data[(group * width + first) / kBlock];
    return {block.q[0], load(block.scale)};
  }
};

// And values: sixteen elements of row j from d on, or the first `count` of them.
template <typename Element>
struct PlainValues {
  const Element* data;  // of the block's first row
  std::size_t width;

  Lanes at(std::size_t j, std::size_t d) const { return load(data + j * width + d); }
  Lanes first(std::size_t j, std::size_t d, std::size_t count) const {
    return load_first(data + j * width + d, count);
  }
};

struct Q8Values {
  const BlockQ8_0* data;
  std::size_t width;

  Lanes at(std::size_t j, std::size_t d) const {
    const BlockQ8_0& block = data[(j * width + d) / kBlock];
    return multiply(broadcast(static_cast<Half>(block.d)), load(block.qs + d % kBlock));
  }
  // Rows are whole blocks: only a width that was cut, of latent attention, has a rest.
  Lanes first(std::size_t j, std::size_t d, std::size_t count) const {
    float part[kLanes];
    store(part, at(j, d));
    return load_first(part, count);
  }
};

// Keys and values of one block of positions, as they are cached or as floats.
struct BlockView {
  DType key_type;
  const void* keys;  // of its first group
  DType value_type;
  const void* values;  // of its first row
  std::size_t key_width, row_width;
};

template <typename Function>
inline void with_keys(const BlockView& view, const Function& function) {
  if (view.key_type == DType::f32) {
    function(PlainKeys<float>{static_cast<const float*>(view.keys), view.key_width});
  } else if (view.key_type == DType::f16) {
    function(PlainKeys<Half>{static_cast<const Half*>(view.keys), view.key_width});
  } else if (view.key_type == DType::bf16) {
    function(PlainKeys<Bf16>{static_cast<const Bf16*>(view.keys), view.key_width});
  } else {
    function(Q8Keys{static_cast<const KeyBlockQ8*>(view.keys), view.key_width});
  }
}

template <typename Function>
inline void with_values(const BlockView& view, const Function& function) {
  if (view.value_type == DType::f32) {
    function(PlainValues<float>{static_cast<const float*>(view.values), view.row_width});
  } else if (view.value_type == DType::f16) {
    function(PlainValues<Half>{static_cast<const Half*>(view.values), view.row_width});
  } else if (view.value_type == DType::bf16) {
    function(PlainValues<Bf16>{static_cast<const Bf16*>(view.values), view.row_width});
  } else {
    function(Q8Values{static_cast<const BlockQ8_0*>(view.values), view.row_width});
  }
}

}  // namespace
}  // namespace switchyard::kernels
