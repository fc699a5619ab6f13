#include "runtime/work.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "runtime/matmul.h"
#include "runtime/model_impl.h"

namespace switchyard::runtime {
namespace {

// Operations of one row times a matrix.
Work product(DType type, double rows, double columns) {
  const double operations = 2 * rows * columns;
  return kernels::is_quantised_weight(type) ? Work{.integer_operations = operations}
                                            : Work{.float_operations = operations};
}

Work product(const kernels::Matrix& m) {
  return product(m.type, static_cast<double>(m.rows), static_cast<double>(m.columns));
}

double bytes_of(const kernels::Matrix& m) {
  return static_cast<double>(m.rows) * static_cast<double>(row_bytes(m));
}

Work times(Work work, double n) {
  work.weight_bytes *= n;
  work.cache_bytes *= n;
  work.float_operations *= n;
  work.integer_operations *= n;
  return work;
}

void for_each_matrix(const LayerWeights& w,
                     const std::function<void(const kernels::Matrix&)>& visit) {
  for (const kernels::Matrix* m : {&w.q, &w.k, &w.v, &w.o, &w.q_a, &w.kv_a, &w.key_up, &w.value_up,
                                   &w.shared_gate, &w.router, &w.router_projection}) {
    visit(*m);
  }
  for (const auto* ffn : {&w.dense, &w.shared}) {
    if (!*ffn) continue;
    for (const kernels::Matrix* m : {&(*ffn)->gate, &(*ffn)->up, &(*ffn)->down}) visit(*m);
  }
}

// Rows of the cache that tokens [before, before + tokens) see in a layer, each counted once, and
// summed over the tokens.
struct Seen {
  double distinct = 0;
  double pairs = 0;
};

Seen seen_by(int window, int before, int tokens) {
  const double end = before + tokens;
  if (window == 0 || before + tokens <= window) {
    return {end, static_cast<double>(tokens) * (2.0 * before + tokens + 1) / 2};
  }
  double pairs = 0;
  for (int position = before; position < before + tokens; ++position)
    pairs += std::min(window, position + 1);
  return {std::min(end, static_cast<double>(window) + tokens - 1), pairs};
}

// Operations of attention for one query of all heads and one cached row: score and value.
double attention_operations(const ModelConfig& c) {
  const int width = c.mla ? c.mla->cached_width() + c.mla->kv_rank : 2 * c.head_dim;
  return 2.0 * c.heads * width;
}

}  // namespace

Work& Work::operator+=(const Work& other) {
  weight_bytes += other.weight_bytes;
  cache_bytes += other.cache_bytes;
  float_operations += other.float_operations;
  integer_operations += other.integer_operations;
  return *this;
}

WorkCounter::WorkCounter(const Model& model) : model_(model) {
  const Model::Impl& m = model.impl();
  const auto add = [&](const kernels::Matrix& matrix, double uses) {
    if (matrix.data == nullptr) return;
    once_.weight_bytes += bytes_of(matrix);
    per_token_ += times(product(matrix), uses);
  };
  for (const LayerWeights& layer : m.weights.layers) {
    for_each_matrix(layer, [&](const kernels::Matrix& matrix) { add(matrix, 1); });
  }
  // The cell of a recurrent router is used in every MoE layer.
  const auto moe_layers = static_cast<double>(std::ranges::count(m.config.layer_is_moe, true));
  add(m.weights.router_cell.weight_ih, moe_layers);
  add(m.weights.router_cell.weight_hh, moe_layers);
  output_ = product(m.weights.output);
  output_.weight_bytes = bytes_of(m.weights.output);

  for (const auto& layer : m.experts.parts) {
    std::vector<Work>& experts = expert_.emplace_back();
    for (const auto& parts : layer) {
      Work& expert = experts.emplace_back();
      for (const experts::Part& part : parts) {
        expert += product(part.dtype, static_cast<double>(part.shape[0]),
                          static_cast<double>(part.shape[1]));
        expert.weight_bytes += static_cast<double>(part.bytes);
      }
    }
  }
}

void WorkCounter::add_step(int before, int tokens) {
  const Model::Impl& m = model_.impl();
  const ModelConfig& config = m.config;
  constexpr int kMany = 1024;  // rows lie in aligned blocks: one row alone would be too large
  const double row =
      static_cast<double>(kv_bytes(config, kMany, m.kv_types)) / kMany / config.layers;
  const double per_pair = attention_operations(config);
  for (int done = 0; done < tokens;) {
    const int n = std::min(m.plan.batch_tokens, tokens - done);
    total_ += once_;
    total_ += times(per_token_, n);
    for (int l = 0; l < config.layers; ++l) {
      const Seen seen = seen_by(config.window(l), before + done, n);
      total_.cache_bytes += seen.distinct * row;
      total_.float_operations += seen.pairs * per_pair;
    }
    done += n;
  }
  total_ += output_;
}

void WorkCounter::add_routes(const RouteRecord& record) {
  const std::vector<std::uint32_t>& counts = record.decision->counts;
  const std::vector<Work>& experts = expert_[static_cast<std::size_t>(record.layer)];
  for (std::size_t e = 0; e < counts.size(); ++e) {
    if (counts[e] == 0) continue;
    total_.weight_bytes += experts[e].weight_bytes;
    total_.float_operations += counts[e] * experts[e].float_operations;
    total_.integer_operations += counts[e] * experts[e].integer_operations;
  }
}

DType main_weight_type(const Model& model) {
  const Model::Impl& m = model.impl();
  std::map<DType, std::uint64_t> weights;
  const auto add = [&](const kernels::Matrix& matrix) {
    if (matrix.data != nullptr) weights[matrix.type] += matrix.rows * matrix.columns;
  };
  for (const LayerWeights& layer : m.weights.layers) for_each_matrix(layer, add);
  add(m.weights.embedding);
  if (!m.config.tied_embeddings) add(m.weights.output);
  for (const auto& layer : m.experts.parts) {
    for (const auto& parts : layer) {
      for (const experts::Part& part : parts) {
        weights[part.dtype] += static_cast<std::uint64_t>(part.shape[0] * part.shape[1]);
      }
    }
  }
  return std::ranges::max_element(weights, {}, [](const auto& entry) { return entry.second; })
      ->first;
}

std::uint64_t weight_bytes_per_token(const Model& model, double expert_width) {
  const ModelConfig& c = model.config();
  WorkCounter dense(model);
  dense.add_step(0, 1);
  double experts = 0;
  if (c.moe) {
    double all = 0;
    for (int e = 0; e < c.moe->router.experts; ++e) all += c.moe->ffn(e).hidden;
    all *= static_cast<double>(std::ranges::count(c.layer_is_moe, true));
    experts = static_cast<double>(model.expert_bytes()) * expert_width / all;
  }
  return static_cast<std::uint64_t>(std::llround(dense.total().weight_bytes + experts));
}

}  // namespace switchyard::runtime
