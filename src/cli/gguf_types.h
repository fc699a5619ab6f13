// Which element type each matrix of a GGUF file gets.
#pragma once

#include <cstdint>
#include <optional>
#include <regex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "switchyard/dtype.h"

namespace switchyard::cli {

// A type a person may ask for: f32, f16, bf16 and every quantised one, in either case. Throws Error
// naming `flag` and all types.
DType parse_type(const std::string& text, const std::string& flag);

// The first rule that names a tensor counts: patterns in the order given, then experts, then all.
class GgufTypes {
 public:
  void set_all(DType type) { all_ = type; }
  void set_experts(DType type) { experts_ = type; }
  // "PATTERN=TYPE": a regular expression found anywhere in the tensor's GGUF name. Throws Error.
  void add_rule(const std::string& rule, const std::string& flag);

  bool empty() const { return !all_ && !experts_ && rules_.empty(); }
  // nullopt: as it is stored. A type whose blocks do not fill a row gives way to the next larger
  // one that has smaller blocks, at last to F16.
  std::optional<DType> of(const std::string& tensor, std::span<const std::int64_t> shape) const;

 private:
  std::optional<DType> all_;
  std::optional<DType> experts_;
  std::vector<std::pair<std::regex, DType>> rules_;
};

// What stands in for `type` where rows have so many values.
DType fitting_type(DType type, std::int64_t columns);

}  // namespace switchyard::cli
