// As q8_types.h, for the types with blocks of 256 columns: one block is a unit.
#pragma once

#include "kernels/q8_types.h"

namespace switchyard::kernels {
namespace {

template <typename B>
struct SuperBlock {
  using Block = B;
  static constexpr std::size_t kUnitBytes = sizeof(B);
  static constexpr std::size_t kColumns = kSuperBlock;
  const std::uint8_t* p;
  std::size_t stride;

  void words_at(std::size_t at, Words* out) const { load_words(p + at, stride, out); }
};

// The 6-bit scales and minima of Q4_K and Q5_K: header[0] is d and dmin, the rest the 12 bytes.
template <std::size_t I>
inline void scale_and_minimum(const Words* header, Unpacked& out) {
  constexpr int kShift = 8 * (I % 4);
  const Words low_byte = splat(63), low_nibble = splat(15), high = splat(0x30);
  Words scale, minimum;
  if constexpr (I < 4) {
    scale = both(right<kShift>(header[1]), low_byte);
    minimum = both(right<kShift>(header[2]), low_byte);
  } else {
    const Words s = right<kShift>(header[1]), m = right<kShift>(header[2]);
    const Words nibbles = right<kShift>(header[3]);
    scale = either(both(nibbles, low_nibble), both(right<2>(s), high));
    minimum = either(both(right<4>(nibbles), low_nibble), both(right<2>(m), high));
  }
  out.scale = product_of(from_half(header[0]), to_floats(scale));
  out.minima[0] = negated(product_of(from_half(right<16>(header[0])), to_floats(minimum)));
}

struct TypeQ4_K : SuperBlock<BlockQ4_K> {
  using Shape = kernels::Shape<15, -1, 1, false, false>;
  Words header[4], q[8];
  template <std::size_t I>
  void block(Unpacked& out) {
    if constexpr (I == 0) words_at(0, header);
    if constexpr (I % 2 == 0) {
      words_at(16 + 16 * I, q);
      words_at(32 + 16 * I, q + 4);
    }
    scale_and_minimum<I>(header, out);
    unrolled<8>([&](auto w) {
      out.codes[w.value] = I % 2 == 0 ? low_nibbles(q[w.value]) : high_nibbles(q[w.value]);
    });
  }
};

// Bit Bit of every byte as the value 1 << To.
template <int Bit, int To>
inline Words moved_bits(Words a, std::uint32_t mask) {
  if constexpr (Bit < To) return both(left<To - Bit>(a), splat(mask));
  return both(right<(Bit < To ? 0 : Bit - To)>(a), splat(mask));
}

struct TypeQ5_K : SuperBlock<BlockQ5_K> {
  using Shape = kernels::Shape<31, -1, 1, false, false>;
  Words header[4], high[8], q[8];
  template <std::size_t I>
  void block(Unpacked& out) {
    if constexpr (I == 0) {
      words_at(0, header);
      words_at(16, high);
      words_at(32, high + 4);
    }
    if constexpr (I % 2 == 0) {
      words_at(48 + 16 * I, q);
      words_at(64 + 16 * I, q + 4);
    }
    scale_and_minimum<I>(header, out);
    unrolled<8>([&](auto w) {
      const Words low = I % 2 == 0 ? low_nibbles(q[w.value]) : high_nibbles(q[w.value]);
      out.codes[w.value] = either(low, moved_bits<I, 4>(high[w.value], 0x10101010U));
    });
  }
};

struct TypeQ6_K : SuperBlock<BlockQ6_K> {
  using Shape = kernels::Shape<63, 5, 0, true, false>;
  Words low[16], high[8], scales[4];
  Floats d;
  template <std::size_t I>
  void block(Unpacked& out) {
    constexpr std::size_t kHalf = I / 4, kQuarter = I % 4;
    if constexpr (I == 0) {
      Words last[4];
      words_at(sizeof(BlockQ6_K) - 16, last);
      d = from_half(right<16>(last[3]));
      words_at(192, scales);
    }
    if constexpr (kQuarter == 0) {
      unrolled<4>([&](auto i) { words_at(64 * kHalf + 16 * i.value, low + 4 * i.value); });
      unrolled<2>([&](auto i) { words_at(128 + 32 * kHalf + 16 * i.value, high + 4 * i.value); });
    }
    out.scale = d;
    unrolled<2>([&](auto h) {
      constexpr int kByte = 2 * (I % 2) + h.value;
      out.half_scales[h.value] = right_signed<24>(left<24 - 8 * kByte>(scales[I / 2]));
    });
    unrolled<8>([&](auto w) {
      const Words q = low[8 * (kQuarter % 2) + w.value];
      const Words nibbles = kQuarter < 2 ? low_nibbles(q) : high_nibbles(q);
      out.codes[w.value] = either(nibbles, moved_bits<2 * kQuarter, 4>(high[w.value], 0x30303030U));
    });
  }
};

// Scale times code fits a byte in Q2_K and Q3_K: a table of four products in the word of each row,
// looked up by code.
inline Words word_places() {
  static constexpr std::uint8_t kPlaces[16] = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
  return table(kPlaces);
}

struct TypeQ2_K : SuperBlock<BlockQ2_K> {
  using Shape = kernels::Shape<45, -1, 2, false, false>;
  Words scales[4], q[8];
  Floats d, dmin;
  template <std::size_t I>
  void block(Unpacked& out) {
    if constexpr (I == 0) {
      Words last[4];
      words_at(sizeof(BlockQ2_K) - 16, last);
      d = from_half(last[3]);
      dmin = from_half(right<16>(last[3]));
      words_at(0, scales);
    }
    if constexpr (I % 4 == 0) {
      words_at(16 + 8 * I, q);
      words_at(32 + 8 * I, q + 4);
    }
    out.scale = d;
    const Words places = word_places();
    unrolled<2>([&](auto h) {
      constexpr int kShift = 8 * (2 * (I % 2) + h.value);
      const Words scale = both(right<kShift>(scales[I / 2]), splat(15));
      const Words minimum = both(right<kShift + 4>(scales[I / 2]), splat(15));
      out.minima[h.value] = negated(product_of(dmin, to_floats(minimum)));
      const Words products = times(scale, splat(0x03020100U));
      unrolled<4>([&](auto i) {
        constexpr std::size_t kWord = 4 * h.value + i.value;
        const Words code = both(right<2 * (I % 4)>(q[kWord]), splat(0x03030303U));
        out.codes[kWord] = look_up(products, either(code, places));
      });
    });
  }
};

// Codes are (32 - scale) * (q - 4), -128 to 124, and d negated: with the signs of the format they
// would reach 128.
struct TypeQ3_K : SuperBlock<BlockQ3_K> {
  using Shape = SignedShape;
  Words high[8], q[8], scales[4];
  Floats minus_d;
  template <std::size_t I>
  void block(Unpacked& out) {
    if constexpr (I == 0) {
      words_at(0, high);
      words_at(16, high + 4);
      Words last[4];  // from two bytes before the scales on
      words_at(sizeof(BlockQ3_K) - 16, last);
      minus_d = negated(from_half(right<16>(last[3])));
      const Words a = joined<2>(last[0], last[1]), b = joined<2>(last[1], last[2]);
      const Words tops = joined<2>(last[2], last[3]), two = splat(0x30303030U);
      scales[0] = either(low_nibbles(a), both(left<4>(tops), two));
      scales[1] = either(low_nibbles(b), both(left<2>(tops), two));
      scales[2] = either(high_nibbles(a), both(tops, two));
      scales[3] = either(high_nibbles(b), both(right<2>(tops), two));
    }
    if constexpr (I % 4 == 0) {
      words_at(32 + 8 * I, q);
      words_at(48 + 8 * I, q + 4);
    }
    out.scale = minus_d;
    const Words places = word_places(), byte = splat(255);
    unrolled<2>([&](auto h) {
      constexpr int kShift = 8 * (2 * (I % 2) + h.value);
      const Words scale = both(right<kShift>(scales[I / 2]), byte);
      const Words k = minus(splat(32), scale);
      // Bytes 0, k, 2 k, 3 k, each modulo 256.
      const Words twice = plus(k, k);
      const Words products = either(either(left<8>(both(k, byte)), left<16>(both(twice, byte))),
                                    left<24>(plus(twice, k)));
      const Words minus_4k = both(minus(splat(0), left<2>(k)), byte);
      unrolled<4>([&](auto i) {
        constexpr std::size_t kWord = 4 * h.value + i.value;
        const Words code = both(right<2 * (I % 4)>(q[kWord]), splat(0x03030303U));
        const Words ones = splat(0x01010101U);
        const Words clear = differing(both(right<I>(high[kWord]), ones), ones);
        const Words low = look_up(products, either(code, places));
        out.codes[kWord] = signed_codes(bytes_plus(low, times(clear, minus_4k)));
      });
    });
  }
};

struct TypeIQ4_XS : SuperBlock<BlockIQ4_XS> {
  using Shape = SignedShape;
  Words header[4];  // d and scales_h, scales_l, and the first codes
  template <std::size_t I>
  void block(Unpacked& out) {
    if constexpr (I == 0) words_at(0, header);
    const Words low = both(right<4 * I>(header[1]), splat(15));
    const Words high = both(right<16 + 2 * I>(header[0]), splat(3));
    const Words scale = minus(either(low, left<4>(high)), splat(32));
    out.scale = product_of(from_half(header[0]), to_floats(scale));
    const Words values = signed_codes(table(kNonLinear4));
    Words q[4];
    words_at(8 + 16 * I, q);
    unrolled<4>([&](auto w) {
      out.codes[w.value] = look_up(values, low_nibbles(q[w.value]));
      out.codes[4 + w.value] = look_up(values, high_nibbles(q[w.value]));
    });
  }
};

}  // namespace
}  // namespace switchyard::kernels
