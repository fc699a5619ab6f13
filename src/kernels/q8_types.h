// How each quantised type is taken apart, over the Words of one instruction set: kOut rows at once,
// a unit of blocks after the other. Included by exactly one file a set; see lanes_scalar.h.
//
// A unit is loaded 16 bytes of each row at a time and turned, so that a vector holds the same four
// bytes of kOut rows. Blocks of odd sizes cost nothing that way: a unit holds a whole number of
// such pieces, and a word that starts within one is joined from two.
#pragma once

#include <cstddef>

#include "kernels/blocks.h"
#include "kernels/kernels.h"

namespace switchyard::kernels {
namespace {

// What the inner loops must know of a type. Most: the largest code. OffsetBits: 2^OffsetBits was
// added to every code, -1 for nothing. Minima: 0, 1 for 32 columns, or 2. Halves: the 16 columns of
// each half have a whole number as scale.
template <std::size_t Most, int OffsetBits, int Minima, bool Halves, bool Signed>
struct Shape {
  static constexpr std::size_t kMost = Most;
  static constexpr int kOffsetBits = OffsetBits;
  static constexpr int kMinima = Minima;
  static constexpr bool kHalves = Halves;
  static constexpr bool kSigned = Signed;
};
using SignedShape = Shape<128, kSignedOffsetBits, 0, false, true>;

// 32 columns of kOut rows. codes[w] holds columns 4 w to 4 w + 3.
struct Unpacked {
  Words codes[8];
  Floats scale;
  Floats minima[2];
  Words half_scales[2];
};

// A unit as turned words, each piece loaded when a block first needs it.
template <std::size_t UnitBytes>
struct Stream {
  static_assert(UnitBytes % 4 == 0);
  const std::uint8_t* p;
  std::size_t stride;
  Words words[UnitBytes / 4];

  // Loads what lies below byte To and was not needed below From.
  template <std::size_t From, std::size_t To>
  void load() {
    constexpr std::size_t kFrom = (From + 15) / 16, kTo = (To + 15) / 16;
    unrolled<kTo - kFrom>([&](auto i) {
      constexpr std::size_t kPiece = (kFrom + i.value) * 16;
      // The last piece may overlap the one before it.
      constexpr std::size_t kAt = kPiece + 16 <= UnitBytes ? kPiece : UnitBytes - 16;
      load_words(p + kAt, stride, words + kAt / 4);
    });
  }
  template <std::size_t At>
  Words word() const {
    if constexpr (At % 4 == 0) {
      return words[At / 4];
    } else {
      return joined<At % 4>(words[At / 4], words[At / 4 + 1]);
    }
  }
  // The 16 bits at an even place, in the lower half of each word.
  template <std::size_t At>
  Words half() const {
    return At % 4 == 0 ? words[At / 4] : right<16>(words[At / 4]);
  }
};

inline Words low_nibbles(Words a) { return both(a, splat(0x0f0f0f0fU)); }
inline Words high_nibbles(Words a) { return both(right<4>(a), splat(0x0f0f0f0fU)); }

// The layout shared by types of one scale (and one minimum) for 32 columns: 8 blocks a unit.
template <typename B>
struct SmallBlocks : Stream<8 * sizeof(B)> {
  using Block = B;
  static constexpr std::size_t kUnitBytes = 8 * sizeof(B);
  static constexpr std::size_t kColumns = kBlock;

