#include "cli/bench/number_list.h"

#include <algorithm>
#include <charconv>

#include "switchyard/error.h"

namespace switchyard::cli::bench {
namespace {

// Sums of a few of them stay within an int.
constexpr int kLargest = 100'000'000;
constexpr std::size_t kMostNumbers = 1000;

class Parser {
 public:
  Parser(std::string_view part, std::string_view flag, int least)
      : part_(part), flag_(flag), least_(least), left_(part) {}

  void append_to(std::vector<int>& numbers) {
    const int first = number();
    const int last = take('-') ? number() : first;
    if (first < least_ || last < first) fail();
    int step = 1;
    bool times = false;
    if (take('+')) {
      step = number();
      if (step < 1) fail();
    } else if (take('*')) {
      step = number();
      times = true;
      if (step < 2 || first == 0) fail();
    }
    if (!left_.empty()) fail();
    for (long long n = first; n <= last; n = times ? n * step : n + step) {
      if (numbers.size() == kMostNumbers) fail();
      numbers.push_back(static_cast<int>(n));
    }
  }

 private:
  int number() {
    int value = 0;
    const auto [end, error] = std::from_chars(left_.data(), left_.data() + left_.size(), value);
    if (error != std::errc() || value < 0 || value > kLargest) fail();
    left_.remove_prefix(static_cast<std::size_t>(end - left_.data()));
    return value;
  }

  bool take(char c) {
    if (!left_.starts_with(c)) return false;
    left_.remove_prefix(1);
    return true;
  }

  [[noreturn]] void fail() const {
    throw Error({.what = "'" + std::string(part_) + "' is no list of numbers",
                 .where = std::string(flag_),
                 .expected = "numbers from " + std::to_string(least_) +
                             " on (512), lists (128,512) or ranges (1-4, 128-512+128, 1-8*2), at "
                             "most " +
                             std::to_string(kMostNumbers) + " in all",
                 .fix = {}});
  }

  std::string_view part_, flag_;
  int least_;
  std::string_view left_;
};

}  // namespace

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::vector<int> parse_number_list(const std::vector<std::string>& lists, std::string_view flag,
                                   int least) {
  std::vector<int> numbers;
  for (const std::string& list : lists) {
    const std::vector<std::string> parts = split_list(list);
    if (parts.empty()) Parser(list, flag, least).append_to(numbers);  // refuses it
    for (const std::string& part : parts) Parser(part, flag, least).append_to(numbers);
  }
  return numbers;
}

}  // namespace switchyard::cli::bench
