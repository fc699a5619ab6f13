#include "cli/type_flags.h"

#include "switchyard/error.h"

namespace switchyard::cli {

void TypeFlags::add_to(CLI::App& app, const std::string& flag, const std::string& unless) {
  flag_ = flag;
  app.add_option(flag, all_,
                 "element type: f32 or bf16, for GGUF also f16, q8_0, q6_k, q5_k, q4_k, q4_0 and "
                 "the other quantised ones; " +
                     unless);
  app.add_option("--experts-to", experts_, "element type of the routed experts (GGUF only)");
  app.add_option("--tensor-type", rules_,
                 "PATTERN=TYPE for tensors whose GGUF name holds the regular expression "
                 "(attn_v=q8_0); may be repeated, the first that fits counts (GGUF only)");
}

GgufTypes TypeFlags::of_gguf() const {
  GgufTypes types;
  if (!all_.empty()) types.set_all(parse_type(all_, flag_));
  if (!experts_.empty()) types.set_experts(parse_type(experts_, "--experts-to"));
  for (const std::string& rule : rules_) types.add_rule(rule, "--tensor-type");
  return types;
}

std::optional<DType> TypeFlags::of_directory() const {
  if (!experts_.empty() || !rules_.empty()) {
    throw Error({.what = "types for some tensors only are for GGUF files",
                 .where = experts_.empty() ? "--tensor-type" : "--experts-to",
                 .expected = "an output that ends in .gguf",
                 .fix = "name the output OUT.gguf, or leave the option away"});
  }
  if (all_.empty()) return std::nullopt;
  if (all_ == "f32") return DType::f32;
  if (all_ == "bf16") return DType::bf16;
  throw Error({.what = "a directory cannot hold element type '" + all_ + "'",
               .where = flag_,
               .expected = "f32 or bf16",
               .fix = "for other types, write a GGUF file: name the output OUT.gguf"});
}

}  // namespace switchyard::cli
