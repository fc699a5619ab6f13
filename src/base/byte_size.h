// Sizes as people write them: "1.5GiB", "512MB", "4096", and shares: "25%".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace switchyard {

// A number, then optionally B, or K M G T with "iB" (powers of 1024), "B" (powers of 1000) or
// nothing (powers of 1024, as in dd and docker). Case does not matter; spaces around and between
// are allowed. The result is rounded down to a byte. Throws Error, with `where` naming the flag or
// field, for anything else and for sizes of 2^64 bytes and more.
std::uint64_t parse_bytes(std::string_view text, std::string_view where);

// Whether the text ends in '%', i.e. is for parse_share().
bool is_share(std::string_view text);

// "25%" is 0.25. Throws Error unless 0 < share <= 1.
double parse_share(std::string_view text, std::string_view where);

// Three significant digits and the largest fitting power of 1024: "17 B", "1.50 GiB", "64.0 MiB".
std::string format_bytes(std::uint64_t bytes);

}  // namespace switchyard
