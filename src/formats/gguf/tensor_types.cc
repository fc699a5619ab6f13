// The types of tensors and their numbers. Those above 96 are of ik_llama.cpp, the rest of ggml.
#include <algorithm>
#include <array>

#include "switchyard/gguf.h"

#include "base/check.h"

namespace switchyard {
namespace {

using Type = GgufTensorType;
constexpr std::nullopt_t kNone = std::nullopt;

// Numbers that are missing were never used or are used no more (Q4_2 and Q4_3: 4 and 5).
constexpr std::array kTypes = {
    Type{0, "F32", 1, 4, 0, DType::f32},
    Type{1, "F16", 1, 2, 0, DType::f16},
    Type{2, "Q4_0", 32, 18, 0, DType::q4_0},
    Type{3, "Q4_1", 32, 20, 0, DType::q4_1},
    Type{6, "Q5_0", 32, 22, 0, DType::q5_0},
    Type{7, "Q5_1", 32, 24, 0, DType::q5_1},
    Type{8, "Q8_0", 32, 34, 0, DType::q8_0},
    Type{9, "Q8_1", 32, 36, 0, kNone},
    Type{10, "Q2_K", 256, 84, 0, DType::q2_k},
    Type{11, "Q3_K", 256, 110, 0, DType::q3_k},
    Type{12, "Q4_K", 256, 144, 0, DType::q4_k},
    Type{13, "Q5_K", 256, 176, 0, DType::q5_k},
    Type{14, "Q6_K", 256, 210, 0, DType::q6_k},
    Type{15, "Q8_K", 256, 292, 0, kNone},
    Type{16, "IQ2_XXS", 256, 66, 0, kNone},
    Type{17, "IQ2_XS", 256, 74, 0, kNone},
    Type{18, "IQ3_XXS", 256, 98, 0, kNone},
    Type{19, "IQ1_S", 256, 50, 0, kNone},
    Type{20, "IQ4_NL", 32, 18, 0, DType::iq4_nl},
    Type{21, "IQ3_S", 256, 110, 0, kNone},
    Type{22, "IQ2_S", 256, 82, 0, kNone},
    Type{23, "IQ4_XS", 256, 136, 0, DType::iq4_xs},
    Type{24, "I8", 1, 1, 0, DType::i8},
    Type{25, "I16", 1, 2, 0, DType::i16},
    Type{26, "I32", 1, 4, 0, DType::i32},
    Type{27, "I64", 1, 8, 0, DType::i64},
    Type{28, "F64", 1, 8, 0, DType::f64},
    Type{29, "IQ1_M", 256, 56, 0, kNone},
    Type{30, "BF16", 1, 2, 0, DType::bf16},
    Type{31, "Q4_0_4_4", 32, 18, 0, kNone},
    Type{32, "Q4_0_4_8", 32, 18, 0, kNone},
    Type{33, "Q4_0_8_8", 32, 18, 0, kNone},
    Type{34, "TQ1_0", 256, 54, 0, kNone},
    Type{35, "TQ2_0", 256, 66, 0, kNone},
    Type{36, "I2_S", 4, 1, 0, kNone},  // and 32 bytes behind all rows
    Type{39, "MXFP4", 32, 17, 0, DType::mxfp4},
    Type{40, "NVFP4", 64, 36, 0, kNone},
    Type{41, "Q1_0", 128, 18, 0, kNone},
    Type{97, "Q8_0_X4", 32, 34, 0, kNone},
    Type{98, "Q8_1_X4", 32, 36, 0, kNone},
    Type{99, "Q8_2_X4", 32, 36, 0, kNone},
    Type{133, "Q6_0", 32, 26, 0, kNone},
    Type{134, "IQ1_BN", 64, 13, 2, kNone},
    Type{135, "IQ2_BN", 64, 16, 4, kNone},
    Type{136, "Q8_K64", 64, 68, 0, kNone},
    Type{137, "IQ2_K", 256, 76, 0, kNone},
    Type{138, "IQ3_K", 256, 110, 0, kNone},
    Type{139, "IQ4_K", 256, 144, 0, kNone},
    Type{140, "IQ5_K", 256, 176, 0, kNone},
    Type{141, "IQ6_K", 256, 212, 0, kNone},
    Type{144, "IQ4_KS", 256, 136, 4, kNone},
    Type{145, "IQ2_KS", 256, 70, 2, kNone},
    Type{146, "IQ4_KSS", 256, 128, 4, kNone},
    Type{147, "Q8_K16", 64, 64, 20, kNone},
    Type{148, "Q8_K32", 256, 292, 0, kNone},
    Type{149, "Q8_KR8", 256, 292, 0, kNone},
    Type{150, "Q8_K128", 128, 140, 0, kNone},
    Type{151, "Q8_KV", 32, 32, 8, kNone},
    Type{152, "IQ5_KS", 256, 168, 4, kNone},
    Type{153, "IQ2_KT", 256, 68, 4, kNone},
    Type{154, "IQ3_KT", 256, 100, 4, kNone},
    Type{155, "IQ4_KT", 256, 128, 4, kNone},
    Type{156, "IQ3_KS", 256, 102, 2, kNone},
    Type{157, "IQ2_KL", 256, 86, 2, kNone},
    Type{158, "IQ1_KT", 256, 56, 4, kNone},
    Type{202, "Q4_0_R8", 32, 18, 0, kNone},
    Type{206, "Q5_0_R4", 32, 22, 0, kNone},
    Type{208, "Q8_0_R8", 32, 34, 0, kNone},
    Type{210, "Q2_K_R4", 256, 84, 0, kNone},
    Type{211, "Q3_K_R4", 256, 110, 0, kNone},
    Type{212, "Q4_K_R4", 256, 144, 0, kNone},
    Type{213, "Q5_K_R4", 256, 176, 0, kNone},
    Type{214, "Q6_K_R4", 256, 210, 0, kNone},
    Type{216, "IQ2_XXS_R4", 256, 66, 0, kNone},
    Type{217, "IQ2_XS_R4", 256, 74, 0, kNone},
    Type{218, "IQ3_XXS_R4", 256, 98, 0, kNone},
    Type{219, "IQ1_S_R4", 32, 6, 2, kNone},
    Type{220, "IQ4_NL_R4", 32, 18, 0, kNone},
    Type{221, "IQ3_S_R4", 256, 110, 0, kNone},
    Type{222, "IQ2_S_R4", 256, 82, 0, kNone},
    Type{223, "IQ4_XS_R8", 256, 136, 0, kNone},
    Type{229, "IQ1_M_R4", 32, 7, 2, kNone},
    Type{230, "BF16_R16", 1, 2, 0, kNone},
    Type{233, "Q6_0_R4", 32, 26, 0, kNone},
    Type{335, "IQ2_BN_R4", 64, 16, 4, kNone},
    Type{337, "IQ2_K_R4", 256, 76, 0, kNone},
    Type{338, "IQ3_K_R4", 256, 110, 0, kNone},
    Type{339, "IQ4_K_R4", 256, 144, 0, kNone},
    Type{340, "IQ5_K_R4", 256, 176, 0, kNone},
    Type{344, "IQ4_KS_R4", 256, 136, 4, kNone},
    Type{352, "IQ5_KS_R4", 256, 168, 4, kNone},
    Type{353, "MXFP4_R8", 32, 17, 0, kNone},
    Type{397, "Q8_K_R16", 256, 258, 0, kNone},
    Type{398, "Q8_KV_R8", 32, 32, 4, kNone},
    Type{399, "Q8_K_R8", 256, 258, 0, kNone},
};

constexpr bool rising() {
  for (std::size_t i = 1; i < kTypes.size(); ++i) {
    if (kTypes[i - 1].id >= kTypes[i].id) return false;
  }
  return true;
}
static_assert(rising());

}  // namespace

std::span<const GgufTensorType> gguf_tensor_types() { return kTypes; }

const GgufTensorType* find_gguf_tensor_type(std::uint32_t id) {
  const auto it = std::lower_bound(kTypes.begin(), kTypes.end(), id,
                                   [](const Type& type, std::uint32_t n) { return type.id < n; });
  return it != kTypes.end() && it->id == id ? &*it : nullptr;
}

std::optional<std::uint32_t> gguf_tensor_type_id(DType dtype) {
  for (const Type& type : kTypes) {
    if (type.dtype == dtype) return type.id;
  }
  return std::nullopt;
}

}  // namespace switchyard
