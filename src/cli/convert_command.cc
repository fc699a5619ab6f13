// switchyard convert: element type and packing of a model directory.
#include "switchyard/error.h"

#include "base/clock.h"
#include "base/progress.h"
#include "cli/convert_model.h"
#include "cli/model_output.h"
#include "cli/parse.h"
#include "cli/type_flags.h"

namespace switchyard::cli {

int run_convert(const Arguments& arguments, Console& console) {
  std::string from;
  std::string to;
  TypeFlags types;
  ConvertOptions options;
  auto app = make_app("convert",
                      "Writes a model in another element type, with its experts packed, or as one "
                      "GGUF file. IN is a model directory or a GGUF file.",
                      "switchyard convert models/tiny-stories-moe tiny.gguf --to q8_0");
  app->add_option("IN", from, "model directory or GGUF file")->required();
  app->add_option("OUT", to, "a GGUF file if it ends in .gguf, else a directory to be made")
      ->required();
  types.add_to(*app, "--to", "as it is if left out");
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
    options.dtype = types.of_directory();
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
