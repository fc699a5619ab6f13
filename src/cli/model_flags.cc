#include "cli/model_flags.h"

#include <algorithm>
#include <cctype>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <ostream>

#include "switchyard/error.h"

#include "base/byte_size.h"
#include "cli/plan_table.h"
#include "runtime/memory_plan.h"

namespace switchyard::cli {
namespace {

std::string policy_names() {
  std::string names;
  for (const experts::PolicyEntry& entry : experts::policies()) {
    if (!names.empty()) names += ", ";
    names += entry.name;
  }
  return names;
}

Error unknown(const std::string& value, const std::string& flag, const std::string& expected) {
  return Error(
      {.what = "unknown value '" + value + "'", .where = flag, .expected = expected, .fix = {}});
}

DType cache_type(const std::string& name, const std::string& flag) {
  for (const DType type : {DType::f32, DType::f16, DType::bf16, DType::q8_0}) {
    std::string known(dtype_name(type));
    std::ranges::transform(known, known.begin(), [](char c) { return std::tolower(c); });
    if (known == name) return type;
  }
  throw unknown(name, flag, "f32, f16, bf16 or q8_0");
}

}  // namespace

void ModelFlags::add_to(CLI::App& app) {
  app.add_option("-m,--model,MODEL", model,
                 "model directory (config.json, safetensors, tokenizer.json) or GGUF file")
      ->required();
  app.add_option("--mem-budget", memory_budget,
                 "memory for everything in bytes (1.5GiB, 800MB), or a share of the expert bytes "
                 "for experts (25%)");
  app.add_option("--expert-policy", policy,
                 "which expert leaves when the budget is full: " + policy_names())
      ->capture_default_str();
  app.add_option("--prefetch", prefetch, "reading ahead of need: stale-gate, off")
      ->capture_default_str();
  app.add_option("--io", io, "how experts are read: auto, io_uring, pread")->capture_default_str();
  app.add_option("--kernels", kernels, "instruction set: auto, scalar, avx2, avx512, avx512-vnni")
      ->capture_default_str();
  app.add_option("-t,--threads", threads, "threads, 0: one per core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("-c,--ctx-size", context, "longest sequence in tokens, 0: the model's own")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("-b,--batch-size", batch, "most tokens computed at once")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--ctk,--cache-type-k", cache_type_k,
                 "type of cached keys: f32, f16, bf16, q8_0 (-ctk); smaller ones take less memory "
                 "and, in long contexts, less time")
      ->capture_default_str();
  app.add_option("--ctv,--cache-type-v", cache_type_v, "type of cached values (-ctv)")
      ->capture_default_str();
  auto* k = app.add_option("--experts-per-token", experts_per_token,
                           "K experts a token instead of the model's own (top_p: at most K), or a "
                           "list with one number a layer (8,8,4); changes the output")
                ->delimiter(',')
                ->check(CLI::PositiveNumber);
  app.add_option("--flops-per-token", flops_per_token,
                 "the largest K whose MoE layers need at most so many floating-point operations a "
                 "token (6.6e6); changes the output")
      ->check(CLI::PositiveNumber)
      ->excludes(k);
  app.add_option("--np,--parallel", parallel, "sequences that there must be memory for (-np)")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_flag("--plan{text}", plan,
               "print what memory each part will take, and stop; --plan=json for machines");
}

runtime::ModelOptions ModelFlags::options() const {
  runtime::ModelOptions o;
  if (!memory_budget.empty()) {
    if (is_share(memory_budget)) {
      o.expert_share = parse_share(memory_budget, "--mem-budget");
    } else {
      o.memory_budget = parse_bytes(memory_budget, "--mem-budget");
    }
  }
  o.expert_policy = policy;
  o.kernels = kernels;
  o.session_tokens = context;
  o.max_batch_tokens = batch;
  o.max_sessions = parallel;
  o.cache_type_k = cache_type(cache_type_k, "--cache-type-k");
  o.cache_type_v = cache_type(cache_type_v, "--cache-type-v");
  o.experts_per_token = experts_per_token;
  if (prefetch == "off") {
    o.prefetch = runtime::Prefetch::off;
  } else if (prefetch != "stale-gate") {
    throw unknown(prefetch, "--prefetch", "stale-gate or off");
  }
  if (io == "io_uring") {
    o.io = experts::IoBackend::io_uring;
  } else if (io == "pread") {
    o.io = experts::IoBackend::pread;
  } else if (io != "auto") {
    throw unknown(io, "--io", "auto, io_uring or pread");
  }
  return o;
}

runtime::ModelOptions ModelFlags::options_for_model(FileSystem& fs) const {
  runtime::ModelOptions o = options();
  if (flops_per_token > 0) {
    constexpr double kMost = 1e18;
    o.experts_per_token = {
        experts_for_flops(read_model_config(fs, model),
                          static_cast<std::uint64_t>(std::min(flops_per_token, kMost)))};
  }
  return o;
}

void ModelFlags::say_experts_per_token(Console& console, const runtime::ModelOptions& o) const {
  if (o.experts_per_token.empty()) return;
  const ModelConfig own = read_model_config(console.files, model);
  int most = o.experts_per_token.front();
  for (std::size_t l = 0; l < o.experts_per_token.size(); ++l) {
    if (own.layer_is_moe[l]) most = std::max(most, o.experts_per_token[l]);
  }
  console.err << fmt::format(
      "switchyard: {} experts a token instead of {}, {:.3g} MFLOP a token in MoE layers at the "
      "largest\n",
      fmt::join(o.experts_per_token, ","), own.moe->router.experts_per_token,
      static_cast<double>(own.moe_flops_per_token(most)) * 1e-6);
  const int fewest = own.moe->fewest_experts_in_training;
  if (std::ranges::min(o.experts_per_token) < fewest) {
    console.err << fmt::format(
        "switchyard: warning: training used {} experts a token or more; with fewer, expect worse "
        "text\n",
        fewest);
  }
}

std::shared_ptr<const runtime::Model> ModelFlags::open(Console& console) const {
  const runtime::ModelOptions o = options_for_model(console.files);
  auto opened = runtime::Model::open(console.files, model, o);
  say_experts_per_token(console, o);
  return opened;
}

bool ModelFlags::print_plan(Console& console) const {
  if (plan.empty()) return false;
  const PlanFormat format = parse_plan_format(plan);
  const runtime::ModelOptions o = options_for_model(console.files);
  console.out << render(runtime::plan_model(console.files, model, o), o.memory_budget, format);
  say_experts_per_token(console, o);
  return true;
}

}  // namespace switchyard::cli
