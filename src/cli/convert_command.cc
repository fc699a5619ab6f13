// switchyard convert: element type and packing of a model directory.
#include "switchyard/error.h"

#include "base/clock.h"
#include "base/progress.h"
#include "cli/convert_model.h"
#include "cli/parse.h"

namespace switchyard::cli {

int run_convert(const Arguments& arguments, Console& console) {
  std::string from;
  std::string to;
  std::string type;
  ConvertOptions options;
  auto app = make_app(
      "convert", "Writes a model directory in another element type, or with its experts packed.",
      "switchyard convert models/tiny-stories-moe packed --to bf16 --pack");
  app->add_option("IN", from, "model directory")->required();
  app->add_option("OUT", to, "directory to be made")->required();
  app->add_option("--to", type, "element type: f32 or bf16; as it is if left out");
  app->add_flag("--pack", options.pack,
                "also write experts.swpack: each expert one aligned, checksummed read");
  app->add_option("--alignment", options.pack_alignment, "alignment of packed experts in bytes")
      ->capture_default_str();
  if (!parse(*app, arguments, console)) return kDone;
  if (type == "f32") {
    options.dtype = DType::f32;
  } else if (type == "bf16") {
    options.dtype = DType::bf16;
  } else if (!type.empty()) {
    throw Error({.what = "unknown element type '" + type + "'",
                 .where = "--to",
                 .expected = "f32 or bf16",
                 .fix = {}});
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
