// Loops whose index is a constant in every pass, so that arrays of registers stay in registers. Not
// std::integral_constant and friends: what they bring would be compiled here with one instruction
// set's flags and could be linked into all.
#pragma once

#include <cstddef>
#include <utility>

namespace switchyard::kernels {
namespace {

template <std::size_t Value>
struct Constant {
  static constexpr std::size_t value = Value;
};

template <typename Function, std::size_t... Index>
[[gnu::always_inline]] inline void unrolled_over(const Function& function,
                                                 std::index_sequence<Index...>) {
  (function(Constant<Index>{}), ...);
}

// function(Constant<0>{}), function(Constant<1>{}), ... Count times.
template <std::size_t Count, typename Function>
[[gnu::always_inline]] inline void unrolled(const Function& function) {
  unrolled_over(function, std::make_index_sequence<Count>());
}

}  // namespace
}  // namespace switchyard::kernels
