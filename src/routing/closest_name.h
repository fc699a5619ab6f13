// "Did you mean": the known name nearest to one that was mistyped.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace switchyard::routing {

// The known name with the smallest edit distance (insert, delete, replace, each 1), the first of
// equals; empty when none is nearer than half the length of `name`.
std::string_view closest_name(std::string_view name, std::span<const std::string_view> known);

// "a, b, c"
std::string join_names(std::span<const std::string_view> names);

}  // namespace switchyard::routing
