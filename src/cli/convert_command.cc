// switchyard convert: element type and packing of a model directory.
#include <optional>

#include "switchyard/error.h"

#include "base/clock.h"
#include "base/progress.h"
#include "cli/convert_model.h"
#include "cli/importance_remarks.h"
#include "cli/model_output.h"
#include "cli/parse.h"
#include "cli/type_flags.h"

namespace switchyard::cli {

int run_convert(const Arguments& arguments, Console& console) {
  std::string from;
  std::string to;
  TypeFlags types;
  std::string importance_file;
  ConvertOptions options;
  auto app = make_app("convert",
                      "Writes a model in another element type, with its experts packed, or as one "
                      "GGUF file. IN is a model directory or a GGUF file.",
                      "switchyard convert models/tiny-stories-moe tiny.gguf --to q8_0");
  app->add_option("IN", from, "model directory or GGUF file")->required();
  app->add_option("OUT", to, "a GGUF file if it ends in .gguf, else a directory to be made")
      ->required();
  types.add_to(*app, "--to", "as it is if left out");
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
  if (names_gguf(to)) {
    options.types = types.of_gguf();
  } else {
    if (of_importance->count() > 0) {
      throw Error({.what = "importance is for quantised types, which a directory cannot hold",
                   .where = "--importance",
                   .expected = "an output that ends in .gguf",
                   .fix = "name the output OUT.gguf, or leave the option away"});
    }
    options.dtype = types.of_directory();
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
