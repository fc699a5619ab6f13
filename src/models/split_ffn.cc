#include "models/split_ffn.h"

#include <fmt/format.h>

#include "switchyard/error.h"

#include "base/check.h"

namespace switchyard::models {

ExpertWeights split_ffn(const DenseFfn& dense, std::int64_t experts) {
  const torch::NoGradGuard no_grad;
  const std::int64_t hidden = dense.up.size(0), width = dense.up.size(1);
  if (experts < 1 || hidden % experts != 0) {
    throw Error({.what = fmt::format("a feed-forward network of width {} cannot be split into {} "
                                     "equal experts",
                                     hidden, experts),
                 .where = "split of a dense network",
                 .expected = "a number of experts that divides the width"});
  }
  const std::int64_t part = hidden / experts;
  const auto rows = [&](const torch::Tensor& matrix) {
    return matrix.view({experts, part, width});
  };
  const auto factor = static_cast<double>(experts);
  return {.in = dense.gate.defined() ? torch::cat({rows(dense.gate), rows(dense.up)}, 1)
                                     : rows(dense.up).clone(),
          .out = dense.down.view({width, experts, part}).transpose(0, 1).contiguous() * factor};
}

DenseFfn join_experts(const ExpertWeights& experts, bool gated) {
  const torch::NoGradGuard no_grad;
  const std::int64_t count = experts.out.size(0), width = experts.out.size(1),
                     part = experts.out.size(2);
  SWITCHYARD_CHECK(experts.in.size(1) == (gated ? 2 * part : part));
  const auto stacked = [&](std::int64_t from) {
    return experts.in.narrow(1, from, part).reshape({count * part, width}).contiguous();
  };
  DenseFfn dense;
  if (gated) dense.gate = stacked(0);
  dense.up = stacked(gated ? part : 0);
  dense.down = experts.out.transpose(0, 1).reshape({width, count * part}).contiguous() /
               static_cast<double>(count);
  return dense;
}

}  // namespace switchyard::models
