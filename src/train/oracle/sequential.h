// The oracle a decoder could follow if it knew the next token ("sequential greedy", O2): every
// token is tried with every route on top of the keys and values that the chosen routes of its
// prefix left, and the best route's stay. Greedy: a route's effect on later tokens is not looked
// at. In the runtime, which keeps a KV cache and no gradients.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "switchyard/runtime.h"

#include "train/oracle/routes.h"

namespace switchyard::train::oracle {

struct SequentialRoutes {
  std::vector<Route> routes;  // [T]: of each token that predicts
  std::vector<double> nll;    // [T] of the token after it, nats
};

// tokens [T + 1]; the last is only predicted.
SequentialRoutes sequential_oracle(runtime::Engine& engine, std::span<const std::int32_t> tokens,
                                   std::span<const Route> routes);

// The losses of a sequence whose token t takes routes[t], computed at once. [T]
std::vector<double> replay(runtime::Engine& engine, std::span<const std::int32_t> tokens,
                           std::span<const Route> routes);

// One decision a layer, with an item for each route; weight 1.
std::vector<routing::Decision> decisions(std::span<const Route> routes, int experts);

}  // namespace switchyard::train::oracle
