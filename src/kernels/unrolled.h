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

// Calls function with Constant<n>, 1 <= n <= Most: turns a number known only now into a template
// argument.
template <std::size_t Most, typename Function>
inline void with_constant(std::size_t n, const Function& function) {
  if constexpr (Most > 0) {
    if (n == Most) {
      function(Constant<Most>{});
    } else {
      with_constant<Most - 1>(n, function);
    }
  }
}

}  // namespace
}  // namespace switchyard::kernels
