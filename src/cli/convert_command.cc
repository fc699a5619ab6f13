// switchyard convert: element type and packing of a model directory.
#include <optional>

#include "switchyard/error.h"

#include "base/clock.h"
#include "base/progress.h"
#include "cli/convert_model.h"
#include "cli/importance_remarks.h"
#include "cli/parse.h"

namespace switchyard::cli {

int run_convert(const Arguments& arguments, Console& console) {
  std::string from;
  std::string to;
  std::string type;
  std::string expert_type;
  std::vector<std::string> rules;
  std::string importance_file;
  ConvertOptions options;
  auto app = make_app("convert",
                      "Writes a model in another element type, with its experts packed, or as one "
                      "GGUF file. IN is a model directory or a GGUF file.",
                      "switchyard convert models/tiny-stories-moe tiny.gguf --to q8_0");
  app->add_option("IN", from, "model directory or GGUF file")->required();
  app->add_option("OUT", to, "a GGUF file if it ends in .gguf, else a directory to be made")
      ->required();
  app->add_option("--to", type,
                  "element type: f32 or bf16, for GGUF also f16, q8_0, q6_k, q5_k, q4_k, q4_0 and "
                  "the other quantised ones; as it is if left out");
  auto* of_experts = app->add_option("--experts-to", expert_type,
                                     "element type of the routed experts (GGUF only)");
  auto* of_tensors =
      app->add_option("--tensor-type", rules,
                      "PATTERN=TYPE for tensors whose GGUF name holds the regular expression "
                      "(attn_v=q8_0); may be repeated, the first that fits counts (GGUF only)");
  auto* of_importance = app->add_option(
      "--importance", importance_file,
      "importance of the columns, from switchyard importance or llama-imatrix, which quantised "
      "types are rounded by (GGUF only)");
  app->add_flag("--pack", options.pack,
                "each expert one aligned read: experts.swpack in a directory, one tensor an expert "
                "in a GGUF file");
  app->add_option("--alignment", options.pack_alignment,
                  "alignment of packed experts in bytes (directory only)")
      ->capture_default_str();
  app->add_option("-t,--threads", options.threads, "threads, 0: one per core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  if (!parse(*app, arguments, console)) return kDone;
  if (to.ends_with(".gguf")) {
    if (!type.empty()) options.types.set_all(parse_type(type, "--to"));
    if (!expert_type.empty()) options.types.set_experts(parse_type(expert_type, "--experts-to"));
    for (const std::string& rule : rules) options.types.add_rule(rule, "--tensor-type");
  } else if (of_importance->count() > 0) {
    throw Error({.what = "importance is for quantised types, which a directory cannot hold",
                 .where = "--importance",
                 .expected = "an output that ends in .gguf",
                 .fix = "name the output OUT.gguf, or leave the option away"});
  } else if (of_experts->count() + of_tensors->count() > 0) {
    throw Error({.what = "types for some tensors only are for GGUF files",
                 .where = of_experts->count() > 0 ? "--experts-to" : "--tensor-type",
                 .expected = "an output that ends in .gguf",
                 .fix = "name the output OUT.gguf, or leave the option away"});
  } else if (type == "f32") {
    options.dtype = DType::f32;
  } else if (type == "bf16") {
    options.dtype = DType::bf16;
  } else if (!type.empty()) {
    throw Error({.what = "a directory cannot hold element type '" + type + "'",
                 .where = "--to",
                 .expected = "f32 or bf16",
                 .fix = "for other types, write a GGUF file: convert IN OUT.gguf"});
  }
  std::optional<ColumnImportance> importance;
  if (!importance_file.empty()) {
    importance.emplace(read_importance(console.files, importance_file),
                       read_model_config(console.files, from));
    for (const std::string& line : importance_remarks(*importance)) console.err << line << '\n';
    options.importance = &*importance;
  }
  const SteadyClock clock;
  ProgressMeter meter(console.err, clock,
                      {.title = "convert", .total = 1000, .terminal = console.err_is_terminal});
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    meter.update(total == 0 ? 1000 : done * 1000 / total);
  };
  convert_model(console.files, from, to, options);
  meter.finish();
  console.out << "wrote " << to << '\n';
  return kDone;
}

}  // namespace switchyard::cli
