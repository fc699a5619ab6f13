// Holds back the end of a growing text as long as it may turn into a stop text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace switchyard::runtime {

class StopText {
 public:
  // Empty texts are ignored.
  explicit StopText(std::vector<std::string> texts);

  // Adds a piece and returns what is now certain not to belong to a stop text. After found(),
  // returns nothing more.
  std::string push(std::string_view piece);
  // What was held back, when the text ends without a stop text.
  std::string finish();
  bool found() const { return found_; }

 private:
  std::vector<std::string> texts_;
  std::string held_;
  bool found_ = false;
};

}  // namespace switchyard::runtime
