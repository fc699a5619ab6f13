#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "switchyard/error.h"

#include "base/check.h"
#include "models/routers/choose.h"
#include "routing/capacity.h"
#include "routing/top_k.h"

namespace switchyard::models {
namespace {

template <typename T>
std::span<const T> view(const torch::Tensor& tensor) {
  if (!tensor.defined()) return {};
  return {tensor.data_ptr<T>(), static_cast<std::size_t>(tensor.numel())};
}

// A contiguous copy on the host where the tensor is not one already.
torch::Tensor on_host(const torch::Tensor& tensor, torch::ScalarType type) {
  return tensor.defined() ? tensor.detach().to(torch::kCPU, type).contiguous() : tensor;
}

// Decision to rectangle: every item as wide as the widest, the rest kNoExpert.
torch::Tensor to_indices(const routing::Decision& decision, std::int64_t width) {
  const auto items = static_cast<std::int64_t>(decision.items());
  for (std::size_t n = 0; n < decision.items(); ++n) {
    width = std::max<std::int64_t>(width, decision.offsets[n + 1] - decision.offsets[n]);
  }
  auto indices = torch::full({items, width}, routing::kNoExpert, torch::kInt64);
  auto* row = indices.data_ptr<std::int64_t>();
  for (std::size_t n = 0; n < decision.items(); ++n, row += width) {
    std::copy(decision.expert.begin() + decision.offsets[n],
              decision.expert.begin() + decision.offsets[n + 1], row);
  }
  return indices;
}

// Items in order, each best first, as routing::route does.
torch::Tensor lost_over(const torch::Tensor& indices, int experts, std::uint32_t capacity) {
  auto lost = torch::empty(indices.sizes(), torch::kBool);
  std::vector<std::uint32_t> load(static_cast<std::size_t>(experts), 0);
  const auto expert = view<std::int64_t>(indices);
  auto* is_lost = lost.data_ptr<bool>();
  for (std::size_t a = 0; a < expert.size(); ++a) {
    auto& taken = load[static_cast<std::size_t>(expert[a])];
    is_lost[a] = taken >= capacity;
    if (!is_lost[a]) ++taken;
  }
  return lost;
}

}  // namespace

Choice choose_on_host(const routing::Config& config, const ChooseInputs& inputs,
                      const RouterState& state) {
  const auto logits = on_host(inputs.logits, torch::kFloat32);
  const auto bias = on_host(inputs.selection_bias, torch::kFloat32);
  const auto token_ids = on_host(inputs.token_ids, torch::kInt32);
  const auto item_ids = on_host(inputs.item_ids, torch::kInt64);
  std::vector<std::uint64_t> ids;
  for (const std::int64_t id : view<std::int64_t>(item_ids)) {
    ids.push_back(static_cast<std::uint64_t>(id));
  }

  // Dropping happens after the weights are made, so the choice before it is needed, too.
  routing::Config before_drop = config.null_experts > 0 ? routing::listing_nulls(config) : config;
  const bool drops = config.capacity_factor > 0.0F && config.overflow == routing::Overflow::drop;
  if (drops) before_drop.capacity_factor = 0.0F;

  routing::State pure{
      .seed = state.seed, .step = state.step, .pass = state.pass, .layer = state.layer};
  const auto decision = routing::route(before_drop,
                                       {.logits = view<float>(logits),
                                        .selection_bias = view<float>(bias),
                                        .token_ids = view<std::int32_t>(token_ids),
                                        .item_ids = ids,
                                        .items = static_cast<std::size_t>(inputs.items),
                                        .experts_per_token = inputs.experts_per_token},
                                       pure);
  const int k = inputs.experts_per_token != 0 ? inputs.experts_per_token : config.experts_per_token;
  Choice choice;
  const bool fixed =
      config.kind != routing::Kind::expert_choice && config.kind != routing::Kind::top_p;
  choice.indices = to_indices(decision, fixed ? k : 1);
  if (drops) {
    const auto capacity =
        routing::expert_capacity(config, static_cast<std::size_t>(inputs.items), k);
    choice.lost = lost_over(choice.indices, config.experts, capacity).to(inputs.device);
  } else if (config.capacity_factor > 0.0F) {
    choice.lost = (choice.indices < 0).to(inputs.device);
  }
  choice.indices = choice.indices.to(inputs.device);
  return choice;
}

}  // namespace switchyard::models
