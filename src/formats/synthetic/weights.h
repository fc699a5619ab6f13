// Weights made of random numbers, read like those of a file: any piece of any tensor at any time,
// always the same values. Nothing is held in memory, so that a model of any size can be written.
#pragma once

#include <cstdint>
#include <functional>

#include "switchyard/model_config.h"
#include "switchyard/thread_pool.h"
#include "switchyard/weight_files.h"

namespace switchyard {

// How large the random numbers are. Everywhere norms are near 1, a matrix has variance 1 / fan-in
// (so that what it gives is as large as what it gets), and logits are of the order of 1.
enum class SyntheticScale {
  // All layers count alike: what the models of the tests have, where nothing may hide behind
  // something larger.
  even,
  // Embeddings are most of every hidden state, whatever the depth: what attention and feed-forward
  // networks add is held to a small share. Routers then see the token, as those of trained models
  // do: other tokens choose other experts, and all experts are used.
  token_routed,
};

struct SyntheticOptions {
  std::uint64_t seed = 1;
  SyntheticScale scale = SyntheticScale::token_routed;
  ThreadPool* pool = nullptr;  // makes the values; null: the reading thread
  // Called on the reading thread with the number of values that were just made. May throw.
  std::function<void(std::uint64_t values)> made = {};
};

// Every weight of the model in fp32. The same config, seed and scale give the same bits, whatever
// the pool, the pieces and their order: a value is a function of its tensor's name and its place.
//
// The pool must outlive the weights; a loop on it must not read them.
WeightFiles synthetic_weights(const ModelConfig& config, const SyntheticOptions& options);

}  // namespace switchyard