  template <std::size_t Index>
  void load_block() {
    this->template load<Index * sizeof(B), (Index + 1) * sizeof(B)>();
  }
  template <std::size_t Index, std::size_t At>
  Words byte4() const {
    return this->template word<Index * sizeof(B) + At>();
  }
  template <std::size_t Index, std::size_t At>
  Floats half_at() const {
    return from_half(this->template half<Index * sizeof(B) + At>());
  }
  // Nibbles to codes: those of word w are columns 4 w and on, and 16 + 4 w and on.
  template <std::size_t Index, std::size_t At, typename Use>
  void nibbles(Unpacked& out, const Use& use) const {
    unrolled<4>([&](auto w) {
      const Words q = byte4<Index, At + 4 * w.value>();
      out.codes[w.value] = use(Constant<w.value>{}, low_nibbles(q));
      out.codes[4 + w.value] = use(Constant<4 + w.value>{}, high_nibbles(q));
    });
  }
};

struct TypeQ4_0 : SmallBlocks<BlockQ4_0> {
  using Shape = kernels::Shape<15, 3, 0, false, false>;
  template <std::size_t I>
  void block(Unpacked& out) {
    load_block<I>();
    out.scale = half_at<I, 0>();
    nibbles<I, 2>(out, [](auto, Words q) { return q; });
  }
};
struct TypeQ4_1 : SmallBlocks<BlockQ4_1> {
  using Shape = kernels::Shape<15, -1, 1, false, false>;
  template <std::size_t I>
  void block(Unpacked& out) {
    load_block<I>();
    out.scale = half_at<I, 0>();
    out.minima[0] = half_at<I, 2>();
    nibbles<I, 4>(out, [](auto, Words q) { return q; });
  }
};
// Bits 4 W to 4 W + 3 as 16 in four bytes: 0x00204081 puts four copies 7 bits apart.
template <std::size_t W>
inline Words fifth_bits(Words bits) {
  const Words four = both(right<4 * W>(bits), splat(15));
  return left<4>(both(times(four, splat(0x00204081U)), splat(0x01010101U)));
}
struct TypeQ5_0 : SmallBlocks<BlockQ5_0> {
  using Shape = kernels::Shape<31, 4, 0, false, false>;
  template <std::size_t I>
  void block(Unpacked& out) {
    load_block<I>();
    out.scale = half_at<I, 0>();
    const Words bits = byte4<I, 2>();
    nibbles<I, 6>(out, [&](auto w, Words q) { return either(q, fifth_bits<w.value>(bits)); });
  }
};
struct TypeQ5_1 : SmallBlocks<BlockQ5_1> {
  using Shape = kernels::Shape<31, -1, 1, false, false>;
  template <std::size_t I>
  void block(Unpacked& out) {
    load_block<I>();
    out.scale = half_at<I, 0>();
    out.minima[0] = half_at<I, 2>();
    const Words bits = byte4<I, 4>();
    nibbles<I, 8>(out, [&](auto w, Words q) { return either(q, fifth_bits<w.value>(bits)); });
  }
};
struct TypeQ8_0 : SmallBlocks<BlockQ8_0> {
  using Shape = SignedShape;
  template <std::size_t I>
  void block(Unpacked& out) {
    load_block<I>();
    out.scale = half_at<I, 0>();
    unrolled<8>([&](auto w) { out.codes[w.value] = signed_codes(byte4<I, 2 + 4 * w.value>()); });
  }
};
struct TypeIQ4_NL : SmallBlocks<BlockIQ4_NL> {
  using Shape = SignedShape;
  template <std::size_t I>
  void block(Unpacked& out) {
    load_block<I>();
    out.scale = half_at<I, 0>();
    const Words values = signed_codes(table(kNonLinear4));
    nibbles<I, 2>(out, [&](auto, Words q) { return look_up(values, q); });
  }
};
struct TypeMXFP4 : SmallBlocks<BlockMXFP4> {
  using Shape = kernels::Shape<28, 4, 0, false, false>;  // -12..12, and 16
  template <std::size_t I>
  void block(Unpacked& out) {
    load_block<I>();
    // 2^(e - 128) reaches below the normal numbers: it is the product of two that do not.
    constexpr std::size_t kAt = I * sizeof(Block);
    const Words word = words[kAt / 4];
    const Words e = both(right<8 * (kAt % 4)>(word), splat(255));
    const Words part = right<1>(e), rest = minus(e, part);
    out.scale = product_of(as_floats(left<23>(plus(part, splat(63)))),
                           as_floats(left<23>(plus(rest, splat(63)))));
    const Words values = bytes_plus(table(kTwiceFp4), splat(0x10101010U));
    nibbles<I, 1>(out, [&](auto, Words q) { return look_up(values, q); });
  }
};

}  // namespace
}  // namespace switchyard::kernels
