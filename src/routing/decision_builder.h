// Fills a Decision item by item, in the memory it already has.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "switchyard/routing.h"

#include "base/check.h"

namespace switchyard::routing {

class DecisionBuilder {
 public:
  // Room for `items` items of at most `per_item` assignments.
  DecisionBuilder(int experts, std::size_t items, std::size_t per_item, Decision& decision)
      : decision_(decision) {
    SWITCHYARD_CHECK(items < std::numeric_limits<std::uint32_t>::max() / (per_item + 1));
    decision_.experts = experts;
    decision_.offsets.clear();
    decision_.expert.clear();
    decision_.weight.clear();
    decision_.offsets.reserve(items + 1);
    decision_.expert.reserve(items * per_item);
    decision_.weight.reserve(items * per_item);
    decision_.offsets.push_back(0);
    decision_.counts.assign(static_cast<std::size_t>(experts), 0);
    decision_.dropped = 0;
    decision_.null_count = 0;
  }

  // Best first within an item.
  void assign(std::int32_t expert, float weight) {
    decision_.expert.push_back(expert);
    decision_.weight.push_back(weight);
    ++decision_.counts[static_cast<std::size_t>(expert)];
  }
  void drop(std::size_t assignments) {
    decision_.dropped += static_cast<std::uint32_t>(assignments);
  }
  // Assignments to null experts: counted, never listed.
  void count_nulls(std::size_t assignments) {
    decision_.null_count += static_cast<std::uint32_t>(assignments);
  }
  void end_item() {
    decision_.offsets.push_back(static_cast<std::uint32_t>(decision_.expert.size()));
  }

  std::span<const std::uint32_t> counts() const { return decision_.counts; }

 private:
  Decision& decision_;
};

}  // namespace switchyard::routing
