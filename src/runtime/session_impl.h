// One sequence's keys and values, and its router state. Private to the runtime.
#pragma once

#include <memory>

#include "switchyard/runtime.h"

#include "runtime/kv_cache.h"
#include "runtime/model_impl.h"

namespace switchyard::runtime {

struct Session::Impl {
  Impl(std::shared_ptr<const Model> model, int max_tokens);

  std::shared_ptr<const Model> model;
  int max_tokens = 0;
  int length = 0;

 private:
  Ledger::Booking booking_;

 public:
  KvCache cache;  // booked before it is allocated
};

}  // namespace switchyard::runtime
