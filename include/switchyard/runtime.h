// Inference without libtorch. An immutable Model is shared; a Session holds one sequence's KV cache
// and router state; an Engine steps several sessions at once, expert-major.
//
//   auto model = runtime::Model::open(real_file_system(), "models/tiny", {.memory_budget = 64 <<
//   20}); runtime::Engine engine(model, {.threads = 2}); auto session = engine.new_session(512);
//   auto logits = engine.step({{&session, tokens}});
//
// The same tokens and logits, bit for bit, for every budget, thread count, batch mix, cache policy
// and prefetch setting. Numbers are fp32; weights are fp32 or bf16 as stored. B sequences, T
// tokens, V vocabulary, E experts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "switchyard/dtype.h"
#include "switchyard/experts.h"
#include "switchyard/ledger.h"
#include "switchyard/model_config.h"
#include "switchyard/routing.h"
#include "switchyard/thread_pool.h"

namespace switchyard::runtime {

enum class Prefetch { off, stale_gate };

// What a model needs besides its own bytes. Options that change speed and memory only; none changes
// a token, except experts_per_token and the types of the KV cache.
struct ModelOptions {
  // Bytes for everything: dense weights, KV, scratch, I/O buffers, expert slots and the process
  // itself. 0: no limit, all experts stay in memory.
  std::uint64_t memory_budget = 0;
  // Alternatively a share of the expert bytes for expert slots, 0 < share <= 1; 0: unused.
  double expert_share = 0;
  std::string expert_policy = "lru";
  Prefetch prefetch = Prefetch::stale_gate;
  experts::IoBackend io = experts::IoBackend::automatic;
  std::string kernels = "auto";
  // K instead of the model's own: one number for all layers, or one for each of the L layers (those
  // of dense layers are not read); empty: the model's. Model::config() then has the largest as its
  // K. Only for routers that take their best K experts.
  std::vector<int> experts_per_token = {};
  int max_sessions = 1;    // sessions the budget must leave room for
  int session_tokens = 0;  // KV length of each, 0: the model's context
  // Elements of the KV cache: f32, f16, bf16 or q8_0 (heads a multiple of 32 wide). Smaller ones
  // change logits as the reports of bench/reports/attention.md say. Latent attention keeps one row
  // for keys and values: cache_type_k decides.
  DType cache_type_k = DType::f32;
  DType cache_type_v = DType::f32;
  int max_batch_tokens = 512;  // tokens one step computes at once; longer input is split
};

// Thread rule: const; share it between engines.
class Model {
 public:
  // `directory`: config.json, safetensors and, if converted, experts.swpack. Throws Error; a budget
  // below the floor says what the floor is and what it consists of.
  static std::shared_ptr<const Model> open(FileSystem& fs, const std::string& directory,
                                           const ModelOptions& options = {});
  ~Model();

  const ModelConfig& config() const;
  const ModelOptions& options() const;
  Ledger& ledger() const;
  experts::CacheStats expert_stats() const;
  void reset_expert_stats() const;
  std::uint64_t expert_bytes() const;       // of all experts
  std::uint64_t expert_slot_bytes() const;  // budget of the expert cache
  std::uint64_t dense_bytes() const;
  std::uint64_t embedding_bytes() const;  // of dense_bytes()
  // K in force in layer l, 0 in a dense layer.
  int experts_per_token(int layer) const;
  std::string_view kernel_name() const;

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// One sequence. Move-only; used by one engine call at a time.
class Session {
 public:
  Session(std::shared_ptr<const Model> model, int max_tokens);
  Session(Session&&) noexcept;
  Session& operator=(Session&&) noexcept;
  ~Session();

  int length() const;  // tokens in the KV cache
  int max_tokens() const;
  void truncate(int length);  // forgets tokens from `length` on

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

// What one MoE layer decided for a run of the step's tokens, for diagnostics. A step's tokens are
// numbered in input order; a long step is computed in several runs.
struct RouteRecord {
  int layer = 0;
  std::size_t first_token = 0;                  // of the step
  const routing::Decision* decision = nullptr;  // items: tokens first_token, first_token + 1, ...
  std::span<const float> logits;  // [items, E] router logits; empty for methods without
};

// What a weight matrix was multiplied with in a run of the step's tokens, for calibration: rows of
// x [rows, columns]. Every matrix that can be quantised reports, routers do not; an expert has the
// rows of its tokens.
struct InputRecord {
  std::string weight;        // Hugging Face's name
  const float* x = nullptr;  // valid during the call
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t stride = 0;  // values from one row to the next
};

// Tokens to feed to one session in a step.
struct StepInput {
  Session* session = nullptr;
  std::span<const std::int32_t> tokens;  // [T] >= 1, ids in [0, V)
  bool all_logits = false;               // logits of every position instead of the last
  // Forced routes for these tokens instead of the router's choice: [L][T] lists of experts with
  // weights; empty: none.
  const std::vector<routing::Decision>* forced = nullptr;  // one decision a layer, items = T
};

// Observers are called on the thread that called step(), one record at a time. They change nothing
// and cost nothing where they are not set. The records of one matrix come in the order of the
// tokens, those of a layer's experts in the order in which the experts are ready.
struct StepOptions {
  std::stop_token stop = {};
  std::function<void(const RouteRecord&)> on_route = {};
  std::function<void(const InputRecord&)> on_input = {};
};

class Engine {
 public:
  struct Options {
    int threads = 0;  // 0: one per core
  };
  Engine(std::shared_ptr<const Model> model, Options options);
  ~Engine();

  // Feeds every session its tokens. Returns, input by input, the logits: [V] of the last position,
  // or [T, V].
  std::vector<std::vector<float>> step(std::span<const StepInput> inputs,
                                       const StepOptions& options = {});

  Session new_session(int max_tokens = 0) const;
  const Model& model() const { return *model_; }
  ThreadPool& threads() { return *threads_; }

 private:
  std::shared_ptr<const Model> model_;
  std::unique_ptr<ThreadPool> threads_;
  struct Memory;
  std::unique_ptr<Memory> memory_;
};

}  // namespace switchyard::runtime
