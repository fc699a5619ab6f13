#include "runtime/stop_text.h"

#include <algorithm>
#include <utility>

namespace switchyard::runtime {

StopText::StopText(std::vector<std::string> texts) : texts_(std::move(texts)) {
  std::erase_if(texts_, [](const std::string& t) { return t.empty(); });
}

std::string StopText::push(std::string_view piece) {
  if (found_) return {};
  held_ += piece;
  std::size_t first = std::string::npos;
  for (const std::string& text : texts_) first = std::min(first, held_.find(text));
  if (first != std::string::npos) {
    found_ = true;
    return std::exchange(held_, {}).substr(0, first);
  }
  // The longest end of the text that is the beginning of a stop text stays.
  std::size_t keep = 0;
  for (const std::string& text : texts_) {
    for (std::size_t n = std::min(text.size() - 1, held_.size()); n > keep; --n) {
      if (held_.ends_with(std::string_view(text).substr(0, n))) {
        keep = n;
        break;
      }
    }
  }
  std::string certain = held_.substr(0, held_.size() - keep);
  held_.erase(0, certain.size());
  return certain;
}

std::string StopText::finish() { return found_ ? std::string() : std::exchange(held_, {}); }

}  // namespace switchyard::runtime
