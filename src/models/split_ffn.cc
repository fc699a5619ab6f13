#include "models/split_ffn.h"

#include <fmt/format.h>

#include <torch/types.h>
#include <torch/utils.h>

#include "switchyard/error.h"

namespace switchyard::models {

torch::Tensor split_part(std::string_view part, const torch::Tensor& dense, std::int64_t expert,
                         std::int64_t experts) {
  const torch::NoGradGuard no_grad;
  const std::int64_t dimension = hidden_dimension(part);
  const std::int64_t hidden = dense.size(dimension);
  if (experts < 1 || hidden % experts != 0) {
    throw Error({.what = fmt::format("a feed-forward network of width {} cannot be split into {} "
                                     "equal experts",
                                     hidden, experts),
                 .where = "split of a dense network",
                 .expected = "a number of experts that divides the width"});
  }
  const std::int64_t width = hidden / experts;
  const auto own = dense.narrow(dimension, expert * width, width);
  return part == "down" ? own * static_cast<double>(experts) : own.clone();
}

torch::Tensor join_parts(std::string_view part, const std::vector<torch::Tensor>& experts) {
  const torch::NoGradGuard no_grad;
  const auto joined = torch::cat(experts, hidden_dimension(part));
  return part == "down" ? joined / static_cast<double>(experts.size()) : joined;
}

}  // namespace switchyard::models
