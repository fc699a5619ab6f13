// A row of working memory that lives on the stack for every model in use and on the heap beyond.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace switchyard::routing {

template <typename T, std::size_t Inline = 1024>
class Scratch {
 public:
  explicit Scratch(std::size_t size) : size_(size) {
    if (size > Inline) heap_.resize(size);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  std::span<T> span() { return {heap_.empty() ? inline_.data() : heap_.data(), size_}; }

 private:
  std::size_t size_;
  std::array<T, Inline> inline_;  // left uninitialised: every user writes before it reads
  std::vector<T> heap_;
};

}  // namespace switchyard::routing
