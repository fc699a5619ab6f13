// Auxiliary losses of one layer, as plain numbers: what training minimises (its twins with a
// gradient are in src/models/routers), and what inspection prints.
//
// N items, E experts, R = E + m router outputs with m null experts. P[n, r]: router probability,
// rows sum to 1 (softmax, or sigmoids divided by their sum).
//
//   balance     E * sum_e f_e Q_e, Q_e the mean of P[:, e] (Fedus 2021, eq. 4). f_e is the number
//   of items that chose e,
//               before capacity, divided by the number of all choices (per_assignment) or of items
//               (per_item). Perfectly balanced, and also whenever P is uniform: 1 (per_assignment)
//               or the mean number of experts per item, K for top-k, mean t for top-p (per_item).
//               Everything on one expert with K = 1: E. Gradient through Q only.
//               With null experts R stands for E, choices of null experts count (K an item), and
//               their f is their mean (NullBalance::averaged: it does not matter which of them is
//               taken) or each its own (individual). Balanced, an item gets K E / R experts
//               (Zeng 2024, eq. 6)
//   gshard      the same with f_e counting first choices only (Lepikhin 2020). Their printed form
//   is 1 / E^2 of ours;
//               scaled so, it is 1 at perfect balance for every K, in either fraction
//   z           mean over items of (log sum_e exp l_e)^2 (Zoph 2022). Zero logits: (ln E)^2. It has
//   no balance: it keeps
//               logits small
//   entropy     mean over items of -sum_r P ln P (Huang 2024, L_d). Uniform: ln R. One-hot: 0. It
//               pulls top-p towards few experts
//   importance  CV^2 of I_e = sum_n g[n, e], the gate values per expert (Shazeer 2017): population
//   variance over squared
//               mean. Perfectly balanced: 0. Everything on one expert: E - 1
//
// Sums run in double. No items: 0.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "switchyard/routing.h"

namespace switchyard::routing {

// probs [N, R]; chosen [R]: the choices that enter f_e, means of counts among them.
double balance_loss(std::span<const float> probs, std::span<const double> chosen, std::size_t items,
                    LossConfig::Fraction fraction);

// probs [N, R].
double entropy_loss(std::span<const float> probs, std::size_t items);

// logits [N, R].
double z_loss(std::span<const float> logits, std::size_t items);

// importance [E]. All zero: 0.
double importance_loss(std::span<const double> importance);

// The terms of one layer without their coefficients, from what route() saw and decided. The
// decision must be without capacity: losses count what the router wanted. Gate values are taken as
// weight / scaling_factor, which holds for Gate::probability only.
struct LossTerms {
  double balance = 0.0;
  double z = 0.0;
  double importance = 0.0;
  double entropy = 0.0;

  double total(const LossConfig& config) const {
    return config.balance_coefficient * balance + config.z_coefficient * z +
           config.importance_coefficient * importance + config.entropy_coefficient * entropy;
  }
};
LossTerms router_losses(const Config& config, std::span<const float> logits,
                        const Decision& decision);

// [N, R] probabilities from logits [N, R].
std::vector<float> router_probs(Score score, std::span<const float> logits, std::size_t items);

}  // namespace switchyard::routing
