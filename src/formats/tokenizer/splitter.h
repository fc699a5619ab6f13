// Turns a run of ranges, each a match of a delimiter or not, into pieces: the "behavior" of Split
// and Punctuation.
#pragma once

#include <cstddef>
#include <string>

#include "formats/tokenizer/pre_tokenizer.h"

namespace switchyard::tokenizer {

enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

SplitBehavior read_split_behavior(const std::string& name, const std::string& where);

// Feed ranges from left to right without gaps, then finish(). Empty pieces are never handed out.
class Splitter {
 public:
  Splitter(const Piece& piece, SplitBehavior behavior, PieceSink& out)
      : piece_(piece), behavior_(behavior), out_(out) {}

  void feed(std::size_t begin, std::size_t end, bool match);
  void finish();

 private:
  void emit(std::size_t begin, std::size_t end);

  const Piece& piece_;
  SplitBehavior behavior_;
  PieceSink& out_;
  // The range that may still grow to the right.
  bool held_ = false;
  bool held_match_ = false;
  std::size_t held_begin_ = 0;
  std::size_t held_end_ = 0;
  bool last_match_ = false;
};

}  // namespace switchyard::tokenizer
