// switchyard synth: a model of any family and size, made of random numbers.
#include <fmt/format.h>

#include "switchyard/error.h"

#include "base/byte_size.h"
#include "base/clock.h"
#include "base/progress.h"
#include "cli/model_output.h"
#include "cli/parse.h"
#include "cli/synth_model.h"
#include "cli/type_flags.h"
#include "formats/synthetic/shapes.h"

namespace switchyard::cli {
namespace {

std::string family_names() {
  std::string names;
  for (const SyntheticShape& shape : synthetic_shapes()) {
    if (shape.name == kTinyShape)
      names.append(names.empty() ? "" : ", ").append(family_name(shape.family));
  }
  return names;
}

std::string shape_names() {
  std::string names(kTinyShape);
  for (const SyntheticShape& shape : synthetic_shapes()) {
    if (shape.name != kTinyShape) names.append(", ").append(shape.name);
  }
  return names;
}

Family parse_family(const std::string& text) {
  if (const auto family = family_from_name(text)) return *family;
  throw Error({.what = "there is no family '" + text + "'",
               .where = "--family",
               .expected = "one of " + family_names(),
               .fix = {}});
}

void add_changes(CLI::App& app, ShapeChanges& changes) {
  constexpr const char* kGroup = "Instead of the shape's";
  const auto add = [&](const std::string& flag, std::optional<int>& value,
                       const std::string& what) {
    app.add_option(flag, value, what)->check(CLI::PositiveNumber)->group(kGroup);
  };
  add("--layers", changes.layers, "number of layers (L)");
  add("--width", changes.width, "width of the hidden state (D)");
  add("--heads", changes.heads, "attention heads (H)");
  add("--kv-heads", changes.kv_heads, "heads of keys and values; divides --heads");
  add("--head-dim", changes.head_dim, "width of a head");
  add("--hidden", changes.hidden,
      "width of an expert (F); in a family without experts, of every feed-forward network");
  add("--experts", changes.experts, "experts in a layer (E)");
  add("--experts-per-token", changes.experts_per_token, "experts that work on a token (K)");
  app.add_option("--shared-experts", changes.shared_experts,
                 "the shared expert is as wide as so many routed ones")
      ->check(CLI::Range(0, 1 << 10))
      ->group(kGroup);
  add("--vocab", changes.vocab, "tokens of the vocabulary (V), at least 259");
  add("--context", changes.context, "longest sequence in tokens");
}

}  // namespace

int run_synth(const Arguments& arguments, Console& console) {
  std::string to;
  std::string family;
  std::string shape_name(kTinyShape);
  std::string shard_size = "4GiB";
  TypeFlags types;
  ShapeChanges changes;
  SynthOptions options;
  auto app =
      make_app("synth",
               "Writes a model of random weights with a tokenizer and a chat template: to try "
               "commands and to measure speed and memory without a download. Its texts make "
               "no sense. Routing depends on the token, as in trained models.",
               "switchyard synth olmoe.gguf --shape olmoe-1b-7b --layers 4 --type q4_0");
  app->add_option("OUT", to, "a GGUF file if it ends in .gguf, else a directory to be made")
      ->required();
  app->add_option("--shape", shape_name, "one of " + shape_names())->capture_default_str();
  app->add_option("--family", family,
                  "of the tiny shape: " + family_names() + "; olmoe if left out");
  types.add_to(*app, "--type", "bf16 if left out");
  app->add_option("--seed", options.seed, "other seeds give other weights")->capture_default_str();
  app->add_flag("--pack", options.pack,
                "each expert one aligned read: experts.swpack in a directory, one tensor an expert "
                "in a GGUF file");
  app->add_option("--shard-size", shard_size, "most bytes of one safetensors file (directory only)")
      ->capture_default_str();
  app->add_option("-t,--threads", options.threads, "threads, 0: one per core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  add_changes(*app, changes);
  if (!parse(*app, arguments, console)) return kDone;

  const SyntheticShape& shape = find_synthetic_shape(
      shape_name, family.empty() ? std::nullopt : std::optional(parse_family(family)));
  const ModelConfig config = synthetic_config(shape, changes);
  options.shard_bytes = parse_bytes(shard_size, "--shard-size");
  options.name = fmt::format("synthetic {} {}", family_name(shape.family), shape.name);
  if (names_gguf(to)) {
    options.types = types.of_gguf();
  } else {
    options.dtype = types.of_directory();
  }

  const SteadyClock clock;
  ProgressMeter meter(console.err, clock,
                      {.title = "synth",
                       .total = config.parameters(),
                       .unit = "weights",
                       .terminal = console.err_is_terminal});
  std::uint64_t made = 0;
  options.made = [&](std::uint64_t values) {
    if (console.stop.stop_requested()) throw Cancelled();
    meter.update(made += values);
  };
  write_synthetic_model(console.files, to, config, options);
  meter.finish();
  console.out << fmt::format("wrote {}: {}, {} weights, {} a token\n", to, options.name,
                             config.parameters(), config.active_parameters());
  return kDone;
}

}  // namespace switchyard::cli
