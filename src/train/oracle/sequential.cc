#include "train/oracle/sequential.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace switchyard::train::oracle {
namespace {

double loss_of(std::span<const float> logits, std::int32_t label) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - top);
  return top + std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(label)]);
}

}  // namespace

std::vector<routing::Decision> decisions(std::span<const Route> routes, int experts) {
  SWITCHYARD_CHECK(!routes.empty());
  std::vector<routing::Decision> out(routes.front().size());
  for (std::size_t l = 0; l < out.size(); ++l) {
    routing::Decision& decision = out[l];
    decision.experts = experts;
    decision.offsets = {0};
    decision.counts.assign(static_cast<std::size_t>(experts), 0);
    for (const Route& route : routes) {
      const std::int32_t option = route.at(l);
      if (option == routing::kNoExpert) {
        ++decision.null_count;
      } else {
        decision.expert.push_back(option);
        decision.weight.push_back(1.0F);
        ++decision.counts.at(static_cast<std::size_t>(option));
      }
      decision.offsets.push_back(static_cast<std::uint32_t>(decision.expert.size()));
    }
  }
  return out;
}

SequentialRoutes sequential_oracle(runtime::Engine& engine, std::span<const std::int32_t> tokens,
                                   std::span<const Route> routes) {
  SWITCHYARD_CHECK(tokens.size() >= 2 && !routes.empty());
  const int experts = engine.model().config().moe->router.experts;
  std::vector<std::vector<routing::Decision>> forced;
  for (const Route& route : routes) forced.push_back(decisions({&route, 1}, experts));
  auto session = engine.new_session(static_cast<int>(tokens.size() - 1));
  const auto step = [&](std::int32_t token, std::size_t r) {
    const runtime::StepInput input{
        .session = &session, .tokens = {&token, 1}, .all_logits = false, .forced = &forced[r]};
    return engine.step({&input, 1}).front();
  };
  SequentialRoutes out;
  for (std::size_t t = 0; t + 1 < tokens.size(); ++t) {
    double best = std::numeric_limits<double>::infinity();
    std::size_t chosen = 0;
    for (std::size_t r = 0; r < routes.size(); ++r) {
      const double loss = loss_of(step(tokens[t], r), tokens[t + 1]);
      session.truncate(static_cast<int>(t));
      if (loss < best) {
        best = loss;
        chosen = r;
      }
    }
    step(tokens[t], chosen);  // its keys and values stay
    out.routes.push_back(routes[chosen]);
    out.nll.push_back(best);
  }
  return out;
}

std::vector<double> replay(runtime::Engine& engine, std::span<const std::int32_t> tokens,
                           std::span<const Route> routes) {
  SWITCHYARD_CHECK(routes.size() + 1 == tokens.size());
  const auto forced = decisions(routes, engine.model().config().moe->router.experts);
  auto session = engine.new_session(static_cast<int>(tokens.size() - 1));
  const runtime::StepInput input{.session = &session,
                                 .tokens = tokens.first(routes.size()),
                                 .all_logits = true,
                                 .forced = &forced};
  const auto logits = engine.step({&input, 1}).front();
  const std::size_t vocab = logits.size() / routes.size();
  std::vector<double> out;
  for (std::size_t t = 0; t < routes.size(); ++t) {
    out.push_back(loss_of(std::span(logits).subspan(t * vocab, vocab), tokens[t + 1]));
  }
  return out;
}

}  // namespace switchyard::train::oracle
