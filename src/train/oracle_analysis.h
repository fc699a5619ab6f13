// The analysis "route-oracle" (papers/duo-llm): what choosing a route for every token could gain
// over fixed routes, how much of it is hindsight, and what trained routers make of it.
//
// Looks at the runs by their recipes: random routing by shares is the model whose routes are
// studied (the one routers start from, where there are several); runs with soft_training are its
// routers, each with the budget of its loss; of dense runs and other random ones the losses of one
// option everywhere are measured. Everything on the same windows of the test
// text (of the validation text without one), in bits per byte.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "train/experiment_analysis.h"

namespace switchyard::train {

// Adds to the runs' results, in bits per byte:
//   studied model  all_big_bits, all_small_bits, oracle_bits_<b>, fixed_bits_<b>, code_bits_<b> and
//                  so on, differences that claims name (see oracle_analysis.cc)
//   routers        soft_bits, hard_bits, top_b_bits, calibrated_bits, hard_minus_fixed_bits,
//                  budget_error (mean probability of the big expert less the budget), ...
//   others         all_big_bits; all_small_bits where there is a small expert
// Files: routes.svg, route-usage.svg, tokens.jsonl.
nlohmann::json analyse_route_oracle(const AnalysisContext& context, std::vector<FinishedRun>& runs);

}  // namespace switchyard::train
