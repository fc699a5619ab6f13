// What an opened model consists of. Private to the runtime.
#pragma once

#include <memory>

#include "switchyard/expert_pack.h"
#include "switchyard/experts.h"
#include "switchyard/runtime.h"

#include "kernels/kernels.h"
#include "runtime/dense_weights.h"
#include "runtime/kv_cache.h"
#include "runtime/memory_plan.h"
#include "runtime/rope.h"

namespace switchyard::runtime {

struct Model::Impl {
  std::string path;  // for messages
  ModelConfig config;
  routing::Config router;  // the model's as it is at inference; only where config.moe is set
  ModelOptions options;
  KvTypes kv_types;
  MemoryPlan plan;
  std::shared_ptr<Ledger> ledger;
  const kernels::KernelSet* kernels = nullptr;
  DenseWeights weights;
  bool quantised = false;  // whether any weight is
  RopeTable rope;
  experts::ExpertStore experts;           // store is null for a dense model
  std::unique_ptr<experts::Cache> cache;  // null for a dense model
  std::vector<int> experts_per_token;     // [L]: K in force; config holds the largest
  std::vector<int> next_moe_layer;  // [L]: the next layer with experts after this one, -1: none
  std::vector<Ledger::Booking> bookings;  // process, expert slots
};

}  // namespace switchyard::runtime
