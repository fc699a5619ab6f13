#include "cli/gguf_types.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "switchyard/error.h"

namespace switchyard::cli {
namespace {

constexpr std::array kTypes = {DType::f32,    DType::f16,   DType::bf16, DType::q8_0,
                               DType::q6_k,   DType::q5_k,  DType::q5_1, DType::q5_0,
                               DType::q4_k,   DType::q4_1,  DType::q4_0, DType::iq4_nl,
                               DType::iq4_xs, DType::mxfp4, DType::q3_k, DType::q2_k};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::string type_names() {
  std::string names;
  for (const DType type : kTypes) names += (names.empty() ? "" : ", ") + lower(dtype_name(type));
  return names;
}

// With blocks of 32, at no fewer bits a weight.
DType with_small_blocks(DType type) {
  switch (type) {
    case DType::q2_k:
    case DType::q3_k:
    case DType::iq4_xs:
      return DType::iq4_nl;
    case DType::q4_k:
      return DType::q5_0;
    case DType::q5_k:
      return DType::q5_1;
    default:
      return DType::q8_0;
  }
}

// Experts of a layer merged into one tensor, or each in its own.
bool is_expert_tensor(const std::string& name) {
  static const std::regex pattern(R"(\.ffn_(gate|up|down)(_exps|\.[0-9]+)\.weight$)");
  return std::regex_search(name, pattern);
}

}  // namespace

DType parse_type(const std::string& text, const std::string& flag) {
  for (const DType type : kTypes) {
    if (lower(dtype_name(type)) == lower(text)) return type;
  }
  throw Error({.what = "unknown element type '" + text + "'",
               .where = flag,
               .expected = "one of " + type_names(),
               .fix = {}});
}

void GgufTypes::add_rule(const std::string& rule, const std::string& flag) {
  const auto equals = rule.rfind('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error({.what = "'" + rule + "' has no type",
                 .where = flag,
                 .expected = "PATTERN=TYPE, e.g. attn_v=q8_0",
                 .fix = {}});
  }
  const DType type = parse_type(rule.substr(equals + 1), flag);
  try {
    rules_.emplace_back(std::regex(rule.substr(0, equals)), type);
  } catch (const std::regex_error&) {
    throw Error({.what = "'" + rule.substr(0, equals) + "' is no regular expression",
                 .where = flag,
                 .expected = "PATTERN=TYPE, e.g. attn_v=q8_0",
                 .fix = {}});
  }
}

std::optional<DType> GgufTypes::of(const std::string& tensor,
                                   std::span<const std::int64_t> shape) const {
  std::optional<DType> type = experts_ && is_expert_tensor(tensor) ? experts_ : all_;
  for (const auto& [pattern, wanted] : rules_) {
    if (!std::regex_search(tensor, pattern)) continue;
    type = wanted;
    break;
  }
  if (!type) return std::nullopt;
  return fitting_type(*type, shape.back());
}

DType fitting_type(DType type, std::int64_t columns) {
  const auto fits = [&](DType candidate) {
    return columns % static_cast<std::int64_t>(dtype_block(candidate).elements) == 0;
  };
  if (fits(type)) return type;
  if (const DType smaller = with_small_blocks(type); fits(smaller)) return smaller;
  return DType::f16;
}

}  // namespace switchyard::cli
