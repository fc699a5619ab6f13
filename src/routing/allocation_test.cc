// The decode path routes one token per layer and step: it must not meet the allocator. This file
// replaces the program's operator new by one that counts.
#include <atomic>
#include <cstdlib>
#include <gtest/gtest.h>
#include <new>

#include "switchyard/dispatch.h"
#include "switchyard/routing.h"

#include "routing/testing/cases.h"

namespace {
std::atomic<long> allocations = 0;
}  // namespace

// Every form whose memory a plain delete frees, or a sanitizer sees pairs that do not match; and
// not inlined, or the compiler does.
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, const std::nothrow_t&) noexcept {
  std::free(memory);
}

namespace switchyard::routing {
namespace {

TEST(Allocation, AWarmDecodePathAllocatesNothing) {
  auto cases = testing::top_k_variants(256, 8);
  cases.push_back({"hash", {.kind = Kind::hash, .experts = 256, .experts_per_token = 8}});
  cases.push_back({"random", {.kind = Kind::random, .experts = 256, .experts_per_token = 8}});
  for (auto& c : testing::top_p_variants(256)) cases.push_back(c);
  for (auto& c : testing::null_expert_variants(64)) cases.push_back(c);
  const auto all_logits = testing::random_logits(1, 256, 1);
  cases.push_back({"random with shares",
                   {.kind = Kind::random,
                    .experts = 2,
                    .experts_per_token = 1,
                    .probabilities = {0.5F, 0.5F}}});
  const std::vector<float> bias(256, 0.0F);
  const std::vector<std::int32_t> tokens{7};
  for (const auto& c : cases) {
    const auto logits =
        std::span(all_logits).first(static_cast<std::size_t>(router_width(c.config)));
    const Inputs inputs{.logits = logits,
                        .selection_bias = c.config.selection_bias ? std::span<const float>(bias)
                                                                  : std::span<const float>(),
                        .token_ids = tokens,
                        .items = 1};
    State state;
    Decision decision;
    dispatch::Plan plan;
    const auto step = [&] {
      route_into(c.config, inputs, state, decision);
      dispatch::make_plan_into(decision, plan);
    };
    step();
    const long before = allocations;
    step();
    EXPECT_EQ(allocations - before, 0) << c.name;
  }
}

}  // namespace
}  // namespace switchyard::routing
