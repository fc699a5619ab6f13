// Routes of one token through a model whose layers offer the same few options (Alizadeh 2024,
// "Duo-LLM": big, small, skip), and sets of them.
//
// L layers, R routes of a set.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace switchyard::train::oracle {

// The option of each layer: an expert's index, or routing::kNoExpert for a skip. [L]
using Route = std::vector<std::int32_t>;

// Option 0 is the one that budgets count.
inline constexpr std::int32_t kBig = 0;
inline constexpr std::int32_t kSmall = 1;

// Layers of the route that use option 0: n_B in the paper.
int budget_of(const Route& route);

// All routes over `options` (without doubles), in the order of `options` layer by layer, so the
// first is options[0] everywhere and neighbours share their first layers. With a budget only those
// that use option 0 in so many layers: C(L, b) for big and small. Throws Error above 2^16 routes.
std::vector<Route> enumerate_routes(int layers, std::optional<int> budget,
                                    std::span<const std::int32_t> options);

// Places in `routes` of those with the budget.
std::vector<std::int64_t> with_budget(std::span<const Route> routes, int budget);

// "BSSB-B": big, small, skip; further options as digits.
std::string to_text(const Route& route);

}  // namespace switchyard::train::oracle
