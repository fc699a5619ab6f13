#include "formats/tokenizer/splitter.h"

#include "switchyard/error.h"

#include "formats/json.h"

namespace switchyard::tokenizer {

SplitBehavior read_split_behavior(const std::string& name, const std::string& where) {
  if (name == "Removed") return SplitBehavior::removed;
  if (name == "Isolated") return SplitBehavior::isolated;
  if (name == "MergedWithPrevious") return SplitBehavior::merged_with_previous;
  if (name == "MergedWithNext") return SplitBehavior::merged_with_next;
  if (name == "Contiguous") return SplitBehavior::contiguous;
  throw Error({.what = "unknown behaviour " + shown(name),
               .where = where,
               .expected = "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous"});
}

void Splitter::emit(std::size_t begin, std::size_t end) {
  if (begin == end) return;
  out_.take({piece_.text.substr(begin, end - begin), piece_.first && begin == 0});
}

void Splitter::feed(std::size_t begin, std::size_t end, bool match) {
  bool joins = false;  // the held range grows by this one
  switch (behavior_) {
    case SplitBehavior::removed:
      if (!match) emit(begin, end);
      return;
    case SplitBehavior::isolated:
      emit(begin, end);
      return;
    case SplitBehavior::contiguous:
      joins = held_ && held_match_ == match;
      break;
    case SplitBehavior::merged_with_previous:
      joins = held_ && match && !last_match_;
      break;
    case SplitBehavior::merged_with_next:
      joins = held_ && held_match_ && !match;
      break;
  }
  if (joins) {
    held_end_ = end;
    // What a delimiter was merged into takes no second one.
    if (behavior_ == SplitBehavior::merged_with_next) held_match_ = false;
  } else {
    if (held_) emit(held_begin_, held_end_);
    held_ = true;
    held_match_ = match;
    held_begin_ = begin;
    held_end_ = end;
  }
  last_match_ = match;
}

void Splitter::finish() {
  if (held_) emit(held_begin_, held_end_);
  held_ = false;
}

}  // namespace switchyard::tokenizer
