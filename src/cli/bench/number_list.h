// Lists of numbers on the command line, as llama-bench writes them.
//
//   128            one
//   128,512        several
//   1-4            1, 2, 3, 4
//   128-512+128    128, 256, 384, 512
//   1-8*2          1, 2, 4, 8
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace switchyard::cli::bench {

// The parts of `text` between commas, empty ones left out.
std::vector<std::string> split_list(std::string_view text);

// The numbers of one or several lists, in the order given, each `least` or more. Throws Error with
// `flag` for anything else, and for more numbers than anyone can mean.
std::vector<int> parse_number_list(const std::vector<std::string>& lists, std::string_view flag,
                                   int least);

}  // namespace switchyard::cli::bench
