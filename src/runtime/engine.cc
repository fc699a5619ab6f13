#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "switchyard/error.h"

#include "base/check.h"
#include "formats/dtype.h"
#include "formats/quant/quant.h"
#include "runtime/run.h"

namespace switchyard::runtime {
namespace {

void check_forced(const ModelConfig& config, const StepInput& input) {
  if (input.forced == nullptr) return;
  const auto bad = [](const std::string& what, const std::string& expected) {
    return Error({.what = what,
                  .where = "forced routes",
                  .expected = expected,
                  .fix = "one decision a layer, one item a token"});
  };
  if (input.forced->size() != static_cast<std::size_t>(config.layers)) {
    throw bad(std::to_string(input.forced->size()) + " decisions",
              std::to_string(config.layers) + " layers");
  }
  for (std::size_t l = 0; l < input.forced->size(); ++l) {
    if (!config.layer_is_moe[l]) continue;
    const routing::Decision& d = (*input.forced)[l];
    if (d.items() != input.tokens.size()) {
      throw bad("layer " + std::to_string(l) + " has " + std::to_string(d.items()) + " items",
                std::to_string(input.tokens.size()) + " tokens");
    }
    const int most = routing::most_experts_per_item(config.moe->router);
    for (std::size_t n = 0; n < d.items(); ++n) {
      const std::uint32_t count = d.offsets[n + 1] - d.offsets[n];
      if (count > static_cast<std::uint32_t>(most)) {
        throw bad("token " + std::to_string(n) + " has " + std::to_string(count) + " experts",
                  "at most " + std::to_string(most));
      }
    }
    for (const std::int32_t e : d.expert) {
      if (e < 0 || e >= config.moe->router.experts) {
        throw bad("expert " + std::to_string(e),
                  "0 to " + std::to_string(config.moe->router.experts - 1));
      }
    }
  }
}

void check_input(const Model& model, const StepInput& input, std::size_t index) {
  SWITCHYARD_CHECK(input.session != nullptr);
  const Session::Impl& session = input.session->impl();
  SWITCHYARD_CHECK(session.model.get() == &model);
  const std::string where = "sequence " + std::to_string(index);
  if (input.tokens.empty()) {
    throw Error({.what = "no tokens to compute",
                 .where = where,
                 .expected = "at least one",
                 .fix = "give a prompt"});
  }
  const auto room = static_cast<std::size_t>(session.max_tokens - session.length);
  if (input.tokens.size() > room) {
    throw Error(
        {.what = std::to_string(input.tokens.size()) + " more tokens do not fit into the context",
         .where = where,
         .expected = "at most " + std::to_string(room) + " more after " +
                     std::to_string(session.length) + " of " + std::to_string(session.max_tokens),
         .fix = "shorten the input or open a longer session"});
  }
  for (const std::int32_t id : input.tokens) {
    if (id >= 0 && id < model.config().vocab) continue;
    throw Error({.what = "token id " + std::to_string(id) + " is not in the vocabulary",
                 .where = where,
                 .expected = "0 to " + std::to_string(model.config().vocab - 1),
                 .fix = "use the model's own tokenizer"});
  }
  check_forced(model.config(), input);
}

void check_step(const Model& model, std::span<const StepInput> inputs) {
  std::set<const Session*> seen;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    check_input(model, inputs[i], i);
    SWITCHYARD_CHECK(seen.insert(inputs[i].session).second);  // a session stands in a step once
  }
}

// A token of the step, and where its logits go.
struct Pending {
  RunToken token;
  std::size_t input = 0;
  bool wants_logits = false;
};

std::vector<Pending> list_tokens(std::span<const StepInput> inputs) {
  std::vector<Pending> pending;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Session::Impl& session = inputs[i].session->impl();
    for (std::size_t t = 0; t < inputs[i].tokens.size(); ++t) {
      pending.push_back({.token = {.session = &session,
                                   .id = inputs[i].tokens[t],
                                   .position = session.length + static_cast<int>(t),
                                   .forced = inputs[i].forced,
                                   .forced_item = t},
                         .input = i,
                         .wants_logits = inputs[i].all_logits || t + 1 == inputs[i].tokens.size()});
    }
  }
  return pending;
}

void embed(Run& run) {
  const Model::Impl& m = run.model;
  const kernels::Matrix& table = m.weights.embedding;
  const std::size_t d = table.columns;
  run.token_ids.clear();
  run.positions.clear();
  for (std::size_t n = 0; n < run.size(); ++n) {
    const auto row = static_cast<std::size_t>(run.tokens[n].id);
    float* x = run.scratch.x.data() + n * d;
    if (table.type == DType::bf16) {
      m.kernels->widen(static_cast<const kernels::Bf16*>(table.data) + row * d, x, d);
    } else {
      const std::size_t bytes = row_bytes(table);
      convert_to_f32(table.type, {static_cast<const std::byte*>(table.data) + row * bytes, bytes},
                     {x, d});
    }
    run.token_ids.push_back(run.tokens[n].id);
    run.positions.push_back(static_cast<std::uint64_t>(run.tokens[n].position));
  }
}

