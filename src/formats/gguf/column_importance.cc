#include "formats/gguf/column_importance.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "switchyard/error.h"

#include "formats/gguf/model_parts.h"
#include "formats/json.h"

namespace switchyard {
namespace {

bool all_equal(std::span<const float> values) {
  return std::adjacent_find(values.begin(), values.end(), std::not_equal_to<>()) == values.end();
}

// Whether anything is multiplied with the matrix: nothing is with embeddings that are looked up.
bool is_multiplied(const GgufPart& part, const ModelConfig& config) {
  const bool looked_up =
      part.weight == WeightNames(config.family).embedding() && !config.tied_embeddings;
  return part.shape.size() == 2 && !part.always_f32 && !looked_up;
}

}  // namespace

ColumnImportance::ColumnImportance(ImportanceData data, const ModelConfig& config)
    : data_(std::move(data)) {
  std::map<Group, std::vector<std::string>> groups;  // experts' weights
  std::set<std::string> missing;
  for (const GgufPart& part : gguf_parts(config)) {
    if (!is_multiplied(part, config)) continue;
    auto entry = data_.entries.find(part.tensor);
    bool merged = part.is_expert();
    if (part.is_expert() && entry == data_.entries.end() && part.projection != "down") {
      entry = data_.entries.find(part.gate_up_tensor());
    }
    if (part.is_expert() && entry == data_.entries.end()) {
      entry = data_.entries.find(part.own_tensor());
      merged = false;
    }
    if (entry == data_.entries.end()) {
      missing.insert(part.tensor);
      continue;
    }
    const auto columns = static_cast<std::size_t>(part.shape.back());
    const std::size_t count =
        merged ? static_cast<std::size_t>(config.moe->router.experts) : std::size_t{1};
    const auto& [name, values] = *entry;
    check_shape(name, values.squares.size(), count * columns);
    if (values.counts.size() != 1) check_shape(name, values.counts.size(), count);
    const std::size_t index = merged ? static_cast<std::size_t>(part.expert) : 0;
    Measured measured{.squares = std::span(values.squares).subspan(index * columns, columns),
                      .counted = values.counts.size() == count};
    measured.count = values.counts[measured.counted ? index : 0];
    if (!measured.counted && all_equal(measured.squares)) measured.count = 0;
    matrices_.emplace(part.weight, measured);
    if (part.is_expert()) {
      groups[{part.layer, std::string(part.projection)}].push_back(part.weight);
    }
  }
  coverage_.missing.assign(missing.begin(), missing.end());
  coverage_.matrices = matrices_.size();
  if (matrices_.empty()) {
    throw Error({.what = "the file has no matrix of this model",
                 .where = data_.where,
                 .expected = coverage_.missing.empty() ? "" : shown(coverage_.missing.front()),
                 .fix = "measure the importance of this model: switchyard importance MODEL"});
  }
  add_priors(groups);
}

void ColumnImportance::check_shape(const std::string& entry, std::size_t values,
                                   std::size_t expected) const {
  if (values == expected) return;
  throw Error({.what = "the entry has " + std::to_string(values) + " values",
               .where = data_.where + ": entry " + shown(entry),
               .expected = std::to_string(expected) + ", as the model's matrix has",
               .fix = "measure the importance of this model: switchyard importance MODEL"});
}

void ColumnImportance::add_priors(const std::map<Group, std::vector<std::string>>& groups) {
  for (const auto& [group, members] : groups) {
    const bool own_columns = group.second == "down";
    double tokens = 0;
    double values = 0;  // that the sum below has
    std::vector<double> sum(own_columns ? 1 : matrices_.at(members.front()).squares.size());
    for (const std::string& weight : members) {
      const Measured& m = matrices_.at(weight);
      if (m.count == 0) continue;
      tokens += m.count;
      values += m.count * static_cast<double>(m.squares.size());
      if (own_columns) {
        sum.front() = std::accumulate(m.squares.begin(), m.squares.end(), sum.front());
      } else {
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += m.squares[i];
      }
    }
    if (tokens > 0) {
      for (double& v : sum) v /= own_columns ? values : tokens;
      const std::vector<double>& prior = priors_.emplace(group, std::move(sum)).first->second;
      for (const std::string& weight : members) matrices_.at(weight).prior = &prior;
    }
    if (own_columns) count_experts(members);
  }
}

// Each expert has one matrix of this projection.
void ColumnImportance::count_experts(const std::vector<std::string>& members) {
  coverage_.experts += members.size();
  for (const std::string& weight : members) {
    const Measured& m = matrices_.at(weight);
    if (m.count == 0) ++coverage_.unvisited;
    if (m.counted && m.count > 0 && m.count < kPriorTokens) ++coverage_.few;
  }
}

std::vector<float> ColumnImportance::of(const std::string& weight) const {
  const auto it = matrices_.find(weight);
  if (it == matrices_.end()) return {};
  const Measured& m = it->second;
  if (m.count == 0 && m.prior == nullptr) return {};
  // Without counts of tokens there is nothing to say how far a prior should reach.
  const double prior_tokens = m.prior == nullptr || (!m.counted && m.count > 0) ? 0 : kPriorTokens;
  std::vector<float> weights(m.squares.size());
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double seen = m.count > 0 ? static_cast<double>(m.squares[i]) : 0;
    const double prior =
        prior_tokens > 0 ? (*m.prior)[m.prior->size() == 1 ? 0 : i] * prior_tokens : 0;
    weights[i] = static_cast<float>((seen + prior) / (m.count + prior_tokens));
  }
  return weights;
}

}  // namespace switchyard
