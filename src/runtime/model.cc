#include <algorithm>
#include <string>
#include <utility>

#include "switchyard/error.h"
#include "switchyard/model_files.h"

#include "base/memory_info.h"
#include "formats/weight_check.h"
#include "routing/knobs.h"
#include "runtime/matmul.h"
#include "runtime/model_impl.h"

namespace switchyard::runtime {
namespace {

// Memory the process takes after the model was opened and that is not booked elsewhere: thread
// stacks, the allocator's own, strings.
constexpr std::uint64_t kProcessReserve = std::uint64_t{6} << 20;

void check_runnable(const ModelConfig& config, const std::string& directory) {
  if (!config.moe) return;
  const routing::Method& method = routing::method(config.moe->router.kind);
  if (!method.causal) {
    throw Error({.what = "routing '" + std::string(method.name) +
                         "' looks at later tokens and cannot generate text",
                 .where = directory + ": router kind",
                 .expected = "a causal method",
                 .fix = "train this model with another router, e.g. kind = \"top_k\""});
  }
}

// Routing as the model does it at inference: dropless whatever the training capacity was, because
// room that depends on the other sequences of a batch would let them change a token.
routing::Config inference_router(const ModelConfig& config) {
  routing::Config router = config.moe->router;
  router.capacity_factor = 0.0F;
  router.overflow = routing::Overflow::drop;
  return router;
}

// K of every layer: the model's own, or what the options say instead. config.moe->router then holds
// the largest, so that memory is planned for it.
std::vector<int> choose_experts_per_token(ModelConfig& config, const ModelOptions& options) {
  const auto layers = static_cast<std::size_t>(config.layers);
  const std::vector<int>& wanted = options.experts_per_token;
  if (!config.moe && wanted.empty()) return std::vector<int>(layers, 0);
  const auto refuse = [](const std::string& what, const std::string& expected) {
    return Error({.what = what,
                  .where = "--experts-per-token",
                  .expected = expected,
                  .fix = "leave the option away"});
  };
  if (!config.moe) throw refuse("the model has no experts", "a model with routed experts");
  routing::Config& router = config.moe->router;
  std::vector<int> chosen(layers, router.experts_per_token);
  if (!wanted.empty()) {
    // Where the router itself decides on the number (top_p), K is the most it may take.
    const routing::Method& method = routing::method(router.kind);
    if (!method.k_is_limit && router.kind != routing::Kind::top_k &&
        router.kind != routing::Kind::recurrent) {
      throw refuse("routing '" + std::string(method.name) + "' does not take its K best experts",
                   "a model with a top_k, recurrent, top_p or sigmoid_threshold router");
    }
    if (wanted.size() != 1 && wanted.size() != layers) {
      throw refuse(std::to_string(wanted.size()) + " numbers of experts",
                   "one, or one for each of the " + std::to_string(layers) + " layers");
    }
    for (std::size_t l = 0; l < layers; ++l) chosen[l] = wanted[wanted.size() == 1 ? 0 : l];
    router.experts_per_token = 0;
  }
  for (std::size_t l = 0; l < layers; ++l) {
    if (!config.layer_is_moe[l]) {
      chosen[l] = 0;
      continue;
    }
    routing::Config of_layer = router;
    of_layer.experts_per_token = chosen[l];
    routing::validate_at(of_layer, "--experts-per-token");
    router.experts_per_token = std::max(router.experts_per_token, chosen[l]);
  }
  return chosen;
}

experts::CacheOptions cache_options(const ModelOptions& options) {
  experts::CacheOptions cache;
  cache.policy = options.expert_policy;
  cache.prefetch = options.prefetch != Prefetch::off;
  cache.io = options.io;
  return cache;
}

std::vector<int> following_moe_layers(const ModelConfig& config) {
  std::vector<int> next(static_cast<std::size_t>(config.layers), -1);
  int following = -1;
  for (int l = config.layers - 1; l >= 0; --l) {
    next[static_cast<std::size_t>(l)] = following;
    if (config.layer_is_moe[static_cast<std::size_t>(l)]) following = l;
  }
  return next;
}

// Products are split by output rows of known type; anything else would be read as garbage.
void check_expert_types(const experts::ExpertStore& store, const std::string& directory) {
  for (const auto& layer : store.parts) {
    for (const auto& expert : layer) {
      for (const experts::Part& part : expert) {
        if (kernels::is_plain_weight(part.dtype) || kernels::is_quantised_weight(part.dtype))
          continue;
        throw Error({.what = "experts are stored as " + std::string(dtype_name(part.dtype)),
                     .where = directory + ": " + part.name,
                     .expected = "F32, F16, BF16 or a quantised type",
                     .fix = "convert the model: switchyard convert MODEL OUT --to bf16"});
      }
    }
  }
}

// All of the model that is known before its weights are read, the plan of its memory included.
WeightFiles prepare(Model::Impl& m, FileSystem& fs, const std::string& directory,
                    const ModelOptions& options) {
  m.path = directory;
  m.options = options;
  m.kernels = &kernels::by_name(options.kernels);
  m.config = read_model_config(fs, directory);
  check_runnable(m.config, directory);
  m.kv_types = kv_types(m.config, options);
  m.experts_per_token = choose_experts_per_token(m.config, options);
  if (m.config.moe) m.router = inference_router(m.config);

  WeightFiles tensors = open_weights(fs, directory, m.config);
  check_weights(m.config, tensors);
  m.quantised = std::ranges::any_of(
      tensors.tensors(), [](const auto& entry) { return is_quantised(entry.second.dtype); });
  ExpertNeeds needs;
  if (m.config.moe) {
    m.experts = fs.exists(directory + "/" + std::string(experts::kPackFile))
                    ? experts::open_packed(fs, directory, m.config)
                    : experts::open_in_place(fs, directory, m.config);
    check_expert_types(m.experts, directory);
    const experts::CacheOptions cache = cache_options(options);
    needs.floor = experts::Cache::floor_bytes(*m.experts.store, cache);
    needs.full = experts::Cache::full_bytes(*m.experts.store, cache);
  }
  m.rope = RopeTable(options.session_tokens > 0 ? options.session_tokens : m.config.context,
                     m.config.rope_dim(), m.config.rope_theta, m.config.rope_scaling);
  m.plan = plan_memory(m.config, options, process_memory().resident + kProcessReserve,
                       DenseWeights::bytes_needed(tensors, m.config), needs, m.quantised);
  return tensors;
}

}  // namespace

MemoryPlan plan_model(FileSystem& fs, const std::string& directory, const ModelOptions& options) {
  Model::Impl m;
  static_cast<void>(prepare(m, fs, directory, options));
  return m.plan;
}

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

std::shared_ptr<const Model> Model::open(FileSystem& fs, const std::string& directory,
                                         const ModelOptions& options) {
  auto impl = std::make_unique<Impl>();
  Impl& m = *impl;
  {
    const WeightFiles tensors = prepare(m, fs, directory, options);
    m.ledger = std::make_shared<Ledger>(options.memory_budget == 0 ? Ledger::kUnlimited
                                                                   : options.memory_budget);
    m.bookings.push_back(Ledger::book(m.ledger, Purpose::process, m.plan.process));
    m.weights = DenseWeights::load(fs, tensors, m.config, m.ledger);
  }
  if (m.config.moe) {
    experts::CacheOptions cache = cache_options(options);
    cache.budget = m.plan.experts;
    m.bookings.push_back(Ledger::book(m.ledger, Purpose::expert_slots, m.plan.experts));
    m.cache = std::make_unique<experts::Cache>(m.experts.store, cache);
  }
  m.next_moe_layer = following_moe_layers(m.config);
  return std::shared_ptr<const Model>(new Model(std::move(impl)));
}

const ModelConfig& Model::config() const { return impl_->config; }
const ModelOptions& Model::options() const { return impl_->options; }
Ledger& Model::ledger() const { return *impl_->ledger; }
experts::CacheStats Model::expert_stats() const {
  return impl_->cache ? impl_->cache->stats() : experts::CacheStats{};
}
void Model::reset_expert_stats() const {
  if (impl_->cache) impl_->cache->reset_stats();
}
std::uint64_t Model::expert_bytes() const {
  return impl_->experts.store ? impl_->experts.store->total_bytes() : 0;
}
std::uint64_t Model::expert_slot_bytes() const { return impl_->plan.experts; }
std::uint64_t Model::dense_bytes() const { return impl_->weights.bytes(); }
std::uint64_t Model::embedding_bytes() const {
  const kernels::Matrix& e = impl_->weights.embedding;
  return e.rows * row_bytes(e);
}
int Model::experts_per_token(int layer) const {
  return impl_->experts_per_token[static_cast<std::size_t>(layer)];
}
std::string_view Model::kernel_name() const { return impl_->kernels->name; }

}  // namespace switchyard::runtime