// Sampling from what is not a number would give tokens that mean nothing.
void check_numbers(const Model::Impl& m, std::span<const float> logits, int position) {
  if (!quant::first_non_finite(logits)) return;
  throw Error(
      {.what = "the logits of position " + std::to_string(position) + " are not numbers",
       .where = m.path,
       .expected = "weights that are finite, and not so large that products overflow",
       .fix = "run switchyard inspect MODEL --check, which names the tensor that is damaged"});
}

// Logits of the tokens that want them. Neighbouring rows share one pass over the output matrix.
void write_logits(Run& run, std::span<const Pending> pending,
                  std::vector<std::vector<float>>& logits) {
  constexpr std::size_t kRowsAtOnce = 16;
  const Model::Impl& m = run.model;
  const auto d = static_cast<std::size_t>(m.config.width);
  const auto v = static_cast<std::size_t>(m.config.vocab);
  std::vector<float> block;
  for (std::size_t begin = 0; begin < pending.size();) {
    std::size_t end = begin;
    while (end < pending.size() && end - begin < kRowsAtOnce && pending[end].wants_logits) {
      m.kernels->rms_norm(run.scratch.x.data() + end * d, m.weights.final_norm.data(),
                          m.config.norm_epsilon, run.scratch.normed.data() + end * d, d);
      ++end;
    }
    if (end == begin) {
      ++begin;
      continue;
    }
    block.resize((end - begin) * v);
    const Product product{m.weights.output, run.scratch.normed.data() + begin * d, end - begin,
                          block.data()};
    multiply(run, product);
    if (wants_inputs(run)) {
      const WeightNames names(m.config.family);
      report_input(run, m.config.tied_embeddings ? names.embedding() : names.output(), product);
    }
    for (std::size_t n = begin; n < end; ++n) {
      const auto row = std::span(block).subspan((n - begin) * v, v);
      check_numbers(m, row, pending[n].token.position);
      std::vector<float>& out = logits[pending[n].input];
      out.insert(out.end(), row.begin(), row.end());
    }
    begin = end;
  }
}

}  // namespace

struct Engine::Memory {
  Memory(const Model::Impl& model)
      : scratch(model.config, model.plan.batch_tokens, model.options.max_sessions, model.quantised,
                model.ledger) {}
  Scratch scratch;
};

Engine::Engine(std::shared_ptr<const Model> model, Options options)
    : model_(std::move(model)),
      threads_(std::make_unique<ThreadPool>(options.threads)),
      memory_(std::make_unique<Memory>(model_->impl())) {}
Engine::~Engine() = default;

Session Engine::new_session(int max_tokens) const { return Session(model_, max_tokens); }

std::vector<std::vector<float>> Engine::step(std::span<const StepInput> inputs,
                                             const StepOptions& options) {
  check_step(*model_, inputs);
  const Model::Impl& m = model_->impl();
  const std::vector<Pending> pending = list_tokens(inputs);
  std::vector<std::vector<float>> logits(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    logits[i].reserve(static_cast<std::size_t>(m.config.vocab) *
                      (inputs[i].all_logits ? inputs[i].tokens.size() : 1));
  }
  Run run{.model = m, .threads = *threads_, .scratch = memory_->scratch, .options = options};
  const auto most = static_cast<std::size_t>(memory_->scratch.tokens);
  for (std::size_t begin = 0; begin < pending.size(); begin += most) {
    if (options.stop.stop_requested()) throw Cancelled();
    const auto part = std::span(pending).subspan(begin, std::min(most, pending.size() - begin));
    run.tokens.clear();
    for (const Pending& p : part) run.tokens.push_back(p.token);
    run.first_token = begin;
    run.router_state.recurrent.clear();
    embed(run);
    for (int l = 0; l < m.config.layers; ++l) {
      run_attention(run, l);
      if (m.config.layer_is_moe[static_cast<std::size_t>(l)]) {
        run_moe(run, l);
      } else {
        run_dense_ffn(run, l);
      }
    }
    write_logits(run, part, logits);
  }
  // Only now do the sessions own the new tokens: a step that failed or was stopped leaves them as
  // they were.
  for (const StepInput& input : inputs)
    input.session->impl().length += static_cast<int>(input.tokens.size());
  return logits;
}

}  // namespace switchyard::runtime
