#include "formats/gguf/importance_collector.h"

#include <cmath>

#include "switchyard/error.h"

#include "base/check.h"
#include "formats/gguf/model_parts.h"
#include "formats/json.h"

namespace switchyard {

void ImportanceCollector::add(std::string_view weight, const float* x, std::size_t rows,
                              std::size_t columns, std::size_t stride) {
  auto it = sums_.find(weight);
  if (it == sums_.end()) it = sums_.emplace(std::string(weight), Sums{}).first;
  Sums& sums = it->second;
  if (sums.squares.empty()) sums.squares.resize(columns);
  SWITCHYARD_CHECK(sums.squares.size() == columns && stride >= columns);
  for (std::size_t r = 0; r < rows; ++r) {
    const float* row = x + r * stride;
    for (std::size_t i = 0; i < columns; ++i) {
      sums.squares[i] += static_cast<double>(row[i]) * row[i];
    }
  }
  sums.count += rows;
}

ImportanceData ImportanceCollector::data(const ModelConfig& config) const {
  ImportanceData data;
  const bool merges = config.moe && config.moe->expert_hidden.empty();
  for (const GgufPart& part : gguf_parts(config)) {
    const auto it = sums_.find(part.weight);
    const bool matrix = part.shape.size() == 2 && !part.always_f32;
    if (!matrix || (it == sums_.end() && !part.is_expert())) continue;
    const bool own = part.is_expert() && !merges;
    ImportanceEntry& entry = data.entries[own ? part.own_tensor() : part.tensor];
    entry.counts.push_back(it == sums_.end() ? 0.0F : static_cast<float>(it->second.count));
    if (it == sums_.end()) {
      entry.squares.resize(entry.squares.size() + static_cast<std::size_t>(part.shape.back()));
      continue;
    }
    for (const double sum : it->second.squares) {
      const auto value = static_cast<float>(sum);
      if (!std::isfinite(value)) {
        throw Error({.what = "values that the model computes are not finite",
                     .where = "input of " + shown(part.weight),
                     .expected = "finite numbers",
                     .fix = "get the model again: it is damaged"});
      }
      entry.squares.push_back(value);
    }
  }
  return data;
}

}  // namespace switchyard
