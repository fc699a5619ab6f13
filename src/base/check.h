// Checks for our own bugs. Bad input is reported with Error (switchyard/error.h) instead.
#pragma once

#include <stdexcept>
#include <string>

namespace switchyard {

// A check failed: the program is wrong, not its input.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) {
  throw InternalError(std::string("internal error: ") + condition + " does not hold at " + file +
                      ":" + std::to_string(line) + "; please report this");
}

}  // namespace switchyard

// Always on: a check costs one predictable branch, and a wrong answer costs more.
#define SWITCHYARD_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::switchyard::check_failed(#condition, __FILE__, __LINE__))
