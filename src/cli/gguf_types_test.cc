#include "cli/gguf_types.h"

#include <gtest/gtest.h>

#include "switchyard/error.h"

namespace switchyard::cli {
namespace {

TEST(GgufTypes, RulesComeBeforeExpertsAndExpertsBeforeAll) {
  GgufTypes types;
  EXPECT_EQ(types.of("blk.0.attn_q.weight", std::vector<std::int64_t>{64, 256}), std::nullopt);
  types.set_all(DType::q8_0);
  types.set_experts(DType::q4_k);
  types.add_rule("blk\\.1\\.ffn_down=q6_k", "--tensor-type");
  types.add_rule("ffn_down=q5_k", "--tensor-type");
  const std::vector<std::int64_t> shape = {8, 64, 256};
  EXPECT_EQ(types.of("blk.0.attn_q.weight", shape), DType::q8_0);
  EXPECT_EQ(types.of("blk.0.ffn_gate_exps.weight", shape), DType::q4_k);
  EXPECT_EQ(types.of("blk.0.ffn_gate.7.weight", shape), DType::q4_k);
  EXPECT_EQ(types.of("blk.0.ffn_gate_shexp.weight", shape), DType::q8_0);
  EXPECT_EQ(types.of("blk.1.ffn_down_exps.weight", shape), DType::q6_k);
  EXPECT_EQ(types.of("blk.0.ffn_down_exps.weight", shape), DType::q5_k);
}

TEST(GgufTypes, ATypeWhoseBlocksDoNotFillARowGivesWay) {
  EXPECT_EQ(fitting_type(DType::q4_k, 512), DType::q4_k);
  EXPECT_EQ(fitting_type(DType::q4_k, 96), DType::q5_0);
  EXPECT_EQ(fitting_type(DType::q2_k, 96), DType::iq4_nl);
  EXPECT_EQ(fitting_type(DType::q6_k, 96), DType::q8_0);
  EXPECT_EQ(fitting_type(DType::q4_0, 40), DType::f16);
  EXPECT_EQ(fitting_type(DType::f32, 7), DType::f32);
}

TEST(GgufTypes, WrongTextsAreRefused) {
  GgufTypes types;
  EXPECT_THROW(types.add_rule("attn_v", "--tensor-type"), Error);
  EXPECT_THROW(types.add_rule("=q8_0", "--tensor-type"), Error);
  EXPECT_THROW(types.add_rule("(=q8_0", "--tensor-type"), Error);
  EXPECT_THROW(types.add_rule("attn=q9", "--tensor-type"), Error);
  EXPECT_EQ(parse_type("Q4_K", "--to"), DType::q4_k);
}

}  // namespace
}  // namespace switchyard::cli
